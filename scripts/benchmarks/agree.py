"""Do the backends agree? A line a rotation: the cost of each, and how far apart costs and states are.

    scripts/bench agree [FILE] [--rotation NAME]

States are compared after alignment of one with the other by a similarity, since the frame is free: the largest
difference of a centre's or a point's coordinates as a share of the largest distance from the centroid, of rotations as
a chord, of intrinsics as a share of each parameter's largest. Parameterizations that leave SO(3) leave it anywhere, so
of those only costs are compared. Ends with 1 where costs differ by more than 1e-8 of them or states by more than 1e-6.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ba import io
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.model.similarity import align, transform
from ba.solve import SOLVERS, solve
from ba.solve.options import Solver
from scripts import ROOT

FILE = ROOT / "datasets" / "dubrovnik-16-22106-pre.txt.xz"
COST, STATE = 1e-8, 1e-6
TIGHT = Solver(ftol=1e-15, xtol=1e-13, gtol=1e-13, max_iterations=500)


@dataclass(frozen=True)
class Agreement:
    """The final cost of each backend, and the relative differences of the costs and of the states (None: not asked)."""

    costs: dict[str, float]
    cost: float
    state: float | None

    @property
    def holds(self) -> bool:
        return self.cost <= COST and (self.state is None or self.state <= STATE)


def agreement(problem: Problem, rotation: str) -> Agreement:
    """What every backend makes of the problem from the same start."""
    ways = {name: TIGHT.model_copy(update={"backend": name}) for name in SOLVERS}
    ends = {name: solve(problem, rotation=rotation, options=options) for name, options in ways.items()}
    costs = {name: end.final_cost for name, end in ends.items()}
    first, *others = (end.problem for end in ends.values())
    return Agreement(
        costs=costs,
        cost=(max(costs.values()) - min(costs.values())) / min(costs.values()),
        state=max(difference(other, first) for other in others) if ROTATIONS[rotation].stays_rotation else None,
    )


def difference(problem: Problem, other: Problem) -> float:
    """The largest difference of the states, relative, after alignment."""
    mine, theirs = (np.concatenate([p.centers, p.points]) for p in (problem, other))
    aligned = transform(problem, align(mine, theirs))
    extent = np.linalg.norm(theirs - theirs.mean(axis=0), axis=1).max()
    sizes = np.abs(other.intrinsics).max(axis=0, initial=np.finfo(float).tiny)
    return max(
        float(np.abs(aligned.centers - other.centers).max() / extent),
        float(np.abs(aligned.points - other.points).max() / extent),
        float(np.linalg.norm(aligned.rotations - other.rotations, axis=(1, 2)).max()),
        float(np.max(np.abs(problem.intrinsics - other.intrinsics) / sizes)),
    )


def lines(problem: Problem, rotations: list[str]) -> Iterator[tuple[str, bool]]:
    """A line of the table for each rotation, and whether the backends agree."""
    for rotation in rotations:
        found = agreement(problem, rotation)
        costs = "".join(f"{cost:>18.9f}" for cost in found.costs.values())
        state = f"{found.state:>12.1e}" if found.state is not None else f"{'off SO(3)':>12}"
        yield f"{rotation:<12}{costs}{found.cost:>12.1e}{state}{'' if found.holds else '  apart'}", found.holds


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench agree", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=FILE, help="whatever ba reads (Dubrovnik-16)")
    parser.add_argument("--rotation", action="append", choices=ROTATIONS, help="all if not given; may be repeated")
    chosen = parser.parse_args(arguments)
    if not chosen.file.is_file():
        parser.error(f"{chosen.file}: no such file")
    print(f"{'':<12}" + "".join(f"{name:>18}" for name in SOLVERS) + f"{'cost':>12}{'state':>12}")
    good = True
    for line, holds in lines(io.load(chosen.file), chosen.rotation or list(ROTATIONS)):
        print(line, flush=True)
        good &= holds
    return int(not good)

"""Are the sensitivities of a solution right? Each is held against re-solving the problem with its parameters changed.

    scripts/show-sensitivity [FILE] [--gauge NAME] [--rotation NAME] [--directions N]

The problem is solved with the gauge held. Then a line for each random direction dp of the observed pixels, and of all
numbers that are held fixed: |dx - d| / |d|, where dx is what the exact operator says, or Gauss-Newton's matrix alone,
and d = (x(p + h dp) - x(p - h dp)) / 2h of re-solved problems; and how far the same with 2h is from d. Each number of x
counts by what it does to the residuals. Re-solving takes Gauss-Newton steps until the gradient is rounding, so no
second derivative takes part in it. Ends with 1 where an exact operator is off by 1e-5 or more.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ba import io
from ba.analyse.optimum import Optimum, make_optimum, refine
from ba.analyse.sensitivity import Sensitivity, fixed, to_fixed, to_observations
from ba.errors import UserError
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.options import Camera, Fix
from ba.prepare.select import GAUGES, select
from ba.solve import solve
from ba.solve.objective import Objective
from ba.solve.options import Solver
from scripts import ROOT
from scripts.benchmarks.provenance import keep

FILE = ROOT / "datasets" / "dubrovnik-16-22106-pre.txt.xz"
MOST = 1e-5
STEP = 4e-3
"""Of 1e-4 .. 1.6e-2 the one at which rounding and the third derivatives together weigh least on Dubrovnik-16."""
TIGHT = Solver(backend="schur", ftol=1e-12)
MOST_STEPS = 1000

Changed = Callable[[np.ndarray], Problem]


@dataclass(frozen=True)
class Difference:
    """Relative differences from re-solving, and that of re-solving from itself at twice the step.

    plain: as `exact`, with every number counted as it is, world units beside radians and pixels.
    """

    exact: float
    plain: float
    gauss_newton: float
    resolving: float


def resolved(optimum: Optimum, problem: Problem) -> np.ndarray:
    """x (size,) of the optimum of a changed problem, in the chart of `optimum`, whose factor takes the steps."""
    variables = replace(optimum.variables, problem=problem)
    residuals = Residuals(problem, optimum.objective.residuals.threads)
    objective, x, before = Objective(residuals, optimum.objective.loss), optimum.variables.start, np.inf
    for _ in range(MOST_STEPS):
        g = objective.gradient(residuals.linearize(variables, x))
        step = optimum.solve(g, exact=False)
        promised = float(g @ step)  # falls in every step until it is rounding, as the length of a step need not
        if promised >= before:
            return x
        x, before = x - step, promised
    raise RuntimeError(f"re-solving has not ended after {MOST_STEPS} steps")


def moved(optimum: Optimum, changed: Changed, dp: np.ndarray, h: float) -> np.ndarray:
    """The central difference of the re-solved optimum along dp."""
    ahead, behind = (resolved(optimum, changed(sign * h * dp)) for sign in (1.0, -1.0))
    return (ahead - behind) / (2.0 * h)


def other_pixels(optimum: Optimum) -> tuple[Changed, int]:
    """The problem with other pixels, and how many numbers they are."""
    problem = optimum.variables.problem

    def changed(dp: np.ndarray) -> Problem:
        return replace(problem, pixels=problem.pixels + dp.reshape(-1, 2)[optimum.order])

    return changed, 2 * problem.num_observations


def other_fixed(optimum: Optimum) -> tuple[Changed, int]:
    """The problem with what is fixed elsewhere, and how many numbers that is."""
    problem = optimum.variables.problem
    held = make_variables(problem.with_free(fixed(problem)), optimum.variables.rotation)
    return lambda dp: held.problem_at(held.start + dp).with_free(problem.free), held.layout.size


def differences(
    optimum: Optimum,
    ways: tuple[Sensitivity, Sensitivity],
    parameters: tuple[Changed, int],
    directions: int,
    seed: int = 0,
) -> Iterator[Difference]:
    """For random directions, scaled so that numbers move by what changes residuals by about a pixel."""
    (exact, gauss_newton), (changed, size) = ways, parameters
    rng, scale = np.random.default_rng(seed), optimum.scale

    def off(dx: np.ndarray, d: np.ndarray, size: Any = scale) -> float:
        return float(np.linalg.norm(size * (dx - d)) / np.linalg.norm(size * d))

    for _ in range(directions):
        dp = rng.normal(size=size)
        dp *= np.sqrt(len(scale)) / np.linalg.norm(scale * gauss_newton.jvp(dp))
        once, twice = (moved(optimum, changed, dp, h) for h in (STEP, 2.0 * STEP))
        dx = exact.jvp(dp)
        yield Difference(off(dx, once), off(dx, once, 1.0), off(gauss_newton.jvp(dp), once), off(twice, once))


KINDS = {"observations": (to_observations, other_pixels), "fixed": (to_fixed, other_fixed)}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=FILE)
    parser.add_argument("--gauge", choices=[name for name in GAUGES if name != "free"], default="three_points")
    parser.add_argument("--rotation", choices=list(ROTATIONS), default="so3_left")
    parser.add_argument("--directions", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="PATH", help="the extremes, as benchmarks/results has them")
    given = parser.parse_args()
    try:
        optimum = at_optimum(io.load(given.file), given.gauge, given.rotation)
    except UserError as error:
        parser.error(str(error))
    curvature = optimum.curvature()
    print(f"{given.file.name}, gauge {given.gauge}, {given.rotation}: {len(optimum.scale)} free numbers")
    print(
        f"Gauss-Newton's matrix G and the Hessian H: v'(H - G)v / v'Gv from {curvature.lowest:+.4f} to "
        f"{curvature.highest:+.4f}, {curvature.typical:.2g} typically"
    )
    worst, by_matrix = 0.0, []
    for name, (make, change) in KINDS.items():
        parameters = change(optimum)
        print(f"\n{name}: {parameters[1]} numbers")
        print(f"{'direction':>9} {'exact':>9} {'plain':>9} {'G alone':>9} {'step 2h':>9}")
        ways = make(optimum), make(optimum, exact=False)
        for number, found in enumerate(differences(optimum, ways, parameters, given.directions), 1):
            columns = found.exact, found.plain, found.gauss_newton, found.resolving
            print(f"{number:9} " + " ".join(f"{column:9.1e}" for column in columns), flush=True)
            worst = max(worst, found.exact, found.plain)
            by_matrix.append(found.gauss_newton)
    print(f"\nlargest difference of the exact operators: {worst:.1e}, {MOST:.0e} is asked")
    if given.json:
        results = {"exact": worst, "gauss_newton": [min(by_matrix), max(by_matrix)], "directions": given.directions}
        results["curvature"] = [float(curvature.lowest), float(curvature.highest)]
        keep(given.json, "scripts/show-sensitivity", results)
    return int(worst >= MOST)


def at_optimum(problem: Problem, gauge: str, rotation: str) -> Optimum:
    """The problem solved, with the gauge held where the free solution is."""
    solved = solve(problem, options=TIGHT).problem
    held = select(solved, Camera(), Fix(), gauge)
    return make_optimum(refine(solve(held, options=TIGHT).problem, rotation=rotation), rotation=rotation, threads=2)


if __name__ == "__main__":
    sys.exit(main())

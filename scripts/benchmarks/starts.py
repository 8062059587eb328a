"""Hard starts: from how many of them do ba and a peer reach the lowest cost?

    scripts/bench starts [FILE] [--seeds 40] [--first 0] [--rotation 5] [--position 5] [--points 10] [--peer ceres]

Both backends of ba run beside the peer. Seeds 0 to 19 are those by which the backend schur's first damping was chosen;
what can be expected is told by the others, which are counted apart.

A start is the file's problem with Gaussian noise (ba/prepare/noise.py): sigma is `rotation` degrees for each component
of an image's rotation vector, `position` percent of the centres' extent for each coordinate of a centre, and `points`
percent of the points' extent for each coordinate of a point. Extent is the median distance from the median: 4.72 for
the centres of Dubrovnik-16 and 14.65 for its points, so 0.236 and 1.46 of its units. The diagonals of bounding boxes,
15.5 and 189, would speak of a few outliers.

All are handed the same file, `starts/NAME-SEED.npz`, which holds the start bit for bit, each in its own process. A run
ends within 1e-6 of the lowest cost, when a step lowers the cost by less than 1e-10 of it, or after 200 steps (Ceres
counts those that it refuses too); within 1e-4 it has reached the lowest cost. Points may pass through the plane of a
camera on the way, so Ceres is posed every observation from both sides (contenders/ceres.py), which costs it time: the
seconds are not those of scripts/bench race.

Writes starts.json. Ends with 1 if a run failed or the backend schur reaches the lowest cost from fewer starts than the
peer.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba import io
from ba.model.problem import Problem
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from scripts.benchmarks import race
from scripts.benchmarks.contenders import CERES_SOLVERS, CONTENDERS
from scripts.benchmarks.provenance import PACKAGES, keep

OURS = ("ba-schur", "ba-scipy")
TUNED = range(20)
"""Seeds by which the first damping of `ba.solve.levenberg_marquardt` was chosen."""
REACHED, ENOUGH = 1e-4, 1e-6


@dataclass(frozen=True)
class End:
    """How the run from one start ended; `why` is empty unless it failed."""

    seed: int
    start: float
    cost: float
    steps: int
    seconds: float
    why: str = ""


Ends = dict[str, list[End]]


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/bench starts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", nargs="?", type=Path, default=race.FILES[0], help="whatever ba reads (Dubrovnik-16)")
    parser.add_argument("--seeds", type=int, default=40, help="number of starts (default 40)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default 0)")
    parser.add_argument("--rotation", type=float, default=5.0, help="degrees (default 5)")
    parser.add_argument("--position", type=float, default=5.0, help="percent of the centres' extent (default 5)")
    parser.add_argument("--points", type=float, default=10.0, help="percent of the points' extent (default 10)")
    parser.add_argument("--peer", choices=[name for name in CONTENDERS if name not in OURS], default="ceres")
    parser.add_argument("--threads", type=int, default=2, help="threads and cores of each (default 2)")
    parser.add_argument("--ceres-solver", choices=CERES_SOLVERS, default="auto")
    parser.add_argument("--limit", type=int, default=900, help="seconds a run may take (default 900)")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder (default build/bench)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the counts, as benchmarks/results has them")
    chosen = parser.parse_args(arguments)
    if not chosen.file.is_file():
        parser.error(f"{chosen.file}: no such file")
    for name in ("seeds", "threads", "limit"):
        if getattr(chosen, name) < 1:
            parser.error(f"--{name}: {getattr(chosen, name)} found, a whole number above 0 is right")
    for name in ("first", "rotation", "position", "points"):
        if not 0 <= getattr(chosen, name) < float("inf"):
            parser.error(f"--{name}: {getattr(chosen, name)} found, a finite number of 0 or more is right")
    return chosen


def extent(positions: NDArray[np.float64]) -> float:
    """Median distance of positions (n, 3) from their median, in their units."""
    return float(np.median(np.linalg.norm(positions - np.median(positions, axis=0), axis=1)))


def noise(problem: Problem, chosen: argparse.Namespace) -> Noise:
    """The sigmas in degrees and world units."""
    return Noise(
        rotation_deg=chosen.rotation,
        position=chosen.position / 100.0 * extent(problem.centers),
        points=chosen.points / 100.0 * extent(problem.points),
    )


def run(name: str, seed: int, file: Path, enough: float, chosen: argparse.Namespace) -> End:
    """One contender from one start."""
    try:
        found = race.warm(name, file, chosen, enough=enough, both_sides=True)
    except race.Failed as reason:
        return End(seed, float("inf"), float("inf"), 0, 0.0, str(reason))
    curve = found["curve"]
    return End(seed, curve[0][1], curve[-1][1], len(curve) - 1, found["solve_seconds"], "; ".join(found["faults"]))


def reached(ends: list[End], lowest: float) -> int:
    """How many came within REACHED of the lowest cost, of those without a fault."""
    return sum(not end.why and end.cost <= lowest * (1.0 + REACHED) for end in ends)


def table(ends: Ends, lowest: float) -> str:
    """A line a start, and how many of them each contender brought home."""
    columns = f"{'last cost':>15}{'above':>10}{'steps':>7}{'s':>7}"
    lines = [f"{'':>4}{'':>13}" + "".join(f"{name:>39}" for name in ends)]
    lines += [f"{'seed':>4}{'start':>13}" + columns * len(ends)]
    for row in zip(*ends.values(), strict=True):
        cells = "".join(f"{e.cost:>15.5f}{e.cost / lowest - 1:>10.1e}{e.steps:>7}{e.seconds:>7.1f}" for e in row)
        lines.append(f"{row[0].seed:>4}{row[0].start:>13.6g}{cells}")
    for name, group in ends.items():
        counts = (f"{home} of {number} {kind} seeds" for kind, (home, number) in counted(group, lowest).items())
        lines.append(f"{name}: {', '.join(counts)} within {REACHED:g} of {lowest:.7f}")
        lines += [f"{name}: seed {end.seed}: failed: {end.why}" for end in group if end.why]
    return "\n".join(lines)


def counted(ends: list[End], lowest: float) -> dict[str, tuple[int, int]]:
    """How many were reached, of how many: of the seeds that were tuned on, and of new ones."""
    tuned = [end for end in ends if end.seed in TUNED]
    new = [end for end in ends if end.seed not in TUNED]
    return {kind: (reached(group, lowest), len(group)) for kind, group in {"tuned": tuned, "new": new}.items() if group}


def verdict(ends: Ends, lowest: float) -> int:
    """0 where nobody failed and the first contender reaches the lowest cost at least as often as the others."""
    counts = [reached(group, lowest) for group in ends.values()]
    return int(any(end.why for group in ends.values() for end in group) or counts[0] < max(counts))


def main(arguments: list[str]) -> int:
    chosen = parse(arguments)
    problem, known = io.load(chosen.file), race.LOWEST.get(race.stem(chosen.file))
    sigmas = noise(problem, chosen)
    folder = chosen.out / "starts"
    folder.mkdir(parents=True, exist_ok=True)
    ends: Ends = {name: [] for name in (*OURS, chosen.peer)}
    for seed in range(chosen.first, chosen.first + chosen.seeds):
        file = folder / f"{race.stem(chosen.file)}-{seed}.npz"
        io.save(perturb(problem, sigmas, seed), file)
        for name, group in ends.items():
            race.say(f"{file.stem}: {name}")
            group.append(run(name, seed, file, known * (1.0 + ENOUGH) if known else 0.0, chosen))
    lowest = known or min(end.cost for group in ends.values() for end in group if not end.why)
    print(f"{race.stem(chosen.file)}, {sigmas}")
    print(table(ends, lowest))
    written: dict[str, Any] = {"noise": sigmas.model_dump(), "lowest_cost": lowest, "machine": race.machine()}
    written["ends"] = {name: [vars(end) for end in group] for name, group in ends.items()}
    (chosen.out / "starts.json").write_text(json.dumps(written, indent=1))
    if chosen.json:
        counts = {name: counted(group, lowest) for name, group in ends.items()}
        found = {"noise": sigmas.model_dump(), "lowest_cost": lowest, "reached": counts}
        packages = (*PACKAGES, *CONTENDERS[chosen.peer].packages)
        keep(chosen.json, f"scripts/bench starts --first {chosen.first} --seeds {chosen.seeds}", found, packages)
    return verdict(ends, lowest)

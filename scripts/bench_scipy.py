"""Time for scipy's least_squares to come within 1e-4 of the lowest known cost, three ways, side by side in one run.

schur      `solver.preconditioner: schur`: trf in Schur coordinates, refreshed after each accepted step
none       `solver.preconditioner: none`: trf on the sparse analytic Jacobian as it is
cookbook   the SciPy cookbook's bundle adjustment: finite differences with `jac_sparsity`, x_scale="jac", trf

Every way starts from the same problem in memory, with compiled kernels loaded, and is stopped once it is there. Each
runs in a process of its own. Run it on an otherwise idle machine:   scripts/bench-scipy [--repeats N]
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy
from benchmarks.provenance import keep
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse import lil_matrix

from ba import io
from ba.model.problem import Problem
from ba.solve import solve
from ba.solve.options import Solver
from ba.solve.result import Iteration

DATA = Path(__file__).parents[1] / "datasets" / "dubrovnik-16-22106-pre.txt.xz"
LOWEST, SHARE = 18033.9034788, 1e-4
TARGET = LOWEST * (1.0 + SHARE)
WAYS = ("schur", "none", "cookbook")
REQUIRED = {"none": 8.0, "cookbook": 12.0}


class Arrival:
    """Stops a solve once its cost is within reach, and keeps the time it took."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.seconds, self.cost, self.steps = float("nan"), float("inf"), 0

    def at(self, cost: float) -> bool:
        self.cost, self.steps = cost, self.steps + 1
        if cost <= TARGET:
            self.seconds = time.perf_counter() - self.began
        return cost <= TARGET


def by_ba(problem: Problem, preconditioner: str) -> Arrival:
    options = Solver(preconditioner=preconditioner, max_iterations=200, ftol=1e-12)
    solve(
        problem, options=Solver(preconditioner=preconditioner, max_iterations=1)
    ) if preconditioner == "schur" else None
    arrival = Arrival()

    def observe(iteration: Iteration) -> None:
        if arrival.at(iteration.cost):
            raise KeyboardInterrupt

    solve(problem, options=options, observer=observe)
    return arrival


def by_cookbook(problem: Problem) -> Arrival:
    """Rodrigues' formula and BAL's projection in plain numpy; parameters rotation vector, t, f, k1, k2, then points."""
    n, m = problem.num_images, problem.num_observations
    image, point, pixels = problem.image_of_obs, problem.point_of_obs, problem.pixels * [1.0, -1.0]

    def rotate(points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
        theta = np.linalg.norm(vectors, axis=1)[:, None]
        with np.errstate(invalid="ignore"):
            axis = np.nan_to_num(vectors / theta)
        dot = np.sum(points * axis, axis=1)[:, None]
        return np.cos(theta) * points + np.sin(theta) * np.cross(axis, points) + dot * (1 - np.cos(theta)) * axis

    def fun(x: np.ndarray) -> np.ndarray:
        cameras, points = x[: 9 * n].reshape(n, 9)[image], x[9 * n :].reshape(-1, 3)[point]
        moved = rotate(points, cameras[:, :3]) + cameras[:, 3:6]
        plane = -moved[:, :2] / moved[:, 2:]
        s = np.sum(plane**2, axis=1)
        factor = cameras[:, 6] * (1 + cameras[:, 7] * s + cameras[:, 8] * s**2)
        return np.asarray((plane * factor[:, None] - pixels).ravel())

    sparsity = lil_matrix((2 * m, 9 * n + 3 * problem.num_points), dtype=int)
    rows = np.arange(m)
    for j in range(9):
        sparsity[2 * rows, 9 * image + j] = sparsity[2 * rows + 1, 9 * image + j] = 1
    for j in range(3):
        sparsity[2 * rows, 9 * n + 3 * point + j] = sparsity[2 * rows + 1, 9 * n + 3 * point + j] = 1
    flip = np.array([1.0, -1.0, -1.0])
    cameras = np.hstack([problem.source["axis_angle"], problem.translations * flip, problem.intrinsics])
    start = np.concatenate([cameras.ravel(), problem.points.ravel()])
    arrival = Arrival()

    def observe(intermediate_result: OptimizeResult) -> None:
        if arrival.at(float(intermediate_result.cost)):
            raise StopIteration

    least_squares(fun, start, jac_sparsity=sparsity, x_scale="jac", ftol=1e-12, method="trf", callback=observe)
    return arrival


RUNNERS: dict[str, Callable[[Problem], Arrival]] = {
    "schur": lambda problem: by_ba(problem, "schur"),
    "none": lambda problem: by_ba(problem, "none"),
    "cookbook": by_cookbook,
}


def run_one(way: str) -> None:
    arrival = RUNNERS[way](io.load(DATA))
    print(json.dumps({"seconds": arrival.seconds, "cost": arrival.cost, "steps": arrival.steps}))


def run_in_process(way: str) -> dict[str, Any]:
    answer = subprocess.run([sys.executable, __file__, "--one", way], check=True, capture_output=True, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=1, help="runs of each way")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the medians, as benchmarks/results has them")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(arguments.one)
        return 0
    print(
        f"Dubrovnik-16, seconds to within {SHARE:g} of {LOWEST}; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )
    print(f"{'way':<10}{'median s':>10}{'spread s':>10}{'steps':>7}{'cost':>14}{'ratio':>8}{'asked':>7}")
    baseline, missed, found = float("nan"), 0, {}
    for way in WAYS:
        runs = [run_in_process(way) for _ in range(arguments.repeats)]
        seconds = [run["seconds"] for run in runs]
        baseline = median(seconds) if way == WAYS[0] else baseline
        ratio, asked = median(seconds) / baseline, REQUIRED.get(way, 1.0)
        missed += not ratio >= asked
        found[way] = {"seconds": median(seconds), "ratio": ratio, "runs": len(seconds)}
        print(
            f"{way:<10}{median(seconds):>10.2f}{max(seconds) - min(seconds):>10.2f}{runs[0]['steps']:>7}"
            f"{runs[0]['cost']:>14.4f}{ratio:>7.1f}x{asked:>6.0f}x",
            flush=True,
        )
    if arguments.json:
        keep(arguments.json, f"scripts/bench-scipy --repeats {arguments.repeats}", found)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

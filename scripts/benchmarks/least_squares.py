"""Time for scipy's least_squares to come within 1e-4 of the lowest known cost, three ways, side by side in one run.

schur      `solver.preconditioner: schur`: trf in Schur coordinates, refreshed after each accepted step
none       `solver.preconditioner: none`: trf on the sparse analytic Jacobian as it is
cookbook   the SciPy cookbook's bundle adjustment: finite differences with `jac_sparsity`, x_scale="jac", trf

Every way starts from the same problem in memory, with compiled kernels loaded, and is stopped once it is there. Each
runs in a process of its own. Run it on an otherwise idle machine:   scripts/bench scipy [--repeats N]
"""

import argparse
import json
import os
import platform
import subprocess
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import scipy

from ba import io
from ba.model.problem import Problem
from ba.solve import solve
from ba.solve.options import Solver
from ba.solve.result import Iteration
from scripts import ROOT, environment, python
from scripts.benchmarks.contenders import cookbook
from scripts.benchmarks.contest import Curve, Task
from scripts.benchmarks.provenance import keep
from scripts.benchmarks.table import arrival

DATA = ROOT / "datasets" / "dubrovnik-16-22106-pre.txt.xz"
LOWEST, SHARE = 18033.9034788, 1e-4
TARGET = LOWEST * (1.0 + SHARE)
FTOL = 1e-12
REQUIRED = {"none": 8.0, "cookbook": 12.0}

Points = list[tuple[float, float]]
"""Seconds and cost of each step; the first is the start."""


def by_ba(problem: Problem, preconditioner: str) -> Points:
    if preconditioner == "schur":  # loads the compiled kernels
        solve(problem, options=Solver(preconditioner=preconditioner, max_iterations=1))
    curve = Curve()

    def observe(iteration: Iteration) -> None:
        curve.add(iteration.cost)
        if iteration.cost <= TARGET:
            raise KeyboardInterrupt

    solve(problem, options=Solver(preconditioner=preconditioner, max_iterations=200, ftol=FTOL), observer=observe)
    return curve.points


def by_cookbook(problem: Problem) -> Points:
    return cookbook.solve(problem, Task("cookbook", str(DATA), threads=1, enough=TARGET, ftol=FTOL)).curve


WAYS: dict[str, Callable[[Problem], Points]] = {
    "schur": lambda problem: by_ba(problem, "schur"),
    "none": lambda problem: by_ba(problem, "none"),
    "cookbook": by_cookbook,
}


def run_one(way: str) -> None:
    points = WAYS[way](io.load(DATA))
    seconds = arrival([list(point) for point in points], TARGET)
    print(json.dumps({"seconds": seconds, "cost": points[-1][1], "steps": len(points) - 1}))


def run_in_process(way: str) -> dict[str, Any]:
    command = python("benchmarks", "scipy", "--one", way)
    answer = subprocess.run(command, env=environment(), check=True, capture_output=True, text=True)
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench scipy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=1, help="runs of each way")
    parser.add_argument("--json", type=Path, metavar="PATH", help="the medians, as benchmarks/results has them")
    parser.add_argument("--one", choices=WAYS, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        run_one(chosen.one)
        return 0
    print(
        f"Dubrovnik-16, seconds to within {SHARE:g} of {LOWEST}; {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )
    print(f"{'way':<10}{'median s':>10}{'spread s':>10}{'steps':>7}{'cost':>14}{'ratio':>8}{'asked':>7}")
    baseline, missed, found = float("nan"), 0, {}
    for way in WAYS:
        runs = [run_in_process(way) for _ in range(chosen.repeats)]
        seconds = [run["seconds"] for run in runs]
        baseline = median(seconds) if way == "schur" else baseline
        ratio, asked = median(seconds) / baseline, REQUIRED.get(way, 1.0)
        missed += not asked <= ratio < inf
        found[way] = {"seconds": median(seconds), "ratio": ratio, "runs": len(seconds)}
        print(
            f"{way:<10}{median(seconds):>10.2f}{max(seconds) - min(seconds):>10.2f}{runs[0]['steps']:>7}"
            f"{runs[0]['cost']:>14.4f}{ratio:>7.1f}x{asked:>6.0f}x",
            flush=True,
        )
    if chosen.json:
        keep(chosen.json, f"scripts/bench scipy --repeats {chosen.repeats}", found)
    return 1 if missed else 0

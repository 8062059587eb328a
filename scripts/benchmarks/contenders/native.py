"""Ceres as a user has built it: its example program `bundle_adjuster`, on the problem as a BAL file.

It prints a line a step, with seven digits of the cost, three of its change and three of the seconds since the solve
began. Within 1e-6 of the lowest cost that is too coarse, so costs are put together from both: each is the last one plus
the changes after it, and the last one lies where every printed cost allows it. It cannot be told to stop at a cost and
is ended when a step lowers the cost by less than `ftol`.

Points behind a camera have the residual that BAL's formula gives them, as in ba, so nothing is posed apart.
"""

import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import floor, log10
from pathlib import Path
from typing import Any

import numpy as np

from ba import io
from ba.errors import SolverError
from ba.model.problem import Problem
from scripts.benchmarks.contenders.ceres import choice
from scripts.benchmarks.contest import MAX_ITERATIONS, Curve, Outcome, Task, only_bal

LEAST_GAIN = 1e-3
"""Ceres' own `min_relative_decrease`: steps that gain less of what they promised are refused."""
HALF_A_CHANGE = 5e-3
"""Share of a change by which its three digits may be off."""
COLUMNS = 10
"""iter, cost, cost_change, |gradient|, |step|, tr_ratio, tr_radius, ls_iter, iter_time, total_time."""


@dataclass(frozen=True)
class Line:
    """The start, or a step that was accepted, as printed."""

    cost: float
    change: float
    seconds: float


def solve(problem: Problem, task: Task) -> Outcome:
    only_bal(problem, one_each=True)
    name = choice(task.ceres_solver, problem)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        file = Path(folder) / "problem.txt"
        io.save(without_unseen_points(problem), file)
        built = time.perf_counter() - began
        version = _version(task, file, name)
        lines = list(_steps(_command(task, file, name, MAX_ITERATIONS), task.ftol))
    if not lines:
        raise SolverError(f"{task.ceres_binary}: takes no step on this problem")
    curve = Curve()
    curve.points = [(line.seconds, cost) for line, cost in zip(lines, costs(lines), strict=True)]
    return Outcome(
        build_seconds=built,
        solve_seconds=lines[-1].seconds,
        curve=curve.points,
        problem=None,
        settings={"linear_solver": name, "ceres": version, "built": task.ceres_built},
    )


def without_unseen_points(problem: Problem) -> Problem:
    """The problem without points that no image sees, which the program takes for an error in their order."""
    seen = np.bincount(problem.point_of_obs, minlength=problem.num_points) > 0
    rank = np.cumsum(seen, dtype=np.int32) - 1
    return replace(
        problem,
        points=problem.points[seen],
        point_of_obs=rank[problem.point_of_obs],
        free=replace(problem.free, points=problem.free.points[seen]),
        colors=None if problem.colors is None else problem.colors[seen],
    )


def _command(task: Task, file: Path, name: str, iterations: int) -> list[str]:
    flags: dict[str, Any] = {
        "input": file,
        "num_threads": task.threads,
        "num_iterations": iterations,
        "linear_solver": name.removesuffix("_explicit"),
        "explicit_schur_complement": str(name.endswith("_explicit")).lower(),
        "preconditioner": "schur_jacobi",
    }
    by_line = [stdbuf, "-oL"] if (stdbuf := shutil.which("stdbuf")) else []
    return [*by_line, task.ceres_binary, *(f"--{key}={value}" for key, value in flags.items())]


def _version(task: Task, file: Path, name: str) -> str:
    """What the report at the end of a run without steps calls itself: version and libraries."""
    report = subprocess.run(_command(task, file, name, 0), capture_output=True, text=True, check=False)
    found = re.search(r"Solver Summary \(v (\S+)\)", report.stdout)
    if found is None:
        raise SolverError(f"{task.ceres_binary}: is no bundle_adjuster of Ceres: {_last_words(report)}")
    return found.group(1)


def _last_words(process: Any) -> str:
    return (process.stderr.strip().splitlines() or [f"ended with {process.returncode}"])[-1]


def _steps(command: Sequence[str], ftol: float) -> Iterator[Line]:
    """The lines as they are printed, until one lowers the cost by no more than `ftol` of it or the program ends."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        for text in process.stdout:
            line = parse(text)
            if line is None:
                continue
            yield line
            if 0.0 < line.change <= ftol * line.cost:
                break
        process.kill()


def parse(text: str) -> Line | None:
    """The line of the start or of an accepted step; None for any other, a refused step's among them."""
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        return None
    if len(numbers) != COLUMNS or not (numbers[0] == 0.0 or numbers[5] > LEAST_GAIN):
        return None
    return Line(numbers[1], numbers[2], numbers[9])


def costs(lines: Sequence[Line]) -> list[float]:
    """The cost at each line: the last one plus the changes after it, where these are finer than the printed costs."""
    after = [0.0] * len(lines)
    for at in reversed(range(len(lines) - 1)):
        after[at] = after[at + 1] + lines[at + 1].change
    low, high = 0.0, float("inf")
    for line, rest in zip(lines, after, strict=True):
        blur = _half_a_digit(line.cost) + HALF_A_CHANGE * rest
        low, high = max(low, line.cost - rest - blur), min(high, line.cost - rest + blur)
    last = 0.5 * (low + high) if low <= high else lines[-1].cost
    fine = [HALF_A_CHANGE * rest < _half_a_digit(line.cost) for line, rest in zip(lines, after, strict=True)]
    return [last + rest if exact else line.cost for line, rest, exact in zip(lines, after, fine, strict=True)]


def _half_a_digit(cost: float) -> float:
    """What the seven digits of a printed cost may be off by."""
    return 0.5 * 10.0 ** (floor(log10(cost)) - 6) if cost > 0.0 else 0.0

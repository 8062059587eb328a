"""One generated scene of a given size, solved and measured, for `scripts/bench scaling`.

A scene is stored as its true state with noisy pixels; the start is drawn from it by `NOISE`, as `ba run` does. With
Gaussian noise of sigma px in N observations, the cost at a minimum over f free numbers, of which a free gauge makes 7
idle, is to first order sigma^2 / 2 times a chi^2 of 2N - f + 7 degrees of freedom:

    floor = sigma^2 / 2 * (2N - f + 7),   relative standard deviation sqrt(2 / (2N - f + 7))

The true state costs sigma^2 N, give or take, which needs no such theory: the minimum is below it.
Time a step is the median over the steps whose first trial was accepted, so that each is one linearization, one
elimination, one solution of the reduced system, one substitution.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import isfinite, sqrt
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from ba import io, pipeline
from ba.io import synthetic
from ba.io.options import Scene
from ba.model.problem import Problem
from ba.options import Config
from ba.solve import solve
from ba.solve.options import Solver
from ba.solve.reduced import LINEAR_SOLVERS
from ba.solve.result import Iteration
from scripts.benchmarks.contest import Curve, Outcome, cost, faults, peak_mb
from scripts.benchmarks.growth import NEAR
from scripts.benchmarks.table import arrival

SIGMA = 0.5
CAMERA = "bal"
OBSERVATIONS_PER_IMAGE, LEAST_IMAGES = 240, 8
NOISE = {"rotation_deg": 0.1, "position": 0.05, "points": 0.1, "intrinsics": 0.001}
"""Of the start: it costs about 400 times the floor."""
GAUGE = 7


@dataclass(frozen=True)
class Task:
    """One solve. The scene has the observations `asked` for within a few percent; `folder` keeps scenes."""

    kind: str
    asked: int
    folder: str
    threads: int
    ftol: float

    @property
    def scene(self) -> Scene:
        return Scene.model_validate(
            {
                "kind": self.kind,
                "images": max(round(self.asked / OBSERVATIONS_PER_IMAGE), LEAST_IMAGES),
                "observations": self.asked,
                "camera": CAMERA,
                "covariance_px2": ((SIGMA**2, 0.0), (0.0, SIGMA**2)),
            }
        )

    @property
    def path(self) -> Path:
        """Where the scene lies; the name changes with its settings, not with the program that generates it."""
        settings = hashlib.sha256(self.scene.model_dump_json().encode()).hexdigest()
        return Path(self.folder) / f"{self.kind}-{self.asked}-{settings[:8]}.npz"

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration of a run, but for its output."""
        return {
            "data": {"path": str(self.path.resolve())},
            "noise": NOISE,
            "solver": {"backend": "schur", "threads": self.threads, "ftol": self.ftol},
        }


def make(task: Task) -> None:
    """Generate the scene and store it."""
    task.path.parent.mkdir(parents=True, exist_ok=True)
    io.save(synthetic.generate(task.scene), task.path)


def measure(task: Task) -> dict[str, Any]:
    """Solve from the perturbed start, and say all there is to say, as JSON has it."""
    config = Config.model_validate(task.settings)
    truth, start = pipeline.load_start(config)
    _load_kernels(task.threads)
    loaded_mb, curve = peak_mb(), Curve()
    solution = solve(start, options=config.solver, observer=lambda iteration: curve.add(iteration.cost))
    seconds, peak = time.perf_counter() - curve.began, peak_mb()
    n, free = start.num_observations, int(solution.solver_details["free_numbers"])
    floor, true_cost = noise_floor(n, free), cost(truth)
    near = arrival([list(point) for point in curve.points], floor * (1.0 + NEAR))
    found = faults(start, Outcome(0.0, seconds, curve.points, solution.problem))
    if not solution.final_cost <= true_cost:
        found.append(f"ends at {solution.final_cost:.9g}, above the true state's {true_cost:.9g}")
    return asdict(task) | {
        "images": start.num_images,
        "points": start.num_points,
        "observations": n,
        "free_numbers": free,
        "linear_solver": solution.solver_details["linear_solver"],
        "status": str(solution.status),
        "steps": len(solution.iterations) - 1,
        "evaluations": solution.iterations[-1].evaluations,
        "step_seconds": step_seconds(solution.iterations),
        "first_step_seconds": curve.points[min(1, len(curve.points) - 1)][0],
        "near_seconds": near if isfinite(near) else None,
        "solve_seconds": seconds,
        "loaded_mb": loaded_mb,
        "peak_mb": peak,
        "bytes_per_observation": peak * 2**20 / n,
        "final_cost": solution.final_cost,
        "true_cost": true_cost,
        "floor": floor,
        "above_floor": solution.final_cost / floor - 1.0,
        "scatter": scatter(n, free),
        "curve": curve.points,
        "digest": digest(solution.problem),
        "faults": found,
    }


def _load_kernels(threads: int) -> None:
    """A throw-away step by every linear solver, so that no time holds the loading of compiled kernels."""
    small = synthetic.generate(Scene(kind="ring", images=LEAST_IMAGES, points=100, camera=CAMERA))
    for name in LINEAR_SOLVERS:
        solve(small, options=Solver(backend="schur", linear=name, max_iterations=1, threads=threads))


def noise_floor(observations: int, free_numbers: int) -> float:
    """The cost expected at the minimum, px^2."""
    return 0.5 * SIGMA**2 * _degrees_of_freedom(observations, free_numbers)


def scatter(observations: int, free_numbers: int) -> float:
    """Relative standard deviation of the cost at the minimum from one draw of the noise to another."""
    return sqrt(2.0 / _degrees_of_freedom(observations, free_numbers))


def _degrees_of_freedom(observations: int, free_numbers: int) -> int:
    return 2 * observations - free_numbers + GAUGE


def step_seconds(iterations: Sequence[Iteration]) -> float:
    """Median seconds of the steps that took one evaluation, of all where none did; not a number without a step."""
    steps = [(b.evaluations - a.evaluations, b.seconds - a.seconds) for a, b in pairwise(iterations)]
    seconds = [time for trials, time in steps if trials == 1] or [time for _, time in steps]
    return median(seconds) if seconds else float("nan")


def digest(problem: Problem) -> str:
    """SHA-256 of all numbers of the state."""
    hashed = hashlib.sha256()
    for array in (problem.rotations, problem.translations, problem.intrinsics, problem.points):
        hashed.update(np.ascontiguousarray(array).data)
    return hashed.hexdigest()

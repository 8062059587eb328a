"""The numbers of a run, as summary.json holds them."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ba import files
from ba.config import Config, Solver
from ba.problem import Problem, unconstrained
from ba.residual import Projection, project
from ba.result import Solution

PACKAGES = ("ba", "numpy", "scipy", "numba")

FRAME = "world of the input; poses are cam_from_world with x right, y down, z forward"


@dataclass(frozen=True)
class Errors:
    """Norms of the observations' plain residuals, px, and how many projections are outside the model's domain."""

    rms: float
    median: float
    behind: int
    outside: int


@dataclass(frozen=True)
class Before:
    """What is known before the solve; after Ctrl-C there is no time to find it."""

    errors: Errors
    unconstrained: dict[str, int]
    digest: str


def before(config: Config, start: Problem) -> Before:
    """What `summarize` needs of the start."""
    projection = project(start, config.solver.threads)
    return Before(errors(projection, start), unconstrained(start), data_digest(config, start))


def errors(projection: Projection, problem: Problem) -> Errors:
    """How far projections are from the problem's pixels."""
    difference = projection.pixels - problem.pixels
    squares = np.einsum("ni,ni->n", difference, difference)
    if not len(squares):
        return Errors(0.0, 0.0, 0, 0)
    rms, median = np.sqrt(np.mean(squares)), np.median(np.sqrt(squares))
    return Errors(float(rms), float(median), projection.num_behind, projection.num_outside)


def summarize(
    config: Config, start: Problem, known: Before, solution: Solution, projection: Projection
) -> dict[str, Any]:
    """Costs are 0.5 * sum rho of squared whitened residuals; `projection` is that of the end."""
    after = errors(projection, start)
    return {
        "status": str(solution.status),
        "message": solution.message,
        "initial_cost": solution.initial_cost,
        "final_cost": solution.final_cost,
        "initial_rms_px": known.errors.rms,
        "initial_median_px": known.errors.median,
        "final_rms_px": after.rms,
        "final_median_px": after.median,
        "iterations": solution.iterations[-1].iteration,
        "evaluations": solution.iterations[-1].evaluations,
        "solve_seconds": solution.solve_seconds,
        "total_seconds": None,
        "num_images": start.num_images,
        "num_cameras": start.num_cameras,
        "num_points": start.num_points,
        "num_observations": start.num_observations,
        "free_numbers": solution.details["free_numbers"],
        **known.unconstrained,
        "behind_camera_start": known.errors.behind,
        "behind_camera_end": after.behind,
        "outside_field_start": known.errors.outside,
        "outside_field_end": after.outside,
        "rotation": config.rotation,
        "distance_from_so3": solution.constraint,
        "gauge": config.gauge,
        "frame": FRAME,
        "loss": config.loss.name,
        "loss_scale": config.loss.scale,
        "solver": _solver(config.solver, solution),
        "solver_details": solution.details,
        "data_path": None if config.data.path is None else str(config.data.path),
        "data_sha256": known.digest,
        "seed": config.seed,
        "versions": versions(),
    }


def data_digest(config: Config, problem: Problem) -> str:
    """SHA-256 of the input file, or of a generated scene's pixels."""
    if config.data.path is not None:
        return files.sha256(config.data.path)
    return hashlib.sha256(problem.pixels.tobytes()).hexdigest()


def _solver(options: Solver, solution: Solution) -> str:
    if options.backend == "scipy":
        return f"scipy {options.method}, preconditioner {options.preconditioner}"
    return " ".join([options.backend, solution.details.get("linear_solver", "")]).rstrip()


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found

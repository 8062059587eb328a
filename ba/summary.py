"""The numbers of a run, as summary.json holds them."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ba import files
from ba.config import Config
from ba.problem import Problem, unconstrained
from ba.residual import Projection
from ba.result import Solution

PACKAGES = ("ba", "numpy", "scipy", "numba")

FRAME = "world of the input; poses are cam_from_world with x right, y down, z forward"


def summarize(
    config: Config, start: Problem, solution: Solution, projections: tuple[Projection, Projection]
) -> dict[str, Any]:
    """Costs are 0.5 * sum rho of squared whitened residuals; *_px are norms of an observation's plain residual."""
    before, after = (_norms(projection, start) for projection in projections)
    return {
        "status": str(solution.status),
        "message": solution.message,
        "initial_cost": solution.initial_cost,
        "final_cost": solution.final_cost,
        "initial_rms_px": _rms(before),
        "initial_median_px": _median(before),
        "final_rms_px": _rms(after),
        "final_median_px": _median(after),
        "iterations": solution.iterations[-1].iteration,
        "evaluations": solution.iterations[-1].evaluations,
        "solve_seconds": solution.solve_seconds,
        "total_seconds": None,
        "num_images": start.num_images,
        "num_cameras": start.num_cameras,
        "num_points": start.num_points,
        "num_observations": start.num_observations,
        "free_numbers": solution.details["free_numbers"],
        **unconstrained(start),
        "behind_camera_start": projections[0].num_behind,
        "behind_camera_end": projections[1].num_behind,
        "outside_field_start": projections[0].num_outside,
        "outside_field_end": projections[1].num_outside,
        "rotation": config.rotation,
        "distance_from_so3": solution.constraint,
        "gauge": config.gauge,
        "frame": FRAME,
        "loss": config.loss.name,
        "loss_scale": config.loss.scale,
        "solver": f"{config.solver.backend} {config.solver.method}, preconditioner {config.solver.preconditioner}",
        "solver_details": solution.details,
        "data_path": None if config.data.path is None else str(config.data.path),
        "data_sha256": data_digest(config, start),
        "seed": config.seed,
        "versions": versions(),
    }


def data_digest(config: Config, problem: Problem) -> str:
    """SHA-256 of the input file, or of a generated scene's pixels."""
    if config.data.path is not None:
        return files.sha256(config.data.path)
    return hashlib.sha256(problem.pixels.tobytes()).hexdigest()


@cache
def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _norms(projection: Projection, problem: Problem) -> np.ndarray[Any, Any]:
    return np.asarray(np.linalg.norm(projection.pixels - problem.pixels, axis=1))


def _rms(norms: np.ndarray[Any, Any]) -> float:
    return float(np.sqrt(np.mean(norms**2))) if len(norms) else 0.0


def _median(norms: np.ndarray[Any, Any]) -> float:
    return float(np.median(norms)) if len(norms) else 0.0

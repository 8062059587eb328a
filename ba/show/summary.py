"""The numbers of a run, as summary.json holds them.

Norms are those of an observation's residual, projection minus pixel; a `whitened` one is W r with W^T W the inverse
covariance, in sigmas. `residual_unit` is what the cost and the loss see: sigmas where the problem has covariances and
px where it has none; the keys that end in it are

  initial_weighted_rms_*, final_weighted_rms_*      sqrt(sum w s / sum w) over observations, s the squared norm and
                                                    w = rho'(s) of the loss
  inlier_limit_*                                    the largest norm of an inlier at the end (`ba.model.robust`)

Which observations are inliers is decided at the end, and `initial_inlier_*` are of the same observations: at the start
everything is off, so a limit taken there would say nothing about them, and two sets could not be compared.
Where the covariances are right, `final_whitened_rms_sigmas` is sqrt(2) less what the free numbers took up.
"""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ba import io
from ba.model.loss import LOSSES, scaled
from ba.model.problem import Float, Problem, unconstrained
from ba.model.residual import Projection, project, whitener
from ba.model.robust import inlier_limit, rms, squared_norms, weighted_rms
from ba.solve.result import Solution

if TYPE_CHECKING:
    from ba.model.options import Loss as LossOptions
    from ba.options import Config
    from ba.solve.options import Solver

PACKAGES = ("ba", "numpy", "scipy", "numba")

FRAME = "world of the input; poses are cam_from_world with x right, y down, z forward"


@dataclass(frozen=True, eq=False)
class Errors:
    """How far projections are from the pixels, and how many are outside the model's domain.

    squares (n_obs,) px^2 plain; whitened (n_obs,) sigmas^2, or None without covariances; weighted_rms in sigmas, or px
    without covariances.
    """

    squares: Float
    whitened: Float | None
    weighted_rms: float
    behind: int
    outside: int

    @property
    def seen_by_loss(self) -> Float:
        """(n_obs,) the squared norms that the loss is taken of."""
        return self.squares if self.whitened is None else self.whitened


@dataclass(frozen=True)
class Before:
    """What is found before the solve; after Ctrl-C there is no time to find it."""

    errors: Errors
    unconstrained: dict[str, int]
    digest: str


def before(config: Config, start: Problem) -> Before:
    """What `summarize` needs of the start."""
    projection = project(start, config.solver.threads)
    return Before(errors(projection, start, config.loss), unconstrained(start), data_digest(config, start))


def errors(projection: Projection, problem: Problem, loss: LossOptions) -> Errors:
    """How far projections are from the problem's pixels."""
    residuals = projection.pixels - problem.pixels
    squares, whiten = squared_norms(residuals), whitener(problem)
    whitened = None if whiten is None else squared_norms(np.einsum("nij,nj->ni", whiten, residuals))
    weighted = weighted_rms(squares if whitened is None else whitened, scaled(LOSSES[loss.name], loss.scale))
    return Errors(squares, whitened, weighted, behind=projection.num_behind, outside=projection.num_outside)


def _median(squares: Float) -> float:
    return float(np.median(np.sqrt(squares))) if len(squares) else 0.0


def _of_residuals(start: Errors, end: Errors) -> dict[str, Any]:
    """How well start and end fit, and how well apart from a few large residuals; keys as in the module's docstring."""
    norms = np.sqrt(end.seen_by_loss)
    limit = inlier_limit(norms)
    inliers = norms <= limit
    unit = "px" if end.whitened is None else "sigmas"
    fit = {"residual_unit": unit, "num_inliers": int(inliers.sum()), f"inlier_limit_{unit}": limit}
    for when, errors in (("initial", start), ("final", end)):
        fit |= {
            f"{when}_rms_px": rms(errors.squares),
            f"{when}_median_px": _median(errors.squares),
            f"{when}_weighted_rms_{unit}": errors.weighted_rms,
            f"{when}_inlier_rms_px": rms(errors.squares[inliers]),
            f"{when}_inlier_median_px": _median(errors.squares[inliers]),
        }
        if errors.whitened is not None:
            fit[f"{when}_whitened_rms_sigmas"] = rms(errors.whitened)
    return fit


def summarize(
    config: Config, start: Problem, at_start: Before, solution: Solution, projection: Projection
) -> dict[str, Any]:
    """Costs are 0.5 * sum rho of squared whitened residuals; `projection` is that of the end."""
    at_end = errors(projection, start, config.loss)
    return {
        "status": str(solution.status),
        "message": solution.message,
        "initial_cost": solution.initial_cost,
        "final_cost": solution.final_cost,
        **_of_residuals(at_start.errors, at_end),
        "iterations": solution.iterations[-1].iteration,
        "evaluations": solution.iterations[-1].evaluations,
        "solve_seconds": solution.solve_seconds,
        "total_seconds": None,
        "num_images": start.num_images,
        "num_cameras": start.num_cameras,
        "num_points": start.num_points,
        "num_observations": start.num_observations,
        "free_numbers": solution.solver_details["free_numbers"],
        **at_start.unconstrained,
        "behind_camera_start": at_start.errors.behind,
        "behind_camera_end": at_end.behind,
        "outside_field_start": at_start.errors.outside,
        "outside_field_end": at_end.outside,
        "rotation": config.rotation,
        "distance_from_so3": solution.constraint,
        "gauge": config.gauge,
        "frame": FRAME,
        "loss": config.loss.name,
        "loss_scale": config.loss.scale,
        "solver": _solver(config.solver, solution),
        "solver_details": solution.solver_details,
        "data_path": None if config.data.path is None else str(config.data.path),
        "data_sha256": at_start.digest,
        "seed": config.seed,
        "versions": versions(),
    }


def data_digest(config: Config, problem: Problem) -> str:
    """SHA-256 of the input, or of a generated scene's pixels."""
    if config.data.path is not None:
        return io.digest(config.data.path, config.data.format)
    return hashlib.sha256(problem.pixels.tobytes()).hexdigest()


def _solver(options: Solver, solution: Solution) -> str:
    if options.backend == "scipy":
        return f"scipy {options.method}, preconditioner {options.preconditioner}"
    return " ".join([options.backend, solution.solver_details.get("linear_solver", "")]).rstrip()


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    return {"python": platform.python_version()} | {name: import_module(name).__version__ for name in PACKAGES}

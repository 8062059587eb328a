"""Summaries and iterations of runs that are made up."""

import io
from pathlib import Path
from typing import Any

from ba.show.progress import print_summary
from ba.solve.result import Iteration

NUMBERS = [
    "initial_cost", "final_cost", "initial_rms_px", "final_rms_px", "initial_median_px", "final_median_px",
    "initial_inlier_rms_px", "final_inlier_rms_px", "initial_inlier_median_px", "final_inlier_median_px",
    "initial_weighted_rms_sigmas", "final_weighted_rms_sigmas", "initial_whitened_rms_sigmas",
    "final_whitened_rms_sigmas",
]  # fmt: skip
COUNTS = ["behind_camera_start", "behind_camera_end", "outside_field_start", "outside_field_end"]
TRUTH = [
    "rotation_error_median_deg", "rotation_error_max_deg", "position_error_rms_world_units",
    "point_error_median_world_units", "point_error_rms_world_units",
]  # fmt: skip


def summary() -> dict[str, Any]:
    """Every number another one."""
    found: dict[str, Any] = {key: 101.5 + 7.25 * place for place, key in enumerate(NUMBERS)}
    found |= {key: 11 + 2 * place for place, key in enumerate(COUNTS)}
    found["truth"] = {
        when: {key: first + place for place, key in enumerate(TRUTH)} for when, first in (("start", 0.25), ("end", 0.5))
    }
    return found | {
        "status": "converged", "message": "as it should", "loss": "huber", "loss_scale": 2.5, "residual_unit": "sigmas",
        "num_inliers": 900, "inlier_limit_sigmas": 3.5, "iterations": 1, "solve_seconds": 0.125, "total_seconds": 9.5,
        "num_images": 1, "num_cameras": 2, "num_points": 3456, "num_observations": 1000, "seed": 41,
        "rotation": "cayley", "gauge": "free", "solver": "schur dense", "versions": {"numpy": "2"},
        "data_path": "a/b.txt", "data_sha256": "ab",
    }  # fmt: skip


ITERATIONS = [
    Iteration(0, 1e4, 0.0, 0.0, 31.0, 1, 0.5),
    Iteration(1, 1e3, 9e3, 0.25, 32.0, 3, 1.25),
    Iteration(2, 1e1, 990.0, 0.125, 33.0, 4, 2.75),
]
SUMMARY: dict[str, Any] = {
    "status": "converged",
    "message": "relative change of the cost below solver.ftol",
    "initial_cost": 4185659.5182497,
    "final_cost": 18033.9034788,
    "initial_rms_px": 9.99988,
    "final_rms_px": 0.65637,
    "initial_median_px": 4.4218,
    "final_median_px": 0.36412,
    "iterations": 7,
    "solve_seconds": 2.3456,
    "total_seconds": 5.0167,
    "num_images": 16,
    "num_cameras": 1,
    "num_points": 22106,
    "num_observations": 83718,
}


def printed(summary: dict[str, Any], folder: str = "runs/a", notes: tuple[str, ...] = ()) -> str:
    stream = io.StringIO()
    print_summary(summary, Path(folder), notes, stream)
    return stream.getvalue()

"""summary.json: each key, those inside others written `outer.inner`, and how it is computed."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle import freedom, robust, truth
from tests.oracle.case import Case
from tests.oracle.costs import cost, gradient_norm, median, rms
from tests.oracle.known import Known
from tests.oracle.projecting import behind, outside
from tests.oracle.reading import Scene, images_of_points, sha256
from tests.oracle.rotating import off_so3
from tests.oracle.starting import free_numbers


def status(case: Case) -> str:
    """A run is out of steps only where none of its tests of convergence holds after the last one."""
    solver, costs = case.config["solver"], [cost(state, case.config["loss"]).value for state in case.framed]
    slope = gradient_norm(case.framed[-1], case.rotation, case.config["loss"]).value
    flat = len(costs) > 1 and costs[-2] - costs[-1] < solver["ftol"] * costs[-2]
    if flat or slope < solver["gtol"]:
        return "converged"
    return "max_iterations" if len(costs) > solver["max_iterations"] else "converged"


def solver(case: Case) -> str:
    chosen = case.config["solver"]
    if chosen["backend"] == "scipy":
        return f"scipy {chosen['method']}, preconditioner {chosen['preconditioner']}"
    return f"schur {chosen['linear'] or case.last.summary['solver_details']['linear_solver']}"


def data_sha256(case: Case) -> str:
    path = case.config["data"]["path"]
    return sha256(case.loaded.pixels.tobytes() if path is None else Path(case.last.path / path).read_bytes())


def distance(case: Case) -> Known:
    """Of images that may turn, for what is held fixed says nothing about the parameterization."""
    free = case.start.free.rotations
    return Known(float(off_so3(case.end.R)[free].max(initial=0)), 1e-14)


def _truth(of: Callable[[Case], Scene], name: str) -> Callable[[Case], Known]:
    return lambda case: truth.errors(of(case), case.truth)[name] if case.truth is not None else Known(None)


TRUTH = ("rotation_error_median_deg", "rotation_error_max_deg", "position_error_rms_world_units",
         "point_error_median_world_units", "point_error_rms_world_units", "scale")  # fmt: skip

SUMMARY: dict[str, Callable[[Case], Any]] = {
    "status": status,
    "initial_cost": lambda case: cost(case.framed[0], case.config["loss"]),
    "final_cost": lambda case: cost(case.framed[-1], case.config["loss"]),
    "initial_rms_px": lambda case: rms(case.start),
    "initial_median_px": lambda case: median(case.start),
    "final_rms_px": lambda case: rms(case.end),
    "final_median_px": lambda case: median(case.end),
    "iterations": lambda case: len(case.states) - 1,
    "evaluations": lambda case: case.last.iterations[-1]["evaluations"],
    "num_images": lambda case: len(case.loaded.R),
    "num_cameras": lambda case: len(case.loaded.models),
    "num_points": lambda case: len(case.loaded.points),
    "num_observations": lambda case: len(case.loaded.image),
    "free_numbers": lambda case: free_numbers(case.start, case.rotation),
    "points_seen_fewer_than_twice": lambda case: int((images_of_points(case.loaded) < 2).sum()),
    "images_that_see_nothing": lambda case: len(set(range(len(case.loaded.R))) - set(case.loaded.image.tolist())),
    "behind_camera_start": lambda case: int(behind(case.start).sum()),
    "behind_camera_end": lambda case: int(behind(case.end).sum()),
    "outside_field_start": lambda case: int(outside(case.start).sum()),
    "outside_field_end": lambda case: int(outside(case.end).sum()),
    "rotation": lambda case: case.rotation,
    "distance_from_so3": distance,
    "gauge": lambda case: case.config["gauge"],
    "loss": lambda case: case.config["loss"]["name"],
    "loss_scale": lambda case: case.config["loss"]["scale"],
    "solver": solver,
    "solver_details.free_numbers": lambda case: free_numbers(case.start, case.rotation),
    "solver_details.threads": lambda case: case.config["solver"]["threads"] or os.cpu_count(),
    "data_path": lambda case: case.config["data"]["path"],
    "data_sha256": data_sha256,
    "seed": lambda case: case.config["seed"],
    "versions.python": lambda case: platform.python_version(),
    **{f"versions.{name}": lambda case, name=name: version(name) for name in ("ba", "numpy", "scipy", "numba")},
    **robust.SUMMARY,
    **freedom.SUMMARY,
    **{f"truth.start.{name}": _truth(lambda case: case.start, name) for name in TRUTH},
    **{f"truth.end.{name}": _truth(lambda case: case.end, name) for name in TRUTH},
}

NOT_COMPUTED = {
    "message": "words, not a number",
    "frame": "words, not a number",
    "notes": "words; the numbers in them are those of other keys",
    "solve_seconds": "a time; it is held between the last iteration's and total_seconds",
    "compile_seconds": "a time",
    "undetermined.text": "words; `ba check` prints the same",
    "undetermined.whom": "images and points by index: tests of their own hold whom each kind of it names",
    "total_seconds": "a time; it is held to be no less than solve_seconds",
    "solver_details.lsmr_products": "how often scipy's LSMR multiplied by J: a count of inner work",
    "solver_details.damping": "the solver's own damping at the end",
    "solver_details.linear_solver": "the solver's own choice; its rule has tests of its own",
    "solver_details.linear_iterations": "how many conjugate gradient steps were taken: a count of inner work",
}


def flat(content: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Keys of keys joined by dots."""
    for key, value in content.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        elif key == "undetermined":
            yield from _undetermined(value)
        else:
            yield prefix + key, value


def _undetermined(found: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """How many directions all findings have together, their words, and whom they concern."""
    yield "undetermined.directions", sum(one["directions"] for one in found)
    yield "undetermined.text", [one["text"] for one in found]
    yield "undetermined.whom", [{key: one[key] for key in one if key not in ("text", "directions")} for one in found]


def clock_is_sound(case: Case) -> bool:
    """Seconds never run backwards, from the first iteration to the whole run."""
    seconds = [line["seconds"] for line in case.last.iterations]
    seconds += [case.last.summary[key] for key in ("solve_seconds", "total_seconds")]
    return bool(seconds[0] >= 0 and (np.diff(seconds) >= 0).all())

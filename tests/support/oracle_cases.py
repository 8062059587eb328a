"""The runs that the oracle looks at. This module runs `ba`; nothing in `tests/oracle` does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

import ba
from ba.check import check
from tests import ROOT
from tests.oracle import making
from tests.oracle.case import Case, read_case
from tests.oracle.reading import Scene, write_bal, write_npz

DATASETS = ROOT / "datasets"
MOST_STEPS = 8


@dataclass(frozen=True)
class Recipe:
    """data: a file of `datasets`, a scene to write, or a section of the configuration; keys: of the configuration.

    format: the suffix under which a scene is written; steps: accepted steps at most, fewer where the run ends by
    itself; check: whether `ba check` is asked, too.
    """

    data: str | dict[str, Any] | Callable[[], Scene]
    keys: dict[str, Any] = field(default_factory=dict)
    format: str = ".npz"
    steps: int = MOST_STEPS
    check: bool = False


NOISE = {"rotation_deg": 0.3, "position": 0.05, "points": 0.05, "intrinsics": 0.01}
SCHUR = {"backend": "schur", "threads": 1}
WRITERS = {".npz": write_npz, ".txt": write_bal}


def _covariances() -> Scene:
    return making.with_covariances(making.ring(2, ("bal", "pinhole")), 5)


RECIPES: dict[str, Recipe] = {
    "BAL": Recipe("dubrovnik-3-7-pre.txt", steps=4, check=True),
    "BAL, points behind": Recipe("ladybug-49-7776-pre.txt.xz", {"solver": SCHUR}, steps=2),
    "BAL, an image that sees nothing": Recipe(making.one_sees_nothing, format=".txt", steps=2, check=True),
    "robust": Recipe(
        {"scene": {"images": 6, "points": 60, "outliers": 0.1, "seed": 4}},
        {"loss": {"name": "huber", "scale": 1.5}, "noise": NOISE, "seed": 11},
        steps=8,
    ),
    "many mismatches": Recipe(
        {"scene": {"images": 6, "points": 250, "outliers": 0.1, "seed": 4}},
        {"loss": {"name": "huber", "scale": 1.5}, "noise": NOISE, "seed": 11, "solver": SCHUR},
    ),
    "covariances": Recipe(_covariances, {"noise": NOISE, "solver": SCHUR}, check=True),
    "scene with covariance": Recipe(
        {
            "scene": {
                "images": 6, "points": 50, "camera": "bal", "use_covariance": True,
                "covariance_px2": [[0.5, 0.3], [0.3, 0.4]], "seed": 2,
            }
        },
        {"noise": NOISE, "seed": 3},
    ),
    "far from the origin": Recipe(
        lambda: making.ring(5, ("bal",) * 6, size=30.0, origin=making.SURVEY),
        {
            "fix": {"poses": [0, 3]},
            "noise": {"rotation_deg": 0.1, "position": 0.5, "points": 0.5},
        },
        check=True,
    ),
    "off SO(3)": Recipe(
        making.off_so3,
        {"rotation": "matrix9", "fix": {"poses": [2]}, "camera": {"refine": ["fx", "fy"]}, "solver": SCHUR},
        steps=5,
        check=True,
    ),
    "unruly": Recipe(making.unruly, {"loss": {"name": "cauchy", "scale": 2.0}, "solver": SCHUR}, steps=4, check=True),
    "two pieces": Recipe(making.two_pieces, {"rotation": "quaternion"}, steps=0, check=True),
    "two cameras": Recipe(
        lambda: making.ring(6, ("pinhole",), points=20),
        {"rotation": "so3_right", "gauge": "two_cameras", "noise": NOISE, "camera": {"refine": ["fx", "cx", "skew"]}},
        check=True,
    ),
    "three points": Recipe(
        lambda: making.ring(9, ("bal", "pinhole"), points=20),
        {
            "rotation": "axis_angle", "gauge": "three_points", "noise": NOISE, "camera": {"refine": "none"},
            "loss": {"name": "soft_l1", "scale": 0.7},
        },
    ),
    "half angles": Recipe(
        lambda: making.ring(10, ("bal",), points=20),
        {"rotation": "unit_quaternion", "noise": NOISE, "loss": {"name": "arctan", "scale": 3.0}, "solver": SCHUR},
    ),
    "Rodrigues": Recipe(
        lambda: making.ring(12, ("pinhole",), points=20), {"rotation": "cayley", "noise": NOISE, "solver": SCHUR}
    ),
    "modified Rodrigues": Recipe(
        lambda: making.ring(13, ("pinhole",), points=20), {"rotation": "modified_rodrigues", "noise": NOISE}
    ),
}  # fmt: skip


def make_case(name: str, folder: Path) -> Case:
    """Run a recipe with 0, 1, 2, ... steps at most, and read what the runs left."""
    recipe = RECIPES[name]
    config = _configuration(recipe, folder)
    left, steps = [_run(config, 0, folder)], 0
    while steps < recipe.steps:
        steps += 1
        left.append(_run(config, steps, folder))
        if len((left[-1] / "iterations.jsonl").read_text().splitlines()) <= steps:
            # It ended by itself, so the last step that counts was the one before.
            left[-2:] = left[-1:]
            break
    if recipe.check:
        check(folder / "steps-0.yaml", states=0).write(folder / "check")
    return read_case(name, left, folder / "check" if recipe.check else None)


def _configuration(recipe: Recipe, folder: Path) -> dict[str, Any]:
    if isinstance(recipe.data, dict):
        data = recipe.data
    elif isinstance(recipe.data, str):
        data = {"path": str(DATASETS / recipe.data)}
    else:
        path = folder / f"input{recipe.format}"
        WRITERS[recipe.format](recipe.data(), path)
        data = {"path": str(path)}
    return {"data": data, **recipe.keys}


def _run(config: dict[str, Any], steps: int, folder: Path) -> Path:
    solver = config.get("solver", {}) | {"max_iterations": steps}
    path = folder / f"steps-{steps}.yaml"
    path.write_text(yaml.safe_dump(config | {"solver": solver, "output": {"picture": False}}))
    ba.run(path, out=folder / f"run-{steps}")
    return folder / f"run-{steps}"

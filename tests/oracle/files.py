"""The other files of a run: residuals.npz, solution.* and solution.ply."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.projecting import residuals, rounding
from tests.oracle.reading import Scene, read_ply

Pair = tuple[Any, Any, Any]
"""What is found, what is right, and how much rounding may move it, three arrays."""


def _residuals(case: Case, which: str, scene: Scene) -> Pair:
    return case.residuals[which], residuals(scene), rounding(scene)[:, None]


def _vertices(case: Case) -> Pair:
    right = np.vstack([case.end.points, case.end.centers])
    size = np.abs(right).max() + np.linalg.norm(case.end.t, axis=1).max()
    return read_ply(case.last.path / "solution.ply")[1], right, 1e-15 * size * np.ones((len(right), 1))


def _held(case: Case) -> Pair:
    """What is held fixed, bit for bit the start's."""
    free, start, end = case.start.free, case.start, case.end
    masks = free.rotations[:, None, None], free.translations, free.intrinsics, free.points[:, None]
    found = [np.where(mask, 0, getattr(end, name)) for mask, name in zip(masks, NUMBERS, strict=True)]
    right = [np.where(mask, 0, getattr(start, name)) for mask, name in zip(masks, NUMBERS, strict=True)]
    flat = [np.concatenate([array.ravel() for array in arrays]) for arrays in (found, right)]
    return *flat, np.zeros(len(flat[0]))


NUMBERS = ("R", "t", "intrinsics", "points")

FILES: dict[str, Callable[[Case], Pair]] = {
    "residuals.npz: start": lambda case: _residuals(case, "start", case.start),
    "residuals.npz: end": lambda case: _residuals(case, "end", case.end),
    "residuals.npz: image_of_obs": lambda case: (case.residuals["image_of_obs"], case.loaded.image, 0),
    "residuals.npz: point_of_obs": lambda case: (case.residuals["point_of_obs"], case.loaded.point, 0),
    "solution.ply": _vertices,
    "solution.*: what is fixed": _held,
}


def difference(pair: Pair) -> float:
    """The largest difference beyond rounding, as a share of the largest number."""
    return _share(*pair)


def raw(pair: Pair) -> float:
    """The same, with what rounding does."""
    found, right, _ = pair
    return _share(found, right, 0.0)


def _share(found: Any, right: Any, slack: Any) -> float:
    assert found.shape == right.shape
    beyond = np.maximum(np.abs(found - right) - slack, 0).max(initial=0)
    return float(beyond / (np.abs(right).max(initial=0) or 1.0))

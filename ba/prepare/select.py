"""What a solver may move: `camera.refine`, `fix` and `gauge` become the masks of `problem.free`.

A reconstruction is known up to a similarity: three numbers of place, three of orientation, one of scale. `gauge` says
how the frame is held:

free          not at all; the solver's damping keeps the frame near the start.
two_cameras   one pose and one coordinate of a second image's translation: 7 numbers, exactly enough. The coordinate is
              the one that a change of scale about the first centre moves most, d t / d s = -R (c - c_first); it must
              move at all, so centres may not coincide. (COLMAP calls it TWO_CAMS_FROM_WORLD.)
three_points  three well-seen points far apart: 9 numbers, two more than the frame has. Their triangle keeps its shape,
              so the solution is the best one only where that shape is trusted, as with surveyed control points.

Masks only become stricter: what is held fixed already stays fixed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ba.errors import UserError
from ba.model.camera import CAMERAS
from ba.model.problem import Bool, Float, Free, Problem
from ba.model.rotation import so3

if TYPE_CHECKING:
    from ba.config.section import Selection
    from ba.prepare.options import Camera, Fix

PARAMETERS = sorted({name for model in CAMERAS.values() for name in model.parameters})
"""Names of the intrinsics of every camera model."""

REMOTE = 3.0
"""Points beyond this many median distances from the median are no anchors: they may be ill-determined."""
FLAT = 1e-6
"""A triangle whose height is below this share of its base is a line."""


def select(problem: Problem, config_camera: Camera, fix: Fix, gauge: str) -> Problem:
    """The problem with fewer free numbers.

    Raises UserError, by key, for an unknown name, an index out of range and a gauge that the problem cannot hold.
    """
    if gauge not in GAUGES:
        raise UserError(f"gauge: {gauge!r} is unknown; right are {', '.join(GAUGES)}")
    free = problem.free
    poses = ~_held("fix.poses", fix.poses, problem.num_images)
    translations = poses & ~_held("fix.translations", fix.translations, problem.num_images)
    cameras = ~_held("fix.cameras", fix.cameras, problem.num_cameras)
    selected = Free(
        rotations=free.rotations & poses & ~_held("fix.rotations", fix.rotations, problem.num_images),
        translations=free.translations & translations[:, None],
        intrinsics=free.intrinsics & cameras[:, None] & _refined(problem, config_camera.refine),
        points=free.points & ~_held("fix.points", fix.points, problem.num_points),
    )
    return GAUGES[gauge](problem.with_free(selected))


def with_rotations(problem: Problem) -> Problem:
    """The problem with each matrix that is no rotation replaced by the nearest one; others keep their bits."""
    off = so3.orthonormality(problem.rotations) > so3.OFF_SO3
    if not off.any():
        return problem
    return replace(problem, rotations=np.where(off[:, None, None], so3.nearest(problem.rotations), problem.rotations))


def _held(key: str, selection: Selection, size: int) -> Bool:
    """(size,) whether each entry is held fixed."""
    if selection in ("none", "all"):
        return np.full(size, selection == "all")
    outside = [index for index in selection if not 0 <= int(index) < size]
    if outside:
        right = f"0 to {size - 1} is right" if size else "the problem has none"
        raise UserError(f"{key}: index {outside[0]} is out of range; {right}")
    return np.isin(np.arange(size), np.array(selection, int))


def _refined(problem: Problem, refine: str | list[str]) -> Bool:
    """(n_cameras, k) whether each intrinsic parameter is refined."""
    if refine in ("all", "none"):
        return np.full(problem.intrinsics.shape, refine == "all")
    models = [CAMERAS[name] for name in dict.fromkeys(problem.camera_models)]
    parameters = {name for model in models for name in model.parameters}
    unknown = [name for name in refine if name not in parameters]
    if unknown:
        right = "; ".join(f"{model.name}: {', '.join(model.parameters)}" for model in models) or "no camera is there"
        raise UserError(f"camera.refine: {unknown[0]!r} is no parameter of these cameras; right are ({right})")
    rows = {model.name: np.isin(model.parameters, list(refine)) for model in models}
    refined = np.zeros(problem.intrinsics.shape, bool)
    for camera, name in enumerate(problem.camera_models):
        refined[camera, : len(rows[name])] = rows[name]
    return refined


def _free_gauge(problem: Problem) -> Problem:
    return problem


def _two_cameras(problem: Problem) -> Problem:
    """Hold the first free pose, unless `fix` holds one already, and the scale by the image farthest from it."""
    free = problem.free
    seeing = np.bincount(problem.image_of_obs, minlength=problem.num_images) > 0
    held = np.flatnonzero(seeing & ~free.rotations & ~free.translations.any(axis=1))
    if len(held) >= 2:
        return problem
    candidates = held if len(held) else np.flatnonzero(seeing)
    if len(candidates) == 0 or seeing.sum() < 2:
        raise UserError(f"gauge: two_cameras needs two images with observations, {seeing.sum()} found; free is right")
    first = candidates[0]
    baselines = np.where(seeing[:, None], problem.centers - problem.centers[first], 0.0)
    second = np.argmax(np.linalg.norm(baselines, axis=1))
    change = problem.rotations[second] @ baselines[second]
    if np.linalg.norm(change) <= 1e-9 * np.abs(problem.centers).max(initial=1.0):
        reason = "all camera centres coincide, so no baseline holds the scale"
        raise UserError(f"gauge: two_cameras: {reason}; three_points is right")
    rotations, translations = free.rotations.copy(), free.translations.copy()
    rotations[first], translations[first] = False, False
    translations[second, np.argmax(np.abs(change))] = False
    return problem.with_free(replace(free, rotations=rotations, translations=translations))


def _three_points(problem: Problem) -> Problem:
    """Hold a large triangle of free points, if possible of long tracks and none of them remote."""
    tracks = np.bincount(problem.point_of_obs, minlength=problem.num_points)
    usable = np.flatnonzero(problem.free.points & (tracks >= 2))
    if len(usable) < 3:
        raise UserError(f"gauge: three_points needs three free points seen twice, {len(usable)} found; free is right")
    distances = np.linalg.norm(problem.points[usable] - np.median(problem.points[usable], axis=0), axis=1)
    best = usable[(tracks[usable] >= np.median(tracks[usable])) & (distances <= REMOTE * np.median(distances))]
    for index in (best, usable):
        triangle = _triangle(problem.points[index])
        if triangle is not None:
            points = problem.free.points.copy()
            points[index[triangle]] = False
            return problem.with_free(replace(problem.free, points=points))
    raise UserError("gauge: three_points: the points lie on a line, which leaves a rotation open; two_cameras is right")


def _triangle(points: Float) -> list[int] | None:
    """The point farthest from the middle, the farthest from it, the farthest from their line; None if all are on it."""
    if len(points) < 3:
        return None
    a = int(np.argmax(np.linalg.norm(points - np.median(points, axis=0), axis=1)))
    arms = points - points[a]
    b = int(np.argmax(np.linalg.norm(arms, axis=1)))
    base = float(np.linalg.norm(arms[b]))
    heights = np.linalg.norm(np.cross(arms, arms[b] / (base or 1.0)), axis=1)
    c = int(np.argmax(heights))
    return [a, b, c] if heights[c] > FLAT * base else None


GAUGES = {"free": _free_gauge, "two_cameras": _two_cameras, "three_points": _three_points}

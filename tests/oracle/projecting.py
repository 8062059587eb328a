"""Pixels of points, what each of their numbers changes, and how much rounding moves them.

The derivatives are complex steps through the formula of the pixel: exact to rounding, and no formula of a derivative is
written down. An observation depends on one pose, one camera and one point only, so all observations are moved at once.

Of BAL's camera (Agarwal, Snavely, Seitz, Szeliski, ECCV 2010), with the radius r of (x, y) = (X, Y) / Z:
    uv = f (1 + k1 r^2 + k2 r^4) (x, y)
The distorted radius r + k1 r^3 + k2 r^5 grows with r as far as its derivative is positive: that is the field in which
the distortion is one-to-one.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tests.oracle.known import ROUNDING
from tests.oracle.reading import WIDTHS, Scene
from tests.oracle.rotating import d_rotated

STEP = 1e-100


@cache
def in_camera(scene: Scene) -> Any:
    """(n_obs, 3) R x + t."""
    return np.einsum("nij,nj->ni", scene.R[scene.image], scene.points[scene.point]) + scene.t[scene.image]


def radial(params: Any, squared: Any) -> Any:
    return 1 + params[:, 1] * squared + params[:, 2] * squared**2


def pixel(model: str, params: Any, seen: Any) -> Any:
    """(n, 2) px of points in the camera's frame (n, 3); params (n, w). Takes complex numbers."""
    x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    if model == "bal":
        scale = params[:, 0] * radial(params, x * x + y * y)
        return np.stack([scale * x, scale * y], axis=1)
    fx, fy, cx, cy, skew = params.T
    return np.stack([fx * x + skew * y + cx, fy * y + cy], axis=1)


def pixels(scene: Scene, seen: Any, params: Any) -> Any:
    """(n_obs, 2) px of points in their cameras' frames (n_obs, 3); params (n_obs, w)."""
    found = np.empty((len(seen), 2), np.result_type(seen, params))
    models = np.array(scene.models)[scene.camera]
    for model in set(scene.models):
        rows = models == model
        found[rows] = pixel(model, params[rows][:, : WIDTHS[model]], seen[rows])
    return found


@cache
def residuals(scene: Scene) -> Any:
    """(n_obs, 2) px, projected minus observed, not weighted."""
    return pixels(scene, in_camera(scene), scene.intrinsics[scene.camera]) - scene.pixels


def norms(scene: Scene) -> Any:
    """(n_obs,) px"""
    return np.hypot(*residuals(scene).T)


def behind(scene: Scene) -> Any:
    """(n_obs,) whether the point is at or behind its camera's plane."""
    return in_camera(scene)[:, 2] <= 0


def outside(scene: Scene) -> Any:
    """(n_obs,) whether a point in front is beyond the radius at which the distorted radius stops to grow."""
    seen, params = in_camera(scene), scene.intrinsics[scene.camera]
    squared = (seen[:, 0] ** 2 + seen[:, 1] ** 2) / seen[:, 2] ** 2
    is_bal = np.array(scene.models)[scene.camera] == "bal"
    grows = 1 + 3 * params[:, 1] * squared + 5 * params[:, 2] * squared**2 > 0
    return is_bal & ~behind(scene) & ~grows


@cache
def jacobian(scene: Scene, rotation: str) -> tuple[Any, Any, Any, Any]:
    """Derivatives of the pixels by rotation (n_obs, 2, k), translation (.., 3), intrinsics (.., w), point (.., 3)."""
    seen, params = in_camera(scene), scene.intrinsics[scene.camera]

    def by(d_seen: Any, d_params: Any) -> Any:
        moved = pixels(scene, seen + 1j * STEP * d_seen, params + 1j * STEP * d_params)
        return moved.imag / STEP

    def by_seen(directions: Any) -> Any:
        """directions (n_obs, k, 3)"""
        return np.stack([by(d, 0) for d in np.swapaxes(directions, 0, 1)], axis=2)

    R, n = scene.R[scene.image], len(scene.image)
    by_params = [by(np.zeros(3), axis) for axis in np.eye(params.shape[1])]
    return (
        by_seen(d_rotated(rotation, R, scene.points[scene.point])),
        by_seen(np.tile(np.eye(3), (n, 1, 1))),
        np.stack(by_params, axis=2),
        by_seen(np.swapaxes(R, 1, 2)),
    )


@cache
def rounding(scene: Scene) -> Any:
    """(n_obs,) px by which ROUNDING of every number may move a projection."""
    seen, params = in_camera(scene), scene.intrinsics[scene.camera]
    of_images, of_points = scene.reach
    size = of_images[scene.image] + of_points[scene.point]
    moves = [pixels(scene, seen + 1j * STEP * axis, params + 0j).imag / STEP for axis in np.eye(3)]
    d_seen = np.sqrt(sum((move**2).sum(axis=1) for move in moves))
    found = np.abs(pixels(scene, seen, params)).sum(axis=1) + np.abs(scene.pixels).sum(axis=1)
    return ROUNDING * (d_seen * size + found)

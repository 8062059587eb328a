"""Losses, costs, gradients and the lengths of steps.

Cost is 0.5 sum rho(r^T S^-1 r) over observations, S the covariance of an observation's pixels or the identity, and
rho_c(s) = c^2 rho(s / c^2) with the loss's scale c. Gradient and step are vectors of the free numbers in the solver's
coordinates: what a step adds to each rotation's numbers, and the translations, intrinsics and points as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from tests.oracle.known import ROUNDING, Known, between
from tests.oracle.projecting import jacobian, residuals, rounding
from tests.oracle.reading import Scene
from tests.oracle.rotating import STEPS

Loss = Callable[[Any], Any]

LOSSES: dict[str, tuple[Loss, Loss]] = {
    "linear": (lambda s: s, np.ones_like),
    "huber": (
        lambda s: np.where(s <= 1, s, 2 * np.sqrt(s) - 1),
        lambda s: np.where(s <= 1, 1, 1 / np.sqrt(np.where(s > 0, s, 1))),
    ),
    "soft_l1": (lambda s: 2 * (np.sqrt(1 + s) - 1), lambda s: 1 / np.sqrt(1 + s)),
    "cauchy": (lambda s: np.log(1 + s), lambda s: 1 / (1 + s)),
    "arctan": (np.arctan, lambda s: 1 / (1 + s**2)),
}
"""rho and its derivative, in the formulas of scipy's `least_squares`."""


def weighted(scene: Scene, r: Any) -> Any:
    """(n_obs, 2) S^-1 r."""
    return r if scene.covariances is None else np.linalg.solve(scene.covariances, r[:, :, None])[:, :, 0]


@cache
def squares(scene: Scene) -> Any:
    """(n_obs,) r^T S^-1 r."""
    r = residuals(scene)
    return (r * weighted(scene, r)).sum(axis=1)


@cache
def whitened_rounding(scene: Scene) -> Any:
    """(n_obs,) by how much rounding may move sqrt(r^T S^-1 r)."""
    moved = rounding(scene)
    if scene.covariances is None:
        return moved
    spread = np.linalg.eigvalsh(scene.covariances)
    root = np.sqrt(squares(scene))
    return moved / np.sqrt(spread[:, 0]) + ROUNDING * spread[:, 1] / spread[:, 0] * root


def cost(scene: Scene, loss: dict[str, Any]) -> Known:
    rho, _ = LOSSES[loss["name"]]
    scale = loss["scale"] ** 2
    s, moved = squares(scene), whitened_rounding(scene)
    value = 0.5 * scale * rho(s / scale).sum()
    most = 0.5 * scale * rho((np.sqrt(s) + moved) ** 2 / scale).sum()
    return Known(float(value), float(most - value))


def rms(scene: Scene) -> Known:
    """Root mean square of the residuals' norms, px."""
    r = residuals(scene)
    return Known(float(np.sqrt((r**2).sum() / len(r))), float(np.sqrt(np.mean(rounding(scene) ** 2))))


def median(scene: Scene) -> Known:
    """Median of the residuals' norms, px."""
    norms, moved = np.hypot(*residuals(scene).T), rounding(scene)
    return between(float(np.median(norms - moved)), float(np.median(norms + moved)))


def gradient_norm(scene: Scene, rotation: str, loss: dict[str, Any]) -> Known:
    """Largest absolute component of the cost's gradient by the free numbers."""
    _, slope = LOSSES[loss["name"]]
    weights = slope(squares(scene) / loss["scale"] ** 2)[:, None]
    g = weights * weighted(scene, residuals(scene))
    # To first order; with covariances both r and S^-1 are rounded, and near a bend of rho the weight is, too.
    spread = 1.0 if scene.covariances is None else 1 / np.linalg.eigvalsh(scene.covariances)[:, 0]
    moved = 3 * rounding(scene) * spread
    index = scene.image, scene.image, scene.camera, scene.point
    free = scene.free.rotations[:, None], scene.free.translations, scene.free.intrinsics, scene.free.points[:, None]
    largest, slack = [], []
    for J, place, mask in zip(jacobian(scene, rotation), index, free, strict=True):
        of_value = np.einsum("nij,ni->nj", J, g)
        of_error = np.einsum("nij,ni->nj", np.abs(J), moved[:, None] + 8 * ROUNDING * np.abs(g))
        for terms, found in ((of_value, largest), (of_error, slack)):
            total = np.zeros((len(mask), J.shape[2]))
            np.add.at(total, place, terms)
            found.append((np.abs(total) * mask).max(initial=0))
    return Known(float(max(largest)), float(max(slack)))


def step_norm(before: Scene, after: Scene, rotation: str) -> Known:
    """Euclidean length of what the step added to the free numbers."""
    parts = [STEPS[rotation](before.R, after.R) * before.free.rotations[:, None]]
    parts += [getattr(after, name) - getattr(before, name) for name in ("t", "intrinsics", "points")]
    # The radians of a rotation are as good as numbers of size one.
    sizes = [np.ones(len(before.R)), *before.reach, np.abs(before.intrinsics)]
    length, size = (np.sqrt(sum((part**2).sum() for part in of)) for of in (parts, sizes))
    return Known(float(length), float(2 * ROUNDING * size))

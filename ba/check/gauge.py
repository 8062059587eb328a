"""How many directions change no residual: the gauge freedom that a singular normal matrix owes to the problem's nature.

A similarity about c, X' = X + v + w x (X - c) + s (X - c), leaves every picture as it is when the poses follow with

    d phi = -R w,     d t = s (t + R c) - R v - R [c] w

Of these seven directions those remain that move nothing that is held fixed: 7 minus the rank of what the fixed numbers
would do. Each connected component has its own. A parameterization whose tangent map has rank r at an image adds
tangent_dim - r (the length of a quaternion, a gimbal lock). Nine free numbers also take every projective change of the
world and a scale for each image: 15 + n_images where nothing is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.problem import Problem
from ba.rotation import Parameterization, so3

Array = NDArray[Any]

SIMILARITY, PROJECTIVE = 7, 15
NEGLIGIBLE = 1e-9


def gauge_freedom(problem: Problem, rotation: Parameterization, images: Array, points: Array) -> int:
    """Of the component with these images and points (indices). Where nine numbers meet fixed ones: a lower bound."""
    free = problem.free
    moved = _moved_by_similarities(problem, images, points)
    turning = images[free.rotations[images]]
    if not rotation.stays_rotation:
        return PROJECTIVE + len(turning) if not len(moved) else SIMILARITY - _rank(moved)
    theta = rotation.from_matrix(problem.rotations[turning])
    maps = rotation.tangent_map(theta, np.zeros((len(turning), rotation.tangent_dim)))
    ranks = np.linalg.matrix_rank(maps, rtol=NEGLIGIBLE) if len(turning) else np.zeros(0, int)
    return SIMILARITY - _rank(moved) + int((rotation.tangent_dim - ranks).sum())


def _moved_by_similarities(problem: Problem, images: Array, points: Array) -> Array:
    """(numbers held fixed, 7) how each moves with v, w, s, lengths in units of the component's size."""
    free = problem.free
    center = problem.points[points].mean(axis=0)
    size = float(np.abs(problem.points[points] - center).max()) or 1.0
    held = points[~free.points[points]]
    X, n = (problem.points[held] - center) / size, len(held)
    by_points = np.concatenate([np.broadcast_to(np.eye(3), (n, 3, 3)), -so3.hat(X), X[:, :, None]], axis=2)
    R, zero = problem.rotations[images], np.zeros((len(images), 3, 3))
    by_rotations = np.concatenate([zero, -R, zero[:, :, :1]], axis=2)[~free.rotations[images]]
    depth = (problem.translations[images] + R @ center) / size
    by_translations = np.concatenate([-R, -R @ so3.hat(center / size), depth[:, :, None]], axis=2)
    moved = by_points, by_rotations, by_translations[~free.translations[images]]
    return np.concatenate([np.asarray(part).reshape(-1, SIMILARITY) for part in moved])


def _rank(moved: Array) -> int:
    if not len(moved):
        return 0
    return int(np.linalg.matrix_rank(np.linalg.qr(moved, mode="r"), rtol=NEGLIGIBLE))

"""Six free numbers, two columns (p, s) that Gram and Schmidt make orthonormal (Zhou, Barnes, Lu, Yang, Li, "On the
continuity of rotation representations in neural networks", 2019, eq. 15).

R = [x y z], x = p / |p|, y = s' / |s'| with s' = s - (x . s) x, z = x cross y. From dx = phi cross x, dy = phi cross y:

    phi = x (z . ds - (x . s) / |p| z . dp) / |s'| - y (z . dp) / |p| + z (y . dp) / |p|

Three gauge freedoms an image: both lengths, and the part of s along p. Singular where p = 0 or s is along p: what is
zero stays zero there, so the matrix is finite but no rotation, and `constraint` says so. Near that digits are lost.

Damping scaled by the diagonal of the normal equations hardly holds a number that is almost gauge, as p_x is where p is
close to e_x: on Dubrovnik-16 with the schur backend |p| goes to 3.3 in two steps, and 20 iterations are needed where
`so3_left` takes 6. After turning the world by (0.5, -1, 2) both take 7.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def from_matrix(R: Array) -> Array:
    return np.concatenate([R[..., 0], R[..., 1]], axis=-1)


def to_matrix(theta: Array) -> Array:
    x, y, *_ = _gram_schmidt(theta)
    return np.stack([x, y, np.cross(x, y)], axis=-1)


def tangent_map(theta: Array, delta: Array) -> Array:
    x, y, along, first, second = _gram_schmidt(theta + delta)
    z = np.cross(x, y)
    by_second = _outer(x / second, z)
    by_first = (_outer(z, y) - _outer(y, z) - along[..., None] * by_second) / first[..., None]
    return np.concatenate([by_first, by_second], axis=-1)


def _gram_schmidt(theta: Array) -> tuple[Array, Array, Array, Array, Array]:
    """x (..., 3), y (..., 3), and with a last axis of one: x . s, |p|, |s'|."""
    x, first = so3.normalized(theta[..., :3])
    along = (x * theta[..., 3:]).sum(axis=-1, keepdims=True)
    y, second = so3.normalized(theta[..., 3:] - along * x)
    return x, y, along, first[..., None], second[..., None]


def _outer(v: Array, w: Array) -> Array:
    return np.asarray(v[..., :, None] * w[..., None, :])


PARAMETERIZATION = Parameterization(
    name="columns6",
    ambient_dim=6,
    tangent_dim=6,
    from_matrix=from_matrix,
    to_matrix=to_matrix,
    tangent_map=tangent_map,
)

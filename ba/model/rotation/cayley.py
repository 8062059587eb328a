"""Cayley's transform of the Gibbs (Rodrigues) vector g = tan(t/2) times unit axis: R = (I - [g])^-1 (I + [g]).

R is that of the quaternion (1, g), so phi = 2 / (1 + |g|^2) (I + [g]) dg (Shuster, "A survey of attitude
representations", 1993, Rodrigues parameters). With (a, u) = (1, g) / sqrt(1 + |g|^2) that is 2 a (a I + [u]), which
overflows nowhere. Its singular values are 2 a across the axis and 2 a^2 along it: a half turn, a = cos(t/2) = 0, is at
infinity, no path of steps leads through it, and near it directions differ in reach by tan(t/2).

Vectors are global and steps add: a chart about the current rotation would be regular everywhere and hide what one wants
to see. `from_matrix` takes a as 2^-53 at least, so a half turn comes back to rounding, from |g| = 2^53, where it stays.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization

LEAST_COSINE = 2.0**-53


def from_matrix(R: Array) -> Array:
    q = so3.matrix_to_quaternion(R)
    cosine = q[..., :1]
    return np.asarray(q[..., 1:] / np.where(cosine.real < LEAST_COSINE, LEAST_COSINE, cosine))


def to_matrix(theta: Array) -> Array:
    return so3.unit_quaternion_to_matrix(so3.gibbs_quaternion(theta))


def tangent_map(theta: Array, delta: Array) -> Array:
    q = so3.gibbs_quaternion(theta + delta)
    a = q[..., 0, None, None]
    return np.asarray(2.0 * a * (a * np.eye(3) + so3.hat(q[..., 1:])))


PARAMETERIZATION = Parameterization(
    name="cayley",
    ambient_dim=3,
    tangent_dim=3,
    from_matrix=from_matrix,
    to_matrix=to_matrix,
    tangent_map=tangent_map,
)

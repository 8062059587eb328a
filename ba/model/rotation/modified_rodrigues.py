"""Modified Rodrigues parameters m = tan(t/4) times unit axis, the stereographic projection of the unit quaternion.

m is the Gibbs vector of half the rotation, so with p = (a, u) = (1, m) / sqrt(1 + |m|^2) the quaternion is p p, and
phi = 4 / (1 + |m|^2)^2 ((1 - |m|^2) I + 2 [m] + 2 m m^T) dm = 4 a^2 R(p) dm: a rotation times a number, equally good in
all directions (Schaub and Junkins, "Stereographic orientation parameters for attitude dynamics", 1996; Terzakis,
Lourakis, Ait-Boudaoud, "Modified Rodrigues parameters", 2018).

Whole turns, t = 2 pi, are at infinity, where the number goes to zero. `from_matrix` gives |m| <= 1, at most half a
turn, and there is no switch to the shadow set, -m / |m|^2, as `axis_angle` has none: steps that add stay smooth, and
from half a turn it takes another to get into trouble.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def from_matrix(R: Array) -> Array:
    q = so3.matrix_to_quaternion(R)
    return np.asarray(q[..., 1:] / (1.0 + q[..., :1]))


def to_matrix(theta: Array) -> Array:
    half = so3.gibbs_quaternion(theta)
    return so3.unit_quaternion_to_matrix(so3.quaternion_product(half, half))


def tangent_map(theta: Array, delta: Array) -> Array:
    half = so3.gibbs_quaternion(theta + delta)
    return np.asarray(4.0 * half[..., 0, None, None] ** 2 * so3.unit_quaternion_to_matrix(half))


PARAMETERIZATION = Parameterization(
    name="modified_rodrigues",
    ambient_dim=3,
    tangent_dim=3,
    from_matrix=from_matrix,
    to_matrix=to_matrix,
    tangent_map=tangent_map,
)

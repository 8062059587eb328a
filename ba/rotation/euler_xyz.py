"""Three angles (a, b, c) about the fixed axes x, then y, then z: R = Rz(c) Ry(b) Rx(a), radians.

phi = Rz Ry e_x da + Rz e_y db + e_z dc. At b = +-pi/2 (gimbal lock) the first and the last column are parallel: the map
has rank 2, and only a - c or a + c is determined. `from_matrix` stays exact there: it reads c first, takes Rz(c) away,
and reads a and b from what is left (Slabaugh, "Computing Euler angles from a rotation matrix", 1999, treats the lock as
a special case instead).
"""

import operator

import numpy as np

from ba.rotation import so3
from ba.rotation.parameterization import Array, Parameterization


def from_matrix(R: Array) -> Array:
    c = so3.arctan2(R[..., 1, 0], R[..., 0, 0])
    cos_c, sin_c = np.cos(c)[..., None], np.sin(c)[..., None]
    x_row, y_row = cos_c * R[..., 0, :] + sin_c * R[..., 1, :], cos_c * R[..., 1, :] - sin_c * R[..., 0, :]
    a = so3.arctan2(-y_row[..., 2], y_row[..., 1])
    b = so3.arctan2(-R[..., 2, 0], x_row[..., 0])
    return np.stack([a, b, c], axis=-1)


def to_matrix(theta: Array) -> Array:
    (ca, cb, cc), (sa, sb, sc) = np.moveaxis(np.cos(theta), -1, 0), np.moveaxis(np.sin(theta), -1, 0)
    entries = [
        cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa,
        sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa,
        -sb, cb * sa, cb * ca,
    ]  # fmt: skip
    return so3.unflatten(np.stack(entries, axis=-1))


def tangent_map(theta: Array, delta: Array) -> Array:
    angles = theta + delta
    (_, cb, cc), (_, sb, sc) = np.moveaxis(np.cos(angles), -1, 0), np.moveaxis(np.sin(angles), -1, 0)
    zero, one = np.zeros_like(cb), np.ones_like(cb)
    entries = [
        cc * cb, -sc, zero,
        sc * cb, cc, zero,
        -sb, zero, one,
    ]  # fmt: skip
    return so3.unflatten(np.stack(entries, axis=-1))


PARAMETERIZATION = Parameterization(
    name="euler_xyz",
    ambient_dim=3,
    tangent_dim=3,
    from_matrix=from_matrix,
    to_matrix=to_matrix,
    retract=operator.add,
    tangent_map=tangent_map,
    constraint=lambda theta: so3.orthonormality(to_matrix(theta)),
)

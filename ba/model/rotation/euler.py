"""Three angles (a, b, c) about fixed axes i, then j, then k: R = R_k(c) R_j(b) R_i(a), radians; each of the 12 orders.

phi = R e_i da + R_k e_j db + e_k dc, as R_i leaves e_i where it is. Gimbal lock is where the first and the last column
are parallel, and only a + c or a - c is determined: at b = +-pi/2 with three different axes (Tait-Bryan: `euler_xyz`),
at b = 0 and pi with i = k (proper: `euler_zxz`), so the identity and every half turn about an axis are locked in all
proper orders.

`from_matrix` is exact at the lock too. It reads c from R e_i, as R_j(b) e_i lies in the plane across e_j, takes R_k(c)
away, and reads b and a from what is left (Slabaugh, "Computing Euler angles from a rotation matrix", 1999, treats the
lock as a special case instead). b is in [-pi/2, pi/2] (Tait-Bryan) or [0, pi]. Names are those of scipy's fixed axes,
`Rotation.from_euler("xyz", ...)`.

Axes i, j and the third are x, y, z of a frame of their own, left-handed where the order is odd, which turns the signs
of angles. So two formulas, of xyz and of xyx, with their entries in other places, serve all orders; products of three
matrices read better and take six times as long.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization

ORDERS = ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx", "xyx", "xzx", "yxy", "yzy", "zxz", "zyz")

Triple = tuple[Any, ...]
Formula = Callable[[Triple, Triple], list[Any]]
"""Nine entries, row-major, from the cosines and the sines of a, b, c."""


def _turn(axis: Array, angle: Array) -> Array:
    """Unit axis (3,), angle (...), radians -> (..., 3, 3) rotation."""
    along = np.outer(axis, axis)
    cosine, sine = np.cos(angle)[..., None, None], np.sin(angle)[..., None, None]
    return np.asarray(along + cosine * (np.eye(3) - along) + sine * so3.hat(axis))


def _matrix_xyz(cosines: Triple, sines: Triple) -> list[Any]:
    (ca, cb, cc), (sa, sb, sc) = cosines, sines
    return [
        cc * cb, cc * sb * sa - sc * ca, cc * sb * ca + sc * sa,
        sc * cb, sc * sb * sa + cc * ca, sc * sb * ca - cc * sa,
        -sb, cb * sa, cb * ca,
    ]  # fmt: skip


def _matrix_xyx(cosines: Triple, sines: Triple) -> list[Array]:
    (ca, cb, cc), (sa, sb, sc) = cosines, sines
    return [
        cb, sb * sa, sb * ca,
        sc * sb, cc * ca - sc * cb * sa, -cc * sa - sc * cb * ca,
        -cc * sb, sc * ca + cc * cb * sa, cc * cb * ca - sc * sa,
    ]  # fmt: skip


def _make_parameterization(order: str) -> Parameterization:
    """order: three letters of x, y, z, no letter beside itself; the axes in the order in which they turn."""
    i, j, k = ("xyz".index(letter) for letter in order)
    e_i, e_j, e_k = np.eye(3)[[i, j, k]]
    proper = i == k
    formula = _matrix_xyx if proper else _matrix_xyz
    frame = [i, j, 3 - i - j]
    handedness = float(np.linalg.det(np.eye(3)[frame]))
    place = [frame.index(axis) for axis in range(3)]
    start, across = np.cross(e_j, e_i) if proper else e_i, np.cross(e_k, e_j)

    def from_matrix(R: Array) -> Array:
        # + 0.0, for the arctangent of 0 and -0 would make c a half turn at the lock, where it can be none.
        c = so3.arctan2(R @ e_i @ np.cross(e_k, start), R @ e_i @ start + 0.0)
        rest = _turn(e_k, -c) @ R
        b = so3.arctan2(rest @ e_i @ np.cross(e_j, e_i), rest @ e_i @ e_i)
        a = so3.arctan2(-(e_j @ rest) @ np.cross(e_i, e_j), e_j @ rest @ e_j)
        return np.stack([a, b, c], axis=-1)

    def to_matrix(theta: Array) -> Array:
        angles = (handedness * theta).transpose(-1, *range(theta.ndim - 1))
        entries = formula(tuple(np.cos(angles)), tuple(np.sin(angles)))
        return so3.unflatten(np.stack([entries[3 * row + column] for row in place for column in place], axis=-1))

    def tangent_map(theta: Array, delta: Array) -> Array:
        c = (theta + delta)[..., 2:]
        second = np.cos(c) * e_j + np.sin(c) * across
        return np.stack([to_matrix(theta + delta)[..., i], second, np.broadcast_to(e_k, second.shape)], axis=-1)

    return Parameterization(
        name=f"euler_{order}",
        ambient_dim=3,
        tangent_dim=3,
        from_matrix=from_matrix,
        to_matrix=to_matrix,
        tangent_map=tangent_map,
    )


PARAMETERIZATIONS = {f"euler_{order}": _make_parameterization(order) for order in ORDERS}

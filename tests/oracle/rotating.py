"""Rotations in the textbook's formulas: exponential, logarithm, and for each parameterization its numbers and steps.

A parameterization enters in two ways: by the numbers that a step adds up (`STEPS`), and by how the rotation turns,
dR = [phi]_x R, when one of them grows (`TURNS`), phi being radians in the camera's frame. Formulas: Shuster, "A survey
of attitude representations", 1993; Schaub and Junkins, 1996, for the modified Rodrigues parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def cross_matrix(w: Any) -> Any:
    """(n, 3) -> (n, 3, 3), column j is w x e_j."""
    return np.stack([np.cross(w, axis) for axis in np.eye(3)], axis=-1)


def exp(w: Any) -> Any:
    """Rodrigues' formula, (n, 3) -> (n, 3, 3)."""
    w = np.asarray(w, float)
    angle = np.linalg.norm(w, axis=-1)[..., None, None]
    K = cross_matrix(w)
    return np.eye(3) + np.sinc(angle / np.pi) * K + 0.5 * np.sinc(0.5 * angle / np.pi) ** 2 * K @ K


def quaternion(R: Any) -> Any:
    """(n, 3, 3) -> (n, 4) wxyz with w >= 0, from the largest of the four squares (Shepperd, 1978)."""
    x, y, z = R[:, 0, 0], R[:, 1, 1], R[:, 2, 2]
    squares = np.stack([1 + x + y + z, 1 + x - y - z, 1 - x + y - z, 1 - x - y + z], axis=1) / 4
    w_x, w_y, w_z = R[:, 2, 1] - R[:, 1, 2], R[:, 0, 2] - R[:, 2, 0], R[:, 1, 0] - R[:, 0, 1]
    x_y, x_z, y_z = R[:, 0, 1] + R[:, 1, 0], R[:, 0, 2] + R[:, 2, 0], R[:, 1, 2] + R[:, 2, 1]
    pairs = ((0, w_x, w_y, w_z), (w_x, 0, x_y, x_z), (w_y, x_y, 0, y_z), (w_z, x_z, y_z, 0))
    found = np.empty((len(R), 4))
    for n, largest in enumerate(squares.argmax(axis=1)):
        for other in range(4):
            found[n, other] = 4 * squares[n, largest] if other == largest else pairs[largest][other][n]
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return np.where(found[:, :1] < 0, -found, found)


def log(R: Any) -> Any:
    """(n, 3, 3) -> (n, 3), radians, at most pi long."""
    q = quaternion(R)
    sine = np.linalg.norm(q[:, 1:], axis=1)
    half = np.arctan2(sine, q[:, 0])
    return q[:, 1:] * np.where(sine > 0, 2 * half / np.where(sine > 0, sine, 1), 2)[:, None]


def nearest(M: Any) -> Any:
    """The rotation nearest to each matrix in the Frobenius norm: U diag(1, 1, det U V^T) V^T."""
    U, _, Vt = np.linalg.svd(M)
    signs = np.ones((len(M), 3))
    signs[:, 2] = np.sign(np.linalg.det(U @ Vt))
    return (U * signs[:, None, :]) @ Vt


def angle(R: Any, S: Any) -> Any:
    """Radians between rotations (n, 3, 3)."""
    return np.linalg.norm(log(R @ np.swapaxes(S, -1, -2)), axis=1)


def off_so3(M: Any) -> Any:
    """(n,) Frobenius norm of M^T M - I."""
    return np.linalg.norm(np.swapaxes(M, -1, -2) @ M - np.eye(3), axis=(1, 2))


def left_jacobian(w: Any) -> Any:
    """exp(w + e) = exp(J e) exp(w) to first order; the mean of exp(s w) over s from 0 to 1, by Gauss's rule."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    return sum(0.5 * weight * exp(0.5 * (1 + node) * w) for node, weight in zip(nodes, weights, strict=True))


def _gibbs(R: Any) -> Any:
    q = quaternion(R)
    return q[:, 1:] / q[:, :1]


def _modified(R: Any) -> Any:
    q = quaternion(R)
    return q[:, 1:] / (1 + q[:, :1])


def _difference(numbers: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda before, after: numbers(after) - numbers(before)


def _entries(R: Any) -> Any:
    return R.reshape(len(R), 9)


def _turned(R: Any, S: Any) -> Any:
    return S @ np.swapaxes(R, 1, 2)


STEPS: dict[str, Callable[[Any, Any], Any]] = {
    "so3_left": lambda R, S: log(_turned(R, S)),
    "so3_right": lambda R, S: log(np.swapaxes(R, 1, 2) @ S),
    "unit_quaternion": lambda R, S: 0.5 * log(_turned(R, S)),
    "axis_angle": _difference(log),
    "cayley": _difference(_gibbs),
    "modified_rodrigues": _difference(_modified),
    "matrix9": _difference(_entries),
}
"""(n, 3, 3) before and after a step -> (n, k) by how much the numbers grew."""


def _cayley_turns(R: Any) -> Any:
    g = _gibbs(R)
    return 2 / (1 + (g**2).sum(1))[:, None, None] * (np.eye(3) + cross_matrix(g))


def _modified_turns(R: Any) -> Any:
    m = _modified(R)
    square = (m**2).sum(1)[:, None, None]
    outer = m[:, :, None] * m[:, None, :]
    return 4 / (1 + square) ** 2 * ((1 - square) * np.eye(3) + 2 * cross_matrix(m) + 2 * outer)


def _quaternion_turns(R: Any) -> Any:
    """phi is twice the vector of dq q*, for dq along each of the four numbers."""
    q = quaternion(R)
    a, v = q[:, :1], q[:, 1:]
    return 2 * np.concatenate([-v[:, :, None], a[:, :, None] * np.eye(3) + cross_matrix(v)], axis=2)


TURNS: dict[str, Callable[[Any], Any]] = {
    "so3_left": lambda R: np.tile(np.eye(3), (len(R), 1, 1)),
    "so3_right": lambda R: R,
    "unit_quaternion": lambda R: np.tile(2 * np.eye(3), (len(R), 1, 1)),
    "axis_angle": lambda R: left_jacobian(log(R)),
    "cayley": _cayley_turns,
    "modified_rodrigues": _modified_turns,
    "quaternion": _quaternion_turns,
}
"""(n, 3, 3) -> (n, 3, k): phi for each number. `matrix9` has none: its numbers are the entries of R themselves."""


def d_rotated(rotation: str, R: Any, points: Any) -> Any:
    """(n, k, 3): how R x (n, 3) moves as each number of the rotation grows; R (n, 3, 3)."""
    if rotation == "matrix9":
        return np.einsum("ai,nj->nija", np.eye(3), points).reshape(len(R), 9, 3)
    turned = np.einsum("nij,nj->ni", R, points)
    return np.cross(np.swapaxes(TURNS[rotation](R), 1, 2), turned[:, None, :])

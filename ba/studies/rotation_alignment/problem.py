"""The residual of two point sets under a rotation, its derivative, and the rotation that is best in closed form.

    r_i = p1_i - R p2_i,      d r_i = [R p2_i]_x d(phi)                     `vector`, 3 numbers a point
    n_i = |r_i|,              d n_i = r_i^T / |r_i| d r_i                   `norm`, 1 number a point

Both have the cost 0.5 sum |r_i|^2 and the same gradient, but not the same Gauss-Newton matrix: that of `norm` keeps of
d r_i only the part along r_i, about a third (0.29 to 0.39 by direction, at the optimum of the shipped example). Its
steps are about three times too long, damping shortens them, and convergence is linear where that of `vector` is
quadratic. |r| has no derivative at r = 0; there d n_i is set to zero, which gives the cost its true gradient.

The closed form is that of Wahba's problem (Kabsch, "A solution for the best rotation to relate two sets of vectors",
1976), as in scipy's `Rotation.align_vectors`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ba.errors import UserError
from ba.model.rotation import Parameterization, so3
from ba.model.rotation.parameterization import Array

UNDETERMINED = 1e-10
"""Share of the largest singular value of sum p1 p2^T below which turning about some axis changes no distance."""


@dataclass(frozen=True, eq=False)
class PointSets:
    """p1 (n, 3) and p2 (n, 3): row i of one belongs to row i of the other. truth: the true rotation, if it is known.

    p1 may be (b, n, 3), another target for each of b starts.
    """

    p1: Array
    p2: Array
    truth: Array | None = None


def vector(sets: PointSets, R: Array, d_rotated: Array) -> tuple[Array, Array]:
    """r (b, 3 n) and its derivative (b, 3 n, k); R (b, 3, 3), d_rotated (b, n, 3, k) that of R p2."""
    r = sets.p1 - sets.p2 @ np.swapaxes(R, -1, -2)
    return r.reshape(len(R), -1), -d_rotated.reshape(len(R), r[0].size, -1)


def norm(sets: PointSets, R: Array, d_rotated: Array) -> tuple[Array, Array]:
    """|r| (b, n) and its derivative (b, n, k), zero where |r| is."""
    r = sets.p1 - sets.p2 @ np.swapaxes(R, -1, -2)
    length = np.sqrt((r * r).sum(axis=-1))
    direction = r / np.where(length == 0.0, 1.0, length)[..., None]
    return length, -(direction[..., None, :] @ d_rotated)[..., 0, :]


Residual = Callable[[PointSets, Array, Array], tuple[Array, Array]]
RESIDUALS: dict[str, Residual] = {"vector": vector, "norm": norm}


def linearize(
    sets: PointSets, parameterization: Parameterization, theta: Array, delta: Array, residual: str
) -> tuple[Array, Array]:
    """Residual (b, m) and derivative by delta (b, m, tangent_dim) at retract(theta (b, ambient_dim), delta)."""
    R = parameterization.to_matrix(parameterization.retract(theta, delta))
    G = parameterization.tangent_map(theta, delta)
    if parameterization.stays_rotation:
        arms = so3.hat(sets.p2 @ np.swapaxes(R, -1, -2))
        d_rotated = -(arms.reshape(len(R), -1, 3) @ G).reshape(*arms.shape[:-1], -1)
    else:
        d_rotated = np.einsum("nj,bijk->bnik", sets.p2, G.reshape(len(R), 3, 3, -1))
    return RESIDUALS[residual](sets, R, d_rotated)


def cost(sets: PointSets, R: Array) -> Array:
    """(b,): 0.5 sum |p1 - R p2|^2, the cost of either residual; R (b, 3, 3)."""
    r = sets.p1 - sets.p2 @ np.swapaxes(R, -1, -2)
    return np.asarray(0.5 * (r * r).sum(axis=(-2, -1)))


def slope(sets: PointSets, R: Array, stays_rotation: bool) -> float:
    """Cosine between the residual and what turning R (3, 3), or else changing its entries, can do; 0 to about 1."""
    turned = sets.p2 @ R.T
    r = sets.p1 - turned
    gradient = np.cross(turned, r).sum(axis=0) if stays_rotation else r.T @ sets.p2
    scale = float(np.linalg.norm(turned) * np.linalg.norm(r))
    return float(np.linalg.norm(gradient)) / scale if scale > 0.0 else 0.0


def closed_form(sets: PointSets) -> Array:
    """(3, 3) the rotation of least cost. Raises UserError where more than one is."""
    from scipy.spatial.transform import Rotation

    values = np.linalg.svd(sets.p1.T @ sets.p2)
    sign = np.sign(np.linalg.det(values[0]) * np.linalg.det(values[2]))
    if values[1][1] + sign * values[1][2] <= UNDETERMINED * values[1][0]:
        raise UserError(
            "the point sets leave the rotation undetermined: seen from the origin, they lie along one line, or one is "
            "the other's mirror image; at least two directions are needed"
        )
    return np.asarray(Rotation.align_vectors(sets.p1, sets.p2)[0].as_matrix())


def angle_between(R: Array, S: Array) -> Array:
    """(...) radians, 0 to pi, between rotations (..., 3, 3); a matrix that is none counts as the nearest one."""
    return so3.norm(so3.log(so3.nearest(R) @ np.swapaxes(S, -1, -2)))

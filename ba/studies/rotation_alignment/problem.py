"""What a rotation alignment is measured by: its cost, the rotation that is best in closed form, and angles.

The residual is p1_i - R p2_i, or its length (`ba.model.terms.alignment`). The rotation of least cost is that of Wahba's
problem (Kabsch, "A solution for the best rotation to relate two sets of vectors", 1976), as in scipy's
`Rotation.align_vectors`.
"""

from dataclasses import dataclass

import numpy as np

from ba.errors import UserError
from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array

UNDETERMINED = 1e-10
"""Share of the largest singular value of sum p1 p2^T below which turning about some axis changes no distance."""


@dataclass(frozen=True, eq=False)
class PointSets:
    """p1 (n, 3) and p2 (n, 3): row i of one belongs to row i of the other. truth: the true rotation, if it is known."""

    p1: Array
    p2: Array
    truth: Array | None = None


def cost(sets: PointSets, R: Array) -> float:
    """0.5 sum |p1 - R p2|^2, the cost of either residual; R (3, 3)."""
    r = sets.p1 - sets.p2 @ R.T
    return 0.5 * float((r * r).sum())


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

"""Unit quaternion q, wxyz, moved along the sphere by three numbers: q <- exp(delta) q, delta in the camera's frame.

exp(delta) = (cos |delta|, sin |delta| delta / |delta|), so delta is arc length on S^3, half the angle of rotation, as
in Ceres' `QuaternionManifold`: R <- exp(2 delta) R, and the map to the tangent is 2 J_l(2 delta) (Sola, "Quaternion
kinematics for the error-state Kalman filter", 2017, sections 2.4 and 4.3). It is regular at every q, and so is one
step until it is whole turns, |delta| = pi. Lengths drift by rounding only, and `to_matrix` divides by them.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def retract(theta: Array, delta: Array) -> Array:
    return so3.quaternion_product(so3.exp_quaternion(2.0 * delta), theta)


def tangent_map(_theta: Array, delta: Array) -> Array:
    return np.asarray(2.0 * so3.left_jacobian(2.0 * delta))


PARAMETERIZATION = Parameterization(
    name="unit_quaternion",
    ambient_dim=4,
    tangent_dim=3,
    from_matrix=so3.matrix_to_quaternion,
    to_matrix=so3.quaternion_to_matrix,
    retract=retract,
    tangent_map=tangent_map,
)

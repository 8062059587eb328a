"""The matrix itself, moved by a perturbation from the right: R <- R exp(delta), delta in the world's frame, radians.

R exp(delta + e) = R exp(J_l(delta) e) exp(delta) = exp(R J_l(delta) e) R exp(delta): the map to the tangent is
R J_l(delta).
"""

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def retract(theta: Array, delta: Array) -> Array:
    return so3.flatten(so3.unflatten(theta) @ so3.exp(delta))


def tangent_map(theta: Array, delta: Array) -> Array:
    return so3.unflatten(theta) @ so3.left_jacobian(delta)


PARAMETERIZATION = Parameterization(
    name="so3_right",
    ambient_dim=9,
    tangent_dim=3,
    from_matrix=so3.flatten,
    to_matrix=so3.unflatten,
    retract=retract,
    tangent_map=tangent_map,
)

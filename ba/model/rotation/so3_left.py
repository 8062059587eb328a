"""The matrix itself, moved by a perturbation from the left: R <- exp(delta) R, delta in the camera's frame, radians.

exp(delta + e) R = exp(J_l(delta) e) exp(delta) R: the map to the tangent is J_l(delta), the identity at delta = 0.
"""

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def retract(theta: Array, delta: Array) -> Array:
    return so3.flatten(so3.exp(delta) @ so3.unflatten(theta))


def tangent_map(_theta: Array, delta: Array) -> Array:
    return so3.left_jacobian(delta)


PARAMETERIZATION = Parameterization(
    name="so3_left",
    ambient_dim=9,
    tangent_dim=3,
    from_matrix=so3.flatten,
    to_matrix=so3.unflatten,
    retract=retract,
    tangent_map=tangent_map,
)

"""Rotation vector: R = exp(w), w = angle times unit axis, radians. Steps add, so the chart ends at |w| = 2 pi.

There the map to the tangent loses rank. `from_matrix` gives |w| <= pi, so a fresh chart is at least pi away from it.
"""

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def tangent_map(theta: Array, delta: Array) -> Array:
    return so3.left_jacobian(theta + delta)


PARAMETERIZATION = Parameterization(
    name="axis_angle",
    ambient_dim=3,
    tangent_dim=3,
    from_matrix=so3.log,
    to_matrix=so3.exp,
    tangent_map=tangent_map,
)

"""Nine free numbers, the entries of R in row-major order, which steps move away from a rotation.

Nothing projects them back, so a solver reaches costs that no rotation reaches: `constraint` says how far it went.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def tangent_map(theta: Array, delta: Array) -> Array:
    return np.zeros((len(theta), 9, 9), np.result_type(theta, delta)) + np.eye(9)


PARAMETERIZATION = Parameterization(
    name="matrix9",
    ambient_dim=9,
    tangent_dim=9,
    from_matrix=so3.flatten,
    to_matrix=so3.unflatten,
    tangent_map=tangent_map,
    stays_rotation=False,
)

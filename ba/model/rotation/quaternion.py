"""Four free numbers q, wxyz; R is the rotation of q / |q|, so the length of q is a gauge freedom of each image.

With q = (a, v), phi = 2 vec(dq q*) / |q|^2 = 2 / |q|^2 [-v | a I + [v]] dq, which is zero along q itself.
Every q but zero is a rotation; zero, where R has no limit, gives the identity and a map of zeros.
"""

import numpy as np

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array, Parameterization


def tangent_map(theta: Array, delta: Array) -> Array:
    q, length = so3.normalized(theta + delta)
    a, v = q[..., 0, None, None], q[..., 1:]
    G = np.concatenate([-v[..., None], a * np.eye(3) + so3.hat(v)], axis=-1)
    return np.asarray((2.0 / length)[..., None, None] * G)


PARAMETERIZATION = Parameterization(
    name="quaternion",
    ambient_dim=4,
    tangent_dim=4,
    from_matrix=so3.matrix_to_quaternion,
    to_matrix=so3.quaternion_to_matrix,
    tangent_map=tangent_map,
)

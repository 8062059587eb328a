"""The contract of a rotation parameterization.

Derivatives of a rotated point are taken in the left tangent, d(R x) = -[R x]_x d(phi), so a parameterization supplies
only the map from its own numbers to phi, and the kernels never know rotations (Sola, Deray, Atchuthan, "A micro Lie
theory", 2018, section II-G). Numbers that do not stay a rotation supply the map to the nine entries of the matrix.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ba.model.arrays import Array as Array
from ba.model.rotation.so3 import orthonormality


@dataclass(frozen=True)
class Parameterization:
    """A way to write rotations as numbers; every function is batched over a leading axis n.

    from_matrix(R (n, 3, 3)) -> theta (n, ambient_dim)
    to_matrix(theta) -> R (n, 3, 3)
    retract(theta, delta (n, tangent_dim)) -> theta; retract(theta, 0) is theta to rounding. Unless given: theta + delta
    tangent_map(theta, delta) -> G (n, 3, tangent_dim): d(phi)/d(delta) at retract(theta, delta), phi the left
        perturbation R(delta + e) = exp(phi) R(delta); radians.
        Where `stays_rotation` is False: G (n, 9, tangent_dim), the derivative of R's entries in row-major order.
    Invariants: to_matrix(from_matrix(R)) = R for every rotation R; all functions take complex theta and delta
    (complex-step derivatives) and give finite results for finite input, at 0, near pi and beyond.
    """

    name: str
    ambient_dim: int
    tangent_dim: int
    from_matrix: Callable[[Array], Array]
    to_matrix: Callable[[Array], Array]
    tangent_map: Callable[[Array, Array], Array]
    retract: Callable[[Array, Array], Array] = operator.add
    stays_rotation: bool = True

    def constraint(self, theta: Array) -> Array:
        """(n, ambient_dim) -> (n,): how far from a rotation, the Frobenius norm of R^T R - I."""
        return orthonormality(self.to_matrix(theta))


def isotropy(parameterization: Parameterization, theta: Array) -> Array:
    """(n, ambient_dim) -> (n,): third singular value of the tangent map at theta, as a share of its first.

    0 where some direction of turning cannot be reached (gimbal lock), 1 where all are reached alike. For
    parameterizations that stay rotations.
    """
    G = parameterization.tangent_map(theta, np.zeros((len(theta), parameterization.tangent_dim)))
    values = np.linalg.svd(G, compute_uv=False)
    return np.asarray(values[:, 2] / np.where(values[:, 0] == 0.0, 1.0, values[:, 0]))

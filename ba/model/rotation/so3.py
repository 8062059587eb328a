"""The rotation group: exponential, logarithm, left Jacobian, and unit quaternions between the two.

With t = |w| and [w] the cross-product matrix (Sola, Deray, Atchuthan, "A micro Lie theory", 2018, eq. 132-148):

    exp(w)    = I + sin t / t [w] + (1 - cos t) / t^2 [w]^2  =  R(q),  q = (cos(t/2), sin(t/2) / t w)
    J_l(w)    = I + (1 - cos t) / t^2 [w] + (t - sin t) / t^3 [w]^2,         exp(w + e) = exp(J_l e) exp(w)

Every coefficient is an even analytic function of t: a series in t^2 below SERIES_BELOW, closed form above. So nothing
divides by zero, an underflowing t^2 does no harm, and complex input gives complex-step derivatives: no branch looks at
an imaginary part. Every function is batched over any leading axes. NaN gives NaN.
"""

from collections.abc import Callable
from math import factorial
from typing import Any

import numpy as np

from ba.model.arrays import Array

SERIES_BELOW = 0.5
TINY = float(np.finfo(np.float64).tiny)

OFF_SO3 = 1e-6
"""A matrix whose `orthonormality` is beyond this is no rotation: a cost that is reached there is not comparable."""

IDENTITY = np.eye(3)

SINC_SERIES = [(-1) ** k / factorial(2 * k + 1) for k in reversed(range(8))]
JACOBIAN_SERIES = [(-1) ** k / factorial(2 * k + 3) for k in reversed(range(8))]


def hat(w: Array) -> Array:
    """(..., 3) -> (..., 3, 3): the matrix [w] with [w] x = w cross x."""
    w = np.asarray(w)
    out = np.zeros((*w.shape, 3), w.dtype)
    x, y, z = w[..., 0], w[..., 1], w[..., 2]
    out[..., 2, 1], out[..., 0, 2], out[..., 1, 0] = x, y, z
    out[..., 1, 2], out[..., 2, 0], out[..., 0, 1] = -x, -y, -z
    return out


def vee(A: Array) -> Array:
    """(..., 3, 3) -> (..., 3): the vector of the antisymmetric part; vee(hat(w)) = w."""
    A = np.asarray(A)
    lower = np.stack([A[..., 2, 1], A[..., 0, 2], A[..., 1, 0]], axis=-1)
    upper = np.stack([A[..., 1, 2], A[..., 2, 0], A[..., 0, 1]], axis=-1)
    return np.asarray(0.5 * (lower - upper))


def norm(w: Array, floor: float = 1.0) -> Array:
    """(..., k) -> (...): |w|, without overflow; what is far below `floor` may underflow to 0."""
    w = np.asarray(w)
    scale = np.maximum(np.abs(w.real).max(axis=-1), floor)
    scaled = w / scale[..., None]
    return np.asarray(scale * np.sqrt(np.einsum("...i,...i->...", scaled, scaled)))


def arctan2(y: Array, x: Array) -> Array:
    """np.arctan2 that also takes complex numbers: the angle of the real parts, then one exact correction."""
    angle = np.arctan2(y.real, x.real)
    c, s = np.cos(angle), np.sin(angle)
    along, across = c * x + s * y, c * y - s * x
    return np.asarray(angle + np.arctan(across / np.where(along == 0.0, 1.0, along)))


def exp(w: Array) -> Array:
    """(..., 3) rotation vector, radians -> (..., 3, 3) rotation."""
    return unit_quaternion_to_matrix(exp_quaternion(w))


def log(R: Array) -> Array:
    """(..., 3, 3) -> (..., 3) rotation vector, radians, of length 0 to pi; at pi either sign.

    Of a matrix that is not a rotation: the logarithm of `matrix_to_quaternion`. Raises nothing.
    """
    q = matrix_to_quaternion(R)
    sine = norm(q[..., 1:])
    sine = np.where(sine == 0.0, TINY, sine)
    return np.asarray((2.0 * arctan2(sine, q[..., 0]) / sine)[..., None] * q[..., 1:])


def left_jacobian(w: Array) -> Array:
    """(..., 3) -> (..., 3, 3): exp(w + e) = exp(J e) exp(w) to first order in e."""
    w = np.asarray(w)
    if not w.any():  # every chart, about its centre
        return np.zeros((*w.shape, 3), w.dtype) + IDENTITY
    t = norm(w)
    # The root of the coefficient goes into both factors, so that their product is finite wherever w is.
    K = hat(_root_jacobian_coefficient(t)[..., None] * w)
    return np.asarray(IDENTITY + hat((0.5 * _sinc(0.5 * t) ** 2)[..., None] * w) + K @ K)


def exp_quaternion(w: Array) -> Array:
    """(..., 3) rotation vector -> (..., 4) unit quaternion, wxyz."""
    w = np.asarray(w)
    half = 0.5 * norm(w)
    return np.concatenate([np.cos(half)[..., None], (0.5 * _sinc(half))[..., None] * w], axis=-1)


def normalized(q: Array) -> tuple[Array, Array]:
    """(..., k) -> q / |q| (..., k), |q| (...). A zero (or subnormal) q stays as it is, and its length is called 1."""
    length = norm(q, floor=TINY)
    length = np.where(length.real < TINY, 1.0, length)
    return q / length[..., None], length


def unit_quaternion_to_matrix(q: Array) -> Array:
    """(..., 4) wxyz of length 1 -> (..., 3, 3) rotation; zero gives the identity."""
    V = hat(q[..., 1:])
    return np.asarray(IDENTITY + 2.0 * (q[..., 0, None, None] * V + V @ V))


def quaternion_to_matrix(q: Array) -> Array:
    """(..., 4) wxyz of any length -> (..., 3, 3) rotation of q / |q|; zero gives the identity."""
    return unit_quaternion_to_matrix(normalized(q)[0])


def quaternion_product(p: Array, q: Array) -> Array:
    """(..., 4), (..., 4) -> p q (..., 4), wxyz: R(p q) = R(p) R(q)."""
    a, b, u, v = p[..., :1], q[..., :1], p[..., 1:], q[..., 1:]
    scalar = a * b - (u * v).sum(axis=-1, keepdims=True)
    return np.concatenate([scalar, a * v + b * u + np.cross(u, v)], axis=-1)


def gibbs_quaternion(g: Array) -> Array:
    """(..., 3) Gibbs vector, tan(t/2) times unit axis -> (..., 4) unit quaternion, wxyz, w > 0."""
    return normalized(np.concatenate([np.ones_like(g[..., :1]), g], axis=-1))[0]


def matrix_to_quaternion(R: Array) -> Array:
    """(..., 3, 3) -> (..., 4) unit quaternion, wxyz, w >= 0, of the rotation nearest to R in the Frobenius norm.

    It is the dominant eigenvector of a symmetric 4x4 matrix of trace 4 that is 4 q q^T for a rotation (Bar-Itzhack,
    "New method for extracting the quaternion from a rotation matrix", 2000). Three squarings find it to the eighth
    power of R's distance from a rotation, and its largest column loses no digits, at any angle.
    """
    Q = _quaternion_products(np.asarray(R))
    for _ in range(3):
        Q = Q @ Q
        Q = Q / np.trace(Q, axis1=-2, axis2=-1)[..., None, None]
    largest = np.diagonal(Q.real, axis1=-2, axis2=-1).argmax(axis=-1)
    q, _length = normalized(np.take_along_axis(Q, largest[..., None, None], axis=-1)[..., 0])
    return np.where(q[..., :1].real < 0.0, -q, q)


def orthonormality(R: Array) -> Array:
    """(..., 3, 3) -> (...): Frobenius norm of R^T R - I, 0 for rotations."""
    E = np.swapaxes(R, -1, -2) @ R - IDENTITY
    return np.asarray(np.sqrt((E * E).sum(axis=(-2, -1))))


def flatten(R: Array) -> Array:
    """(..., 3, 3) -> (..., 9), row-major."""
    return np.reshape(R, (*np.shape(R)[:-2], 9))


def unflatten(entries: Array) -> Array:
    """(..., 9) row-major -> (..., 3, 3)."""
    return np.reshape(entries, (*np.shape(entries)[:-1], 3, 3))


def _quaternion_products(R: Array) -> Array:
    Q = np.empty((*R.shape[:-2], 4, 4), R.dtype)
    trace = np.trace(R, axis1=-2, axis2=-1)
    Q[..., 0, 0] = 1.0 + trace
    Q[..., 0, 1:] = Q[..., 1:, 0] = 2.0 * vee(R)
    Q[..., 1:, 1:] = R + np.swapaxes(R, -1, -2) + (1.0 - trace)[..., None, None] * IDENTITY
    return Q


def _even(t: Array, near: Callable[[Array], Array], far: Callable[[Array], Array]) -> Array:
    """near(t^2) where t is below SERIES_BELOW, far(t) elsewhere; neither sees the other's arguments."""
    small = t.real < SERIES_BELOW
    if small.all():
        return np.asarray(near(t**2))
    if not small.any():
        return np.asarray(far(t))
    s = np.where(small, t, 0.0) ** 2
    return np.where(small, near(s), far(np.where(small, 1.0, t)))


def _polynomial(coefficients: list[float], s: Array) -> Array:
    """np.polyval, which takes twice as long for a few numbers, and ten times as long for one."""
    value: Any = coefficients[0]
    x = s.item() if s.size == 1 else s
    for coefficient in coefficients[1:]:
        value = value * x + coefficient
    return np.asarray(value).reshape(s.shape)


def _sinc(t: Array) -> Array:
    """sin t / t"""
    return _even(t, lambda s: _polynomial(SINC_SERIES, s), lambda t: np.sin(t) / t)


def _root_jacobian_coefficient(t: Array) -> Array:
    """sqrt((t - sin t) / t^3)"""
    return _even(t, lambda s: np.sqrt(_polynomial(JACOBIAN_SERIES, s)), lambda t: np.sqrt(1.0 - np.sin(t) / t) / t)


def nearest(R: Array) -> Array:
    """The rotation nearest to each matrix (..., 3, 3), that of its nearest quaternion."""
    return exp(log(R))

"""Laws of `ba.model.rotation.so3`, measured against 60-digit arithmetic, complex steps and the paper."""

from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array

pytestmark = pytest.mark.filterwarnings("error")

PI = float(np.pi)
SMALL_ANGLES = (0.0, 1e-300, 1e-12, 1e-8, 1e-4)
ANGLES = [*SMALL_ANGLES, 0.4999, 0.5, 1.0, 3.0, PI - 1e-9, PI]
BEYOND = [4.0, 2 * PI - 1e-9, 2 * PI, 7.0, 10.0]
AXES = [*np.eye(3), *(a / np.linalg.norm(a) for a in np.random.default_rng(7).normal(size=(4, 3)))]
STEP = 1e-30

each_angle = pytest.mark.parametrize("angle", ANGLES)
each_angle_and_beyond = pytest.mark.parametrize("angle", ANGLES + BEYOND)
vectors = st.lists(st.floats(-12.0, 12.0), min_size=3, max_size=3).map(np.array)


def mp(values: Array) -> Any:
    return np.vectorize(mpmath.mpf, otypes=[object])(values)


@cache
def reference(*w: float) -> tuple[Any, Any]:
    """exp(w) and its three derivatives by the Taylor series of [w] in 60 digits, which is exact at every angle."""
    generators, identity = mp(so3.hat(np.eye(3))), mp(np.eye(3))
    with mpmath.workdps(60):
        W = mp(so3.hat(np.array(w)))
        term, d_term = identity, mp(np.zeros((3, 3, 3)))
        R, d_R = term, d_term
        for k in range(1, 200):
            d_term = (d_term @ W + term @ generators) / k
            term = term @ W / k
            R, d_R = R + term, d_R + d_term
            if max(abs(x) for x in d_term.flat) < 1e-40:
                return R, d_R
    raise AssertionError("the series did not end")


def reference_log(R: Array) -> Any:
    """The logarithm of the rotation nearest to R (Newton's iteration for the polar factor) in 60 digits."""
    with mpmath.workdps(60):
        M = mpmath.matrix(R.tolist())
        for _ in range(4):
            M = (M + (M**-1).T) / 2
        v = [(M[2, 1] - M[1, 2]) / 2, (M[0, 2] - M[2, 0]) / 2, (M[1, 0] - M[0, 1]) / 2]
        sine = mpmath.sqrt(sum(x * x for x in v))
        angle = mpmath.atan2(sine, (M[0, 0] + M[1, 1] + M[2, 2] - 1) / 2)
        return np.array([x * angle / sine if sine else x for x in v])


def error(value: Array, exact: Any) -> float:
    with mpmath.workdps(60):
        return float(max(abs(x) for x in (mp(value) - exact).flat))


def complex_step(function: Any, x: Array) -> Array:
    """(..., k): the derivative of function (batched) by each component of x (k,)."""
    return np.moveaxis(function(x + 1j * STEP * np.eye(len(x))).imag / STEP, 0, -1)


@each_angle_and_beyond
def test_exp_is_exact_to_1e14(angle: float) -> None:
    for w in np.multiply(angle, AXES):
        assert error(so3.exp(w), reference(*w)[0]) < 1e-14


@pytest.mark.parametrize("angle", SMALL_ANGLES[1:])
def test_a_small_rotation_keeps_its_relative_digits(angle: float) -> None:
    for w in np.multiply(angle, AXES):
        np.testing.assert_allclose(so3.vee(so3.exp(w)) / angle, w / angle, rtol=0, atol=angle**2 + 1e-15)
        np.testing.assert_allclose(so3.log(so3.exp(w)) / angle, w / angle, rtol=0, atol=1e-15)


@each_angle
def test_log_is_that_of_the_nearest_rotation_to_1e12(angle: float) -> None:
    for w in np.multiply(angle, AXES):
        R = so3.exp(w)
        exact = reference_log(R)
        signs = (1, -1) if angle == PI else (1,)
        assert min(error(sign * so3.log(R), exact) for sign in signs) < 1e-12
        assert min(error(sign * so3.log(R), mp(w)) for sign in signs) < 1e-12


@each_angle_and_beyond
def test_exp_undoes_log(angle: float) -> None:
    R = so3.exp(np.multiply(angle, AXES))
    np.testing.assert_allclose(so3.exp(so3.log(R)), R, rtol=0, atol=1e-14)
    assert (np.linalg.norm(so3.log(R), axis=-1) <= PI * (1.0 + 1e-15)).all()


def test_log_of_exact_half_turns_is_exact() -> None:
    for axis in np.eye(3):
        np.testing.assert_array_equal(so3.log(2.0 * np.outer(axis, axis) - np.eye(3)), PI * axis)


@given(vectors)
def test_exp_agrees_with_scipy(w: Array) -> None:
    np.testing.assert_allclose(so3.exp(w), Rotation.from_rotvec(w).as_matrix(), rtol=0, atol=1e-14)


@given(vectors, st.sampled_from([*ANGLES, None]))
def test_exp_and_log_undo_each_other(w: Array, angle: float | None) -> None:
    length = np.linalg.norm(w)
    if length > 1e-3:
        w = (angle if angle is not None else length % PI) * w / length
        R, signs = so3.exp(w), (1, -1) if angle == PI else (1,)
        np.testing.assert_allclose(so3.exp(so3.log(R)), R, rtol=0, atol=1e-14)
        assert min(np.abs(sign * so3.log(R) - w).max() for sign in signs) < 1e-14


@given(vectors, vectors)
def test_quaternions_multiply_as_rotations(v: Array, w: Array) -> None:
    product = so3.quaternion_product(so3.exp_quaternion(v), so3.exp_quaternion(w))
    np.testing.assert_allclose(so3.unit_quaternion_to_matrix(product), so3.exp(v) @ so3.exp(w), rtol=0, atol=1e-14)


@given(vectors)
def test_hat_is_the_cross_product_and_vee_undoes_it(w: Array) -> None:
    x = np.array([0.3, -2.0, 5.0])
    np.testing.assert_allclose(so3.hat(w) @ x, np.cross(w, x), rtol=1e-15, atol=1e-13)
    np.testing.assert_array_equal(so3.vee(so3.hat(w)), w)
    symmetric = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 5.0], [3.0, 5.0, 6.0]])
    np.testing.assert_allclose(so3.vee(so3.hat(w) + symmetric), w, rtol=0, atol=1e-14)


@each_angle_and_beyond
def test_the_left_jacobian_is_the_complex_step_derivative_of_exp(angle: float) -> None:
    for w in np.multiply(angle, AXES):
        R = so3.exp(w)
        d_R = complex_step(so3.exp, w)
        left = np.stack([so3.vee(d_R[..., i] @ R.T) for i in range(3)], axis=-1)
        np.testing.assert_allclose(so3.left_jacobian(w), left, rtol=0, atol=1e-14)


def test_coefficients_meet_where_the_series_ends() -> None:
    below = np.nextafter(so3.SERIES_BELOW, 0.0)
    for axis in AXES:
        inside, outside = so3.left_jacobian(below * axis), so3.left_jacobian(so3.SERIES_BELOW * axis)
        np.testing.assert_allclose(inside, outside, rtol=0, atol=5e-16)


@each_angle
def test_the_left_jacobian_agrees_with_60_digits(angle: float) -> None:
    for w in np.multiply(angle, AXES):
        R, d_R = reference(*w)
        with mpmath.workdps(60):
            generators = [d_R[i] @ R.T for i in range(3)]
            J = mpmath.matrix([[g[2, 1], g[0, 2], g[1, 0]] for g in generators]).T
            exact = np.array(J.tolist(), object)
        assert error(so3.left_jacobian(w), exact) < 1e-14


def test_every_function_of_a_vector_is_finite_for_any_finite_vector() -> None:
    magnitudes = (0.0, 5e-324, 1e-310, 1e-160, 1e-154, 1e-30, 1.0, 1e8, 1e155, 1e300)
    w = np.array([m * a for m in magnitudes for a in AXES])
    for function in (so3.exp, so3.left_jacobian):
        assert np.isfinite(function(w)).all()
        assert np.isfinite(function(w + 0j)).all()
    assert so3.orthonormality(so3.exp(w)).max() < 1e-14
    np.testing.assert_allclose(np.linalg.det(so3.left_jacobian(1e300 * AXES[-1])), 0.0, atol=1e-15)


def test_log_takes_any_matrix_to_its_nearest_rotation() -> None:
    rng = np.random.default_rng(3)
    R = so3.exp(rng.normal(size=(50, 3)) * 2.0)
    for noise in (1e-9, 1e-4, 1e-2):
        M = R + noise * rng.normal(size=R.shape)
        U, _, Vt = np.linalg.svd(M)
        np.testing.assert_allclose(so3.exp(so3.log(M)), U @ Vt, rtol=0, atol=1e-13)
    for odd in (np.zeros((3, 3)), -np.eye(3), np.ones((3, 3)), np.diag([1.0, 1.0, -1.0]), 1e-200 * np.eye(3)):
        assert np.isfinite(so3.log(odd)).all()


def test_nan_gives_nan_without_a_word() -> None:
    w = np.array([np.nan, 0.0, 1.0])
    assert np.isnan(so3.exp(w)).any()
    assert np.isnan(so3.left_jacobian(w)).any()
    assert np.isnan(so3.log(np.full((3, 3), np.nan))).all()


def test_batching_over_any_leading_axes_changes_nothing() -> None:
    w = np.random.default_rng(5).normal(size=(2, 3, 4, 3)) * 2.0
    for function in (so3.hat, so3.exp, so3.left_jacobian, lambda w: so3.log(so3.exp(w))):
        one_by_one = np.array([function(v) for v in w.reshape(-1, 3)])
        batched = function(w)
        np.testing.assert_allclose(batched.reshape(one_by_one.shape), one_by_one, rtol=0, atol=1e-15)
        assert function(w[:0]).shape == (0, *batched.shape[1:])


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_arctan2_is_numpys_and_differentiable(y: float, x: float) -> None:
    point = np.array([y, x])
    np.testing.assert_allclose(so3.arctan2(point[0], point[1]), np.arctan2(y, x), rtol=1e-15, atol=1e-16)
    if x * x + y * y > 1e-6:
        gradient = complex_step(lambda p: so3.arctan2(p[..., 0], p[..., 1]), point)
        np.testing.assert_allclose(gradient * (x * x + y * y), [x, -y], rtol=0, atol=1e-14 * np.hypot(x, y))

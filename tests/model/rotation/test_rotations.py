"""Laws that every rotation parameterization obeys: the registry times the identity, tiny, random, near pi and pi."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ba import io, pipeline
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS, Parameterization, euler, isotropy, so3
from ba.model.rotation.parameterization import Array
from ba.model.similarity import Similarity, transform
from ba.model.variables import make_variables
from ba.options import Config
from tests.support.scenes import random_problem

pytestmark = pytest.mark.filterwarnings("error")

STEP = 1e-30
PI = float(np.pi)
AXES = np.array([*np.eye(3), *(a / np.linalg.norm(a) for a in np.random.default_rng(1).normal(size=(5, 3)))])
CASES: dict[str, Array] = {
    "identity": np.eye(3)[None],
    "tiny_1e-300": so3.exp(1e-300 * AXES),
    "tiny_1e-12": so3.exp(1e-12 * AXES),
    "tiny_1e-8": so3.exp(1e-8 * AXES),
    "random": so3.exp(np.random.default_rng(2).normal(size=(20, 3)) * 2.0),
    "near_pi": so3.exp((PI - 1e-9) * AXES),
    "pi": so3.exp(PI * AXES),
    "half_turns": np.array([np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, -1.0]), np.diag([-1.0, -1.0, 1.0])]),
    "gimbal_lock": Rotation.from_euler("xyz", [[a, b, 0.7] for a in (0.0, 2.0) for b in (PI / 2, -PI / 2)]).as_matrix(),
}

Law = Callable[[Parameterization, Array], None]


def everywhere(law: Law) -> Law:
    """Run a law for each parameterization at each of CASES."""
    rotations = pytest.mark.parametrize("R", CASES.values(), ids=CASES.keys())
    registry = pytest.mark.parametrize("parameterization", ROTATIONS.values(), ids=ROTATIONS.keys())
    return registry(rotations(law))


def vectors() -> st.SearchStrategy[Array]:
    """(3,) rotation vectors about any axis, by an angle where something may go wrong or any other up to pi."""
    angles = st.sampled_from((0.0, 1e-300, 1e-8, PI - 1e-9, PI)) | st.floats(0.0, PI)
    axes = st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3).map(np.array).filter(lambda a: bool(a @ a > 1e-2))
    return st.builds(lambda angle, axis: angle * axis / np.linalg.norm(axis), angles, axes)


def for_any_rotation(law: Callable[..., None]) -> Callable[..., None]:
    """Run a law for each parameterization at some rotation vectors w that hypothesis chooses, among them the worst."""
    registry = pytest.mark.parametrize("parameterization", ROTATIONS.values(), ids=ROTATIONS.keys())
    return registry(settings(max_examples=20)(given(w=vectors())(law)))


def some_delta(parameterization: Parameterization, n: int, size: float = 0.3) -> Array:
    return np.random.default_rng(n).normal(size=(n, parameterization.tangent_dim)) * size


def numeric_tangent_map(parameterization: Parameterization, theta: Array, delta: Array) -> Array:
    """G by complex steps through `retract` and `to_matrix`, in the contract's coordinates."""
    R = parameterization.to_matrix(parameterization.retract(theta, delta))
    columns = []
    for direction in np.eye(parameterization.tangent_dim):
        moved = parameterization.retract(theta, delta + 1j * STEP * direction)
        d_R = parameterization.to_matrix(moved).imag / STEP
        stays = parameterization.stays_rotation
        columns.append(so3.vee(d_R @ np.swapaxes(R, -1, -2)) if stays else so3.flatten(d_R))
    return np.stack(columns, axis=-1)


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_parameterization_stands_under_its_own_name(name: str) -> None:
    assert ROTATIONS[name].name == name


@everywhere
def test_from_matrix_and_to_matrix_round_trip(parameterization: Parameterization, R: Array) -> None:
    theta = parameterization.from_matrix(R)
    assert theta.shape == (len(R), parameterization.ambient_dim)
    np.testing.assert_allclose(parameterization.to_matrix(theta), R, rtol=0, atol=5e-15)


@everywhere
def test_a_tiny_rotation_is_not_lost(parameterization: Parameterization, R: Array) -> None:
    """Unless the identity is locked, as in proper Euler orders: two large angles cancel there."""
    size, theta = np.abs(R - np.eye(3)).max(), parameterization.from_matrix(R)
    if 0.0 < size < 1e-7 and isotropy(parameterization, theta).min() > 0.5:
        found = so3.vee(parameterization.to_matrix(theta))
        np.testing.assert_allclose(found / size, so3.vee(R) / size, rtol=0, atol=1e-14)


@everywhere
def test_retracting_by_zero_stays(parameterization: Parameterization, R: Array) -> None:
    theta = parameterization.from_matrix(R)
    zero = np.zeros((len(R), parameterization.tangent_dim))
    np.testing.assert_allclose(parameterization.retract(theta, zero), theta, rtol=0, atol=1e-15)


@everywhere
def test_tangent_map_is_the_complex_step_derivative(parameterization: Parameterization, R: Array) -> None:
    theta = parameterization.from_matrix(R)
    for size in (0.0, 1e-8, 0.3):
        delta = some_delta(parameterization, len(R), size)
        G = parameterization.tangent_map(theta, delta)
        assert G.shape == (len(R), 3 if parameterization.stays_rotation else 9, parameterization.tangent_dim)
        assert G.flags.c_contiguous
        numeric = numeric_tangent_map(parameterization, theta, delta)
        np.testing.assert_allclose(G, numeric, rtol=0, atol=1e-13 * np.abs(numeric).max())


@everywhere
def test_tangent_map_is_the_finite_difference_of_logarithms(parameterization: Parameterization, R: Array) -> None:
    theta, h = parameterization.from_matrix(R), 1e-5
    delta = some_delta(parameterization, len(R), 0.1)
    G = parameterization.tangent_map(theta, delta)
    for j, direction in enumerate(np.eye(parameterization.tangent_dim)):
        after, before = (
            parameterization.to_matrix(parameterization.retract(theta, delta + s * direction)) for s in (h, -h)
        )
        if parameterization.stays_rotation:
            change = so3.log(after @ np.swapaxes(before, -1, -2))
        else:
            change = so3.flatten(after - before)
        np.testing.assert_allclose(change / (2.0 * h), G[..., j], rtol=0, atol=1e-9)


@everywhere
def test_steps_stay_on_the_manifold_or_say_how_far_they_left(parameterization: Parameterization, R: Array) -> None:
    theta = parameterization.from_matrix(R)
    assert parameterization.constraint(theta).shape == (len(R),)
    assert parameterization.constraint(theta).max() < 1e-14
    moved = parameterization.retract(theta, some_delta(parameterization, len(R)))
    M = parameterization.to_matrix(moved)
    expected = np.linalg.norm(np.swapaxes(M, -1, -2) @ M - np.eye(3), axis=(-2, -1))
    np.testing.assert_allclose(parameterization.constraint(moved), expected, rtol=1e-12, atol=1e-14)
    assert (expected.max() < 1e-14) == parameterization.stays_rotation


@everywhere
def test_results_are_finite_far_from_the_chart(parameterization: Parameterization, R: Array) -> None:
    theta = parameterization.from_matrix(R)
    for size in (1e-310, 1e-30, 10.0, 1e8):
        for dtype in (float, complex):
            delta = some_delta(parameterization, len(R), size).astype(dtype)
            assert np.isfinite(parameterization.to_matrix(parameterization.retract(theta, delta))).all()
            assert np.isfinite(parameterization.tangent_map(theta, delta)).all()


@everywhere
def test_one_by_one_is_the_same_as_a_batch(parameterization: Parameterization, R: Array) -> None:
    theta, delta = parameterization.from_matrix(R), some_delta(parameterization, len(R))
    moved, G = parameterization.retract(theta, delta), parameterization.tangent_map(theta, delta)
    for i in range(len(R)):
        one = slice(i, i + 1)
        np.testing.assert_allclose(parameterization.from_matrix(R[one]), theta[one], rtol=0, atol=1e-15)
        np.testing.assert_allclose(parameterization.retract(theta[one], delta[one]), moved[one], rtol=0, atol=1e-15)
        np.testing.assert_allclose(parameterization.tangent_map(theta[one], delta[one]), G[one], rtol=0, atol=1e-15)
    assert parameterization.to_matrix(theta[:0]).shape == (0, 3, 3)
    assert parameterization.tangent_map(theta[:0], delta[:0]).shape == (0, *G.shape[1:])


@everywhere
def test_inputs_keep_their_bits(parameterization: Parameterization, R: Array) -> None:
    before, theta = R.copy(), parameterization.from_matrix(R)
    delta = some_delta(parameterization, len(R))
    kept = theta.copy(), delta.copy()
    parameterization.tangent_map(parameterization.retract(theta, delta), delta)
    for now, then in zip((R, theta, delta), (before, *kept), strict=True):
        np.testing.assert_array_equal(now, then)


def test_quaternions_are_wxyz_as_scipys_with_the_scalar_first() -> None:
    R = CASES["random"]
    theirs = Rotation.from_matrix(R).as_quat(canonical=True, scalar_first=True)
    np.testing.assert_allclose(ROTATIONS["quaternion"].from_matrix(R), theirs, rtol=0, atol=1e-14)


@given(st.lists(st.floats(-1.0, 1.0), min_size=4, max_size=4), st.sampled_from((1e-300, 1e-160, 1e-9, 3.0, 1e200)))
def test_the_length_of_a_quaternion_is_gauge(numbers: list[float], scale: float) -> None:
    quaternion, q = ROTATIONS["quaternion"], np.array([numbers]) + np.array([2.0, 0.0, 0.0, 0.0])
    R, zero = quaternion.to_matrix(q), np.zeros((1, 4))
    np.testing.assert_allclose(R[0], Rotation.from_quat(q[0], scalar_first=True).as_matrix(), rtol=0, atol=1e-14)
    np.testing.assert_allclose(quaternion.to_matrix(scale * q), R, rtol=0, atol=1e-14)
    G = quaternion.tangent_map(q, zero)
    np.testing.assert_allclose(quaternion.tangent_map(scale * q, zero) * scale, G, rtol=0, atol=1e-14)
    np.testing.assert_allclose(G @ q[0], 0.0, rtol=0, atol=1e-14)


def test_a_zero_quaternion_is_the_identity_and_moves_nothing() -> None:
    quaternion, zero = ROTATIONS["quaternion"], np.zeros((1, 4))
    np.testing.assert_array_equal(quaternion.to_matrix(zero), np.eye(3)[None])
    np.testing.assert_array_equal(quaternion.tangent_map(zero, zero), np.zeros((1, 3, 4)))
    assert quaternion.constraint(zero) == 0.0


@given(st.lists(st.floats(-7.0, 7.0), min_size=3, max_size=3), st.sampled_from(euler.ORDERS))
def test_euler_angles_turn_about_fixed_axes_in_the_order_named_as_scipys(angles: list[float], order: str) -> None:
    R = ROTATIONS[f"euler_{order}"].to_matrix(np.array([angles]))
    np.testing.assert_allclose(R[0], Rotation.from_euler(order, angles).as_matrix(), rtol=0, atol=2e-15)


@pytest.mark.parametrize("order", euler.ORDERS)
@settings(max_examples=20)
@given(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0), st.floats(-1e-6, 1e-6), st.booleans())
def test_euler_angles_are_exact_around_gimbal_lock(order: str, a: float, c: float, offset: float, side: bool) -> None:
    parameterization, proper = ROTATIONS[f"euler_{order}"], order[0] == order[2]
    lock = PI * side if proper else PI / 2 * (1 if side else -1)
    R = parameterization.to_matrix(np.array([[a, lock + offset, c]]))
    theta = parameterization.from_matrix(R)
    np.testing.assert_allclose(parameterization.to_matrix(theta), R, rtol=0, atol=5e-15)
    assert 0.0 <= theta[0, 1] <= PI if proper else abs(theta[0, 1]) <= PI / 2
    assert isotropy(parameterization, theta)[0] <= 1.001e-6
    assert isotropy(parameterization, np.array([[a, lock, c]]))[0] < 1e-15


def test_what_is_locked_turns_by_no_more_than_it_must() -> None:
    """Without a difference of signed zeros, which would write the identity as two half turns."""
    for order in euler.ORDERS:
        np.testing.assert_array_equal(ROTATIONS[f"euler_{order}"].from_matrix(np.eye(3)[None]), np.zeros((1, 3)))


@given(vectors())
def test_gibbs_vectors_are_cayleys_transform(w: Array) -> None:
    g = ROTATIONS["cayley"].from_matrix(so3.exp(w[None]))[0]
    if np.linalg.norm(g) < 10.0:
        R = np.linalg.solve(np.eye(3) - so3.hat(g), np.eye(3) + so3.hat(g))
        np.testing.assert_allclose(R, so3.exp(w), rtol=0, atol=1e-13)


@given(vectors())
def test_modified_rodrigues_parameters_are_scipys(w: Array) -> None:
    m = Rotation.from_rotvec(w).as_mrp()
    modified = ROTATIONS["modified_rodrigues"]
    np.testing.assert_allclose(modified.to_matrix(m[None])[0], so3.exp(w), rtol=0, atol=2e-15)
    found = modified.from_matrix(so3.exp(w[None]))[0]
    if np.linalg.norm(w) < 3.0:  # at a half turn either of two opposite vectors is right
        np.testing.assert_allclose(found, m, rtol=0, atol=1e-14)


@given(vectors(), st.lists(st.floats(-3.0, 3.0), min_size=3, max_size=3))
def test_a_unit_quaternion_moves_as_twice_a_left_perturbation_and_keeps_its_length(w: Array, step: list[float]) -> None:
    unit, left, R, delta = ROTATIONS["unit_quaternion"], ROTATIONS["so3_left"], so3.exp(w[None]), np.array([step])
    moved = unit.retract(unit.from_matrix(R), delta)
    np.testing.assert_allclose(
        unit.to_matrix(moved)[0].ravel(), left.retract(so3.flatten(R), 2.0 * delta)[0], atol=2e-15
    )
    assert abs(np.linalg.norm(moved) - 1.0) < 1e-15


@given(vectors(), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.floats(-1.0, 1.0))
def test_lengths_of_columns_and_their_slant_are_gauge(w: Array, first: float, second: float, slant: float) -> None:
    columns6, R = ROTATIONS["columns6"], so3.exp(w)
    theta = np.concatenate([first * R[:, 0], second * (R[:, 1] + slant * R[:, 0])])[None]
    np.testing.assert_allclose(columns6.to_matrix(theta)[0], R, rtol=0, atol=4e-15)
    gauge = np.zeros((3, 6))
    gauge[0, :3], gauge[1, 3:], gauge[2, 3:] = theta[0, :3], theta[0, 3:], theta[0, :3]
    G = columns6.tangent_map(theta, np.zeros((1, 6)))[0]
    np.testing.assert_allclose(G @ gauge.T, 0.0, atol=1e-14 * np.abs(G).max() * np.abs(gauge).max())
    assert np.linalg.matrix_rank(G) == 3


def test_left_moves_in_the_camera_and_right_moves_in_the_world() -> None:
    R, w = CASES["random"], some_delta(ROTATIONS["so3_left"], 20)
    for name, expected in (("so3_left", so3.exp(w) @ R), ("so3_right", R @ so3.exp(w))):
        moved = ROTATIONS[name].to_matrix(ROTATIONS[name].retract(so3.flatten(R), w))
        np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-15)


@given(st.floats(-0.5, 0.5))
def test_nine_free_numbers_say_how_far_they_are_from_a_rotation(stretch: float) -> None:
    matrix9, R = ROTATIONS["matrix9"], CASES["random"]
    distance = matrix9.constraint(matrix9.from_matrix((1.0 + stretch) * R))
    np.testing.assert_allclose(distance, np.sqrt(3.0) * abs(2.0 * stretch + stretch**2), rtol=0, atol=1e-14)


@for_any_rotation
def test_any_rotation_comes_back(parameterization: Parameterization, w: Array) -> None:
    theta = parameterization.from_matrix(so3.exp(w[None]))
    np.testing.assert_allclose(parameterization.to_matrix(theta), so3.exp(w[None]), rtol=0, atol=5e-15)
    zero = np.zeros((1, parameterization.tangent_dim))
    np.testing.assert_allclose(parameterization.retract(theta, zero), theta, rtol=0, atol=1e-15)


@for_any_rotation
def test_a_turned_rotation_is_written_as_the_turn_of_what_is_written(
    parameterization: Parameterization, w: Array
) -> None:
    turn, R = so3.exp(np.array([0.3, -1.0, 2.0])), so3.exp(w[None])
    written, turned = (parameterization.to_matrix(parameterization.from_matrix(M)) for M in (R, turn @ R))
    np.testing.assert_allclose(turned, turn @ written, rtol=0, atol=1e-14)


@for_any_rotation
def test_a_step_is_a_left_perturbation_to_first_order(parameterization: Parameterization, w: Array) -> None:
    """exp(G h) R(delta) is R(delta + h) but for h^2."""
    theta, h = parameterization.from_matrix(so3.exp(w[None])), 1e-6
    delta, direction = some_delta(parameterization, 1, 0.1), some_delta(parameterization, 2, 1.0)[:1]
    G = parameterization.tangent_map(theta, delta)
    np.testing.assert_allclose(
        G, numeric_tangent_map(parameterization, theta, delta), rtol=0, atol=1e-13 * np.abs(G).max()
    )
    before, after = (parameterization.to_matrix(parameterization.retract(theta, delta + s * direction)) for s in (0, h))
    change = h * np.einsum("nij,nj->ni", G, direction)
    expected = so3.exp(change) @ before if parameterization.stays_rotation else before + so3.unflatten(change)
    np.testing.assert_allclose(after, expected, rtol=0, atol=100.0 * h**2)


def cost(problem: Problem, parameterization: Parameterization) -> float:
    """0.5 * sum of squared residuals of what the parameterization writes."""
    variables = make_variables(problem, parameterization)
    residual, _ = Residuals(variables.problem).residual(variables.at(variables.start))
    return 0.5 * float((residual**2).sum())


@for_any_rotation
def test_turning_the_world_leaves_the_cost(parameterization: Parameterization, w: Array) -> None:
    problem = random_problem(np.random.default_rng(0), vectors=np.array([w, -w, 0.5 * w, 0.0 * w]))
    turned = transform(problem, Similarity(1.0, so3.exp(w), np.zeros(3)))
    away = transform(problem, Similarity(1.0, so3.exp(np.array([0.3, -1.0, 2.0])), np.zeros(3)))
    for other in (turned, away):
        assert cost(other, parameterization) == pytest.approx(cost(problem, parameterization), rel=1e-9)


@given(vectors())
def test_isotropy_is_what_the_formulas_say(w: Array) -> None:
    angle, R = np.linalg.norm(w), so3.exp(w[None])
    known = {
        "axis_angle": np.sinc(angle / (2.0 * PI)),
        "cayley": np.cos(0.5 * angle),
        **dict.fromkeys(("so3_left", "so3_right", "quaternion", "unit_quaternion"), 1.0),
        **dict.fromkeys(("modified_rodrigues", "columns6"), 1.0),
    }
    for name, value in known.items():
        found = isotropy(ROTATIONS[name], ROTATIONS[name].from_matrix(R))
        np.testing.assert_allclose(found, value, rtol=0, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("name", ROTATIONS)
@pytest.mark.parametrize("angle", [0.0, PI])
def test_a_run_notes_a_singularity_of_its_rotation_and_no_other(tmp_path: Path, name: str, angle: float) -> None:
    vectors = np.array([[1.0, -0.7, 0.4], [angle, 0.0, 0.0], [0.9, 0.8, 0.7], [-0.5, 0.6, 0.9]])
    problem = random_problem(np.random.default_rng(0), vectors=vectors)
    io.save(problem, tmp_path / "scene.npz", "synthetic")
    brief = {"solver": {"max_iterations": 0}, "output": {"picture": False, "report": False}}
    config = Config.model_validate({"data": {"path": tmp_path / "scene.npz"}, "rotation": name, **brief})
    notes = [note for note in pipeline.run(config, tmp_path / "run").notes if "singularity" in note]
    reach = isotropy(ROTATIONS[name], ROTATIONS[name].from_matrix(problem.rotations))
    assert len(notes) == int(reach[1] < 1e-2)
    assert all(note.startswith(f"image 1 ends near a singularity of `{name}`") for note in notes)
    assert reach[[0, 2, 3]].min() > 1e-2

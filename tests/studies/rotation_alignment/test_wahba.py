"""A rotation alignment's numbers are those of Wahba's problem by numpy, and its steps follow the damping rule."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ba.errors import UserError
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS, Parameterization
from ba.model.variables import Variables, make_layout, make_variables
from ba.studies.rotation_alignment import data, lab
from ba.studies.rotation_alignment.config import Alignment, Generated, Starts
from ba.studies.rotation_alignment.problem import PointSets, angle_between, closed_form, cost, slope
from ba.studies.rotation_alignment.solve import RESIDUALS, make_problem, solve

TURN = Rotation.from_rotvec([0.5, -0.9, 0.4]).as_matrix()


def noisy(sigma: float = 0.3, n: int = 60) -> PointSets:
    rng = np.random.default_rng(6)
    p2 = rng.normal(size=(n, 3)) * [1.0, 2.0, 0.5]
    return PointSets(p2 @ TURN.T + sigma * rng.normal(size=(n, 3)), p2, TURN)


def total(sets: PointSets, R: np.ndarray) -> float:
    return 0.5 * sum(float(np.sum((a - R @ b) ** 2)) for a, b in zip(sets.p1, sets.p2, strict=True))


def kabsch(sets: PointSets) -> np.ndarray:
    U, _, Vt = np.linalg.svd(sets.p1.T @ sets.p2)
    return U @ np.diag([1.0, 1.0, np.linalg.det(U @ Vt)]) @ Vt


def test_the_cost_is_half_the_sum_of_squares_and_the_closed_form_is_kabschs() -> None:
    sets = noisy()
    assert cost(sets, TURN) == pytest.approx(total(sets, TURN), rel=1e-12)
    assert np.abs(closed_form(sets) - kabsch(sets)).max() < 1e-12
    assert total(sets, closed_form(sets)) < total(sets, TURN)


@pytest.mark.parametrize("residual", RESIDUALS)
def test_the_gradient_is_that_of_the_cost(residual: str) -> None:
    sets, start = noisy(), Rotation.from_rotvec([0.1, 0.2, -0.3]).as_matrix()
    problem = make_problem(sets, residual)
    variables = make_variables(replace(problem, rotations=start[None]), ROTATIONS["so3_left"])
    at = Residuals(problem).linearize(variables, variables.start)
    h, right = 1e-6, []
    for e in np.eye(3):
        ends = [total(sets, Rotation.from_rotvec(s * h * e).as_matrix() @ start) for s in (1.0, -1.0)]
        right.append((ends[0] - ends[1]) / (2.0 * h))
    assert at.vjp(at.residuals) == pytest.approx(right, rel=1e-6)
    assert 0.5 * np.sum(at.residuals**2) == pytest.approx(total(sets, start), rel=1e-12)


def test_the_slope_is_a_cosine() -> None:
    """Whatever the units: 1 where the residual is all along the turn, 0 at the optimum."""
    sets = noisy()
    away = Rotation.from_rotvec([0.0, 0.0, 0.3]).as_matrix() @ closed_form(sets)
    steep = slope(sets, away, True)
    tenfold = PointSets(10.0 * sets.p1, 10.0 * sets.p2)
    assert slope(tenfold, away, True) == pytest.approx(steep, rel=1e-9)
    assert slope(sets, closed_form(sets), True) < 1e-12
    assert 0.1 < steep <= 1.0
    ring = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0, 0.0, 0.0]])
    little = Rotation.from_rotvec([0.0, 0.0, 1e-5]).as_matrix()
    assert slope(PointSets(ring @ little.T, ring), np.eye(3), True) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("degrees", [1e-4, 3.0, 90.0, 179.0])
def test_an_angle_is_that_between_two_rotations(degrees: float) -> None:
    first = Rotation.from_rotvec([1.0, 0.2, -0.4]).as_matrix()
    second = Rotation.from_rotvec(np.radians(degrees) * np.array([0.6, 0.0, 0.8])).as_matrix() @ first
    assert np.degrees(angle_between(second[None], first))[0] == pytest.approx(degrees, rel=1e-6, abs=1e-8)
    assert np.degrees(angle_between(1.3 * second[None], first))[0] == pytest.approx(degrees, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize(("thickness", "determined"), [(1e-4, True), (1e-7, False)])
def test_points_almost_on_a_line_still_determine_a_rotation(thickness: float, determined: bool) -> None:
    """The singular values go with the square of the thickness: down to 1e-10."""
    rng = np.random.default_rng(1)
    line = rng.normal(size=(20, 3)) * [1.0, thickness, thickness]
    sets = PointSets(line @ TURN.T, line)
    if determined:
        assert np.abs(closed_form(sets) - TURN).max() < 1e-6
    else:
        with pytest.raises(UserError, match="undetermined"):
            closed_form(sets)


def reference(
    sets: PointSets, parameterization: Parameterization, start: np.ndarray, steps: int
) -> tuple[list[float], list[float], list[int]]:
    """Costs, gradient norms and evaluations of Levenberg-Marquardt, by the rules of `ba.solve.levenberg_marquardt`."""
    problem, layout = make_problem(sets, "vector"), make_layout(make_problem(sets, "vector"), 3)
    theta, damping, growth, evaluations = start, 0.0, 2.0, 0
    costs, slopes, counts = [], [], []
    while True:
        variables = Variables(problem, parameterization, theta, layout)
        at = Residuals(problem).linearize(variables, np.zeros(3))
        r, J = at.residuals, at.csr().toarray()
        g, H = J.T @ r, J.T @ J
        costs.append(0.5 * float(r @ r))
        slopes.append(float(np.abs(g).max()))
        counts.append(evaluations)
        damping = damping or min(max(0.02 * 2.0 * costs[0] / np.sum(sets.p1**2), 3e-5), 1e-2)
        if len(costs) > steps:
            return costs, slopes, counts
        while True:
            step = -np.linalg.solve(H + damping * np.diag(H.diagonal()), g)
            evaluations += 1
            moved = parameterization.retract(theta, step[None])
            predicted = -(g @ step) - 0.5 * step @ H @ step
            gain = (costs[-1] - total(sets, parameterization.to_matrix(moved)[0])) / predicted
            if gain > 1e-3:
                damping, growth, theta = damping * max(1.0 / 3.0, 2.0 - 2.0 * gain), 2.0, moved
                break
            damping, growth = damping * growth, 2.0 * growth


@pytest.mark.parametrize(
    ("name", "degrees", "rejects"),
    [("so3_left", 20.0, 0), ("so3_left", 120.0, 0), ("cayley", 100.0, 0), ("cayley", 150.0, 4), ("cayley", 165.0, 7),
     ("euler_zxz", 140.0, 3), ("euler_xyz", 165.0, 4)],
)  # fmt: skip
def test_steps_follow_the_rule(name: str, degrees: float, rejects: int) -> None:
    sets, parameterization = noisy(), ROTATIONS[name]
    start = Rotation.from_rotvec(np.radians(degrees) * np.array([0.8, 0.0, -0.6])).as_matrix() @ closed_form(sets)
    theta = parameterization.from_matrix(start[None])
    (found,) = solve(sets, parameterization, theta, "vector", Alignment(max_iterations=6))
    n = min(len(found.steps) - 1, 6)
    costs, slopes, counts = reference(sets, parameterization, theta, n)
    assert [step.cost for step in found.steps] == pytest.approx(costs, rel=1e-7)
    assert [step.gradient_norm for step in found.steps[:-1]] == pytest.approx(slopes[:-1], rel=1e-4, abs=1e-8)
    assert [step.evaluations for step in found.steps] == counts
    assert counts[-1] - n == rejects


def test_as_many_steps_as_are_allowed_are_taken() -> None:
    sets = noisy()
    for steps in (0, 1, 3):
        (found,) = solve(
            sets, ROTATIONS["so3_left"], np.eye(3).reshape(1, 9), "vector", Alignment(max_iterations=steps)
        )
        assert len(found.steps) == steps + 1
        assert str(found.status) == "max_iterations"


def test_a_slope_of_a_thousandth_that_no_step_follows_is_no_convergence() -> None:
    """At gimbal lock Euler angles reach two directions; the gradient along the third stays."""
    p2 = np.concatenate([np.eye(3), -np.eye(3)])
    lock = Rotation.from_euler("xyz", [0.0, 0.5 * np.pi, 0.0]).as_matrix()
    euler = ROTATIONS["euler_xyz"]
    locked = euler.tangent_map(np.array([[0.0, 0.5 * np.pi, 0.0]]), np.zeros((1, 3)))[0]
    lost = np.linalg.svd(locked)[0][:, 2]  # no number turns about this axis
    p1 = p2 @ (Rotation.from_rotvec(5e-3 * lost).as_matrix() @ lock).T
    (found,) = solve(
        PointSets(p1, p2), euler, np.array([[0.0, 0.5 * np.pi, 0.0]]), "vector", Alignment(max_iterations=50)
    )
    assert found.steps[-1].cost > 1e-6
    assert str(found.status) == "failed"
    # Half of the residual's length does not turn: the cosine is small, and still counts as a slope.
    apart = np.concatenate([p2, 30.0 * p2])
    mixed = PointSets(np.concatenate([p1, 30.0 * 1.5 * p2 @ lock.T]), apart)
    assert 1e-6 < slope(mixed, lock, True) < 1e-2
    (found,) = solve(mixed, euler, np.array([[0.0, 0.5 * np.pi, 0.0]]), "vector", Alignment(max_iterations=50))
    assert str(found.status) == "failed"


def test_a_row_compares_ends_with_the_closed_form_and_with_the_truth() -> None:
    sets = noisy()
    best = closed_form(sets)
    row, course = lab.align(sets, best, "so3_left", "vector", np.eye(3))
    assert row.initial_cost == pytest.approx(total(sets, np.eye(3)), rel=1e-12)
    assert row.final_cost == pytest.approx(total(sets, best), rel=1e-9)
    assert row.to_closed_form < 1e-6
    right = Rotation.from_matrix(best @ TURN.T).magnitude()
    assert right > 0.01
    assert row.to_truth == pytest.approx(right, rel=1e-4)
    assert len(course.steps) == row.iterations + 1


def test_starts_from_afar_begin_at_their_angle_and_reach_what_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = noisy()
    best, starts = closed_form(sets), Starts(count=8, angles_deg=[30.0, 120.0], seed=3)
    for row in lab.from_afar(sets, best, ("so3_left", "vector"), starts, Alignment(max_iterations=0)):
        assert (row.reached, row.of) == (0, 8), "without a step none is there"
    begun = []
    original = lab.solve

    def spied(sets: PointSets, rotation: object, theta: np.ndarray, *rest: object) -> object:
        begun.append(theta)
        return original(sets, rotation, theta, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(lab, "solve", spied)
    starts = Starts(count=8, angles_deg=[0.01, 30.0, 120.0], seed=3)
    rows = list(lab.from_afar(sets, best, ("so3_left", "vector"), starts, Alignment()))
    angles = Rotation.from_matrix(np.concatenate(begun).reshape(-1, 3, 3) @ best.T).magnitude()
    assert np.degrees(angles) == pytest.approx(np.repeat([0.01, 30.0, 120.0], 8), rel=1e-6)
    assert [row.reached for row in rows] == [8, 8, 8]


def test_an_end_that_costs_a_millionth_more_has_not_reached_the_optimum() -> None:
    sets = noisy()
    best = closed_form(sets)
    for radians, there in ((1e-7, True), (1e-2, False)):
        start = Rotation.from_rotvec([radians, 0.0, 0.0]).as_matrix() @ best
        (course,) = solve(sets, ROTATIONS["so3_left"], start.reshape(1, 9), "vector", Alignment(max_iterations=0))
        excess = course.end.cost / total(sets, best) - 1.0
        assert (excess < 1e-8) is there
        assert excess < 0.05
        assert lab.reaches(course, sets, best) is there


@pytest.mark.parametrize("sigma", [0.0, 0.2])
def test_generated_sets_have_the_ordered_rotation_and_noise(sigma: float) -> None:
    options = Generated(points=20_000, sigma=sigma, axis_angle=(0.7, -0.4, 1.1))
    sets = data.generate(options)
    R = Rotation.from_rotvec([0.7, -0.4, 1.1]).as_matrix()
    assert sets.truth == pytest.approx(R, abs=1e-12)
    noise = sets.p1 - sets.p2 @ R.T
    assert np.sqrt(np.mean(noise**2)) == pytest.approx(sigma, rel=0.02, abs=1e-12)

"""Terms beside the reprojections: derivatives, and that every solver and every analysis takes them as they are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from ba.analyse.derivatives import JACOBIANS, jacobian
from ba.analyse.free_directions import directions_and_condition
from ba.analyse.hessian import hessian_product
from ba.analyse.optimum import make_optimum, refine
from ba.analyse.sensitivity import fixed, to_fixed, to_observations
from ba.model.loss import LOSSES, scaled
from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import Residuals, as_state
from ba.model.rotation import ROTATIONS, so3
from ba.model.similarity import Similarity, transform
from ba.model.terms import TERMS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Camera, Fix, Noise
from ba.prepare.select import select
from ba.solve import solve
from tests.support.scenes import random_problem
from tests.support.terms import MADE

RNG = np.random.default_rng(5)
TIGHT = {"ftol": 0.0, "xtol": 1e-15, "gtol": 1e-11, "max_iterations": 500}
WAYS = {
    "dense": {"backend": "schur", "linear": "dense"},
    "sparse": {"backend": "schur", "linear": "sparse"},
    "cg": {"backend": "schur", "linear": "cg"},
    "power": {"backend": "schur", "linear": "cg", "cg_preconditioner": "power"},
    "scipy": {"backend": "scipy"},
    "plain": {"backend": "scipy", "preconditioner": "none", "max_iterations": 3000},
    "lm": {"backend": "scipy", "method": "lm", "max_iterations": 3000},
}


def test_every_term_of_the_registry_is_tried() -> None:
    assert MADE.keys() == TERMS.keys()


def with_terms(names: str, models: tuple[str, ...] = ("pinhole",), noise: float = 1.0) -> Problem:
    """Four images of seven points, intrinsics held; noise: of pixels, px, and of what the terms know, as a share."""
    problem = random_problem(np.random.default_rng(7), models, noise_px=noise)
    problem = select(problem, Camera(refine="none"), Fix(), "free")
    return replace(problem, terms=tuple(MADE[name](problem, RNG, noise) for name in names.split()))


def stacked(problem: Problem) -> np.ndarray:
    """The residuals of all terms at the problem's own state."""
    return Residuals(problem).stacked(as_state(problem))


@pytest.mark.parametrize("rotation", ["so3_left", "quaternion", "euler_xyz", "matrix9"])
@pytest.mark.parametrize("name", TERMS)
def test_derivatives_are_those_of_complex_steps(name: str, rotation: str) -> None:
    problem = with_terms(name)
    variables = make_variables(problem, ROTATIONS[rotation])
    x = variables.start + 0.01 * np.random.default_rng(1).normal(size=variables.layout.size)
    n = 2 * problem.num_observations
    right, found = (jacobian(variables, x, how)[n:].toarray() for how in ("complex_columns", "analytic"))
    assert np.abs(found - right).max() <= 1e-12 * np.abs(right).max()
    assert np.abs(right).max() > 0.0
    for how in JACOBIANS:
        if JACOBIANS[how].exact and how != "automatic":
            assert np.abs(jacobian(variables, x, how)[n:].toarray() - right).max() <= 1e-12 * np.abs(right).max(), how


@pytest.mark.parametrize("name", TERMS)
def test_the_same_knowledge_in_another_frame_has_the_same_residuals(name: str) -> None:
    problem = with_terms(name)
    similarity = Similarity(3.0, so3.exp(np.array([0.3, -1.0, 0.5])), np.array([1.0, -2.0, 5.0]))
    moved = transform(problem, similarity)
    n, shape = 2 * problem.num_observations, problem.terms[0].shape
    here, there = (np.linalg.norm(stacked(one)[n:].reshape(shape), axis=1) for one in (problem, moved))
    np.testing.assert_allclose(there, here, rtol=1e-9)


@pytest.mark.parametrize("name", TERMS)
def test_members_are_taken_and_points_renumbered(name: str) -> None:
    problem = with_terms(name)
    (term,) = problem.terms
    state = make_variables(problem, ROTATIONS["so3_left"]).at(make_variables(problem, ROTATIONS["so3_left"]).start)
    np.testing.assert_array_equal(term.take(slice(1, 3)).residual(state), term.residual(state)[1:3])
    order = np.random.default_rng(2).permutation(problem.num_points).astype(np.int32)
    points = np.empty_like(problem.points)
    points[order] = problem.points
    np.testing.assert_array_equal(term.renumbered(order).residual(replace(state, points=points)), term.residual(state))
    assert term.shape == term.residual(state).shape == term.measured().shape


def dense_solution(problem: Problem) -> Problem:
    """The least cost by Gauss-Newton in numpy on the dense Jacobian of complex steps."""
    variables = make_variables(problem, ROTATIONS["so3_left"])
    for _ in range(30):
        J = jacobian(variables, variables.start, "complex_columns").toarray()
        r = stacked(variables.problem)
        variables = variables.moved(variables.start - np.linalg.lstsq(J, r, rcond=1e-11)[0])
    return variables.problem


@pytest.mark.parametrize("models", [("pinhole",), ("bal",) * 4], ids=["shared", "own"])
@pytest.mark.parametrize("names", ["position", "distance", "position distance", "position distance alignment"])
def test_every_solver_ends_where_dense_least_squares_does(names: str, models: tuple[str, ...]) -> None:
    """Residuals at the end are small, so that float64 tells steps of 1e-10 from none; terms pull the start along."""
    problem = with_terms(names, models, noise=1e-7)
    problem = perturb(problem, Noise(points=0.02, position=0.02, rotation_deg=0.1), seed=1)
    right = measurable(dense_solution(problem))
    for way, options in WAYS.items():
        solution = solve(problem, options={**TIGHT, **options})
        off = np.abs(measurable(solution.problem) - right).max() / np.abs(right).max()
        assert off <= (1e-10 if way in ("dense", "sparse", "scipy") else 1e-6), (way, off, solution.message)


@pytest.mark.parametrize("names", ["position", "distance", "position distance alignment"])
def test_terms_and_observations_that_disagree_are_weighed_as_in_dense_least_squares(names: str) -> None:
    problem = with_terms(names)
    right = measurable(dense_solution(problem))
    for backend in ("schur", "scipy"):
        solution = solve(problem, options={**TIGHT, "backend": backend})
        assert np.abs(measurable(solution.problem) - right).max() <= 1e-6 * np.abs(right).max()
        assert np.abs(right - measurable(problem)).max() >= 1e-4 * np.abs(right).max()


def measurable(problem: Problem) -> np.ndarray:
    """Distances between all points and camera centres, which no choice of the frame changes."""
    return pdist(np.concatenate([problem.points, problem.centers]))


@pytest.mark.parametrize("backend", ["schur", "scipy"])
def test_a_term_has_its_own_loss(backend: str) -> None:
    problem = with_terms("position")
    (term,) = problem.terms
    outlier = term.position.copy()
    outlier[2] += 5.0
    cost = {}
    for loss in (None, scaled(LOSSES["cauchy"], 0.5)):
        wrong = replace(problem, terms=(replace(term, position=outlier, loss=loss),))
        solution = solve(wrong, options={**TIGHT, "backend": backend})
        off = np.linalg.norm(solution.problem.centers - term.position, axis=1)
        cost[loss is None] = (off[[0, 1, 3]].max(), solution.final_cost)
    assert cost[False][0] < 0.3 * cost[True][0]
    r = stacked(replace(solution.problem, terms=wrong.terms))
    n = 2 * problem.num_observations
    squares = np.sum(r[n:].reshape(-1, 3) ** 2, axis=1)
    right = 0.5 * (r[:n] @ r[:n] + 0.25 * np.log1p(squares / 0.25).sum())
    assert solution.final_cost == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("names", ["position", "distance", "position distance alignment", "alignment_distance"])
@pytest.mark.parametrize("rotation", ["so3_left", "matrix9"])
def test_hessian_products_are_differences_of_gradients(names: str, rotation: str) -> None:
    problem = with_terms(names)
    variables = make_variables(problem, ROTATIONS[rotation])
    residuals, x = Residuals(problem), variables.start
    v = np.random.default_rng(3).normal(size=len(x))

    def gradient(x: np.ndarray) -> np.ndarray:
        at = residuals.linearize(variables, x)
        return at.vjp(at.residuals)

    h = 1e-6
    right = (gradient(x + h * v) - gradient(x - h * v)) / (2 * h)
    found = hessian_product(residuals, variables, x, v).total
    assert np.abs(found - right).max() <= 1e-7 * np.abs(right).max()


@pytest.mark.parametrize(
    ("names", "expected"), [("position", 0), ("distance", 6), ("alignment", 0), ("position distance", 0)]
)
@pytest.mark.parametrize("models", [("pinhole",), ("bal",) * 4], ids=["shared", "own"])
def test_free_directions_are_counted_from_all_terms(names: str, expected: int, models: tuple[str, ...]) -> None:
    problem = condition(with_terms(names, models)).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    J = Residuals(problem).linearize(variables, variables.start).csr().toarray()
    values = np.linalg.svd(J / np.linalg.norm(J, axis=0), compute_uv=False)
    assert J.shape[1] - int((values > 1e-9 * values[0]).sum()) == expected
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == expected


@pytest.mark.parametrize("names", ["position", "position distance"])
def test_sensitivities_are_those_of_solving_again(names: str) -> None:
    problem = with_terms(names)
    at = refine(solve(problem, options={**TIGHT, "backend": "schur"}).problem)
    optimum = make_optimum(at)
    direction = np.random.default_rng(4).normal(size=at.pixels.shape)
    h = 1e-4
    ahead, behind = (refine(replace(at, pixels=at.pixels + sign * h * direction)).points for sign in (1.0, -1.0))
    found = to_observations(optimum).jvp(direction.ravel())
    columns = optimum.variables.layout.point_columns
    np.testing.assert_allclose(found[columns], (ahead - behind) / (2 * h), rtol=1e-5, atol=1e-7)


def test_what_is_held_has_a_sensitivity_too() -> None:
    problem = with_terms("position distance")
    points = problem.free.points.copy()
    points[[1, 2]] = False
    held = problem.with_free(replace(problem.free, points=points))
    at = refine(solve(held, options={**TIGHT, "backend": "schur"}).problem)
    optimum = make_optimum(at)
    images = np.zeros(4, bool)
    given = replace(fixed(at), rotations=images, translations=np.zeros((4, 3), bool))
    given = replace(given, intrinsics=np.zeros_like(given.intrinsics))
    sensitivity, h = to_fixed(optimum, given), 1e-4
    direction = np.random.default_rng(4).normal(size=6)

    def moved(sign: float) -> np.ndarray:
        X = at.points.copy()
        X[[1, 2]] += sign * h * direction.reshape(2, 3)
        return refine(replace(at, points=X)).points

    found = sensitivity.jvp(direction)
    columns = optimum.variables.layout.point_columns
    free = columns[:, 0] >= 0
    np.testing.assert_allclose(found[columns[free]], ((moved(1.0) - moved(-1.0)) / (2 * h))[free], rtol=1e-5, atol=1e-7)


def test_a_problem_far_from_the_origin_keeps_its_terms() -> None:
    problem = with_terms("position distance")
    far = transform(problem, Similarity(1.0, np.eye(3), np.array([5e5, 4e6, 100.0])))
    here, there = (solve(one, options={**TIGHT, "backend": "schur"}) for one in (problem, far))
    assert there.final_cost == pytest.approx(here.final_cost, rel=1e-6)

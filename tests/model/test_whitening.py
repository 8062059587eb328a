"""Covariances: the cost is half the sum of r^T S^-1 r, with S from outside, and everything else follows from it."""

from dataclasses import replace

import numpy as np
import pytest

from ba.errors import UserError
from ba.model.loss import LOSSES, scaled
from ba.model.options import Loss
from ba.model.problem import Problem, make_problem
from ba.model.residual import Residuals, whitener
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.solve import solve
from ba.solve.objective import Objective
from ba.solve.options import Solver
from tests.support import textbook
from tests.support.scenes import random_problem

EPS = np.finfo(float).eps


def correlated(seed: int = 3, models: tuple[str, ...] = ("bal", "pinhole")) -> Problem:
    """A small problem whose two coordinates of each observation hang together closely, with sigmas far apart."""
    problem = random_problem(np.random.default_rng(seed), models, n_points=5)
    rng = np.random.default_rng(seed)
    sigmas = rng.uniform(0.2, 5.0, (problem.num_observations, 2))
    rho = rng.choice([-0.9, 0.5, 0.95], problem.num_observations)
    covariances = sigmas[:, :, None] * sigmas[:, None, :] * np.array([[1.0, 0.0], [0.0, 1.0]])
    covariances[:, 0, 1] = covariances[:, 1, 0] = rho * sigmas[:, 0] * sigmas[:, 1]
    return replace(problem, covariances=covariances)


def test_the_squared_whitened_residual_is_r_s_inverse_r() -> None:
    problem = correlated()
    variables = make_variables(problem, ROTATIONS["so3_left"])
    r, _ = Residuals(problem).residual(variables.at(variables.start))
    assert np.sum(r**2, axis=1) == pytest.approx(textbook.squares(problem), rel=1e-10)


def test_the_whitener_makes_the_inverse_covariance() -> None:
    problem = correlated()
    W = whitener(problem)
    assert W is not None
    assert np.allclose(W.transpose(0, 2, 1) @ W @ problem.covariances, np.eye(2), atol=1e-10)
    assert whitener(replace(problem, covariances=None)) is None


@pytest.mark.parametrize("name", LOSSES)
def test_cost_and_gradient_are_those_of_the_textbook_under_every_loss(name: str) -> None:
    problem = correlated()
    variables = make_variables(problem, ROTATIONS["so3_left"])
    objective = Objective(Residuals(problem), None if name == "linear" else scaled(LOSSES[name], 1.5))
    linearization = objective.residuals.linearize(variables, variables.start)
    assert objective.cost(linearization.residual) == pytest.approx(textbook.cost(problem, name, 1.5), rel=1e-12)
    right = textbook.gradient(problem, name, 1.5)
    assert np.abs(objective.gradient(linearization) - right).max() < 1e-7 * np.abs(right).max()


@pytest.mark.parametrize("backend", ["scipy", "schur"])
@pytest.mark.parametrize("name", ["linear", "huber"])
def test_a_solve_reports_the_costs_of_its_ends(name: str, backend: str) -> None:
    problem = correlated()
    solution = solve(problem, loss=Loss(name=name, scale=1.5), options=Solver(backend=backend, max_iterations=3))
    assert solution.initial_cost == pytest.approx(textbook.cost(problem, name, 1.5), rel=1e-10)
    assert solution.final_cost == pytest.approx(textbook.cost(solution.problem, name, 1.5), rel=1e-8)
    assert solution.final_cost < solution.initial_cost


def test_the_gauss_newton_equations_of_a_loss_weigh_rows_with_its_slope() -> None:
    problem = correlated()
    variables = make_variables(problem, ROTATIONS["so3_left"])
    objective = Objective(Residuals(problem), scaled(LOSSES["cauchy"], 0.5))
    r, A, B = (np.array(block) for block in objective.residuals.blocks(variables.at(variables.start)))
    slope = 1.0 / (1.0 + np.sum(r**2, axis=1) / 0.5**2)
    blocks = r.copy(), A.copy(), B.copy()
    objective.correct(blocks)
    assert np.allclose(np.einsum("nai,na->ni", blocks[1], blocks[0]), slope[:, None] * np.einsum("nai,na->ni", A, r))
    assert np.allclose(np.einsum("nai,naj->nij", blocks[2], blocks[2]), slope[:, None, None] * B.transpose(0, 2, 1) @ B)


def test_an_observation_far_out_keeps_a_weight_as_small_as_its_slope() -> None:
    objective = Objective(Residuals(correlated()), scaled(LOSSES["cauchy"], 1.0))
    r = np.zeros((objective.residuals.problem.num_observations, 2))
    r[:2, 0] = 1e4, 1e30
    scale = objective.row_scales(r)
    assert np.shape(scale) == (r.size,)
    assert scale[:2] == pytest.approx(1e-4, rel=1e-6)
    assert scale[2:4] == pytest.approx(np.sqrt(EPS))
    assert scale[4:] == pytest.approx(1.0)


def test_the_norm_of_the_pixels_is_that_of_the_covariances() -> None:
    problem = correlated()
    right = np.sqrt(sum(p @ np.linalg.solve(S, p) for p, S in zip(problem.pixels, problem.covariances, strict=True)))
    assert Objective(Residuals(problem), None).pixel_norm == pytest.approx(right, rel=1e-12)
    plain = replace(problem, covariances=None)
    assert Objective(Residuals(plain), None).pixel_norm == pytest.approx(np.linalg.norm(problem.pixels), rel=1e-14)


def test_rounding_is_that_of_the_sum_and_of_pixels_that_are_five_from_the_origin() -> None:
    problem = correlated()
    pixels = np.zeros_like(problem.pixels)
    pixels[7] = 3.0, 4.0
    rounding = Objective(Residuals(replace(problem, pixels=pixels, covariances=None)), None).rounding
    assert rounding(0.0) == pytest.approx((80.0 * EPS) ** 2, rel=1e-12, abs=0.0)
    assert rounding(2.0) == pytest.approx((128.0 + 2.0 * 80.0) * EPS, rel=1e-12, abs=0.0)
    nothing = Objective(Residuals(replace(problem, pixels=0.0 * pixels, covariances=None)), None).rounding
    assert nothing(2.0) == pytest.approx(128.0 * EPS, rel=1e-12, abs=0.0)


def test_a_cost_that_is_not_finite_is_infinite() -> None:
    r = np.zeros_like(correlated().pixels)
    for worst in (np.nan, np.inf, 1e200):
        r[1, 0] = worst
        for loss in (None, LOSSES["huber"]):
            cost = Objective(Residuals(correlated()), loss).cost(r)
            assert cost == np.inf or (worst == 1e200 and loss is not None)


@pytest.mark.parametrize(
    ("covariance", "taken"),
    [
        ([[4.0, 1.9], [1.9, 1.0]], True),
        ([[4.0, 1.9], [1.9 + 1e-12, 1.0]], True),
        ([[4.0, 1.9], [1.8, 1.0]], False),
        ([[4.0, 2.1], [2.1, 1.0]], False),
        ([[-4.0, 0.0], [0.0, -1.0]], False),
    ],
)
def test_a_covariance_is_symmetric_and_positive_definite(covariance: list[list[float]], taken: bool) -> None:
    problem = correlated()
    covariances = problem.covariances.copy()
    covariances[7] = covariance
    names = "rotations", "translations", "camera_models", "intrinsics", "points", "image_of_obs", "point_of_obs"
    known = {name: getattr(problem, name) for name in (*names, "pixels", "camera_of_image")}
    if taken:
        assert np.array_equal(make_problem(**known, covariances=covariances).covariances[7], covariance)
    else:
        with pytest.raises(UserError, match=r"covariances\[7\]"):
            make_problem(**known, covariances=covariances)

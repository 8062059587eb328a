"""Second order by numpy: products are those of a Hessian of differences, shares those of its eigenvalues."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ba.analyse.hessian import hessian_product
from ba.analyse.optimum import Optimum, make_optimum, refine
from ba.analyse.sensitivity import to_fixed, to_observations
from ba.errors import UserError
from ba.model.loss import LOSSES, scaled
from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.options import Camera, Fix
from ba.prepare.select import select
from ba.solve import solve
from ba.solve.options import Solver
from tests.support import textbook
from tests.support.scenes import random_problem

LINEAR, ROBUST = Loss(), Loss(name="cauchy", scale=1.0)


@cache
def start(noise_px: float = 3.0) -> Problem:
    """A small problem with misfits that count, in no order, with correlated covariances."""
    rng = np.random.default_rng(17)
    problem = random_problem(rng, ("bal",) * 4, noise_px=noise_px, n_points=12)
    sigmas = rng.uniform(0.5, 2.0, (problem.num_observations, 2))
    covariances = sigmas[:, :, None] * sigmas[:, None, :] * np.array([[1.0, 0.8], [0.8, 1.0]])
    problem = replace(problem.take(rng.permutation(problem.num_observations)), covariances=covariances)
    return select(problem, Camera(refine=["f"]), Fix(), "three_points")


@cache
def solved(loss: Loss = LINEAR, noise_px: float = 3.0) -> Problem:
    options = Solver(backend="schur", ftol=1e-13, max_iterations=300)
    return refine(solve(start(noise_px), loss=loss, options=options).problem, loss=loss)


def hessian(problem: Problem, loss: Loss) -> np.ndarray:
    """(size, size) by differences of the gradient."""
    variables = make_variables(problem, ROTATIONS["so3_left"])
    residuals = Residuals(problem)
    rho = scaled(LOSSES[loss.name], loss.scale)

    def gradient(x: np.ndarray) -> np.ndarray:
        linearization = residuals.linearize(variables, x)
        r = linearization.residual
        return linearization.vjp(r * rho(np.sum(r**2, axis=1))[1][:, None])

    x, h = variables.start, 1e-6
    columns = []
    for e in np.eye(len(x)):
        columns.append((8 * (gradient(x + h * e) - gradient(x - h * e))) / (12 * h))
        columns[-1] -= (gradient(x + 2 * h * e) - gradient(x - 2 * h * e)) / (12 * h)
    return np.stack(columns, axis=1)


def gauss_newton(problem: Problem, loss: Loss) -> np.ndarray:
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    first = scaled(LOSSES[loss.name], loss.scale)(np.sum(linearization.residual**2, axis=1))[1]
    J = linearization.csr().toarray()
    return J.T @ (np.repeat(first, 2)[:, None] * J)


@pytest.mark.parametrize("name", LOSSES)
def test_products_are_those_of_a_hessian_of_differences(name: str) -> None:
    problem, loss = start(), Loss(name=name, scale=2.0)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    v = np.random.default_rng(0).normal(size=variables.layout.size)
    rho = None if name == "linear" else scaled(LOSSES[name], 2.0)
    found = hessian_product(Residuals(problem), variables, variables.start, v, rho)
    H, G = hessian(problem, loss), gauss_newton(problem, loss)
    scale = np.sqrt(np.diag(G))
    assert np.abs((found.gauss_newton - G @ v) / scale).max() < 1e-9 * np.abs(G @ v / scale).max()
    assert np.abs((found.total - H @ v) / scale).max() < 1e-5 * np.abs(H @ v / scale).max()
    assert np.abs(found.curvature / scale).max() > 1e-3 * np.abs(found.total / scale).max(), "the rest counts here"


@pytest.mark.parametrize("loss", [LINEAR, ROBUST])
def test_curvature_is_told_as_shares_of_gauss_newtons_matrix(loss: Loss) -> None:
    problem = solved(loss)
    H, G = hessian(problem, loss), gauss_newton(problem, loss)
    L = np.linalg.cholesky(G)
    share = np.linalg.solve(L, np.linalg.solve(L, 0.5 * (H + H.T) - G).T)
    values = np.linalg.eigvalsh(0.5 * (share + share.T))
    optimum = make_optimum(problem, loss=loss)
    found = [optimum.curvature(seed) for seed in range(12)]
    size = np.abs(values).max()
    assert found[0].lowest == pytest.approx(values[0], abs=1e-3 * size)
    assert found[0].highest == pytest.approx(values[-1], abs=1e-3 * size)
    assert -1.0 < found[0].lowest < 0.0 < found[0].highest
    # A random direction knows the root mean square to some per cent, and twelve of them to a few.
    typical = np.sqrt(np.mean([one.typical**2 for one in found]))
    assert typical == pytest.approx(np.sqrt(np.mean(values**2)), rel=0.12)


@pytest.mark.parametrize("loss", [LINEAR, ROBUST])
def test_solves_undo_the_hessian_and_gauss_newtons_matrix(loss: Loss) -> None:
    problem = solved(loss)
    optimum, G = make_optimum(problem, loss=loss), gauss_newton(problem, loss)
    eye = np.eye(len(G))
    H = np.stack([optimum.product(e).total for e in eye], axis=1)
    scale = np.sqrt(np.diag(G))
    g = scale * np.random.default_rng(1).normal(size=len(G))
    for right, exact in ((np.linalg.solve(H, g), True), (np.linalg.solve(G, g), False)):
        assert np.abs(scale * (optimum.solve(g, exact=exact) - right)).max() < 1e-9 * np.abs(scale * right).max()
    assert optimum.scale == pytest.approx(scale, rel=1e-10)
    moved = _near(problem, 1e-4)
    away = make_optimum(moved, loss=loss)
    g = away.gradient
    expected = np.sqrt(g @ np.linalg.solve(gauss_newton(moved, loss), g))
    assert away.remaining == pytest.approx(expected, rel=1e-6)


def _near(problem: Problem, share: float) -> Problem:
    """Off the optimum so far that a Gauss-Newton step promises this square's share of the cost to be gained."""
    rng = np.random.default_rng(4)
    direction = rng.normal(size=problem.points.shape) * problem.free.points[:, None]
    size = 1e-6
    for _ in range(6):
        moved = replace(problem, points=problem.points + size * direction)
        size *= share / np.sqrt(promised(moved)[0] / promised(moved)[1])
    return replace(problem, points=problem.points + size * direction)


def promised(problem: Problem) -> tuple[float, float]:
    """What a Gauss-Newton step promises to take from the cost, and the cost, by numpy."""
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    J, r = linearization.csr().toarray(), linearization.residual.ravel()
    g = J.T @ r
    return 0.5 * float(g @ np.linalg.solve(J.T @ J, g)), textbook.cost(problem)


@pytest.mark.parametrize(("share", "taken"), [(1e-8, True), (0.8e-6, True), (1.25e-6, False), (1e-5, False)])
def test_an_optimum_leaves_a_millionth_of_the_cost_at_most(share: float, taken: bool) -> None:
    moved = _near(solved(), float(np.sqrt(share)))
    left, cost = promised(moved)
    assert left / cost == pytest.approx(share, rel=0.02)
    if taken:
        make_optimum(moved)
    else:
        with pytest.raises(UserError, match="not at an optimum"):
            make_optimum(moved)


@pytest.mark.parametrize(("px", "taken"), [(0.3e-9, True), (3e-9, False), (1e-4, False)])
def test_where_everything_fits_what_is_left_may_be_a_billionth_of_a_pixel(px: float, taken: bool) -> None:
    exact = replace(start(), pixels=textbook.pixels(start()), covariances=None)
    points = exact.points + 1e-3 * exact.free.points[:, None]
    off = replace(exact, points=points)
    n = exact.num_observations
    size = px / np.sqrt(2.0 * textbook.cost(off) / n)
    points = exact.points + size * 1e-3 * exact.free.points[:, None]
    if taken:
        make_optimum(replace(exact, points=points))
    else:
        with pytest.raises(UserError, match="not at an optimum"):
            make_optimum(replace(exact, points=points))


@pytest.mark.parametrize("loss", [LINEAR, ROBUST])
def test_refining_converges_as_newtons_method_does(loss: Loss) -> None:
    """From some way off, in few steps and to the very optimum: with the exact Hessian each squares the distance."""
    problem = solved(loss)
    near = replace(problem, points=problem.points + 1e-5 * problem.free.points[:, None])
    refined = refine(near, loss=loss)
    assert np.abs(refined.points - problem.points).max() < 1e-10
    assert make_optimum(refined, loss=loss).remaining < 1e-9


def test_what_the_observations_do_not_determine_is_refused() -> None:
    """A focal length that trades with depth: three points held give no scale along the axis of a single camera."""
    problem = start()
    with pytest.raises(UserError, match="do not determine every free number"):
        make_optimum(problem.take(problem.image_of_obs == 0))
    free = replace(problem.free, points=np.ones(problem.num_points, bool))
    with pytest.raises(UserError, match="do not determine every free number"):
        make_optimum(problem.with_free(free))


def dense_sensitivity(optimum: Optimum, problem: Problem, loss: Loss, exact: bool) -> np.ndarray:
    """(size, 2 n_obs): -H^-1 dg/dp by numpy, columns in the order of `problem`."""
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    J, r = linearization.csr().toarray(), linearization.residual
    W = np.linalg.inv(np.linalg.cholesky(problem.covariances))
    _, first, second = scaled(LOSSES[loss.name], loss.scale)(np.sum(r**2, axis=1))
    n = len(r)
    by_pixels = np.zeros((2 * n, 2 * n))
    for i in range(n):
        change = first[i] * np.eye(2) + (2.0 * second[i] * np.outer(r[i], r[i]) if exact else 0.0)
        by_pixels[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = -change @ W[i]
    H = (
        np.stack([optimum.product(e).total for e in np.eye(J.shape[1])], axis=1)
        if exact
        else gauss_newton(problem, loss)
    )
    return -np.linalg.solve(H, J.T @ by_pixels)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("loss", [LINEAR, ROBUST])
def test_sensitivities_to_pixels_are_those_of_the_implicit_function_theorem(loss: Loss, exact: bool) -> None:
    problem = solved(loss)
    optimum = make_optimum(problem, loss=loss)
    right = dense_sensitivity(optimum, problem, loss, exact)
    found = to_observations(optimum, exact=exact)
    rng = np.random.default_rng(3)
    dp, w = rng.normal(size=right.shape[1]), rng.normal(size=right.shape[0]) * optimum.scale
    assert (
        np.abs(optimum.scale * (found.jvp(dp) - right @ dp)).max() < 1e-7 * np.abs(optimum.scale * (right @ dp)).max()
    )
    assert np.abs(found.vjp(w) - w @ right).max() < 1e-7 * np.abs(w @ right).max()


def test_sensitivity_to_what_is_held_is_what_solving_again_finds() -> None:
    problem = solved()
    optimum = make_optimum(problem)
    held = np.flatnonzero(~problem.free.points)
    h, ends = 1e-5, []
    for step in (h, -h):
        points = problem.points.copy()
        points[held[0], 1] += step
        ends.append(refine(replace(problem, points=points)).points)
    right = (ends[0] - ends[1]) / (2.0 * h)
    sensitivity = to_fixed(optimum)
    free = problem.free
    dp = np.zeros(len(sensitivity.vjp(np.zeros(optimum.variables.layout.size))))
    dp[len(dp) - 3 * len(held) + 1] = 1.0
    points = sensitivity.jvp(dp)[optimum.variables.layout.num_reduced :].reshape(-1, 3)
    assert np.abs(points - right[free.points]).max() < 1e-5 * np.abs(right).max()

"""How a solution moves is what re-solving finds, for every rotation, gauge, loss and kind of parameter."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ba.analyse.optimum import make_optimum, refine
from ba.analyse.sensitivity import to_fixed, to_observations
from ba.errors import SolverError, UserError
from ba.model.camera import CAMERAS
from ba.model.loss import LOSSES
from ba.model.options import Loss
from ba.model.problem import Free, Problem
from ba.model.rotation import ROTATIONS, so3
from ba.model.similarity import Similarity, transform
from ba.prepare.options import Camera, Fix
from ba.prepare.select import select
from ba.solve import solve
from ba.solve.options import Solver
from scripts.show_sensitivity import KINDS, differences
from tests.support.scenes import random_problem

LINEAR = Loss()
TIGHT = Solver(backend="schur", ftol=1e-12)
MINIMAL = [name for name, rotation in ROTATIONS.items() if rotation.tangent_dim == 3]
SURPLUS = [name for name, rotation in ROTATIONS.items() if rotation.tangent_dim > 3 and rotation.stays_rotation]


@cache
def solved(gauge: str = "three_points", loss: Loss = LINEAR, *, mixed: bool = False) -> Problem:
    """A small problem at its optimum, in no order, with covariances."""
    rng = np.random.default_rng(23)
    models = tuple(CAMERAS) if mixed else (next(iter(CAMERAS)),) * 4
    problem = random_problem(rng, models, covariances=True, noise_px=0.3, n_points=20)
    order = rng.permutation(problem.num_observations)
    problem = replace(
        problem,
        **{name: getattr(problem, name)[order] for name in ("image_of_obs", "point_of_obs", "pixels", "covariances")},
    )
    held = select(problem, Camera(refine=["f", "fx", "fy"] if mixed else ["f"]), Fix(), gauge)
    return refine(solve(held, loss=loss, options=TIGHT).problem, loss=loss)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gauge", "mixed"), [("two_cameras", False), ("three_points", True)])
@pytest.mark.parametrize("name", LOSSES)
def test_exact_sensitivity_is_what_resolving_finds(name: str, gauge: str, mixed: bool, kind: str) -> None:
    loss = Loss(name=name, scale=3.0)
    optimum = make_optimum(solved(gauge, loss, mixed=mixed), loss=loss)
    make, change = KINDS[kind]
    ways = make(optimum), make(optimum, exact=False)
    for found in differences(optimum, ways, change(optimum), 1):
        assert found.exact < 1e-5
        assert found.gauss_newton > 100.0 * found.exact


@pytest.mark.parametrize("rotation", MINIMAL)
def test_points_move_alike_whatever_the_rotation(rotation: str) -> None:
    problem = solved()
    dp = np.random.default_rng(1).normal(size=2 * problem.num_observations)
    moves = []
    for name in ("so3_left", rotation):
        optimum = make_optimum(problem, rotation=name)
        moves.append(to_observations(optimum).jvp(dp)[optimum.variables.layout.num_reduced :])
    assert np.abs(moves[1] - moves[0]).max() < 1e-6 * np.abs(moves[0]).max()


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_vjp_is_the_transpose_of_jvp(kind: str, exact: bool) -> None:
    loss = Loss(name="soft_l1", scale=3.0)
    optimum = make_optimum(solved("two_cameras", loss, mixed=True), loss=loss)
    make, change = KINDS[kind]
    sensitivity = make(optimum, exact=exact)
    rng = np.random.default_rng(2)
    w = rng.normal(size=optimum.variables.layout.size) * optimum.scale
    dp = rng.normal(size=change(optimum)[1])
    pulled = sensitivity.vjp(w)
    assert pulled.shape == dp.shape
    assert abs(pulled @ dp - w @ sensitivity.jvp(dp)) < 1e-9 * (np.abs(pulled) @ np.abs(dp))


@pytest.mark.parametrize("exact", [False, True])
def test_the_scene_goes_with_its_fixed_points_by_any_similarity(exact: bool) -> None:
    problem = solved("three_points")
    h, w = 1e-7, np.array([0.3, -0.5, 0.2])
    ahead, behind = (
        transform(problem, Similarity(1.0 + s * 0.4, so3.exp(s * w), s * np.array([1.0, 2.0, -1.0]))) for s in (h, -h)
    )
    velocity = (ahead.points - behind.points) / (2.0 * h)
    optimum = make_optimum(problem)
    free, nothing = problem.free.points, {name: np.zeros_like(mask) for name, mask in vars(problem.free).items()}
    held = Free(**nothing | {"points": ~free})
    dx = to_fixed(optimum, held, exact=exact).jvp(velocity[~free].ravel())
    points = dx[optimum.variables.layout.num_reduced :].reshape(-1, 3)
    assert np.abs(points - velocity[free]).max() < 1e-6 * np.abs(velocity).max()


def test_hessian_is_a_share_of_gauss_newtons_matrix_away_from_it_as_the_distance_says() -> None:
    optimum = make_optimum(solved())
    eye = np.eye(optimum.variables.layout.size)
    products = [optimum.product(e) for e in eye]
    G, C = (np.array([getattr(p, name) for p in products]) for name in ("gauss_newton", "curvature"))
    L = np.linalg.cholesky(G)
    shares = np.linalg.eigvalsh(np.linalg.solve(L, np.linalg.solve(L, (C + C.T) / 2.0).T))
    curvature = optimum.curvature()
    assert [curvature.lowest, curvature.highest] == pytest.approx([shares.min(), shares.max()], rel=1e-3)
    assert curvature.typical == pytest.approx(np.sqrt(np.mean(shares**2)), rel=0.5)


@pytest.mark.parametrize("rotation", SURPLUS)
def test_numbers_that_nothing_determines_are_refused(rotation: str) -> None:
    problem = solved("two_cameras")
    with pytest.raises(UserError, match=f"do not determine every free number.*{rotation}"):
        make_optimum(problem, rotation=rotation)


def test_a_free_frame_and_a_state_that_is_no_optimum_are_refused() -> None:
    problem = solved()
    with pytest.raises(UserError, match="gauge two_cameras or three_points"):
        make_optimum(problem.with_free(replace(problem.free, points=np.ones(problem.num_points, bool))))
    with pytest.raises(UserError, match="not at an optimum"):
        make_optimum(replace(problem, pixels=problem.pixels + np.sin(problem.pixels)))
    with pytest.raises(UserError, match="nothing is free"):
        make_optimum(problem.with_free(Free(**{name: mask & False for name, mask in vars(problem.free).items()})))
    with pytest.raises(UserError, match="held names numbers that are free"):
        to_fixed(make_optimum(problem), problem.free)
    with pytest.raises(UserError, match='optimum: rotation: "spin" is not known'):
        make_optimum(problem, rotation="spin")


def test_a_hessian_that_is_not_that_of_a_minimum_is_refused() -> None:
    problem = solved()
    with pytest.raises(SolverError, match="not positive definite"):
        refine(replace(problem, pixels=-problem.pixels))


def test_a_point_that_one_image_sees_is_named() -> None:
    problem = solved()
    point = int(np.flatnonzero(problem.free.points)[4])
    kept = (problem.point_of_obs != point) | (problem.image_of_obs == 0)
    with pytest.raises(UserError, match=rf"point {point}\b"):
        make_optimum(problem.take(kept))


def test_refining_keeps_the_order_and_what_is_fixed_and_leaves_no_gradient() -> None:
    problem = solved()
    near = replace(problem, points=np.where(problem.free.points[:, None], problem.points + 1e-7, problem.points))
    refined = refine(near)
    assert make_optimum(near).remaining > 1e-4 > 1e-9 > make_optimum(refined).remaining
    assert np.array_equal(refined.points[~problem.free.points], problem.points[~problem.free.points])
    assert refined.pixels is problem.pixels
    assert np.abs(refined.points - problem.points).max() < 1e-10

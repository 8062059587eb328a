"""Derivatives are those of the textbook's cost, whatever is fixed, shared or mixed; what is fixed moves nothing."""

from dataclasses import replace

import numpy as np
import pytest

from ba.model.camera import BEHIND, INSIDE, OUTSIDE
from ba.model.problem import Problem
from ba.model.residual import Projection, Residuals, project
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from tests.support import textbook
from tests.support.masks import MASKS
from tests.support.scenes import random_problem

CAMERAS = {"own": ("bal",) * 4, "shared": ("pinhole",), "mixed": ("bal", "pinhole", "bal")}


def masked(cameras: str, mask: str) -> Problem:
    rng = np.random.default_rng(6)
    problem = random_problem(rng, CAMERAS[cameras], n_points=5, covariances=True)
    # Cameras in another order than images, and observations in none.
    problem = problem.take(rng.permutation(problem.num_observations))
    problem = replace(problem, camera_of_image=problem.camera_of_image[::-1].copy())
    exact = textbook.pixels(problem)
    problem = replace(problem, pixels=exact + rng.normal(size=exact.shape))
    return problem.with_free(MASKS[mask](problem.free))


def differences(problem: Problem) -> np.ndarray:
    """(2 n_obs, size) of the whitened residual, by central differences of the textbook's projection."""
    W = np.linalg.inv(np.linalg.cholesky(problem.covariances))

    def at(step: np.ndarray) -> np.ndarray:
        return np.einsum("nij,nj->ni", W, textbook.pixels(textbook.stepped(problem, problem.free, step))).ravel()

    h = 1e-5
    columns = [(at(h * e) - at(-h * e)) / (2.0 * h) for e in np.eye(textbook.size(problem.free))]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERAS)
def test_the_jacobian_and_its_operators_are_differences_of_the_textbooks_projection(cameras: str, mask: str) -> None:
    problem = masked(cameras, mask)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    right, J = differences(problem), linearization.csr().toarray()
    scale = np.abs(right).max(axis=0).clip(1e-9)
    assert (np.abs(J - right) / scale).max() < 1e-6
    rng = np.random.default_rng(0)
    v, u = rng.normal(size=J.shape[1]), rng.normal(size=J.shape[0])
    assert linearization.jvp(v) == pytest.approx(J @ v, rel=1e-9, abs=1e-9 * np.abs(J @ v).max())
    assert linearization.vjp(u) == pytest.approx(J.T @ u, rel=1e-9, abs=1e-9 * np.abs(J.T @ u).max())


@pytest.mark.parametrize("mask", MASKS)
def test_blocks_of_what_is_fixed_are_zero(mask: str) -> None:
    problem = masked("mixed", mask)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    _, A, B = Residuals(problem).blocks(variables.at(variables.start))
    free, image = problem.free, problem.image_of_obs
    moves = np.hstack(
        [
            np.repeat(free.rotations[image][:, None], 3, axis=1),
            free.translations[image],
            free.intrinsics[problem.camera_of_image[image]],
        ]
    )
    active = variables.layout.active
    assert not moves[:, ~active].any()
    assert A.shape[2] == active.sum() == max(moves.any(axis=0).sum(), 1 + moves[:, 6:].any(axis=0).sum())
    assert not np.abs(A).max(axis=1)[~moves[:, active]].any()
    assert not B[~free.points[problem.point_of_obs]].any()


def test_nine_free_numbers_are_the_entries_row_by_row() -> None:
    problem = masked("shared", "rotations")
    variables = make_variables(problem, ROTATIONS["matrix9"])
    J = Residuals(problem).linearize(variables, variables.start).csr().toarray()
    W, h = np.linalg.inv(np.linalg.cholesky(problem.covariances)), 1e-5
    for column in (0, 5, 9 + 1, 27 + 6):
        ends = []
        for step in (h, -h):
            rotations = problem.rotations.reshape(-1).copy()
            rotations[column] += step
            moved = replace(problem, rotations=rotations.reshape(-1, 3, 3))
            ends.append(np.einsum("nij,nj->ni", W, textbook.pixels(moved)).ravel())
        right = (ends[0] - ends[1]) / (2.0 * h)
        assert np.abs(J[:, column] - right).max() < 1e-6 * np.abs(right).max()


def test_residual_is_projected_minus_observed() -> None:
    problem = replace(masked("mixed", "everything"), covariances=None)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    r, domain = Residuals(problem).residual(variables.at(variables.start))
    assert np.abs(r - (textbook.pixels(problem) - problem.pixels)).max() < 1e-9
    assert np.abs(project(problem).pixels - textbook.pixels(problem)).max() < 1e-9
    assert not domain.any()


def test_every_observation_has_its_own_domain() -> None:
    problem = masked("own", "everything")
    intrinsics = problem.intrinsics.copy()
    intrinsics[0] = 500.0, -100.0, 0.0
    points = problem.points.copy()
    points[2] = problem.centers[1] - 2.0 * problem.rotations[1, 2]  # behind image 1
    problem = replace(problem, intrinsics=intrinsics, points=points)
    x, y, z = textbook.in_camera(problem).T
    s = (x**2 + y**2) / z**2
    k1, k2 = intrinsics[problem.camera_of_image[problem.image_of_obs]].T[1:3]
    folded = 1.0 + 3.0 * k1 * s + 5.0 * k2 * s**2 <= 0.0
    right = np.where(z <= 0.0, BEHIND, np.where(folded, OUTSIDE, INSIDE))
    assert len(set(right.tolist())) == 3
    assert np.array_equal(project(problem).domain, right)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    assert np.array_equal(Residuals(problem).residual(variables.at(variables.start))[1], right)
    assert project(problem).num_behind == (right == BEHIND).sum()
    assert project(problem).num_outside == (right == OUTSIDE).sum()


def test_counts_of_a_projection_are_those_of_its_codes() -> None:
    found = Projection(np.zeros((6, 2)), np.array([INSIDE, BEHIND, OUTSIDE, OUTSIDE, OUTSIDE, BEHIND], np.uint8))
    assert (found.num_behind, found.num_outside) == (2, 3)


def test_columns_belong_to_the_layout_that_is_asked_for() -> None:
    problem = masked("shared", "everything")
    residuals = Residuals(problem)
    sizes = []
    for mask in ("everything", "points"):
        variables = make_variables(problem.with_free(MASKS[mask](problem.free)), ROTATIONS["so3_left"])
        sizes.append(residuals.columns(variables.layout).size)
    assert sizes == [textbook.size(problem.free), 3 * problem.num_points]


def test_a_free_point_may_stand_first_in_x() -> None:
    problem = masked("own", "points")
    variables = make_variables(problem, ROTATIONS["so3_left"])
    columns = Residuals(problem).columns(variables.layout)
    assert np.array_equal(columns.points, 3 * problem.point_of_obs[:, None] + np.arange(3))

"""Bounds of the gauges: which points may be anchors, how flat a triangle may be, and what counts as no rotation."""

from dataclasses import replace

import numpy as np
import pytest

from ba.errors import UserError
from ba.model.problem import Problem
from ba.model.rotation import so3
from ba.prepare.options import Camera, Fix
from ba.prepare.select import select, with_rotations
from tests.support.scenes import random_problem


def anchors(problem: Problem) -> list[int]:
    held = select(problem, Camera(), Fix(), "three_points")
    return np.flatnonzero(problem.free.points & ~held.free.points).tolist()


def ball(n: int = 60) -> Problem:
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=n)
    points = np.random.default_rng(4).normal(size=(n, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return replace(problem, points=points)


@pytest.mark.parametrize(("times", "held"), [(2.8, True), (2.3, True), (3.2, False), (30.0, False)])
def test_points_beyond_three_median_distances_are_no_anchors(times: float, held: bool) -> None:
    problem = ball()
    points = problem.points.copy()
    for _ in range(10):
        middle = np.median(points, axis=0)
        size = np.median(np.linalg.norm(points - middle, axis=1))
        points[11] = middle + times * size * np.array([0.0, 0.6, 0.8])
    assert (11 in anchors(replace(problem, points=points))) is held


@pytest.mark.parametrize(("height", "held"), [(1e-4, True), (1e-5, True), (1e-7, False)])
def test_a_triangle_lower_than_a_millionth_of_its_base_is_a_line(height: float, held: bool) -> None:
    problem = ball(20)
    points = np.zeros((20, 3))
    points[:, 0] = np.linspace(-1.0, 1.0, 20)
    points[7, 1] = 2.0 * height
    line = replace(problem, points=points)
    if held:
        assert 7 in anchors(line)
    else:
        with pytest.raises(UserError, match="lie on a line"):
            anchors(line)


def test_anchors_have_tracks_of_the_median_length_at_least_and_two_views_in_any_case() -> None:
    problem = ball()
    points = problem.points.copy()
    points[5] *= 1.9  # far out, so that it would be chosen
    points[9] *= 1.8
    kept = ~np.isin(problem.point_of_obs, [5]) | (problem.image_of_obs < 2)
    kept &= ~np.isin(problem.point_of_obs, [9]) | (problem.image_of_obs < 1)
    names = "image_of_obs", "point_of_obs", "pixels"
    short = replace(problem, points=points, **{name: getattr(problem, name)[kept] for name in names})
    assert not {5, 9} & set(anchors(short))
    full = replace(problem, points=points)
    assert {5, 9} <= set(anchors(full))
    # Where nothing else is left, short tracks will do, but not a single view.
    few = np.isin(problem.point_of_obs, [1, 2, 9]) & ((problem.image_of_obs < 2) | (problem.point_of_obs != 9))
    few &= ~np.isin(problem.point_of_obs, [9]) | (problem.image_of_obs < 1)
    single = replace(problem, points=points, **{name: getattr(problem, name)[few] for name in names})
    with pytest.raises(UserError, match="three free points seen twice, 2 found"):
        anchors(single)


def test_the_third_anchor_is_farthest_from_the_line_of_the_others() -> None:
    problem = ball(20)
    points = np.zeros((20, 3))
    points[:, 0] = np.linspace(-1.0, 1.0, 20)
    points[10, 1], points[18, 1] = 0.5, 0.2  # 18 is farther from the first, 10 from the line
    assert anchors(replace(problem, points=points)) == [0, 10, 19]


@pytest.mark.parametrize(("off", "replaced"), [(2e-7, False), (4e-7, True), (1e-4, True)])
def test_matrices_a_millionth_off_are_made_rotations_and_others_keep_their_bits(off: float, replaced: bool) -> None:
    problem = ball(20)
    rotations = problem.rotations.copy()
    rotations[2] *= 1.0 + off  # |R^T R - I| = 2 sqrt(3) off
    found = with_rotations(replace(problem, rotations=rotations)).rotations
    assert np.array_equal(found[[0, 1, 3]], rotations[[0, 1, 3]])
    assert np.array_equal(found[2], rotations[2]) is not replaced
    if replaced:
        assert so3.orthonormality(found[2]) < 1e-14
        assert np.abs(found[2] - problem.rotations[2]).max() < 1e-12


def test_two_cameras_hold_the_farthest_and_its_coordinate_along_the_baseline() -> None:
    problem = ball(20)
    centers = np.array([[0.0, 0.0, 0.0], [1.0, 0.2, 0.1], [0.4, 1.5, 3.0], [2.0, 0.1, 0.0]])
    problem = replace(problem, translations=-np.einsum("nij,nj->ni", problem.rotations, centers))
    held = select(problem, Camera(), Fix(), "two_cameras").free
    assert held.rotations.tolist() == [False, True, True, True]
    expected = np.ones((4, 3), bool)
    expected[0] = False
    expected[2, np.argmax(np.abs(problem.rotations[2] @ centers[2]))] = False
    assert np.array_equal(held.translations, expected)
    assert np.argmax(np.abs(problem.rotations[2] @ centers[2])) != np.argmax(np.abs(centers[2]))

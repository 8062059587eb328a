"""A world that is far away is moved near, exactly, and everything comes back as it was given."""

from dataclasses import replace

import numpy as np
import pytest

from ba.model.problem import Problem
from ba.model.similarity import Similarity, transform
from ba.prepare.conditioning import condition, is_bound_to_frame, is_far
from tests.support import textbook
from tests.support.scenes import random_problem


def shuffled(offset: tuple[float, float, float] = (0.0, 0.0, 0.0), size: float = 1.0) -> Problem:
    rng = np.random.default_rng(8)
    problem = random_problem(rng, ("bal",) * 4, n_points=9, covariances=True)
    problem = problem.take(rng.permutation(problem.num_observations)[:27])
    return transform(problem, Similarity(size, np.eye(3), np.array(offset)))


def half_free(problem: Problem) -> Problem:
    free = problem.free
    return problem.with_free(
        replace(
            free,
            rotations=np.array([False, True, True, True]),
            translations=np.array([[False] * 3, [True] * 3, [True] * 3, [True] * 3]),
            intrinsics=free.intrinsics & np.array([True, False, True, True])[:, None],
            points=np.arange(problem.num_points) % 2 == 0,
        )
    )


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (4e6, -1e7, 300.0)])
def test_the_conditioned_problem_has_the_same_cost_with_the_same_free_numbers(offset: tuple[float, ...]) -> None:
    problem = half_free(shuffled(offset))
    found = condition(problem)
    assert textbook.cost(found.problem) == pytest.approx(textbook.cost(problem), rel=1e-9 if not any(offset) else 1e-3)
    for name in ("rotations", "translations", "intrinsics"):
        assert np.array_equal(getattr(found.problem.free, name), getattr(problem.free, name))
    assert np.array_equal(found.problem.free.points, problem.free.points[found.points])


def test_observations_stand_by_point_and_image_and_points_by_the_images_that_see_them() -> None:
    problem = condition(shuffled()).problem
    key = problem.point_of_obs.astype(int) * problem.num_images + problem.image_of_obs
    assert (np.diff(key) > 0).all()
    tracks = [tuple(problem.image_of_obs[problem.point_of_obs == point]) for point in range(problem.num_points)]
    padded = [(*track, *[problem.num_images] * (4 - len(track))) for track in tracks]
    assert padded == sorted(padded)
    assert len(set(padded)) > 2


@pytest.mark.parametrize("offset", [(0.0, 0.0, 0.0), (4e6, -1e7, 300.0)])
def test_what_comes_back_is_in_the_given_order_and_frame(offset: tuple[float, ...]) -> None:
    problem = shuffled(offset, 3.0)
    found = condition(problem)
    back = found.restored(found.problem)
    size = 1.0 + np.abs(offset).max()
    assert np.abs(back.points - problem.points).max() < 1e-14 * size
    assert np.abs(back.centers - problem.centers).max() < 1e-13 * size
    assert back.pixels is problem.pixels
    moved = replace(found.problem, points=found.problem.points + np.arange(9.0)[:, None])
    change = (found.restored(moved).points - problem.points) * (found.similarity.scale if found.similarity else 1.0)
    assert np.abs(change[found.points] - np.arange(9.0)[:, None]).max() < 1e-8 * size


def test_what_is_fixed_comes_back_bit_for_bit_from_another_frame() -> None:
    problem = half_free(shuffled((1e5, 7e5, -3e4)))
    problem = problem.with_free(replace(problem.free, intrinsics=problem.free.intrinsics))
    found = condition(problem)
    assert found.similarity is not None
    solved = replace(
        found.problem,
        rotations=found.problem.rotations * 1.01,
        translations=found.problem.translations + 0.1,
        intrinsics=found.problem.intrinsics * 1.1,
        points=found.problem.points + 0.1,
    )
    back, free = found.restored(solved), problem.free
    for name in ("rotations", "translations", "intrinsics", "points"):
        mask = getattr(free, name)
        assert np.array_equal(getattr(back, name)[~mask], getattr(problem, name)[~mask]), name
        assert not np.isclose(getattr(back, name)[mask], getattr(problem, name)[mask], rtol=1e-12, atol=0.0).all(), name


def cloud(offset: float, extent: float) -> Problem:
    """Points whose median lies at the offset, with half of them further than the extent away, and one far off."""
    problem = shuffled()
    points = np.full((9, 3), offset)
    points[:, 0] += extent * np.array([-9.0, -3.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 400.0])
    return replace(problem, points=points)


@pytest.mark.parametrize(("share", "far"), [(1.01e3, True), (0.99e3, False), (2e4, True), (20.0, False)])
@pytest.mark.parametrize("extent", [0.01, 7.0])
def test_far_is_a_thousand_times_the_extent(share: float, far: bool, extent: float) -> None:
    problem = cloud(share * extent, extent)
    assert is_far(problem) is far
    assert (condition(problem).similarity is not None) is far


def test_the_shift_is_the_median_and_the_scale_a_power_of_two() -> None:
    similarity = condition(cloud(1e5, 7.0)).similarity
    assert similarity is not None
    assert similarity.scale == 1.0 / 8.0  # of the powers of two the nearest to 1 / 7
    assert np.array_equal(similarity.translation, np.full(3, -1e5 / 8.0))
    assert np.array_equal(similarity.rotation, np.eye(3))


def test_a_translation_that_is_held_under_a_free_rotation_binds_the_frame() -> None:
    problem = cloud(1e5, 1.0)
    assert not is_bound_to_frame(problem)
    translations = problem.free.translations.copy()
    translations[2, 1] = False
    bound = problem.with_free(replace(problem.free, translations=translations))
    assert is_bound_to_frame(bound)
    assert condition(bound).similarity is None
    rotations = problem.free.rotations.copy()
    rotations[2] = False
    held = problem.with_free(replace(problem.free, rotations=rotations, translations=translations))
    assert not is_bound_to_frame(held)

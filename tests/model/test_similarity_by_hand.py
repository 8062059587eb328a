"""An alignment is the least squares one, outliers bend it by what its bounds say, and errors are plain statistics."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ba.model.problem import Problem
from ba.model.similarity import Similarity, align, compare_to_truth, transform
from tests.support.scenes import random_problem

ROTATION = Rotation.from_rotvec([0.4, -1.1, 0.7]).as_matrix()


def noisy(noise: float = 0.5, n: int = 40, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Two sets that no similarity takes to each other; the target is as much noise as shape."""
    rng = np.random.default_rng(2)
    source = rng.normal(size=(n, 3)) * [1.0, 2.0, 0.5] + [7.0, -3.0, 2.0]
    shape = source * [1.0, 1.0, -1.0] if mirrored else source
    return source, 2.5 * shape @ ROTATION.T + [1.0, 5.0, -4.0] + 2.5 * noise * rng.normal(size=(n, 3))


def sum_of_squares(found: Similarity, source: np.ndarray, target: np.ndarray) -> float:
    moved = found.scale * (source @ found.rotation.T) + found.translation
    return float(np.sum((moved - target) ** 2))


@pytest.mark.parametrize("mirrored", [False, True])
def test_no_change_of_the_seven_numbers_makes_the_sum_of_squares_smaller(mirrored: bool) -> None:
    source, target = noisy(mirrored=mirrored)
    best = align(source, target)
    assert np.linalg.det(best.rotation) == pytest.approx(1.0)
    least = sum_of_squares(best, source, target)
    for h in (1e-4, -1e-4):
        changed = [replace(best, scale=best.scale * (1.0 + h))]
        for e in np.eye(3):
            turned = Rotation.from_rotvec(h * e).as_matrix() @ best.rotation
            middle = best.apply(source).mean(axis=0)
            shift = middle - best.scale * turned @ source.mean(axis=0)
            changed += [replace(best, rotation=turned, translation=shift)]
            changed += [replace(best, translation=best.translation + h * e)]
        assert all(sum_of_squares(one, source, target) > least for one in changed)


def test_the_slope_is_that_of_the_regression_of_the_target_on_the_turned_source() -> None:
    source, target = noisy()
    best = align(source, target)
    x = (source - source.mean(axis=0)) @ best.rotation.T
    y = target - target.mean(axis=0)
    assert best.scale == pytest.approx(np.sum(x * y) / np.sum(x * x), rel=1e-12)
    assert best.scale < np.sqrt(np.sum(y * y) / np.sum(x * x)) * 0.99, "noise makes it smaller than the ratio of sizes"
    assert np.allclose(best.apply(source).mean(axis=0), target.mean(axis=0))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e4])
def test_units_of_the_target_go_into_the_scale_and_the_shift_alone(size: float) -> None:
    source, target = noisy()
    best, other = align(source, target), align(source, size * target)
    assert other.scale == pytest.approx(size * best.scale, rel=1e-10)
    assert np.allclose(other.rotation, best.rotation, atol=1e-10)
    assert np.allclose(other.translation, size * best.translation, rtol=1e-9)


def test_a_transformed_problem_has_its_points_moved_and_the_same_directions_to_them() -> None:
    problem = random_problem(np.random.default_rng(4))
    moved = transform(problem, Similarity(3.0, ROTATION, np.array([1.0, -2.0, 0.5])))
    assert np.allclose(moved.points, 3.0 * problem.points @ ROTATION.T + [1.0, -2.0, 0.5])
    assert np.allclose(moved.centers, 3.0 * problem.centers @ ROTATION.T + [1.0, -2.0, 0.5])
    for n in range(problem.num_images):
        before = problem.points @ problem.rotations[n].T + problem.translations[n]
        after = moved.points @ moved.rotations[n].T + moved.translations[n]
        assert np.allclose(after, 3.0 * before)


def world() -> Problem:
    return random_problem(np.random.default_rng(4), n_points=200)


def in_pairs(errors: np.ndarray, onesided: np.ndarray, place: np.ndarray | None = None) -> tuple[Problem, Problem]:
    """A truth and a solution whose points are off by `errors` (n,), two at one place and to opposite sides.

    But for their squares, nothing but the identity aligns any number of such pairs. Points of `onesided` (m,), which
    stand at `place` (m, 3), are all off along x. Centres are right.
    """
    rng, truth = np.random.default_rng(9), world()
    pairs = rng.normal(size=(len(errors), 3))
    directions = rng.normal(size=(len(errors), 3))
    directions *= errors[:, None] / np.linalg.norm(directions, axis=1, keepdims=True)
    others = rng.normal(size=(len(onesided), 3)) if place is None else place
    moved = others + onesided[:, None] * [1.0, 0.0, 0.0]
    right = np.concatenate([np.repeat(pairs, 2, axis=0), others])
    found = np.concatenate(
        [
            np.repeat(pairs, 2, axis=0) + np.repeat(directions, 2, axis=0) * np.tile([1.0, -1.0], len(errors))[:, None],
            moved,
        ]
    )
    return replace(truth, points=right), replace(truth, points=found)


def plain_rms(solution: Problem, truth: Problem) -> float:
    return float(np.sqrt(np.mean(np.sum((solution.points - truth.points) ** 2, axis=1))))


@pytest.mark.parametrize(("times", "bends"), [(2.7, True), (3.3, False), (3.7, False), (8.0, False)])
def test_what_is_beyond_three_median_errors_bends_nothing(times: float, bends: bool) -> None:
    errors = np.linspace(0.5e-3, 1.5e-3, 87)
    # With the 4 centres, without error, and the 30 there are 208 positions: half of them are the centres and 50 pairs.
    median = 0.5 * (errors[49] + errors[50])
    truth, solution = in_pairs(errors, np.full(30, times * median))
    found = compare_to_truth(solution, truth)["point_error_rms_world_units"]
    if bends:
        assert found < 0.99 * plain_rms(solution, truth)
    else:
        assert found == pytest.approx(plain_rms(solution, truth), rel=1e-4)


@pytest.mark.parametrize(("times", "bends"), [(9.0, True), (12.0, False), (18.0, False)])
def test_what_is_beyond_ten_median_distances_takes_no_part(times: float, bends: bool) -> None:
    """Far-off points whose errors are small would turn the rest, by their long arms."""
    errors = np.linspace(0.5e-3, 1.5e-3, 87)
    place, size = np.zeros((30, 3)), 1.0
    for _ in range(20):  # they take part in the median themselves
        place = times * size * np.array([0.0, 0.0, 1.0]) + 1e-3 * np.random.default_rng(0).normal(size=(30, 3))
        truth, solution = in_pairs(errors, np.full(30, 2e-3), place)
        positions = np.concatenate([truth.centers, truth.points])
        distances = np.linalg.norm(positions - np.median(positions, axis=0), axis=1)
        size *= times / (distances[-1] / np.median(distances))
    assert distances[-1] / np.median(distances) == pytest.approx(times, rel=1e-2)
    found = compare_to_truth(solution, truth)["point_error_rms_world_units"]
    assert (abs(found / plain_rms(solution, truth) - 1.0) > 1e-4) is bends


def turned(truth: Problem, solution: Problem, degrees: np.ndarray, shifts: np.ndarray) -> Problem:
    turns = Rotation.from_rotvec(np.radians(degrees)[:, None] * [0.6, 0.0, 0.8]).as_matrix()
    rotations, centers = turns @ truth.rotations, truth.centers + shifts
    return replace(solution, rotations=rotations, translations=-np.einsum("nij,nj->ni", rotations, centers))


def test_errors_are_medians_maxima_and_root_mean_squares() -> None:
    """Of a solution that is aligned already, with errors whose means are far from their medians."""
    errors = np.geomspace(1e-3, 4.0, 100)
    truth, solution = in_pairs(errors, np.empty(0))
    degrees, shifts = np.array([1.0, 2.0, 6.0, 20.0]), np.diag([3.0, 4.0, 0.0, 0.0])[:, :3] + 2.0 * np.eye(4, 3)
    solution = turned(truth, solution, degrees, 20.0 * shifts)
    found = compare_to_truth(solution, truth)
    assert found["scale"] == pytest.approx(1.0, abs=5e-3)
    assert found["rotation_error_median_deg"] == pytest.approx(4.0, rel=5e-3)
    assert found["rotation_error_max_deg"] == pytest.approx(20.0, rel=5e-3)
    assert found["point_error_median_world_units"] == pytest.approx(np.median(np.repeat(errors, 2)), rel=2e-2)
    assert found["point_error_rms_world_units"] == pytest.approx(np.sqrt(np.mean(errors**2)), rel=5e-3)
    distances = np.linalg.norm(20.0 * shifts, axis=1)
    assert found["position_error_rms_world_units"] == pytest.approx(np.sqrt(np.mean(distances**2)), rel=5e-3)


def test_errors_are_in_the_units_of_the_truth_and_the_scale_leads_to_it() -> None:
    truth = world()
    half = transform(truth, Similarity(0.5, ROTATION, np.array([3.0, 1.0, 0.0])))
    found = compare_to_truth(half, truth)
    assert found.pop("scale") == pytest.approx(2.0)
    assert max(found.values()) < 1e-6
    one = np.arange(truth.num_points) == 7
    off = replace(half, points=half.points + 0.25 * one[:, None] * [1.0, 0.0, 0.0])
    assert compare_to_truth(off, truth)["point_error_rms_world_units"] == pytest.approx(0.5 / np.sqrt(200.0), rel=1e-6)

"""What `ba check` says of data is counted here by hand, on problems in which the answers are known."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ba.check.data import DATA_TESTS, Finding
from ba.check.derivatives import Cost
from ba.check.statistics import DataStatistics
from ba.check.subproblem import Subproblem, cut
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.system.words import in_bytes
from tests.support import textbook
from tests.support.scenes import random_problem


def finding(problem: Problem, test: str) -> Finding:
    return DATA_TESTS[test](DataStatistics(problem, ROTATIONS["so3_left"], 1))


def numbers(text: str) -> list[float]:
    return [float(part.replace(",", "")) for part in re.findall(r"\d[\d,]*\.?\d*(?:e[-+]?\d+)?", text)]


def kept(problem: Problem, observations: np.ndarray) -> Problem:
    return problem.take(observations)


def with_errors(lengths: np.ndarray) -> Problem:
    """Observations that are off by these lengths, px, each its own way."""
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=30)
    angles = np.random.default_rng(4).uniform(0.0, 2.0 * np.pi, len(lengths))
    off = lengths[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    return replace(problem, pixels=textbook.pixels(problem) - off)


def test_errors_have_their_median_root_mean_square_and_largest() -> None:
    lengths = np.geomspace(0.01, 80.0, 120)
    text = finding(with_errors(lengths), "errors").text
    median, rms, largest, image, point = numbers(text)
    assert (median, rms, largest) == pytest.approx((np.median(lengths), np.sqrt(np.mean(lengths**2)), 80.0), rel=6e-3)
    assert (image, point) == (3, 29)
    assert np.mean(lengths) > 5.0 * np.median(lengths)


def fan(degrees: list[float]) -> Problem:
    """A point for each angle, straight ahead of two cameras that look from either side of its own axis, and a third
    camera between them; each sees all points, but for its own two only the one between."""
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=len(degrees))
    # Two cameras, one unit to either side, and points along the axis where the angle between the rays is as ordered.
    centers = np.array([[-1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.3, 0.0, 0.0], [-0.2, 0.0, 0.0]])
    depth = 1.0 / np.tan(np.radians(0.5 * np.array(degrees)))
    points = np.column_stack([0.0 * depth, 0.0 * depth, depth])
    rotations = np.tile(np.eye(3), (4, 1, 1))
    return replace(problem, rotations=rotations, translations=-centers, points=points)


ANGLES = [0.5, 0.7, 0.9, 1.1, 1.3, 1.4, 1.6, 1.9, 2.1, 2.5, 2.9, 3.5, 5.0, 8.0, 12.0, 20.0, 30.0, 45.0, 60.0, 90.0]


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 3, 0, 1], [3, 1, 2, 0]])
def test_angles_are_the_largest_between_two_rays_in_degrees(order: list[int]) -> None:
    problem = fan(ANGLES)
    image = np.array(order)[problem.image_of_obs]
    problem = replace(problem, image_of_obs=image.astype(np.int32))
    found = DataStatistics(problem, ROTATIONS["so3_left"], 1).angles
    assert found == pytest.approx(np.array(ANGLES), rel=1e-9)
    text = finding(problem, "ray angles").text
    values = numbers(text.replace("5 %, half and 95 %", "0"))
    low, middle, high = np.quantile(ANGLES, [0.05, 0.5, 0.95])
    assert values[1:4] == pytest.approx([low, middle, high], rel=0.05)
    assert "8 below 2, 3 below 1, least 0.5 (point 0)" in text


def test_the_largest_angle_may_be_between_two_rays_of_which_neither_is_far_from_the_first() -> None:
    """The farthest from the first is (1, 0), that from it (-0.4, 0.9), and the largest distance is from there."""
    centers = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [-0.4, 0.9, 0.0], [0.4, -0.9, 0.0]])
    problem = replace(fan([5.0]), points=np.array([[0.0, 0.0, 9.0]]), translations=-centers)
    rays = problem.points[0] - centers
    rays /= np.linalg.norm(rays, axis=1)[:, None]
    right = np.degrees(np.arccos(np.clip(rays @ rays.T, -1.0, 1.0).min()))
    assert right == pytest.approx(np.degrees(np.arccos(rays[2] @ rays[3])))
    assert DataStatistics(problem, ROTATIONS["so3_left"], 1).angles == pytest.approx([right], rel=1e-6)


def test_narrow_angles_need_a_look_beyond_a_twentieth_of_the_points() -> None:
    assert finding(fan([1.0, *[5.0] * 19]), "ray angles").sound
    assert not finding(fan([1.0, 1.9, *[5.0] * 18]), "ray angles").sound
    assert finding(fan([2.1, 2.9, *[5.0] * 18]), "ray angles").sound


def test_pixels_are_measured_from_the_principal_point_against_most_of_them() -> None:
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=30)
    middle = problem.intrinsics[0, 2:4]
    radius = np.linspace(1.0, 100.0, 120)
    radius[-3:] = 2.5 * 95.0, 3.3 * 95.0, 5.0 * 95.0
    angles = np.random.default_rng(4).uniform(0.0, 2.0 * np.pi, 120)
    pixels = middle + radius[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])
    text = finding(replace(problem, pixels=pixels), "pixels").text
    usual = np.quantile(radius, 0.95)
    assert text.startswith(f"95% within {usual:.4g} px of the principal point, farthest 475, image 3 point 29")
    found = re.search(r"; 2 beyond ([\d.]+)$", text)
    assert found is not None
    assert float(found.group(1)) == pytest.approx(3.0 * usual, rel=1e-3)
    assert 2.0 * usual < radius[-3] < 3.0 * usual < radius[-2] < 4.0 * usual


def tracked(lengths: list[int]) -> Problem:
    """Points that so many of twelve images see."""
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=len(lengths))
    image = np.concatenate([np.arange(length) for length in lengths])
    point = np.repeat(np.arange(len(lengths)), lengths)
    return replace(
        problem,
        rotations=np.tile(problem.rotations, (3, 1, 1)),
        translations=np.tile(problem.translations, (3, 1)),
        camera_of_image=np.zeros(12, np.int32),
        image_of_obs=image.astype(np.int32),
        point_of_obs=point.astype(np.int32),
        pixels=np.zeros((len(image), 2)),
    )


def test_tracks_are_counted_by_length() -> None:
    lengths = [0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 9, 10, 10, 12]
    text = finding(tracked(lengths), "tracks").text
    assert text == (
        "2 of 1, 2 of 2, 3 of 3, 4 of 4-9, 3 of 10-99; median 3, longest 12 (point 14); "
        "3 points seen fewer than twice, held fixed, such as point 0"
    )
    assert np.mean(lengths) != 3.0


def test_images_that_see_few_points_are_counted() -> None:
    """Of twelve images the k-th sees the points whose tracks are longer than k."""
    lengths = [12] * 8 + [9] * 1 + [6] * 2 + [3] * 30
    seen = [sum(length > image for length in lengths) for image in range(12)]
    assert sorted(set(seen)) == [8, 9, 11, 41]
    text = finding(tracked(lengths), "images").text
    assert text == "see 10 points in the median, least 8 (image 9); 6 see fewer than 10"


def test_the_deepest_point_behind_a_camera_is_named_with_its_depth() -> None:
    problem = random_problem(np.random.default_rng(3), ("bal",) * 4, n_points=10)
    points = problem.points.copy()
    points[2] = problem.centers[1] - 0.5 * problem.rotations[1, 2]
    points[7] = problem.centers[3] - 2.5 * problem.rotations[3, 2]
    intrinsics = problem.intrinsics.copy()
    intrinsics[0] = 500.0, -100.0, 0.0
    problem = replace(problem, points=points, intrinsics=intrinsics)
    x, y, z = textbook.in_camera(problem).T
    folded = (z > 0.0) & (1.0 - 300.0 * (x**2 + y**2) / z**2 <= 0.0) & (problem.image_of_obs == 0)
    worst = int(np.argmin(z))
    text = finding(problem, "depths").text
    assert (z <= 0.0).sum() > 1
    assert folded.any()
    assert text.startswith(f"{(z <= 0.0).sum()} observations with the point behind its camera, ")
    image, point = problem.image_of_obs[worst], problem.point_of_obs[worst]
    assert f"farthest image {image} point {point}, at depth {z[worst]:.3g}" in text
    k1, k2 = intrinsics[problem.camera_of_image[problem.image_of_obs]].T[1:3]
    s = (x**2 + y**2) / z**2
    outside = (z > 0.0) & (1.0 + 3.0 * k1 * s + 5.0 * k2 * s**2 <= 0.0)
    assert re.search(rf"{outside.sum()} observations? where the distortion is not one-to-one", text)


def test_the_first_of_the_repeated_observations_is_named() -> None:
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=10)
    text = finding(kept(problem, np.append(np.arange(40), [17, 5, 31])), "duplicates").text
    first = 40  # of those that come again, the one that stands first
    assert text == (
        f"3 observations of a point that its image has already, first image {problem.image_of_obs[17]} "
        f"point {problem.point_of_obs[17]}"
    )
    assert first == problem.num_observations


def test_free_numbers_and_residuals_of_the_parts() -> None:
    """Two parts, of which the second has a camera of its own and fewer images; shared cameras count once."""
    problem = random_problem(np.random.default_rng(3), ("bal", "pinhole"), n_points=30)
    # Images 0, 1 and 2 see points 0 to 19, image 3 the others; points of image 3 alone are seen once.
    seen = (problem.image_of_obs < 3) == (problem.point_of_obs < 20)
    problem = replace(kept(problem, seen), camera_of_image=np.array([0, 0, 0, 1], np.int32))
    large, small = DataStatistics(problem, ROTATIONS["so3_left"], 1).components
    assert (large.images, large.points, large.residuals) == (3, 20, 2 * 60)
    assert (small.images, small.points, small.residuals, small.first_image) == (1, 10, 2 * 10, 3)
    assert large.free == 3 * 6 + 3 + 20 * 3
    assert small.free == 6 + 5 + 10 * 3


def with_few_points_of_one_image(problem: Problem) -> Problem:
    """Image 3, which has a camera of its own, sees three points: six residuals for its pose and its intrinsics."""
    return kept(problem, (problem.image_of_obs < 3) | (problem.point_of_obs < 3))


def with_a_point_at_infinity(problem: Problem) -> Problem:
    """Point 5, which images 0 and 1 see, so far away that its rays are one."""
    baseline = problem.centers[1] - problem.centers[0]
    ahead = np.cross(baseline, [0.3, 1.0, 0.2])
    points = problem.points.copy()
    points[5] = problem.centers[0] + 1e12 * ahead
    return replace(kept(problem, (problem.point_of_obs != 5) | (problem.image_of_obs < 2)), points=points)


@pytest.mark.parametrize(
    ("spoil", "more"), [(lambda problem: problem, 0), (with_few_points_of_one_image, 3), (with_a_point_at_infinity, 1)]
)
def test_the_gauge_of_a_part_counts_what_is_open_of_frame_cameras_and_points(
    spoil: Callable[[Problem], Problem], more: int
) -> None:
    problem = random_problem(np.random.default_rng(3), ("bal",) * 4, n_points=30)
    statistics = DataStatistics(spoil(problem), ROTATIONS["so3_left"], 1)
    assert [part.gauge for part in statistics.components] == [7 + more]
    assert statistics.determination.free_directions == 7 + more


def test_a_cut_has_whole_tracks() -> None:
    problem = random_problem(np.random.default_rng(3), ("pinhole",), n_points=30)
    whole = Subproblem(problem, *(np.arange(n) for n in (problem.num_images, problem.num_cameras, problem.num_points)))
    piece = cut(whole, 20)
    assert np.bincount(piece.problem.point_of_obs).tolist() == [4] * 5
    assert piece.problem.num_points == len(piece.points) == 5


@pytest.mark.parametrize(
    ("size", "text"), [(999, "999 B"), (1000, "1 kB"), (2_500_000, "2.5 MB"), (1_000_000_000, "1 GB")]
)
def test_bytes_are_told_in_powers_of_a_thousand(size: int, text: str) -> None:
    assert in_bytes(size) == text


def test_growth_is_the_power_of_the_number_of_observations() -> None:
    found = Cost((1000, 2000, 4000), (1.0, 2.0**1.5, 8.0), (10, 20, 40)).powers
    assert found == pytest.approx((1.5, 1.0))

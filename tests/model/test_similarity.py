from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import least_squares

from ba.errors import UserError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.camera import CAMERAS
from ba.model.problem import Problem
from ba.model.rotation import so3
from ba.model.similarity import Similarity, align, compare_to_truth, transform
from ba.prepare.noise import perturb
from ba.prepare.options import Noise

WORLD = generate(Scene(images=8, points=100, covariance_px2=((0.0, 0.0), (0.0, 0.0))))
number = st.floats(-3.0, 3.0)
vectors = st.tuples(number, number, number).map(np.array)
similarities = st.builds(
    lambda log_scale, w, t, magnitude: Similarity(10.0**log_scale, so3.exp(w), t * 10.0**magnitude),
    number,
    vectors,
    vectors,
    st.integers(0, 6),
)
seeds = st.integers(0, 2**32).map(np.random.default_rng)


def project(problem: Problem) -> np.ndarray:
    image, n = problem.image_of_obs, problem.num_observations
    rotated = problem.rotations[image] @ problem.points[problem.point_of_obs][:, :, None]
    point_in_cam = rotated[:, :, 0] + problem.translations[image]
    uv, empty = np.empty((n, 2)), np.empty((0, 2, 5))
    model = CAMERAS[problem.camera_models[0]]
    camera = problem.camera_of_image[image]
    model.project(problem.intrinsics, camera, point_in_cam, uv, empty, empty, np.empty(n, np.uint8))
    return uv


@given(similarity=similarities, rng=seeds, n=st.integers(3, 30))
def test_an_exact_similarity_is_found(similarity, rng, n):
    source = rng.normal(size=(n, 3))
    target = similarity.apply(source)
    found = align(source, target)
    # Rounding of the target's coordinates, relative to its extent, is all that can be lost; flat triangles amplify it.
    flatness = np.linalg.svd(source - source.mean(axis=0), compute_uv=False)
    lost = 1e-14 * (1.0 + np.abs(target).max() / similarity.scale) * (flatness[0] / flatness[1]) ** 2
    assert abs(found.scale / similarity.scale - 1.0) < lost
    assert np.abs(found.rotation - similarity.rotation).max() < lost
    assert np.abs(found.apply(source) - target).max() < lost * similarity.scale * 10.0


@given(rng=seeds)
def test_a_mirrored_target_still_gets_a_rotation(rng):
    source = rng.normal(size=(10, 3))
    found = align(source, source * [1.0, 1.0, -1.0])
    assert np.linalg.det(found.rotation) == pytest.approx(1.0)
    assert np.abs(found.rotation @ found.rotation.T - np.eye(3)).max() < 1e-14
    assert found.scale > 0.0


@given(rng=seeds)
def test_points_in_a_plane_are_enough(rng):
    similarity = Similarity(2.0, so3.exp(rng.normal(size=3)), rng.normal(size=3))
    source = rng.normal(size=(8, 3)) * [1.0, 1.0, 0.0]
    assert np.abs(align(source, similarity.apply(source)).rotation - similarity.rotation).max() < 1e-10


@pytest.mark.parametrize("mirrored", [1.0, -1.0])
def test_no_similarity_nearby_is_better(mirrored):
    rng = np.random.default_rng(4)
    source = rng.normal(size=(12, 3))
    target = 1.7 * (source * [1.0, 1.0, mirrored]) @ so3.exp(rng.normal(size=3)).T + rng.normal(size=(12, 3))
    best = align(source, target)

    def distances(x: np.ndarray) -> np.ndarray:
        nearby = Similarity(best.scale * np.exp(x[0]), so3.exp(x[1:4]) @ best.rotation, best.translation + x[4:])
        return (nearby.apply(source) - target).ravel()

    start = 0.05 * rng.normal(size=7)
    assert np.abs(least_squares(distances, start, xtol=1e-14, ftol=1e-14, gtol=1e-14).x).max() < 1e-6


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (np.zeros((0, 3)), "0 points found"),
        (np.eye(3)[:2], "2 points found"),
        (np.ones((5, 3)), "coincide"),
        (np.full((5, 3), 1e7 + 0.1), "coincide"),
        (np.outer(np.arange(5.0), [1.0, 2.0, 3.0]), "on a line"),
        (np.outer(np.arange(5.0), [1.0, 2.0, 3.0]) + 1e7, "on a line"),
        (np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [np.nan, 0, 0]]), "point 3 is .*nan.*; finite"),
        (np.array([[0.0, 0, 0], [1, np.inf, 0], [0, 1, 0]]), "point 1 is .*inf.*; finite"),
        (np.zeros((4, 2)), "shapes"),
        (np.zeros(3), "shapes"),
    ],
)
def test_what_cannot_be_aligned_is_named(source, reason):
    other = np.random.default_rng(0).normal(size=source.shape)
    for pair in ((source, other), (other, source)):
        with pytest.raises(UserError, match=f"^alignment: .*{reason}"):
            align(*pair)


def test_sizes_that_disagree_are_named():
    with pytest.raises(UserError, match="shapes"):
        align(np.zeros((4, 3)), np.zeros((5, 3)))
    with pytest.raises(UserError, match="num_points is 100, 101 in the truth"):
        compare_to_truth(WORLD, generate(Scene(images=8, points=101)))


@given(similarity=similarities)
def test_moving_the_whole_problem_changes_no_projection(similarity):
    moved = transform(WORLD, similarity)
    # The world's coordinates are rounded at their own size; a pixel is about a thousandth of the scene.
    lost = 1e-9 * (1.0 + np.abs(similarity.translation).max() / similarity.scale)
    assert np.abs(project(moved) - WORLD.pixels).max() < lost
    assert np.abs(moved.centers - similarity.apply(WORLD.centers)).max() < lost * similarity.scale


@given(similarity=similarities)
def test_the_truth_in_another_frame_has_no_error(similarity):
    errors = compare_to_truth(transform(WORLD, similarity), WORLD)
    lost = 1e-12 * (1.0 + np.abs(similarity.translation).max() / similarity.scale)
    assert errors.pop("scale") == pytest.approx(1.0 / similarity.scale, rel=max(lost, 1e-12))
    assert max(errors.values()) < 100.0 * lost


@given(similarity=similarities, seed=st.integers(0, 100))
def test_errors_do_not_depend_on_the_frame_of_the_solution(similarity, seed):
    start = perturb(WORLD, Noise(rotation_deg=1.0, position=0.02, points=0.02), seed)
    here = compare_to_truth(start, WORLD)
    there = compare_to_truth(transform(start, similarity), WORLD)
    lost = 1e-9 * (1.0 + np.abs(similarity.translation).max() / similarity.scale)
    for name in here.keys() - {"scale"}:
        assert there[name] == pytest.approx(here[name], rel=lost)


def test_errors_are_in_degrees_and_in_the_units_of_the_truth():
    twist = so3.exp(np.radians([[0.0, 0.0, 3.0]]))
    one = np.arange(8)[:, None, None] == 5
    turned = replace(
        WORLD,
        rotations=np.where(one, twist @ WORLD.rotations, WORLD.rotations),
        translations=np.where(one[:, 0], WORLD.translations @ twist[0].T, WORLD.translations),
    )
    errors = compare_to_truth(turned, WORLD)
    assert errors["rotation_error_max_deg"] == pytest.approx(3.0)
    assert errors["rotation_error_median_deg"] < 1e-10

    noisy = compare_to_truth(perturb(WORLD, Noise(points=0.01, position=0.01), 0), WORLD)
    # Length of a Gaussian vector in 3D: rms sqrt(3) sigma, median 1.538 sigma.
    assert noisy["point_error_rms_world_units"] == pytest.approx(0.01 * np.sqrt(3.0), rel=0.2)
    assert noisy["point_error_median_world_units"] == pytest.approx(0.01538, rel=0.2)
    assert noisy["position_error_rms_world_units"] == pytest.approx(0.01 * np.sqrt(3.0), rel=0.5)


@pytest.mark.parametrize("far", [1.0, 10.0, 1e3, 1e9])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3])
def test_runaway_points_do_not_bend_the_alignment(far, share):
    rng = np.random.default_rng(1)
    points = WORLD.points.copy()
    runaway = rng.permutation(len(points))[: round(share * len(points))]
    points[runaway] += far * rng.normal(size=(len(runaway), 3))
    errors = compare_to_truth(replace(WORLD, points=points), WORLD)
    assert errors["scale"] == pytest.approx(1.0, abs=1e-9)
    assert errors["rotation_error_max_deg"] < 1e-7
    assert errors["position_error_rms_world_units"] < 1e-9
    assert errors["point_error_rms_world_units"] > 0.05 * far


def test_a_solution_that_is_not_finite_is_named():
    points = WORLD.points.copy()
    points[3, 1] = np.nan
    with pytest.raises(UserError, match="source point 11 is"):
        compare_to_truth(replace(WORLD, points=points), WORLD)


def test_cameras_on_a_line_are_compared_by_the_points():
    street = generate(Scene(kind="street", images=5, points=60))
    centers = street.centers * [1.0, 0.0, 0.0]
    straight = replace(street, translations=-np.einsum("nij,nj->ni", street.rotations, centers))
    similarity = Similarity(3.0, so3.exp(np.array([1.0, 2.0, 0.5])), np.ones(3))
    assert compare_to_truth(transform(straight, similarity), straight)["rotation_error_max_deg"] < 1e-9

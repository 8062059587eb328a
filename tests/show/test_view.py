"""Laws of pictures: what is in view, where frusta stand, what colours mean, and that no driver is no crash."""

import statistics
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from PIL import Image
from scipy.spatial.transform import Rotation

from ba.errors import UserError
from ba.model.camera import CAMERAS
from ba.model.problem import Problem, make_problem
from ba.show import scene, view

MODELS = sorted(CAMERAS)
KINDS = ["ring", "street", "facade", "one", "plane", "random"]


def look_at(centers: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(n, 3, 3) cam_from_world of level cameras in a world whose z axis points up."""
    forward = targets - centers
    forward /= np.linalg.norm(forward, axis=1, keepdims=True)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    return np.stack([right, np.cross(forward, right), forward], axis=1)


def layout(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """rotations, centers, points of a scene of some kind."""
    angle, along = np.linspace(0, 5.5, 14), np.linspace(-9, 9, 25)
    points = rng.normal(size=(700, 3)) * [3.0, 2.0, 1.0]
    if kind == "ring":
        centers = np.stack([8 * np.cos(angle), 8 * np.sin(angle), 0.5 + 0 * angle], axis=1)
        return look_at(centers, 0 * centers), centers, points
    if kind == "street":
        centers = np.stack([along, 0 * along, 0 * along], axis=1)
        walls = np.stack([rng.uniform(-9, 25, 700), rng.choice([-4.0, 4.0], 700), rng.uniform(-2, 6, 700)], axis=1)
        return look_at(centers, centers + np.array([1.0, 0.1, 0.0])), centers, walls
    if kind == "random":
        centers = rng.normal(size=(40, 3)) * 5
        return Rotation.random(40, rng=rng).as_matrix(), centers, points
    centers = rng.normal(size=(1 if kind == "one" else 9, 3)) + np.array([0.0, -12.0, 1.0])
    flat = [1.0, 0.0, 1.0] if kind == "plane" else [1.0, 1.0, 1.0]
    return look_at(centers, 0 * centers), centers, points * flat


def problem_of(model: str, kind: str = "facade", seed: int = 0, noise: float = 0.5) -> Problem:
    """Every image sees every point, with `noise` px of Gaussian noise; covers the whole picture."""
    rng = np.random.default_rng(seed)
    rotations, centers, points = layout(kind, rng)
    n, m = len(centers), len(points)
    problem = make_problem(
        rotations=rotations,
        translations=-np.einsum("nij,nj->ni", rotations, centers),
        camera_models=(model,) * n,
        intrinsics=np.stack([CAMERAS[model].sample(rng) for _ in range(n)]),
        points=points,
        image_of_obs=np.repeat(np.arange(n), m),
        point_of_obs=np.tile(np.arange(m), n),
        pixels=np.zeros((n * m, 2)),
    )
    pixels = scene.project(problem).pixels
    return replace(problem, pixels=pixels + rng.normal(size=pixels.shape) * noise)


def inside(points: np.ndarray, seen: scene.View, aspect: float = 1.6) -> np.ndarray:
    """Whether each point is within the picture's four edges."""
    forward = (seen.target - seen.eye) / seen.distance
    right = np.cross(forward, seen.up)
    right /= np.linalg.norm(right)
    x, y, z = np.stack([right, np.cross(forward, right), forward]) @ (points - seen.eye).T
    tan = np.tan(np.radians(scene.FIELD_OF_VIEW / 2))
    return (z > 0) & (np.abs(x) <= tan * aspect * z) & (np.abs(y) <= tan * z)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_first_view_holds_the_cameras_and_most_points(kind, seed):
    rotations, centers, points = layout(kind, np.random.default_rng(seed))
    seen = scene.first_view(rotations, centers, points)
    assert inside(centers, seen).mean() >= 0.9
    assert inside(points, seen).mean() >= 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_first_view_wastes_no_room(kind):
    rotations, centers, points = layout(kind, np.random.default_rng(0))
    seen = scene.first_view(rotations, centers, points)
    closer = replace(seen, eye=seen.eye + 0.4 * (seen.target - seen.eye))
    assert not inside(np.concatenate([centers, points]), closer).all()


@pytest.mark.parametrize("kind", ["ring", "street", "facade"])
def test_first_view_looks_down_with_up_being_up(kind):
    rotations, centers, points = layout(kind, np.random.default_rng(0))
    seen = scene.first_view(rotations, centers, points)
    assert seen.up[2] > 0.85
    assert seen.eye[2] > seen.target[2]


@pytest.mark.parametrize("kind", KINDS)
def test_far_outliers_barely_move_the_view(kind):
    rng = np.random.default_rng(0)
    rotations, centers, points = layout(kind, rng)
    outliers = np.concatenate([points, [1e6, 1e5, 1e4] * rng.uniform(0.5, 1.0, (len(points) // 50, 3))])
    plain, disturbed = (scene.first_view(rotations, centers, cloud) for cloud in (points, outliers))
    assert np.linalg.norm(plain.eye - disturbed.eye) < 0.15 * plain.distance
    assert np.linalg.norm(plain.up - disturbed.up) < 0.15


@given(st.sampled_from(KINDS), st.integers(0, 10_000), st.floats(-4.0, 4.0))
@settings(max_examples=40, deadline=None)
def test_a_similarity_of_the_world_moves_the_view_along(kind, seed, log_scale):
    rng = np.random.default_rng(seed)
    rotations, centers, points = layout(kind, rng)
    turn, scale, shift = Rotation.random(rng=rng).as_matrix(), 10.0**log_scale, rng.normal(size=3) * 10
    plain = scene.first_view(rotations, centers, points)
    moved = scene.first_view(rotations @ turn.T, scale * centers @ turn.T + shift, scale * points @ turn.T + shift)
    size = scale * plain.distance
    assert_allclose(moved.up, turn @ plain.up, atol=1e-6)
    assert_allclose(moved.eye, scale * turn @ plain.eye + shift, atol=0.02 * size)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_a_scene_without_extent_has_a_view(count):
    points = np.ones((count, 3))
    seen = scene.first_view(np.eye(3)[None], np.ones((1, 3)), points)
    assert np.isfinite([seen.eye, seen.target, seen.up]).all()
    assert seen.distance > 0.0


@pytest.mark.parametrize("model", MODELS)
def test_frusta_project_to_the_corners_of_the_picture(model):
    problem = problem_of(model)
    segments = scene.frusta(problem, 0.3)
    corners = scene.picture_corners(problem)
    images = np.repeat(np.arange(problem.num_images), 4)
    ends = replace(
        problem,
        points=segments[:, :4, 1].reshape(-1, 3),
        pixels=corners.reshape(-1, 2),
        image_of_obs=images.astype(np.int32),
        point_of_obs=np.arange(len(images), dtype=np.int32),
    )
    projection = scene.project(ends)
    assert (projection.domain == 0).all()
    assert_allclose(projection.pixels, corners.reshape(-1, 2), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_frusta_start_at_the_cameras_and_close(model):
    problem = problem_of(model)
    segments = scene.frusta(problem, 0.3)
    assert_allclose(segments[:, :4, 0], np.repeat(problem.centers[:, None], 4, axis=1))
    assert_allclose(segments[:, 4:, 0], segments[:, :4, 1])
    assert_allclose(segments[:, 4:, 1], np.roll(segments[:, :4, 1], -1, axis=1))


def test_pixels_that_distortion_cannot_reach_have_finite_rays():
    problem = problem_of("bal")
    problem.intrinsics[:] = [500.0, -0.4, 0.0]
    rays = scene.unproject(problem, np.zeros(1, int), np.array([[5000.0, 4000.0]]))
    assert_allclose(rays, [[10.0, 8.0, 1.0]])


@pytest.mark.parametrize("model", MODELS)
def test_point_errors_are_distances(model):
    problem = problem_of(model, noise=0.0)
    shifted = replace(problem, pixels=problem.pixels + np.array([3.0, 4.0]))
    assert_allclose(scene.point_errors(shifted), 5.0)


@pytest.mark.parametrize("kind", ["facade", "street"])
def test_point_errors_are_medians_of_what_sees_the_point(kind):
    problem = problem_of("pinhole", kind)
    rng = np.random.default_rng(1)
    kept = np.sort(rng.choice(problem.num_observations, problem.num_observations // 3, replace=False))
    image, point, pixels = problem.image_of_obs[kept], problem.point_of_obs[kept], problem.pixels[kept]
    some = replace(problem, image_of_obs=image, point_of_obs=point, pixels=pixels)
    projection = scene.project(some)
    tracks = [[] for _ in range(problem.num_points)]
    for i in np.flatnonzero(projection.domain != 1):
        tracks[point[i]].append(np.hypot(*(projection.pixels[i] - pixels[i])))
    medians = [statistics.median(track) if track else np.nan for track in tracks]
    assert np.unique([len(track) for track in tracks]).size > 3, "even and odd numbers"
    assert_allclose(scene.point_errors(some), medians, rtol=2e-7)


def test_one_mismatch_does_not_colour_a_point():
    problem = problem_of("pinhole")
    errors = scene.point_errors(problem)
    problem.pixels[problem.image_of_obs == 0] += 1e3
    assert_allclose(scene.point_errors(problem), errors, atol=1.0)


def test_points_that_nothing_sees_have_no_error_and_are_grey():
    problem = problem_of("pinhole")
    more = replace(problem, points=np.concatenate([problem.points, np.zeros((1, 3))]))
    errors = scene.point_errors(more)
    assert np.isnan(errors[-1])
    assert np.isfinite(errors[:-1]).all()
    assert_allclose(scene.error_colors(errors, 1.0)[-1], scene.UNSEEN)


def test_the_colour_scale_runs_from_end_to_end_and_clips():
    colors = scene.error_colors(np.array([0.0, 1.0, 2.0, 200.0, np.inf]), 2.0)
    assert_allclose(colors[[0, 2]], scene.TURBO[[0, -1]])
    assert_allclose(colors[3:], colors[[2, 2]])


def test_huge_errors_do_not_stretch_the_colour_scale():
    errors = np.concatenate([np.full(990, 1.0), np.full(10, 1e9)])
    assert scene.error_limit(errors) == 1.0


def test_mismatched_points_do_not_stretch_the_colour_scale_however_many_they_are():
    good = np.hypot(*np.random.default_rng(0).normal(size=(2, 600)))
    assert good.max() < scene.error_limit(np.concatenate([good, np.full(400, 1e4)])) < 4.0 * good.max()


@pytest.mark.parametrize("errors", [[], [np.nan], [0.0, 0.0]])
def test_the_colour_scale_is_never_empty(errors):
    assert scene.error_limit(np.array(errors)) > 0.0


def test_big_clouds_are_thinned_the_same_way_each_time():
    problem = problem_of("pinhole")
    frame = scene.frame_of(problem)
    first, second = (scene.cloud_of(problem, frame, 0.1, most=100) for _ in range(2))
    assert len(first.points) == len(first.errors) == 100
    assert_allclose(first.points, second.points)


def test_far_points_are_counted_and_not_drawn():
    problem = problem_of("pinhole")
    problem.points[:5] *= 1e7
    cloud = scene.cloud_of(problem, scene.frame_of(problem), 0.1)
    assert cloud.hidden == 5
    assert np.linalg.norm(cloud.points, axis=1).max() <= scene.FAR


def test_map_coordinates_lose_nothing_in_the_picture():
    problem = problem_of("pinhole")
    shift = np.array([4.5e5, 5.4e6, 200.0])
    moved = replace(
        problem,
        points=problem.points + shift,
        translations=problem.translations - problem.rotations @ shift,
    )
    clouds = [scene.cloud_of(p, scene.frame_of(p), 0.1) for p in (problem, moved)]
    assert_allclose(clouds[1].points, clouds[0].points, atol=1e-7)
    assert_allclose(clouds[1].frusta, clouds[0].frusta, atol=1e-7)


@pytest.fixture
def two_states() -> tuple[Problem, Problem]:
    after = problem_of("pinhole")
    return replace(after, points=after.points + 0.1, translations=after.translations + 0.5), after


@pytest.mark.parametrize("show_before", [False, True])
def test_a_picture_has_its_size_and_its_content(tmp_path, two_states, show_before):
    png = tmp_path / "view.png"
    assert view.screenshot(*two_states, png, show_before) is None
    with Image.open(png) as image:
        assert image.size == view.SIZE
        pixels = np.asarray(image.convert("RGB"), int)[: view.SIZE[1] - view.STRIP]
    drawn = (pixels < 250).any(axis=2)
    dark = (np.abs(pixels - view.FRUSTUM) < 20).all(axis=2)
    orange = (np.abs(pixels - view.FRUSTUM_BEFORE) < 20).all(axis=2)
    assert 0.005 < drawn.mean() < 0.5
    assert dark.sum() > 200
    assert (orange.sum() > 200) == show_before
    assert list(tmp_path.iterdir()) == [png]


FAILURES = {
    "aborts": (sys.executable, "-c", "import os; os.abort()"),
    "raises": (sys.executable, "-c", "raise RuntimeError('no device')"),
    "draws nothing": (sys.executable, "-c", "pass"),
    "hangs": (sys.executable, "-c", "import time; time.sleep(60)"),
    "is not there": ("no-such-program",),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_drawing_process_that_fails_is_one_message_with_the_remedy(tmp_path, two_states, monkeypatch, failure):
    monkeypatch.setattr(view, "RENDER", FAILURES[failure])
    monkeypatch.setattr(view, "TIMEOUT_SECONDS", 2.0)
    (tmp_path / "view.png").write_bytes(b"earlier")
    message = view.screenshot(*two_states, tmp_path / "view.png")
    assert message is not None
    assert view.MEND_DRIVER in message
    assert "\n" not in message
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("view.png", b"earlier")]


def test_without_open3d_there_is_a_message_and_no_picture(tmp_path, two_states, monkeypatch):
    monkeypatch.setattr(view.importlib.util, "find_spec", lambda name: None)
    message = view.screenshot(*two_states, tmp_path / "view.png")
    assert message is not None
    assert view.MEND_OPEN3D in message
    with pytest.raises(UserError, match="open3d is not installed"):
        view.show(*two_states)


def test_without_a_screen_a_window_is_a_users_mistake(two_states, monkeypatch):
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UserError, match=r"DISPLAY.*--screenshot PNG writes a picture"):
        view.show(*two_states)

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.sparse import block_diag, coo_array, diags_array
from scipy.sparse.csgraph import connected_components

from ba.errors import UserError
from ba.io import synthetic
from ba.io.options import Scene
from ba.io.scenes import LAYOUTS, town
from ba.model.camera import CAMERAS, INSIDE
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from tests.support.scenes import assert_same_bits

EXACT = ((0.0, 0.0), (0.0, 0.0))
SIZES = {
    "default": {},
    "a pair": {"images": 2, "points": 30},
    "three images": {"images": 3, "points": 40, "observations_per_point": 3},
    "pairs only": {"images": 12, "points": 80, "observations_per_point": 2},
    "long tracks": {"images": 40, "points": 60, "observations_per_point": 40},
    "one camera": {"shared_camera": True},
    "hundreds": {"images": 320, "points": 900},
    "observations": {"images": 60, "observations": 3000, "observations_per_point": 20},
}
every_scene = pytest.mark.parametrize(
    "scene",
    [
        pytest.param(Scene(kind=kind, camera=camera, **sizes), id=f"{kind}-{camera}-{name}")
        for kind in LAYOUTS
        for camera in CAMERAS
        for name, sizes in SIZES.items()
    ],
)


def exact(scene: Scene) -> Scene:
    return scene.model_copy(update={"covariance_px2": EXACT})


def project(problem: Problem) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, domains and depths of all observations, one camera model for all."""
    i, n, k = problem.image_of_obs, problem.num_observations, problem.intrinsics.shape[1]
    point_in_cam = (problem.rotations[i] @ problem.points[problem.point_of_obs][:, :, None])[:, :, 0]
    point_in_cam += problem.translations[i]
    uv, domain = np.empty((n, 2)), np.empty(n, np.uint8)
    CAMERAS[problem.camera_models[0]].project(
        problem.intrinsics,
        problem.camera_of_image[i],
        point_in_cam,
        uv,
        np.empty((0, 2, 3)),
        np.empty((0, 2, k)),
        domain,
    )
    return uv, domain, point_in_cam[:, 2]


@every_scene
def test_exact_observations_are_the_projections_of_the_parameters(scene):
    problem = synthetic.generate(exact(scene))
    uv, domain, depth = project(problem)
    assert np.abs(uv - problem.pixels).max() < 1e-9
    assert (domain == INSIDE).all()
    assert depth.min() > 0.0


@every_scene
def test_exact_observations_lie_in_the_picture(scene):
    problem = synthetic.generate(exact(scene))
    half = np.array([synthetic.WIDTH, synthetic.HEIGHT]) / 2
    middle = half if CAMERAS[scene.camera].principal_point else np.zeros(2)
    assert (np.abs(problem.pixels - middle) <= half).all()


@every_scene
def test_each_point_is_seen_by_two_to_the_wanted_number_of_different_images(scene):
    problem = synthetic.generate(scene)
    tracks = np.bincount(problem.point_of_obs, minlength=problem.num_points)
    assert tracks.min() >= 2
    assert tracks.max() <= scene.observations_per_point
    pairs = np.column_stack([problem.point_of_obs, problem.image_of_obs])
    assert len(np.unique(pairs, axis=0)) == len(pairs)


@every_scene
def test_a_scene_is_one_piece(scene):
    problem = synthetic.generate(scene)
    size = scene.images + problem.num_points
    edges = (np.ones(problem.num_observations), (problem.image_of_obs, scene.images + problem.point_of_obs))
    assert connected_components(coo_array(edges, shape=(size, size)), directed=False)[0] == 1


@every_scene
def test_sizes_and_rotations_are_as_ordered(scene):
    problem = synthetic.generate(scene)
    assert problem.num_images == scene.images
    if scene.observations is None:
        assert problem.num_points == scene.points
    else:
        assert abs(problem.num_observations / scene.observations - 1.0) < 0.03
    assert problem.num_cameras == (1 if scene.shared_camera else scene.images)
    assert np.abs(problem.rotations @ problem.rotations.transpose(0, 2, 1) - np.eye(3)).max() < 1e-14
    assert np.allclose(np.linalg.det(problem.rotations), 1.0)
    assert problem.colors.shape == problem.points.shape
    assert problem.colors.dtype == np.uint8
    assert problem.source == {"format": "synthetic"}


@every_scene
def test_the_same_seed_gives_the_same_bits_and_another_seed_another_scene(scene):
    assert_same_bits(synthetic.generate(scene), synthetic.generate(scene))
    other = synthetic.generate(scene.model_copy(update={"seed": scene.seed + 1}))
    assert not np.array_equal(other.points, synthetic.generate(scene).points)


@every_scene
def test_two_rays_of_each_point_meet_at_an_angle(scene):
    problem = synthetic.generate(scene)
    rays = problem.points[problem.point_of_obs] - problem.centers[problem.image_of_obs]
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    tracks = np.split(rays, np.cumsum(np.bincount(problem.point_of_obs))[:-1])
    widest = np.array([np.linalg.norm(track[:, None] - track, axis=2).max() for track in tracks])
    assert 2.0 * np.arcsin(widest.min() / 2.0) > synthetic.MIN_ANGLE - 1e-9


@pytest.mark.parametrize(
    "scene",
    [Scene(kind=kind, images=20, points=400) for kind in LAYOUTS]
    + [Scene(kind="internet", images=310, points=6000, observations_per_point=100)],
    ids=lambda scene: f"{scene.kind}-{scene.images}",
)
def test_nothing_but_the_frame_is_left_open(scene):
    problem = synthetic.generate(exact(scene))
    free = replace(problem.free, intrinsics=np.zeros_like(problem.free.intrinsics))
    problem = condition(problem.with_free(free)).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    J = Residuals(problem).linearize(variables, variables.start).csr().tocsc()
    A, B = J[:, : 6 * scene.images], J[:, 6 * scene.images :]
    A = A @ diags_array(1.0 / np.sqrt(A.multiply(A).sum(axis=0)))
    inverse = block_diag([np.linalg.inv(block) for block in (B.T @ B).tobsr((3, 3)).data])
    eigenvalues = np.linalg.eigvalsh((A.T @ A - A.T @ B @ inverse @ B.T @ A).toarray())
    assert abs(eigenvalues[6]) < 1e-11
    assert eigenvalues[7] > 1e-8


def test_every_kind_of_the_schema_is_generated_and_no_other():
    assert set(get_args(Scene.model_fields["kind"].annotation)) == set(LAYOUTS)


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_scene_drawn_in_many_pieces_is_as_lawful_as_one_piece(kind, monkeypatch):
    monkeypatch.setattr(synthetic, "PIECE", 100)
    scene = exact(Scene(kind=kind, images=40, points=300))
    problem = synthetic.generate(scene)
    assert np.abs(project(problem)[0] - problem.pixels).max() < 1e-9
    order = np.lexsort((problem.image_of_obs, problem.point_of_obs))
    assert (order == np.arange(problem.num_observations)).all()
    assert np.bincount(problem.point_of_obs, minlength=300).min() >= 2


def farthest_apart(kind: str, images: int) -> int:
    """The largest difference of sequence numbers between two images that share a point."""
    problem = synthetic.generate(Scene(kind=kind, images=images, points=10 * images, observations_per_point=8))
    first = np.full(problem.num_points, images)
    last = np.zeros(problem.num_points, int)
    np.minimum.at(first, problem.point_of_obs, problem.image_of_obs)
    np.maximum.at(last, problem.point_of_obs, problem.image_of_obs)
    return int((last - first).max())


def test_a_street_is_open_a_loop_closes_and_streets_cross():
    assert farthest_apart("street", 400) < 30
    assert farthest_apart("street_loop", 400) > 350
    assert farthest_apart("city", 400) > 100


@pytest.mark.parametrize("kind", ["street_loop", "city"])
def test_no_house_stands_between_an_image_and_what_it_sees(kind):
    problem = synthetic.generate(Scene(kind=kind, images=400, points=2000))
    start = problem.centers[problem.image_of_obs, :2]
    ray = problem.points[problem.point_of_obs, :2] - start
    period = town.loop_period(400) if kind == "street_loop" else town.SMALLEST_PERIOD
    way = start + np.linspace(0.0, 0.999, 200)[:, None, None] * ray
    from_street = np.abs(way - period * np.round(way / period))
    assert (from_street.min(axis=2) < town.HALF_WIDTH).all()


def test_tracks_and_images_of_an_internet_collection_have_heavy_tails():
    problem = synthetic.generate(Scene(kind="internet", images=1500, points=30_000, observations_per_point=1000))
    tracks, seen = np.bincount(problem.point_of_obs), np.bincount(problem.image_of_obs)
    assert np.mean(tracks <= 4) > 0.7
    assert tracks.max() > 150
    assert seen.max() > 20 * np.median(seen)
    assert seen.min() >= 6


def test_pixel_noise_and_outliers_change_nothing_but_pixels():
    plain = synthetic.generate(exact(Scene()))
    noisy = synthetic.generate(Scene(outliers=0.3, mean_px=(1.0, 2.0), covariance_px2=((4.0, 1.0), (1.0, 2.0))))
    assert_same_bits(plain, replace(noisy, pixels=plain.pixels))


@pytest.mark.parametrize("covariance", [((4.0, 1.5), (1.5, 1.0)), ((4.0, -2.0), (-2.0, 1.0)), ((0.0, 0.0), (0.0, 9.0))])
def test_pixel_noise_has_the_ordered_mean_and_covariance(covariance):
    scene = Scene(points=20_000, mean_px=(0.7, -0.3), covariance_px2=covariance)
    noise = (
        synthetic.generate(scene).pixels
        - synthetic.generate(scene.model_copy(update={"mean_px": (0.0, 0.0), "covariance_px2": EXACT})).pixels
    )
    n, S = len(noise), np.array(covariance)
    assert (np.abs(noise.mean(axis=0) - scene.mean_px) <= 5.0 * np.sqrt(np.diag(S) / n) + 1e-9).all()
    # Variance of a sample covariance of Gaussians: (S_ii S_jj + S_ij^2) / n.
    bound = 5.0 * np.sqrt((np.outer(np.diag(S), np.diag(S)) + S**2) / n)
    assert (np.abs(np.cov(noise.T) - S) <= bound + 1e-9).all()


def test_outliers_are_the_ordered_share_anywhere_in_the_picture():
    scene = exact(Scene(points=4000))
    before = synthetic.generate(scene).pixels
    after = synthetic.generate(scene.model_copy(update={"outliers": 0.2})).pixels
    moved = (before != after).any(axis=1)
    assert moved.sum() == round(0.2 * len(before))
    unit = after[moved] / [synthetic.WIDTH, synthetic.HEIGHT]
    assert unit.min() >= 0.0
    assert unit.max() <= 1.0
    # Mean 1/2 and variance 1/12 of the uniform distribution; the variance of its squares is 1/180.
    assert np.abs(unit.mean(axis=0) - 0.5).max() < 5.0 * np.sqrt(1 / 12 / moved.sum())
    assert np.abs(((unit - 0.5) ** 2).mean(axis=0) - 1 / 12).max() < 5.0 * np.sqrt(1 / 180 / moved.sum())


def test_the_covariance_is_handed_on_only_when_asked():
    S = ((2.0, 0.5), (0.5, 1.0))
    assert synthetic.generate(Scene(covariance_px2=S)).covariances is None
    handed = synthetic.generate(Scene(covariance_px2=S, use_covariance=True))
    assert handed.covariances.shape == (handed.num_observations, 2, 2)
    assert (handed.covariances == np.array(S)).all()


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"images": 20, "points": 19}, "data.scene.points"),
        ({"images": 12, "points": 64, "observations_per_point": 2}, "data.scene.points"),
        ({"images": 20, "observations": 60}, "data.scene.observations"),
        ({"camera": "camera obscura"}, "data.scene.camera"),
    ],
)
def test_an_impossible_scene_is_refused_by_key(wrong, key):
    with pytest.raises(UserError, match=f"^{key}: "):
        synthetic.generate(Scene(**wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        {"covariance_px2": ((1.0, 2.0), (2.0, 1.0))},
        {"covariance_px2": ((-1.0, 0.0), (0.0, 1.0))},
        {"covariance_px2": ((1.0, 0.1), (0.2, 1.0))},
        {"covariance_px2": EXACT, "use_covariance": True},
        {"covariance_px2": ((4.0, 2.0), (2.0, 1.0)), "use_covariance": True},
    ],
)
def test_what_is_no_covariance_or_cannot_weight_is_refused_by_key(wrong):
    with pytest.raises((UserError, ValidationError), match="covariance_px2"):
        synthetic.generate(Scene(**wrong))


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize(
    "least", [{"images": 20, "points": 20}, {"images": 12, "points": 65, "observations_per_point": 2}]
)
def test_one_point_more_than_refused_is_enough(kind, least):
    assert synthetic.generate(Scene(kind=kind, **least)).num_points == least["points"]

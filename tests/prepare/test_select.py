from dataclasses import fields, replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ba.errors import UserError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.camera import CAMERAS
from ba.model.problem import Free, Problem, make_problem
from ba.model.rotation import so3
from ba.model.similarity import Similarity, transform
from ba.options import Config
from ba.prepare.options import Camera, Fix
from ba.prepare.select import GAUGES, select

KINDS = ("ring", "street", "cloud")
PROBLEM = generate(Scene(images=6, points=40))
FIXABLE = {
    "poses": PROBLEM.num_images,
    "rotations": PROBLEM.num_images,
    "translations": PROBLEM.num_images,
    "cameras": PROBLEM.num_cameras,
    "points": PROBLEM.num_points,
}


def only(problem: Problem, camera: Camera | None = None, fix: Fix | None = None, gauge: str = "free") -> Free:
    return select(problem, camera or Camera(), fix or Fix(), gauge).free


def masks(free: Free) -> dict[str, np.ndarray]:
    return {part.name: getattr(free, part.name) for part in fields(Free)}


def moved(problem: Problem, x: np.ndarray) -> Problem:
    """The problem with x added to its free numbers, rotations in the left tangent."""
    free = problem.free
    sizes = [3 * free.rotations.sum(), free.translations.sum(), free.intrinsics.sum()]
    turn, shift, change, drift = np.split(x, np.cumsum(sizes))
    rotations, translations = problem.rotations.copy(), problem.translations.copy()
    intrinsics, points = problem.intrinsics.copy(), problem.points.copy()
    rotations[free.rotations] = so3.exp(turn.reshape(-1, 3)) @ rotations[free.rotations]
    translations[free.translations] += shift
    intrinsics[free.intrinsics] += 1000.0 * change
    points[free.points] += drift.reshape(-1, 3)
    return replace(problem, rotations=rotations, translations=translations, intrinsics=intrinsics, points=points)


def project(problem: Problem) -> np.ndarray:
    image, n, k = problem.image_of_obs, problem.num_observations, problem.intrinsics.shape[1]
    rotated = problem.rotations[image] @ problem.points[problem.point_of_obs][:, :, None]
    point_in_cam = rotated[:, :, 0] + problem.translations[image]
    uv, no_derivative = np.empty((n, 2)), (np.empty((0, 2, 3)), np.empty((0, 2, k)))
    model = CAMERAS[problem.camera_models[0]]
    model.project(
        problem.intrinsics, problem.camera_of_image[image], point_in_cam, uv, *no_derivative, np.empty(n, np.uint8)
    )
    return uv.ravel()


def count_open_directions(problem: Problem) -> int:
    """Dimension of the null space of the Jacobian by central differences, its columns scaled to length one."""
    free = problem.free
    size = 3 * free.rotations.sum() + free.translations.sum() + free.intrinsics.sum() + 3 * free.points.sum()
    steps = 1e-5 * np.eye(size)
    jacobian = np.stack([project(moved(problem, step)) - project(moved(problem, -step)) for step in steps], axis=1)
    singular = np.linalg.svd(jacobian / np.linalg.norm(jacobian, axis=0), compute_uv=False)
    # Central differences err by about 1e-10; a real direction of these scenes is above 1e-6.
    assert not ((singular > 1e-8) & (singular < 1e-6)).any()
    return size - int((singular > 1e-7).sum())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("gauge", "open_directions"), [("free", 7), ("two_cameras", 0), ("three_points", 0)])
def test_a_gauge_closes_the_seven_open_directions(kind, gauge, open_directions):
    problem = generate(Scene(kind=kind, images=5, points=25))
    assert count_open_directions(select(problem, Camera(refine="none"), Fix(), gauge)) == open_directions


@pytest.mark.parametrize("gauge", ["two_cameras", "three_points"])
def test_a_gauge_closes_the_open_directions_of_a_problem_with_free_intrinsics_in_any_frame(gauge):
    far = Similarity(0.7, so3.exp(np.array([1.0, 2.0, -1.0])), np.array([3.0, -2.0, 5.0]))
    problem = transform(generate(Scene(camera="bal", images=5, points=40)), far)
    assert count_open_directions(select(problem, Camera(refine=["f"]), Fix(), "free")) == 7
    assert count_open_directions(select(problem, Camera(refine=["f"]), Fix(), gauge)) == 0


def test_two_cameras_hold_exactly_seven_numbers():
    free = only(PROBLEM, gauge="two_cameras")
    assert (~free.rotations).tolist() == [True] + 5 * [False]
    assert (~free.translations).sum() == 4
    assert not free.translations[0].any()
    farthest = np.argmax(np.linalg.norm(PROBLEM.centers - PROBLEM.centers[0], axis=1))
    assert (~free.translations[farthest]).sum() == 1
    assert free.points.all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_held_coordinate_is_the_one_that_a_change_of_scale_moves_most(kind):
    problem = generate(Scene(kind=kind, images=6, points=40))
    held = ~only(problem, gauge="two_cameras").translations
    about_first = Similarity(1.01, np.eye(3), -0.01 * problem.centers[0])
    change = np.abs(transform(problem, about_first).translations - problem.translations)
    assert change[0].max() < 1e-12
    (second,) = np.flatnonzero(held.sum(axis=1) == 1)
    assert np.argmax(held[second]) == np.argmax(change[second])


def test_three_points_hold_nine_numbers_and_no_pose():
    free = only(PROBLEM, gauge="three_points")
    assert (~free.points).sum() == 3
    assert free.rotations.all()
    assert free.translations.all()


def area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    return np.linalg.norm(np.cross(b - a, c - a), axis=-1) / 2


def test_three_points_are_spread_and_well_seen():
    held = np.flatnonzero(~only(PROBLEM, gauge="three_points").points)
    tracks = np.bincount(PROBLEM.point_of_obs)
    assert tracks[held].min() >= np.median(tracks)
    corners = PROBLEM.points[np.array(list(combinations(np.flatnonzero(tracks >= np.median(tracks)), 3)))]
    assert area(*PROBLEM.points[held]) > 0.5 * area(*corners.transpose(1, 0, 2)).max()


def test_three_points_avoid_a_point_that_ran_away():
    points = PROBLEM.points.copy()
    points[7] = 1e6
    assert only(replace(PROBLEM, points=points), gauge="three_points").points[7]


def test_two_cameras_build_on_poses_that_are_held_already():
    free = only(PROBLEM, fix=Fix(poses=[2]), gauge="two_cameras")
    assert np.flatnonzero(~free.rotations).tolist() == [2]
    assert (~free.translations).sum() == 4
    twice = only(PROBLEM, fix=Fix(poses=[2, 4]), gauge="two_cameras")
    assert (~twice.translations).sum() == 6


def blind_first_image() -> Problem:
    """A problem whose image 0 sees nothing, so that it is held fixed without holding the frame."""
    seen = PROBLEM.image_of_obs > 0
    return make_problem(
        rotations=PROBLEM.rotations,
        translations=PROBLEM.translations,
        camera_models=PROBLEM.camera_models,
        intrinsics=PROBLEM.intrinsics,
        points=PROBLEM.points,
        image_of_obs=PROBLEM.image_of_obs[seen],
        point_of_obs=PROBLEM.point_of_obs[seen],
        pixels=PROBLEM.pixels[seen],
    )


def test_an_image_that_sees_nothing_does_not_hold_the_frame():
    free = only(blind_first_image(), gauge="two_cameras")
    assert np.flatnonzero(~free.rotations).tolist() == [0, 1]
    assert (~free.translations).sum() == 3 + 3 + 1


def test_a_gauge_that_the_problem_cannot_hold_is_refused():
    at_one_place = replace(PROBLEM, translations=-PROBLEM.rotations @ np.array([100.0, 200.0, 300.0]))
    with pytest.raises(UserError, match=r"^gauge: two_cameras: all camera centres coincide"):
        only(at_one_place, gauge="two_cameras")
    on_a_line = replace(PROBLEM, points=np.outer(np.arange(40.0), [1.0, 2.0, 3.0]))
    with pytest.raises(UserError, match=r"^gauge: three_points: .*line"):
        only(on_a_line, gauge="three_points")
    with pytest.raises(UserError, match=r"^gauge: three_points: .*line"):
        only(replace(PROBLEM, points=np.ones((40, 3))), gauge="three_points")
    with pytest.raises(UserError, match=r"^gauge: three_points needs three free points seen twice, 0 found"):
        only(PROBLEM, fix=Fix(points="all"), gauge="three_points")
    with pytest.raises(UserError, match=r"^gauge: 'none' is unknown; right are free"):
        only(PROBLEM, gauge="none")
    blind = replace(PROBLEM, image_of_obs=np.zeros_like(PROBLEM.image_of_obs))
    with pytest.raises(UserError, match=r"^gauge: two_cameras needs two images with observations, 1 found"):
        only(blind, gauge="two_cameras")


@settings(max_examples=60)
@given(data=st.data())
def test_a_selection_never_frees_what_is_held_and_moves_nothing(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    before = Free(**{name: rng.random(mask.shape) < 0.8 for name, mask in masks(PROBLEM.free).items()})
    chosen = {
        name: data.draw(st.sampled_from(["none", "all"]) | st.lists(st.integers(0, size - 1)))
        for name, size in FIXABLE.items()
    }
    refine = data.draw(st.sampled_from(["all", "none"]) | st.lists(st.sampled_from(["fx", "fy", "cx", "cy", "skew"])))
    after = select(PROBLEM.with_free(before), Camera(refine=refine), Fix(**chosen), "free")
    for name, mask in masks(after.free).items():
        assert not (mask & ~masks(before)[name]).any()
    assert replace(after, free=PROBLEM.free).__dict__ == PROBLEM.__dict__


@pytest.mark.parametrize(
    ("key", "held"),
    [
        ("poses", {"rotations": True, "translations": True}),
        ("rotations", {"rotations": True}),
        ("translations", {"translations": True}),
        ("cameras", {"intrinsics": True}),
        ("points", {"points": True}),
    ],
)
def test_fix_holds_exactly_what_it_names(key, held):
    for selection, index in (([1, 3], [1, 3]), ("all", slice(None)), ("none", []), ([], [])):
        free = masks(only(PROBLEM, fix=Fix(**{key: selection})))
        for name, mask in free.items():
            expected = np.ones_like(mask)
            if name in held:
                expected[index] = False
            assert (mask == expected).all()


@pytest.mark.parametrize("key", FIXABLE)
def test_an_index_out_of_range_is_refused_by_key_and_range(key):
    size = FIXABLE[key]
    with pytest.raises(UserError, match=f"^fix.{key}: index {size} is out of range; 0 to {size - 1} is right"):
        only(PROBLEM, fix=Fix(**{key: [0, size]}))


@pytest.mark.parametrize("camera", CAMERAS)
def test_refine_frees_the_named_parameters_alone(camera):
    problem = generate(Scene(images=4, points=20, camera=camera))
    parameters = CAMERAS[camera].parameters
    for size in (0, 1, len(parameters)):
        free = only(problem, camera=Camera(refine=list(parameters[:size]))).intrinsics
        assert (free == (np.arange(len(parameters)) < size)).all()
    assert only(problem, camera=Camera(refine="all")).intrinsics.all()
    assert not only(problem, camera=Camera(refine="none")).intrinsics.any()


def mixed_cameras() -> Problem:
    models = [CAMERAS[name] for name in CAMERAS]
    names = tuple(model.name for model, _ in product(models, range(2)))
    intrinsics = np.ones((len(names), max(len(model.parameters) for model in models)))
    n = len(names)
    return make_problem(
        rotations=np.tile(np.eye(3), (n, 1, 1)),
        translations=np.arange(3.0 * n).reshape(n, 3),
        camera_models=names,
        intrinsics=intrinsics,
        points=np.ones((1, 3)),
        image_of_obs=np.arange(n),
        point_of_obs=np.zeros(n, int),
        pixels=np.zeros((n, 2)),
    )


@pytest.mark.parametrize("parameter", sorted({name for model in CAMERAS.values() for name in model.parameters}))
def test_a_name_is_refined_in_every_model_that_has_it(parameter):
    problem = mixed_cameras()
    free = only(problem, camera=Camera(refine=[parameter])).intrinsics
    for row, name in zip(free, problem.camera_models, strict=True):
        names = CAMERAS[name].parameters
        assert [names[i] for i in np.flatnonzero(row)] == [parameter] * (parameter in names)


def test_a_name_that_no_camera_has_is_refused_with_the_right_names():
    with pytest.raises(UserError, match=r"^camera\.refine: 'focal' is no parameter .*pinhole: fx, fy, cx, cy, skew"):
        only(PROBLEM, camera=Camera(refine=["fx", "focal"]))


def test_the_gauges_are_those_of_the_schema():
    assert set(GAUGES) == set(Config.model_fields["gauge"].annotation.__args__)

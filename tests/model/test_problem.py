"""A problem holds what formats bring: rigs, numbers, names, sizes of pictures and keypoints."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ba.errors import UserError
from ba.io import bal, npz
from ba.model.problem import Problem, Rigs, make_problem
from ba.model.residual import Residuals
from ba.model.rotation import so3
from tests.support.scenes import assert_same_bits

FRAMES, SENSORS, POINTS = 3, 2, 4
RIGS = Rigs(
    frame_of_image=np.array([0, 0, 1, 1, 2], np.int32),
    sensor_of_image=np.array([-1, 3, -1, 3, 4], np.int32),
    num_frames=FRAMES,
    rig_of_frame=np.array([0, 0, 1], np.int32),
    rig_of_sensor=np.array([0, 1], np.int32),
    camera_of_sensor=np.array([1, 1], np.int32),
)


def rigged(rigs: Rigs = RIGS, seeing: int = 5, **rest: object) -> Problem:
    """Five images of two rigs, of which the first `seeing` see all four points, with everything known about them."""
    rng = np.random.default_rng(5)
    image, point = (index.ravel() for index in np.meshgrid(np.arange(seeing), np.arange(POINTS), indexing="ij"))
    known = {
        "image_names": tuple(f"{number}.jpg" for number in range(5)),
        "camera_names": ("left", "right"),
        "camera_sizes": np.array([[640, 480], [0, 0]], np.int32),
        "image_ids": np.array([7, 3, 9, 1, 2**40]),
        "camera_ids": np.array([4, 2]),
        "point_ids": np.arange(POINTS) * 10,
        "keypoint_of_obs": np.arange(len(image), dtype=np.int32)[::-1].copy(),
    }
    return make_problem(
        rotations=so3.exp(rng.normal(size=(FRAMES + SENSORS, 3))),
        translations=rng.normal(size=(FRAMES + SENSORS, 3)),
        camera_models=("bal", "bal"),
        intrinsics=rng.normal(size=(2, 3)),
        points=rng.normal(size=(POINTS, 3)),
        image_of_obs=image,
        point_of_obs=point,
        pixels=rng.normal(size=(len(image), 2)),
        camera_of_image=np.array([0, 1, 0, 1, 1]),
        **(known | {"rigs": rigs} | rest),
    )


def test_an_image_s_pose_is_its_sensor_s_after_its_frame_s():
    problem = rigged()
    poses = np.zeros((FRAMES + SENSORS + 1, 4, 4))
    poses[:-1, :3, :3], poses[:-1, :3, 3], poses[:, 3, 3] = problem.rotations, problem.translations, 1.0
    poses[-1] = np.eye(4)  # of -1, a reference sensor
    expected = poses[RIGS.sensor_of_image] @ poses[RIGS.frame_of_image]
    rotations, translations = problem.image_poses
    np.testing.assert_allclose(rotations, expected[:, :3, :3], atol=1e-15)
    np.testing.assert_allclose(translations, expected[:, :3, 3], atol=1e-15)
    np.testing.assert_allclose(problem.centers, np.linalg.inv(expected)[:, :3, 3], atol=1e-14)


def test_without_rigs_the_poses_are_those_of_the_images():
    problem = replace(rigged(), rigs=None)
    assert problem.image_poses[0] is problem.rotations
    assert problem.image_poses[1] is problem.translations
    assert problem.num_frames == problem.num_poses


def test_frames_and_sensors_of_which_no_image_sees_anything_are_fixed():
    assert rigged().free.rotations.tolist() == [True] * 5
    some = rigged(seeing=3).free  # frames 0 and 1, and the sensor of rig 0
    assert some.rotations.tolist() == [True, True, False, True, False]
    assert some.translations.all(axis=1).tolist() == some.rotations.tolist()


def test_observations_keep_their_keypoints():
    kept = rigged().take(np.array([5, 2]))
    assert kept.keypoint_of_obs is not None
    assert kept.keypoint_of_obs.tolist() == [14, 17]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("camera_sizes", np.zeros((2, 3), np.int32), r"camera_sizes: shape \(2, 3\) found, \(2, 2\) expected"),
        ("image_ids", np.arange(3), r"image_ids: shape \(3,\) found, \(5,\) expected"),
        ("camera_ids", np.arange(5), r"camera_ids: shape \(5,\) found, \(2,\) expected"),
        ("point_ids", np.arange(5), r"point_ids: shape \(5,\) found, \(4,\) expected"),
        ("camera_names", ("left",), r"camera_names: shape \(1,\) found, \(2,\) expected"),
        ("keypoint_of_obs", np.arange(3), r"keypoint_of_obs: shape \(3,\) found, \(20,\) expected"),
    ],
)
def test_what_does_not_fit_is_named(name, value, message):
    with pytest.raises(UserError, match=rf"problem\.{message}"):
        rigged(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frame_of_image", [0, 0, 1, 1, 3], "frame_of_image: indices run from 0 to 3, 0 to 2 is right"),
        ("sensor_of_image", [-2, 3, -1, 3, 4], "sensor_of_image: indices run from -2 to 4, -1 to 4 is right"),
        ("sensor_of_image", [-1, 3, -1, 2, 4], r"sensor_of_image\[3\]: 2 is a frame's pose; -1, or 3 and more"),
        ("sensor_of_image", [-1, 3, -1, 3, 3], r"sensor_of_image\[4\]: the sensor is of rig 0, the image's frame of"),
        ("camera_of_sensor", [1, 2], "camera_of_sensor: indices run from 1 to 2, -1 to 1 is right"),
        ("rig_of_frame", [0, 0], r"rig_of_frame: shape \(2,\) found, \(3,\) expected"),
    ],
)
def test_a_rig_that_does_not_fit_is_named(name, value, message):
    with pytest.raises(UserError, match=rf"problem\.rigs\.{message}"):
        rigged(replace(RIGS, **{name: np.array(value, np.int32)}))


def test_the_native_file_keeps_all_of_it(tmp_path: Path):
    problem = rigged()
    npz.write(problem, tmp_path / "rigs.npz")
    assert_same_bits(problem, npz.read(tmp_path / "rigs.npz"))


def test_rigs_are_refused_where_they_are_not_understood(tmp_path: Path):
    with pytest.raises(UserError, match=r"problem\.rigs: residuals of images on rigs are not computed yet"):
        Residuals(rigged())
    with pytest.raises(UserError, match="BAL cannot hold rigs"):
        bal.write(rigged(), tmp_path / "rigs.txt")

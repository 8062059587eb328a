"""The problem as a struct of arrays: images have poses, cameras have intrinsics, points have tracks of observations.

Frames: `cam_from_world`, x_cam = R x_world + t, camera axes x right, y down, z forward (OpenCV, COLMAP). Where cameras
are mounted on rigs, images taken at one moment share the pose of their rig: cam_from_world = sensor_from_rig
rig_from_world. One array holds all poses, those of frames first and those of sensors behind them; without rigs each
image is a frame of its own, and its pose is the image's.
One array a quantity and never an object an observation: that is what lets numba and BLAS do the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ba.errors import UserError
from ba.model.arrays import Bool as Bool
from ba.model.arrays import Float as Float
from ba.model.arrays import Int as Int
from ba.model.camera import CAMERAS
from ba.system.words import counted

if TYPE_CHECKING:
    from ba.model.terms.term import Term
    from ba.model.variables import State


@dataclass(frozen=True, eq=False, repr=False)
class Free:
    """What a solver may move; everything else keeps its bits.

    rotations (n_poses,), translations (n_poses, 3) by component, intrinsics (n_cameras, k), points (n_points,).
    """

    rotations: Bool
    translations: Bool
    intrinsics: Bool
    points: Bool

    def __repr__(self) -> str:
        return f"Free({', '.join(f'{name} {mask.sum():,} of {mask.size:,}' for name, mask in vars(self).items())})"


@dataclass(frozen=True, eq=False)
class Rigs:
    """Which frame and which sensor each image is of.

    frame_of_image   (n_images,)  index into the poses, below num_frames
    sensor_of_image  (n_images,)  index into the poses, from num_frames on; -1 for a rig's reference sensor, whose pose
                     in the rig is the identity
    num_frames       how many of the poses are frames'; the others are sensors'
    rig_of_frame     (num_frames,)  which rig each frame is of, counted from 0
    rig_of_sensor    (n_poses - num_frames,)  which rig each sensor with a pose belongs to
    camera_of_sensor (n_poses - num_frames,)  the camera that each such sensor is, or -1 for one that is none
    """

    frame_of_image: Int
    sensor_of_image: Int
    num_frames: int
    rig_of_frame: Int
    rig_of_sensor: Int
    camera_of_sensor: Int


@dataclass(frozen=True, eq=False, repr=False)
class Problem:
    """Everything a bundle adjustment reads.

    rotations          (n_poses, 3, 3)  cam_from_world of images; with rigs rig_from_world of frames, then
                       sensor_from_rig of the sensors that are no reference sensor
    translations       (n_poses, 3)     of the same poses, world units
    camera_of_image    (n_images,)       index into the cameras
    camera_models      n_cameras names of `ba.model.camera.CAMERAS`
    intrinsics         (n_cameras, k)    k of the longest model, the others padded with zeros
    points             (n_points, 3)     world units
    image_of_obs       (n_obs,)
    point_of_obs       (n_obs,)
    pixels             (n_obs, 2) px     observed
    covariances        (n_obs, 2, 2) px^2, or None for unit covariance
    free               what may move
    rigs               which frame and sensor each image is of, or None where each image is a frame of its own
    colors             (n_points, 3) uint8 RGB, or None
    image_names        n_images names, or ()
    camera_names       n_cameras names, or ()
    camera_sizes       (n_cameras, 2) width and height in px, 0 where unknown, or None
    image_ids, camera_ids, point_ids   (n,) int64 numbers by which the file calls them, or None: counted from 0
    keypoint_of_obs    (n_obs,) which of its image's keypoints each observation is, as the file counts them, or None
    source             what a format keeps to write its file back digit for digit (e.g. BAL's own axis-angles), with the
                       format's name under "format"
    terms              what else is known, beside the observations: position priors, distances, ... (`ba.model.terms`)
    """

    rotations: Float
    translations: Float
    camera_of_image: Int
    camera_models: tuple[str, ...]
    intrinsics: Float
    points: Float
    image_of_obs: Int
    point_of_obs: Int
    pixels: Float
    free: Free
    covariances: Float | None = None
    rigs: Rigs | None = None
    colors: NDArray[np.uint8] | None = None
    image_names: tuple[str, ...] = ()
    camera_names: tuple[str, ...] = ()
    camera_sizes: Int | None = None
    image_ids: NDArray[np.int64] | None = None
    camera_ids: NDArray[np.int64] | None = None
    point_ids: NDArray[np.int64] | None = None
    keypoint_of_obs: Int | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    terms: tuple[Term, ...] = ()

    @property
    def num_images(self) -> int:
        return len(self.camera_of_image)

    @property
    def num_poses(self) -> int:
        """Of frames and of sensors; without rigs those of the images."""
        return len(self.rotations)

    @property
    def num_frames(self) -> int:
        return self.num_poses if self.rigs is None else self.rigs.num_frames

    @property
    def frame_of_image(self) -> Int:
        """(n_images,) index into the poses."""
        return np.arange(self.num_images, dtype=np.int32) if self.rigs is None else self.rigs.frame_of_image

    @property
    def num_cameras(self) -> int:
        return len(self.intrinsics)

    @property
    def num_points(self) -> int:
        return len(self.points)

    @property
    def num_observations(self) -> int:
        return len(self.pixels)

    @property
    def image_poses(self) -> tuple[Float, Float]:
        """Rotations (n_images, 3, 3) and translations (n_images, 3), cam_from_world, of every image, with its sensor's
        pose in its rig."""
        if self.rigs is None:
            return self.rotations, self.translations
        return composed(self.rotations, self.translations, self.rigs, np.arange(self.num_images))

    @property
    def centers(self) -> Float:
        """(n_images, 3) camera centres in the world, -R^T t."""
        rotations, translations = self.image_poses
        return np.asarray(-np.einsum("nij,ni->nj", rotations, translations))

    @property
    def sizes(self) -> str:
        """How large the problem is, in words."""
        numbers = (self.num_images, "image"), (self.num_cameras, "camera"), (self.num_points, "point")
        return ", ".join(counted(*pair) for pair in (*numbers, (self.num_observations, "observation")))

    def __repr__(self) -> str:
        return f"Problem({self.sizes})"

    def with_free(self, free: Free) -> Problem:
        return replace(self, free=free)

    def take(self, observations: NDArray[np.integer] | Bool) -> Problem:
        """The problem with these observations, by index and in this order, or by mask; all else stays."""
        if observations.dtype == bool:
            observations = np.flatnonzero(observations).astype(np.int32)
        return replace(
            self,
            image_of_obs=self.image_of_obs.take(observations),
            point_of_obs=self.point_of_obs.take(observations),
            pixels=self.pixels.take(observations, axis=0),
            covariances=None if self.covariances is None else self.covariances.take(observations, axis=0),
            keypoint_of_obs=None if self.keypoint_of_obs is None else self.keypoint_of_obs.take(observations),
        )

    def moved_to(self, state: Problem | State) -> Problem:
        """The problem in the state of another with the same images, cameras, points; fixed numbers keep their bits."""
        free = self.free
        return replace(
            self,
            rotations=np.where(free.rotations[:, None, None], state.rotations, self.rotations),
            translations=np.where(free.translations, state.translations, self.translations),
            intrinsics=np.where(free.intrinsics, state.intrinsics, self.intrinsics),
            points=np.where(free.points[:, None], state.points, self.points),
        )


def composed(rotations: Any, translations: Any, rigs: Rigs, image: NDArray[np.integer]) -> tuple[Any, Any]:
    """cam_from_world (n, 3, 3) and (n, 3) of images (n,) by the poses of their frames and sensors."""
    frame, sensor = rigs.frame_of_image[image], rigs.sensor_of_image[image]
    dtype = np.result_type(rotations, translations)
    R, t = rotations[frame].astype(dtype), translations[frame].astype(dtype)
    moved = sensor >= 0
    of_sensor = rotations[sensor[moved]]
    t[moved] = np.einsum("nij,nj->ni", of_sensor, t[moved]) + translations[sensor[moved]]
    R[moved] = of_sensor @ R[moved]
    return R, t


def all_free(camera_models: tuple[str, ...], num_poses: int, num_points: int) -> Free:
    """Masks in which every parameter that exists is free (padding of short camera models is not)."""
    sizes = np.array([len(CAMERAS[name].parameters) for name in camera_models])
    return Free(
        rotations=np.ones(num_poses, bool),
        translations=np.ones((num_poses, 3), bool),
        intrinsics=np.arange(sizes.max(initial=0)) < sizes[:, None],
        points=np.ones(num_points, bool),
    )


def make_problem(
    *,
    rotations: Float,
    translations: Float,
    camera_models: tuple[str, ...],
    intrinsics: Float,
    points: Float,
    image_of_obs: Int,
    point_of_obs: Int,
    pixels: Float,
    camera_of_image: Int | None = None,
    **rest: Any,
) -> Problem:
    """A problem with everything free that the observations determine at all.

    Points seen fewer than twice, and images that see nothing with their cameras, are held fixed (`unconstrained` counts
    points and images); so are the frames and sensors of which no image sees anything.
    Without `camera_of_image` each image has a camera of its own. Shapes as in `Problem`; raises UserError where they
    disagree, a number is not finite, or an index is out of range.
    """
    n_points = len(points)
    n_images = len(rotations) if rest.get("rigs") is None else len(rest["rigs"].frame_of_image)
    problem = Problem(
        rotations=np.ascontiguousarray(rotations, float),
        translations=np.ascontiguousarray(translations, float),
        camera_of_image=np.ascontiguousarray(
            np.arange(n_images) if camera_of_image is None else camera_of_image, np.int32
        ),
        camera_models=camera_models,
        intrinsics=np.ascontiguousarray(intrinsics, float),
        points=np.ascontiguousarray(points, float),
        image_of_obs=np.ascontiguousarray(image_of_obs, np.int32),
        point_of_obs=np.ascontiguousarray(point_of_obs, np.int32),
        pixels=np.ascontiguousarray(pixels, float),
        free=all_free(camera_models, len(rotations), n_points),
        **rest,
    )
    _check_shapes(problem)
    _check_indices(problem)
    sees = _sees(problem)
    used = np.isin(np.arange(problem.num_cameras), problem.camera_of_image[sees])
    posed = _posed(problem, sees)
    free = Free(
        rotations=posed,
        translations=np.repeat(posed[:, None], 3, axis=1),
        intrinsics=problem.free.intrinsics & used[:, None],
        points=images_of_points(problem) >= 2,
    )
    return problem.with_free(free)


def unconstrained(problem: Problem) -> dict[str, int]:
    """How many points are seen fewer than twice and how many images see nothing."""
    return {
        "points_seen_fewer_than_twice": int((images_of_points(problem) < 2).sum()),
        "images_that_see_nothing": int((~_sees(problem)).sum()),
    }


def _sees(problem: Problem) -> Bool:
    """(n_images,) whether each image sees anything."""
    return np.asarray(np.bincount(problem.image_of_obs, minlength=problem.num_images) > 0)


def _posed(problem: Problem, sees: Bool) -> Bool:
    """(n_poses,) whether an image that sees anything has this pose as its own, its frame's or its sensor's."""
    if problem.rigs is None:
        return sees
    posed = np.zeros(problem.num_poses + 1, bool)
    posed[problem.rigs.frame_of_image[sees]] = True
    posed[problem.rigs.sensor_of_image[sees]] = True  # -1, the reference sensor, has no pose
    return posed[:-1]


def images_of_points(problem: Problem) -> NDArray[np.int64]:
    """(n_points,) how many images see each point, of which one may observe it more than once."""
    pairs = problem.image_of_obs.astype(np.int64) * max(problem.num_points, 1) + problem.point_of_obs
    # np.unique hashes integers, which takes ten times as long; observations are mostly sorted already.
    ordered = np.sort(pairs, kind="stable")
    once = ordered[np.diff(ordered, prepend=-1) > 0]
    return np.bincount(once % max(problem.num_points, 1), minlength=problem.num_points)


def _check_shapes(problem: Problem) -> None:
    width = max((len(CAMERAS[name].parameters) for name in problem.camera_models), default=0)
    expected: dict[str, tuple[int, ...]] = {
        "rotations": (problem.num_poses, 3, 3),
        "translations": (problem.num_poses, 3),
        "camera_of_image": (problem.num_poses if problem.rigs is None else len(problem.rigs.frame_of_image),),
        "intrinsics": (len(problem.camera_models), width),
        "points": (problem.num_points, 3),
        "image_of_obs": (problem.num_observations,),
        "point_of_obs": (problem.num_observations,),
        "pixels": (problem.num_observations, 2),
    }
    optional: dict[str, tuple[int, ...]] = {
        "covariances": (problem.num_observations, 2, 2),
        "colors": (problem.num_points, 3),
        "camera_sizes": (problem.num_cameras, 2),
        "image_ids": (problem.num_images,),
        "camera_ids": (problem.num_cameras,),
        "point_ids": (problem.num_points,),
        "keypoint_of_obs": (problem.num_observations,),
    }
    if problem.rigs is not None:
        _check_rigs(problem.rigs, problem.num_poses)
    names = {"image_names": (problem.num_images,), "camera_names": (problem.num_cameras,)}
    expected |= {name: shape for name, shape in (optional | names).items() if _is_there(getattr(problem, name))}
    for name, shape in expected.items():
        array = np.asarray(getattr(problem, name))
        if array.shape != shape:
            raise UserError(f"problem.{name}: shape {array.shape} found, {shape} expected")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            where = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise UserError(f"problem.{name}{list(where)}: {array[where]} is not a finite number")


def _check_rigs(rigs: Rigs, num_poses: int) -> None:
    sensors = num_poses - rigs.num_frames
    if sensors < 0:
        raise UserError(
            f"problem.rotations: {num_poses} poses found, at least one for each of {rigs.num_frames} frames"
        )
    images = np.shape(rigs.frame_of_image)
    expected = {"sensor_of_image": images, "rig_of_frame": (rigs.num_frames,)}
    expected |= {"frame_of_image": images[:1], "rig_of_sensor": (sensors,), "camera_of_sensor": (sensors,)}
    for name, shape in expected.items():
        if (found := np.shape(getattr(rigs, name))) != shape:
            raise UserError(f"problem.rigs.{name}: shape {found} found, {shape} expected")


def _is_there(value: Any) -> bool:
    return value is not None and not (isinstance(value, tuple) and not value)


def _check_indices(problem: Problem) -> None:
    sizes = {
        "camera_of_image": (problem.camera_of_image, 0, problem.num_cameras),
        "image_of_obs": (problem.image_of_obs, 0, problem.num_images),
        "point_of_obs": (problem.point_of_obs, 0, problem.num_points),
    }
    if problem.rigs is not None:
        rigs = problem.rigs
        sizes["rigs.frame_of_image"] = rigs.frame_of_image, 0, rigs.num_frames
        sizes["rigs.sensor_of_image"] = rigs.sensor_of_image, -1, problem.num_poses
        sizes["rigs.rig_of_frame"] = rigs.rig_of_frame, 0, problem.num_poses
        sizes["rigs.rig_of_sensor"] = rigs.rig_of_sensor, 0, problem.num_poses
        sizes["rigs.camera_of_sensor"] = rigs.camera_of_sensor, -1, problem.num_cameras
    for name, (index, least, bound) in sizes.items():
        if len(index) and not (least <= index.min() and index.max() < bound):
            raise UserError(
                f"problem.{name}: indices run from {index.min()} to {index.max()}, {least} to {bound - 1} is right"
            )
    if problem.rigs is not None:
        _check_sensors(problem.rigs)
    if problem.covariances is not None:
        _check_covariances(problem.covariances)


def _check_sensors(rigs: Rigs) -> None:
    """That images are of sensors, and of sensors of their own rig."""
    images = np.flatnonzero(rigs.sensor_of_image >= 0)
    sensor = rigs.sensor_of_image[images] - rigs.num_frames
    if len(wrong := images[sensor < 0]):
        raise UserError(
            f"problem.rigs.sensor_of_image[{wrong[0]}]: {rigs.sensor_of_image[wrong[0]]} is a frame's pose; -1, or "
            f"{rigs.num_frames} and more is right"
        )
    of_frame, of_sensor = rigs.rig_of_frame[rigs.frame_of_image[images]], rigs.rig_of_sensor[sensor]
    if (off := of_frame != of_sensor).any():
        first = int(np.argmax(off))
        raise UserError(
            f"problem.rigs.sensor_of_image[{images[first]}]: the sensor is of rig {of_sensor[first]}, the image's "
            f"frame of rig {of_frame[first]}"
        )


def _check_covariances(covariances: Float) -> None:
    a, b, c, d = (covariances[:, i, j] for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)))
    bad = ~((a > 0) & (a * d - b * c > 0) & (np.abs(b - c) <= 1e-9 * np.sqrt(np.abs(a * d))))
    if bad.any():
        raise UserError(
            f"problem.covariances[{int(np.argmax(bad))}]: {covariances[np.argmax(bad)].tolist()} is not a symmetric "
            "positive definite 2x2 matrix in px^2"
        )

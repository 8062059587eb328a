"""What observations leave open, in words: each way in which a problem may be undetermined, with whom it concerns.

To add a way: write `look(determination)`, which yields an `Undetermined` for each case of it, and add one line to
`LOOKS`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ba.analyse.determination import Determination, determine
from ba.analyse.free_directions import PARALLEL
from ba.model.arrays import Array
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.system.words import counted, printable

FRAME = 7
"""Numbers of a frame: position, orientation, scale."""

NEARLY_PARALLEL = 1e-3
"""Radians between rays: a pixel at a focal length of 1000 px. Depth is then hardly determined."""

FLAT = 1e-9
"""Points are on a line where their extent across it is less than this share of that along it."""

SHOWN = 5
"""Images or points that a text names."""

LISTED = 20
"""Images or points that a summary lists."""


@dataclass(frozen=True, eq=False)
class Undetermined:
    """Something that observations leave open. directions: how many that are free, 0 where they are hardly held."""

    text: str
    directions: int
    images: Array
    points: Array

    def as_json(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "directions": self.directions,
            "images": self.images[:LISTED].tolist(),
            "num_images": len(self.images),
            "points": self.points[:LISTED].tolist(),
            "num_points": len(self.points),
        }


def report(problem: Problem, rotation: str, threads: int, *, computed: bool) -> dict[str, Any]:
    """The numbers and findings that summary.json holds; None for each unless `known`, as after Ctrl-C."""
    if not computed:
        return {"free_directions": None, "gauge_directions": None, "undetermined": None}
    found = determine(problem, ROTATIONS[rotation], threads)
    return {
        "free_directions": found.free_directions,
        "gauge_directions": found.expected.total,
        "undetermined": [finding.as_json() for finding in findings(found)],
    }


def findings(of: Determination) -> list[Undetermined]:
    """Everything that is left open beyond what is expected."""
    return [finding for look in LOOKS for finding in look(of)]


def image_name(problem: Problem, image: int, known_as: int | None = None) -> str:
    """`image 3`, with the name of its file where one is known."""
    name = f" ({printable(problem.image_names[image])})" if problem.image_names else ""
    return f"image {image if known_as is None else known_as}{name}"


def _several_parts(of: Determination) -> Iterator[Undetermined]:
    split = of.found.parts
    if split.count < 2:
        return
    images, points = np.flatnonzero(split.of_image > 0), np.flatnonzero(split.of_point > 0)
    beyond = of.found.frame - of.expected.frame
    text = (
        f"{split.count} components have no point in common, so place, orientation and scale between them are open: "
        f"{_free(beyond)}; apart from the largest are {_images(of.problem, images)} with {_points(points)}"
    )
    yield Undetermined(text, beyond, images, points)


def _one_frame(of: Determination) -> Iterator[Undetermined]:
    beyond = of.found.frame - of.expected.frame
    if of.found.parts.count == 1 and beyond > 0:
        why = _too_few(of.problem) or "the scene as a whole may be deformed and no projection changes"
        images, points = np.arange(of.problem.num_images), np.flatnonzero(of.found.parts.of_point == 0)
        yield Undetermined(f"{why}: {_free(beyond)}", beyond, images, points)


def _one_image(of: Determination) -> Iterator[Undetermined]:
    images, points = (np.flatnonzero(part >= 0) for part in (of.found.parts.of_image, of.found.parts.of_point))
    if len(images) == 1:
        name = image_name(of.problem, int(images[0]))
        what = f"only {name} sees anything: one image tells no depth"
        yield Undetermined(f"{what}, so its {len(points):,} points are held where they are", 0, images, points)


def _loose_images(of: Determination) -> Iterator[Undetermined]:
    """Images, with the cameras that only they have, whose observations leave some of their own numbers open."""
    problem = of.problem
    camera = problem.camera_of_image
    users = np.bincount(camera, minlength=problem.num_cameras)
    beyond = of.found.images - of.expected.images
    beyond += np.where(users[camera] == 1, (of.found.cameras - of.expected.cameras)[camera], 0)
    loose = np.flatnonzero(beyond > 0)
    reasons = np.array([_reason(problem, int(image)) for image in loose])
    for reason in dict.fromkeys(reasons.tolist()):
        images = loose[reasons == reason]
        directions = int(beyond[images].sum())
        points = np.unique(problem.point_of_obs[np.isin(problem.image_of_obs, images)])
        text = f"{_images(problem, images)}: {reason}: {_free(directions)}"
        yield Undetermined(text, directions, images, points)


def _reason(problem: Problem, image: int) -> str:
    """Why an image's own numbers are not determined."""
    free, camera = problem.free, int(problem.camera_of_image[image])
    seen = np.unique(problem.point_of_obs[problem.image_of_obs == image])
    alone = int((problem.camera_of_image == camera).sum()) == 1
    numbers = 3 * int(free.rotations[image]) + int(free.translations[image].sum())
    numbers += int(free.intrinsics[camera].sum()) if alone else 0
    if 2 * len(seen) < numbers:
        return f"too few points for {numbers} free numbers, of which each point holds 2"
    X = problem.points[seen] - problem.points[seen].mean(axis=0)
    values = np.linalg.svd(X, compute_uv=False)
    if values[1] <= FLAT * values[0]:
        return "the points are collinear, so that an image may turn about their line"
    return "what is seen leaves some numbers of the image open"


def _loose_cameras(of: Determination) -> Iterator[Undetermined]:
    """Cameras of several images, or of none."""
    problem = of.problem
    users = np.bincount(problem.camera_of_image, minlength=problem.num_cameras)
    beyond = np.where(users != 1, of.found.cameras - of.expected.cameras, 0)
    for camera in np.flatnonzero(beyond > 0):
        images = np.flatnonzero(problem.camera_of_image == camera)
        why = f"what its {len(images):,} images see leaves intrinsics open" if len(images) else "no image has it"
        directions = int(beyond[camera])
        yield Undetermined(f"camera {camera}: {why}: {_free(directions)}", directions, images, np.empty(0, np.int64))


def _parallel_rays(of: Determination) -> Iterator[Undetermined]:
    problem, split = of.problem, of.found.parts
    points = np.flatnonzero(of.found.points)
    if not len(points):
        return
    images = _images_that_see(problem, points)
    what = f"{_points(points)}: all rays are parallel, so that depth is open"
    free = problem.free.points & (split.of_point >= 0)
    if len(points) == free.sum():
        seeing = np.flatnonzero(split.of_image >= 0)
        equal = np.ptp(problem.rotations[seeing], axis=0).max() <= PARALLEL
        how = "have the same pose" if equal else "stand at one place (pure rotation)"
        what = f"all {len(seeing):,} images {how}, so that the depth of {_points(points)} is open"
    # The scale of the frame is one of these directions where all points have them.
    beyond = len(points) - max(of.expected.frame - of.found.frame, 0)
    yield Undetermined(f"{what}: {_free(beyond)}", beyond, images, points)


def _joint_motions(of: Determination) -> Iterator[Undetermined]:
    if of.joint > 0:
        share = "shares" if len(of.joint_images) == 1 else "share"
        apart = f"{_images(of.problem, of.joint_images)} {share} too few points with the others to be held"
        text = f"{_too_few(of.problem) or apart}: {_free(of.joint)}"
        yield Undetermined(text, of.joint, of.joint_images, np.empty(0, np.int64))


def _narrow_rays(of: Determination) -> Iterator[Undetermined]:
    points = np.flatnonzero(of.problem.free.points & (of.angles > PARALLEL) & (of.angles <= NEARLY_PARALLEL))
    if len(points):
        text = f"{_points(points)}: rays are within {NEARLY_PARALLEL:g} rad of parallel, so that depth is hardly held"
        yield Undetermined(text, 0, _images_that_see(of.problem, points), points)


LOOKS = (
    _several_parts,
    _one_frame,
    _one_image,
    _loose_images,
    _loose_cameras,
    _parallel_rays,
    _joint_motions,
    _narrow_rays,
)


def _too_few(problem: Problem) -> str:
    """That there are fewer residuals than numbers of poses, cameras and points beyond a frame, or nothing."""
    free = problem.free
    numbers = 3 * int(free.points.sum() + free.rotations.sum()) + int(free.translations.sum() + free.intrinsics.sum())
    residuals = 2 * problem.num_observations
    if numbers - FRAME <= residuals:
        return ""
    return f"too few observations, {residuals:,} residuals for {numbers:,} free numbers"


def _images_that_see(problem: Problem, points: Array) -> Array:
    return np.unique(problem.image_of_obs[np.isin(problem.point_of_obs, points)])


def _free(directions: int) -> str:
    return counted(directions, "free direction")


def _images(problem: Problem, images: Array) -> str:
    names = [image_name(problem, int(image)).removeprefix("image ") for image in images[:SHOWN]]
    return _enumerated("image", names, len(images))


def _points(points: Array) -> str:
    return _enumerated("point", [str(point) for point in points[:SHOWN]], len(points))


def _enumerated(what: str, names: Sequence[str], count: int) -> str:
    """`image 3`, `points 3, 7`, `images 1, 2, 3, 4, 5 and 8 more`, `no points`."""
    if not names:
        return f"no {what}s"
    more = f" and {count - len(names):,} more" if count > len(names) else ""
    return f"{what}{'' if count == 1 else 's'} {', '.join(names)}{more}"

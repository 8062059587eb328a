"""What the user of a run is told beside its numbers: what was held, what went wrong, what the numbers do not mean."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS, isotropy, so3
from ba.prepare.conditioning import is_bound_to_frame, is_far
from ba.system.words import counted

SINGULAR = 1e-2
"""Third singular value of the tangent map, as a share of its first, below which a rotation is near a singularity."""

COUNTED = (
    ("points_seen_fewer_than_twice", "point", "is seen fewer than twice and was held fixed",
     "are seen fewer than twice and were held fixed"),
    ("images_that_see_nothing", "image", "sees nothing and was held fixed", "see nothing and were held fixed"),
    ("behind_camera_end", "observation", "ends with the point behind its camera",
     "end with the point behind its camera"),
    ("outside_field_end", "observation", "ends where the camera's distortion is not one-to-one",
     "end where the camera's distortion is not one-to-one"),
)  # fmt: skip
"""Counts that are told unless they are 0: the key, the noun, and what follows the noun in singular and plural."""


def notes_of(summary: dict[str, Any], start: Problem, end: Problem) -> Iterator[str]:
    """Notes on a run from start to end, from the numbers in its summary."""
    for key, noun, singular, plural in COUNTED:
        if summary[key]:
            yield f"{counted(summary[key], noun)} {singular if summary[key] == 1 else plural}"
    yield from (direction["text"] for direction in summary["undetermined"] or ())
    if is_far(start) and is_bound_to_frame(start):
        yield (
            "coordinates are far from the origin, and a translation held under a free rotation (fix, or gauge: "
            "two_cameras) binds them there: steps are poor; gauge: free or three_points lets the solver move the frame"
        )
    if summary["distance_from_so3"] > so3.OFF_SO3:
        yield (
            f"rotations of `{summary['rotation']}` ended up to {summary['distance_from_so3']:.3g} from SO(3) "
            "(|R^T R - I|): its cost is not comparable with that of rotations"
        )
    yield from _near_singularities(summary["rotation"], start, end)


def _near_singularities(name: str, start: Problem, end: Problem) -> Iterator[str]:
    """A note where a free image is at one end so near gimbal lock, or its like, that steps can hardly turn it."""
    rotation = ROTATIONS[name]
    for verb, problem in (("ends", end), ("starts", start)) if rotation.stays_rotation else ():
        reach = np.where(problem.free.rotations, isotropy(rotation, rotation.from_matrix(problem.rotations)), 1.0)
        image = int(reach.argmin())
        if reach[image] < SINGULAR:
            yield (
                f"image {image} {verb} near a singularity of `{name}` (gimbal lock or the like): in one direction a "
                f"step turns it {reach[image]:.1g} times as far as in another; rotation: so3_left has no singularity"
            )
            return

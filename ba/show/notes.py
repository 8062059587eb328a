"""What the user of a run is told beside its numbers: what was held, what went wrong, what the numbers do not mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS, isotropy, so3
from ba.prepare.conditioning import is_bound_to_frame, is_far
from ba.system.words import counted

SINGULAR = 1e-2
"""Third singular value of the tangent map, as a share of its first, below which a rotation is near a singularity."""


def notes_of(summary: dict[str, Any], start: Problem, end: Problem) -> Iterator[str]:
    """Notes on a run from start to end, from what its summary has."""
    for key, noun, one, more in (
        (
            "points_seen_fewer_than_twice",
            "point",
            "is seen fewer than twice and was",
            "are seen fewer than twice and were",
        ),
        ("images_that_see_nothing", "image", "sees nothing and was", "see nothing and were"),
    ):
        if summary[key]:
            yield f"{counted(summary[key], noun)} {one if summary[key] == 1 else more} held fixed"
    for key, where in (
        ("behind_camera_end", "with the point behind its camera"),
        ("outside_field_end", "where the camera's distortion is not one-to-one"),
    ):
        if summary[key]:
            yield f"{counted(summary[key], 'observation')} {'ends' if summary[key] == 1 else 'end'} {where}"
    yield from (found["text"] for found in summary["undetermined"] or ())
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

"""Large world coordinates, such as UTM's, are moved near the origin for the solve and moved back after it.

At 1e7 m from the origin R x + t cancels seven digits, and a step in R moves the image of every point wildly. The shift
is the points' median; the scale is a power of two, so it rounds nothing. Problems whose coordinates are small beside
their extent are left alone, and so are those with a translation fixed under a free rotation: in another frame what is
fixed there would not be one number.
"""

from dataclasses import replace

import numpy as np

from ba.alignment import Similarity, transform
from ba.problem import Problem

FAR = 1e3
"""Offset over extent beyond which the frame is moved."""


def conditioned(problem: Problem) -> tuple[Problem, Similarity | None]:
    """The problem in a frame fit for solving, and the similarity that led there; None where it was fit already."""
    if problem.num_points == 0 or (problem.free.rotations & ~problem.free.translations.all(axis=1)).any():
        return problem, None
    center = np.median(problem.points, axis=0)
    extent = float(np.median(np.abs(problem.points - center).max(axis=1)))
    if extent == 0.0 or float(np.abs(center).max()) <= FAR * extent:
        return problem, None
    scale = float(2.0 ** -np.round(np.log2(extent)))
    similarity = Similarity(scale, np.eye(3), -scale * center)
    return transform(problem, similarity), similarity


def restored(solved: Problem, similarity: Similarity | None, original: Problem) -> Problem:
    """The solved problem in the original's frame, with the original's masks and, bit for bit, its fixed numbers."""
    if similarity is not None:
        scale = 1.0 / similarity.scale
        solved = transform(solved, Similarity(scale, np.eye(3), -scale * similarity.translation))
    free = original.free
    return replace(
        solved,
        rotations=np.where(free.rotations[:, None, None], solved.rotations, original.rotations),
        translations=np.where(free.translations, solved.translations, original.translations),
        intrinsics=np.where(free.intrinsics, solved.intrinsics, original.intrinsics),
        points=np.where(free.points[:, None], solved.points, original.points),
        free=free,
    )

"""The problem as solvers like it, and back: sorted for locality, and near the origin.

Points whose tracks begin with the same images stand together, and observations stand by point and image, so that
neighbours in memory touch the same blocks. Large world coordinates, such as UTM's, are moved: at 1e7 m from the origin
R x + t cancels seven digits, and a step in R moves the image of every point wildly. The shift is the points' median;
the scale is a power of two, so it rounds nothing. Coordinates that are small beside the points' extent stay, and so do
those of problems with a translation fixed under a free rotation: in another frame what is fixed is not one number.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.model.problem import Problem
from ba.model.similarity import Similarity, transform
from ba.model.terms.term import touched_points

FAR = 1e3
"""Offset over extent beyond which the frame is moved."""

KEYS = 8
"""Points are sorted by the first images of their tracks: by at least so many, and by as many as fit 62 bits."""

ENOUGH = 4096
"""About so many points suffice to estimate where the scene lies and how large it is."""


@dataclass(frozen=True, eq=False)
class Conditioned:
    """`problem` is fit for solving; `restored` leads back from it. points: the original index of each of its points."""

    problem: Problem
    original: Problem
    points: NDArray[Any]
    similarity: Similarity | None

    def restored(self, solved: Problem) -> Problem:
        """A solved problem in the original's frame and order, with the original's fixed numbers bit for bit."""
        if self.similarity is not None:
            scale = 1.0 / self.similarity.scale
            solved = transform(solved, Similarity(scale, np.eye(3), -scale * self.similarity.translation))
        points = np.empty_like(solved.points)
        points[self.points] = solved.points
        return self.original.moved_to(replace(solved, points=points))


def condition(problem: Problem) -> Conditioned:
    """The problem sorted, and in a frame fit for solving."""
    similarity = _frame(problem)
    points, observations = _order(problem)
    rank = np.empty(len(points), np.int32)
    rank[points] = np.arange(len(points), dtype=np.int32)
    taken = in_frame(problem, similarity).take(observations)
    sorted_problem = replace(
        taken,
        points=taken.points[points],
        free=replace(taken.free, points=taken.free.points[points]),
        point_of_obs=rank[taken.point_of_obs],
        terms=tuple(term.renumbered(rank) for term in taken.terms),
    )
    return Conditioned(sorted_problem, problem, points, similarity)


def _order(problem: Problem) -> tuple[NDArray[Any], NDArray[Any]]:
    """Points sorted by the first images of their tracks, those that a term touches last, and observations by sorted
    point and image."""
    image, point, n_images = problem.image_of_obs.astype(np.int64), problem.point_of_obs, problem.num_images
    by_point = np.argsort(point * np.int64(n_images) + image, kind="stable")
    lengths = np.bincount(point, minlength=problem.num_points)
    starts = np.cumsum(lengths) - lengths
    images = np.append(image[by_point], n_images)
    fitting = int(62.0 / np.log2(n_images + 1.0)) if n_images else 1
    words = []
    for first in range(0, min(max(KEYS, fitting), lengths.max(initial=0)), fitting):
        word = np.zeros(len(lengths), np.int64)
        for place in range(first, first + fitting):
            word = word * (n_images + 1) + images[np.where(lengths > place, starts + place, len(images) - 1)]
        words.append(word)
    if problem.terms:
        words.insert(0, touched_points(problem.terms, problem.num_points).astype(np.int64))
    points = np.lexsort(words[::-1]) if words else np.arange(problem.num_points)
    # Tracks move as a whole, so the observations' order follows from the points'.
    ends = np.cumsum(lengths[points])
    observations = by_point[
        np.arange(len(image)) + np.repeat(starts[points] - (ends - lengths[points]), lengths[points])
    ]
    return points, observations


def near_origin(problem: Problem) -> Problem:
    """The problem in a frame fit for derivatives, its images and points in their order."""
    return in_frame(problem, _frame(problem))


def in_frame(problem: Problem, similarity: Similarity | None) -> Problem:
    return problem if similarity is None else transform(problem, similarity)


def is_far(problem: Problem) -> bool:
    """Whether the points are further from the origin than FAR times their extent."""
    center, extent = _extent(problem)
    return extent > 0.0 and float(np.abs(center).max()) > FAR * extent


def is_bound_to_frame(problem: Problem) -> bool:
    """Whether a number is held fixed that would not be one number in another frame."""
    return bool((problem.free.rotations & ~problem.free.translations.all(axis=1)).any())


def _frame(problem: Problem) -> Similarity | None:
    if is_bound_to_frame(problem) or not is_far(problem):
        return None
    center, extent = _extent(problem)
    scale = float(2.0 ** -np.round(np.log2(extent)))
    return Similarity(scale, np.eye(3), -scale * center)


def _extent(problem: Problem) -> tuple[NDArray[Any], float]:
    if problem.num_points == 0:
        return np.zeros(3), 0.0
    some = problem.points[:: max(1, problem.num_points // ENOUGH)]
    center = np.median(some, axis=0)
    return center, float(np.median(np.abs(some - center).max(axis=1)))

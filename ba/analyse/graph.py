"""The graph of images and points, and its connected parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ba.model.arrays import Array
from ba.model.problem import Problem


@dataclass(frozen=True, eq=False)
class Parts:
    """The connected part of each image (n_images,) and point (n_points,): 0 to count - 1, most observations first; -1
    where nothing is observed."""

    of_image: Array
    of_point: Array
    count: int


def by_label(label: Array) -> list[Array]:
    """Where each label stands in label (n,), from the least to the greatest."""
    order = np.argsort(label, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(label[order])) + 1) if len(label) else []


def incidence(problem: Problem) -> csr_array:
    """(n_images + n_points)^2 graph with an edge from each image to every point that it sees."""
    size = problem.num_images + problem.num_points
    ends = problem.image_of_obs, problem.num_images + problem.point_of_obs.astype(np.int64)
    return csr_array((np.ones(problem.num_observations), ends), shape=(size, size))


def parts(problem: Problem) -> Parts:
    """The parts that hold observations."""
    _, label = connected_components(incidence(problem), directed=False)
    observations = np.bincount(label[problem.image_of_obs], minlength=label.max(initial=-1) + 1)
    order = np.argsort(-observations, kind="stable")
    count = int((observations > 0).sum())
    number = np.full(len(observations), -1)
    number[order[:count]] = np.arange(count)
    return Parts(number[label[: problem.num_images]], number[label[problem.num_images :]], count)

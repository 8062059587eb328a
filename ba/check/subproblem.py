"""A connected piece of a problem that remembers its indices, for what takes too long or too much room on the whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse.csgraph import breadth_first_order

from ba.analyse.graph import incidence
from ba.model.arrays import Array
from ba.model.problem import Free, Problem


@dataclass(frozen=True, eq=False)
class Subproblem:
    """A problem, and for each of its images, cameras and points the index that the user knows it by."""

    problem: Problem
    images: Array
    cameras: Array
    points: Array


def cut(subproblem: Subproblem, observations: int) -> Subproblem:
    """About as many observations: points as they come breadth first from the image that sees most, with whole tracks.

    The first image sees all of them, or leads to them, so the cut is connected.
    """
    problem = subproblem.problem
    if problem.num_observations <= observations:
        return subproblem
    first = int(np.argmax(np.bincount(problem.image_of_obs, minlength=problem.num_images)))
    order = breadth_first_order(incidence(problem), first, directed=False, return_predecessors=False)
    points = order[order >= problem.num_images] - problem.num_images
    tracks = np.bincount(problem.point_of_obs, minlength=problem.num_points)
    points = np.sort(points[: int(np.searchsorted(np.cumsum(tracks[points]), observations)) + 1])
    kept = np.isin(problem.point_of_obs, points)
    images = np.unique(problem.image_of_obs[kept])
    cameras = np.unique(problem.camera_of_image[images])
    seen, free = problem.take(kept), problem.free
    piece = replace(
        seen,
        rotations=problem.rotations[images],
        translations=problem.translations[images],
        camera_of_image=np.searchsorted(cameras, problem.camera_of_image[images]).astype(np.int32),
        camera_models=tuple(problem.camera_models[camera] for camera in cameras),
        intrinsics=problem.intrinsics[cameras],
        points=problem.points[points],
        image_of_obs=np.searchsorted(images, seen.image_of_obs).astype(np.int32),
        point_of_obs=np.searchsorted(points, seen.point_of_obs).astype(np.int32),
        free=Free(free.rotations[images], free.translations[images], free.intrinsics[cameras], free.points[points]),
        colors=None,
        image_names=tuple(problem.image_names[image] for image in images) if problem.image_names else (),
        source={},
    )
    return Subproblem(piece, subproblem.images[images], subproblem.cameras[cameras], subproblem.points[points])

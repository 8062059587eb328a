"""What the tests of the data need, computed once: tracks, components, projections, and angles between rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ba.analyse.determination import Determination, determine
from ba.analyse.free_directions import rays_by_point
from ba.model.arrays import Array
from ba.model.problem import Problem, images_of_points
from ba.model.residual import Projection, project
from ba.model.rotation import Parameterization
from ba.model.variables import make_layout


@dataclass(frozen=True)
class Component:
    """A connected part of the graph of images and points. gauge: directions that change no residual."""

    images: int
    points: int
    residuals: int
    free: int
    gauge: int
    first_image: int


@dataclass(frozen=True, eq=False)
class DataStatistics:
    """A problem and the parameterization that it is to be solved with."""

    problem: Problem
    rotation: Parameterization
    threads: int

    @cached_property
    def tracks(self) -> Array:
        """(n_points,) how many images see each point."""
        return images_of_points(self.problem)

    @cached_property
    def projection(self) -> Projection:
        return project(self.problem, self.threads)

    @cached_property
    def errors(self) -> Array:
        """(n_obs,) px, distance of each projection from its pixels."""
        return np.asarray(np.linalg.norm(self.projection.pixels - self.problem.pixels, axis=1))

    @cached_property
    def depths(self) -> Array:
        """(n_obs,) world units along the camera's axis."""
        problem = self.problem
        axis = problem.rotations[problem.image_of_obs, 2]
        points = problem.points[problem.point_of_obs]
        return np.asarray(np.einsum("ni,ni->n", axis, points) + problem.translations[problem.image_of_obs, 2])

    @cached_property
    def angles(self) -> Array:
        """(n_points,) degrees, the largest between two rays of a point; NaN where fewer than two images see it.

        Found in three steps: from a point's first ray to the ray farthest from it, from that to the ray farthest from
        it, and once more. The result is the angle of the last step, which is exact for up to three rays.
        """
        point, rays = rays_by_point(self.problem)
        counts = np.bincount(point, minlength=self.problem.num_points)
        starts = np.cumsum(counts) - counts
        farthest = self._farthest(rays, point, starts)
        chord = np.linalg.norm(rays - rays[self._farthest(rays, point, farthest)[point]], axis=1)
        largest = np.zeros(self.problem.num_points)
        np.maximum.at(largest, point, chord)
        return np.where(self.tracks >= 2, np.degrees(2.0 * np.arcsin(np.minimum(0.5 * largest, 1.0))), np.nan)

    def _farthest(self, rays: Array, point: Array, origin: Array) -> Array:
        """(n_points,) place of the ray farthest from each point's ray `origin` (n_points,)."""
        chord = np.linalg.norm(rays - rays[origin[point]], axis=1)
        by_distance = np.lexsort((chord, point))
        last = np.zeros(self.problem.num_points, np.int64)
        last[point] = by_distance  # of several written to one place the last stays
        return last

    @cached_property
    def determination(self) -> Determination:
        return determine(self.problem, self.rotation, self.threads)

    @cached_property
    def components(self) -> list[Component]:
        """The components that hold observations, largest first."""
        split, found = self.determination.found.parts, self.determination.found
        layout = make_layout(self.problem, self.rotation.tangent_dim)
        free = self._by_part(
            (layout.image_columns >= 0).sum(axis=1),
            (layout.camera_columns >= 0).sum(axis=1),
            (layout.point_columns >= 0).sum(axis=1),
        )
        columns = (
            _summed(np.ones_like(split.of_image), split.of_image, split.count),
            _summed(np.ones_like(split.of_point), split.of_point, split.count),
            2 * np.bincount(split.of_image[self.problem.image_of_obs], minlength=split.count),
            free,
            found.frames + self._by_part(found.images, found.cameras, found.points),
            [np.argmax(split.of_image == part) for part in range(split.count)],
        )
        return [Component(*map(int, numbers)) for numbers in zip(*columns, strict=True)]

    def _by_part(self, images: Array, cameras: Array, points: Array) -> Array:
        """Sums over each component of numbers of images, cameras and points; a camera counts where its first image
        is."""
        split = self.determination.found.parts
        used, first = np.unique(self.problem.camera_of_image, return_index=True)
        total = _summed(images, split.of_image, split.count)
        total += _summed(cameras[used], split.of_image[first], split.count)
        return total + _summed(points, split.of_point, split.count)


def _summed(numbers: Array, label: Array, count: int) -> Array:
    """(count,) sums of numbers by label, without those that have none."""
    total = np.zeros(count, np.int64)
    np.add.at(total, label[label >= 0], numbers[label >= 0])
    return total

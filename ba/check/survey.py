"""What the tests of the data read, computed once: tracks, components, projections, and angles between rays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from ba.check.sample import Sample, incidence, restricted
from ba.freedom import free_directions
from ba.problem import Problem, images_of_points
from ba.residual import Projection, Residuals, project
from ba.rotation import Parameterization
from ba.solver.conditioning import condition
from ba.variables import make_layout, make_variables

Array = NDArray[Any]


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
class Survey:
    """A problem and the parameterization that it is to be solved with."""

    problem: Problem
    rotation: Parameterization
    threads: int

    @cached_property
    def tracks(self) -> Array:
        """(n_points,) how many images see each point."""
        return images_of_points(self.problem)

    @cached_property
    def seen(self) -> Array:
        """(n_images,) observations of each image."""
        return np.bincount(self.problem.image_of_obs, minlength=self.problem.num_images)

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

        The ray farthest from a point's first, and the one farthest from that: for up to three rays the very largest.
        """
        problem = self.problem
        order = np.argsort(problem.point_of_obs, kind="stable")
        point = problem.point_of_obs[order]
        rays = problem.points[point] - problem.centers[problem.image_of_obs[order]]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True).clip(min=np.finfo(float).tiny)
        counts = np.bincount(point, minlength=problem.num_points)
        starts = np.cumsum(counts) - counts
        farthest = self._farthest(rays, point, starts)
        chord = np.linalg.norm(rays - rays[self._farthest(rays, point, farthest)[point]], axis=1)
        largest = np.zeros(problem.num_points)
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
    def components(self) -> list[Component]:
        """The components that hold observations, largest first."""
        problem = self.problem
        _, label = connected_components(incidence(problem), directed=False)
        of_image, of_point = label[: problem.num_images], label[problem.num_images :]
        labels, counts = np.unique(of_image[problem.image_of_obs], return_counts=True)
        free = self._free_numbers(of_image, of_point)
        found = []
        for component, observations in zip(labels, counts, strict=True):
            images, points = np.flatnonzero(of_image == component), np.flatnonzero(of_point == component)
            gauge = self._gauge(points)
            numbers = int(free[component])
            found.append(Component(len(images), len(points), 2 * int(observations), numbers, gauge, int(images[0])))
        return sorted(found, key=lambda component: -component.residuals)

    def _gauge(self, points: Array) -> int:
        """Free directions of the component with these points."""
        problem = self.problem
        if len(points) < problem.num_points:
            numbers = (np.arange(n) for n in (problem.num_images, problem.num_cameras, problem.num_points))
            problem = restricted(Sample(problem, *numbers), points).problem
        # Far from the origin rounding hides that a held pose holds the frame.
        problem = condition(problem).problem
        variables = make_variables(problem, self.rotation)
        blocks = Residuals(problem, self.threads).blocks(variables.at(variables.start))
        return free_directions(problem, blocks)

    def _free_numbers(self, of_image: Array, of_point: Array) -> Array:
        """Free numbers of each component; a camera counts where its first image is."""
        problem, layout = self.problem, make_layout(self.problem, self.rotation.tangent_dim)
        free = np.zeros(max(of_image.max(initial=0), of_point.max(initial=0)) + 1, np.int64)
        cameras, first = np.unique(problem.camera_of_image, return_index=True)
        np.add.at(free, of_image, (layout.image_columns >= 0).sum(axis=1))
        np.add.at(free, of_image[first], (layout.camera_columns[cameras] >= 0).sum(axis=1))
        np.add.at(free, of_point, 3 * (layout.point_columns >= 0))
        return free

"""The vector x of free numbers, and the map from x to poses, intrinsics and points.

x = [per image: rotation coordinates, translation][per camera: intrinsics][per point: 3 coordinates], only what is free.
Points that a term beside the reprojections touches come first among the points, and are not eliminated.
Rotation coordinates are displacements `delta` in the chart centred at `theta`, so they start at zero; everything else
stands in x as it is. The first `num_reduced` entries are what remains after points are eliminated. Column -1 means
fixed: vectors indexed by columns carry one spare last slot, so fixed entries read zero and write nowhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from ba.model.arrays import Array, Bool, Int
from ba.model.problem import Free, Problem
from ba.model.rotation import Parameterization
from ba.model.terms.term import touched_points


@dataclass(frozen=True, eq=False)
class Layout:
    """Where each parameter stands in x; -1 where it is fixed.

    image_columns (n_images, k + 3): rotation, then translation;  camera_columns (n_cameras, w);  point_columns
    (n_points, 3);  active (k + 3 + w,): see `active_columns`;  kept (n_points,): points that are not eliminated, free
    or not.
    """

    image_columns: Int
    camera_columns: Int
    point_columns: Int
    active: Bool
    kept: Bool
    num_reduced: int
    size: int


def make_layout(problem: Problem, tangent_dim: int) -> Layout:
    """Number the free parameters of `problem` for a rotation parameterization of `tangent_dim` numbers an image."""
    free = problem.free
    images = np.hstack([np.repeat(free.rotations[:, None], tangent_dim, axis=1), free.translations])
    kept = touched_points(problem.terms, problem.num_points)
    counts = [int(images.sum()), int(free.intrinsics.sum()), 3 * int((free.points & kept).sum())]
    num_reduced = sum(counts)
    point_columns = np.full((problem.num_points, 3), -1, np.int32)
    for points, first in ((free.points & kept, counts[0] + counts[1]), (free.points & ~kept, num_reduced)):
        point_columns[points] = first + np.arange(3 * points.sum()).reshape(-1, 3)
    return Layout(
        image_columns=_numbered(images, 0),
        camera_columns=_numbered(free.intrinsics, counts[0]),
        point_columns=point_columns,
        active=active_columns(free, tangent_dim),
        kept=kept,
        num_reduced=num_reduced,
        size=counts[0] + counts[1] + 3 * int(free.points.sum()),
    )


def active_columns(free: Free, tangent_dim: int) -> Bool:
    """(k + 3 + w,) which numbers of a pose are free in any image, and which intrinsics in any camera.

    Derivatives by no others are computed. One by a pose's position always is, zero where all are fixed, so that every
    image has something to be found by.
    """
    turns = np.repeat(free.rotations.any(), tangent_dim)
    active = np.concatenate([turns, free.translations.any(axis=0), free.intrinsics.any(axis=0)])
    active[tangent_dim] |= not active[: tangent_dim + 3].any()
    return active


def _numbered(mask: Bool, first: int) -> Int:
    return np.where(mask, first + np.cumsum(mask).reshape(mask.shape) - 1, -1).astype(np.int32)


@dataclass(frozen=True, eq=False)
class State:
    """What x stands for. Shapes as in `Problem`; G (n_images, 3 or 9, k) is the rotations' tangent map."""

    rotations: Array
    translations: Array
    intrinsics: Array
    points: Array
    tangent_map: Array

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of what is computed from its numbers: complex where any of them is."""
        return np.result_type(self.rotations, self.translations, self.intrinsics, self.points)


@dataclass(frozen=True, eq=False)
class Variables:
    """A problem whose free numbers are written as one vector x. `theta` (n_images, ambient_dim) centres the charts."""

    problem: Problem
    rotation: Parameterization
    theta: Array
    layout: Layout

    @cached_property
    def start(self) -> Array:
        """(size,) the x that stands for the problem as it is."""
        problem, layout = self.problem, self.layout
        x = np.zeros(layout.size)
        k = self.rotation.tangent_dim
        for columns, values in (
            (layout.image_columns[:, k:], problem.translations),
            (layout.camera_columns, problem.intrinsics),
            (layout.point_columns, problem.points),
        ):
            x[columns[columns >= 0]] = values[columns >= 0]
        return x

    def at(self, x: Array) -> State:
        """The parameters that x (size,) stands for; fixed ones bit for bit as in the problem. x may be complex."""
        problem, layout, k = self.problem, self.layout, self.rotation.tangent_dim
        delta = self._delta(x)
        moved = self.rotation.to_matrix(self.rotation.retract(self.theta, delta))
        return State(
            rotations=np.where(problem.free.rotations[:, None, None], moved, problem.rotations),
            translations=_filled(layout.image_columns[:, k:], problem.translations, x),
            intrinsics=_filled(layout.camera_columns, problem.intrinsics, x),
            points=_filled(layout.point_columns, problem.points, x),
            tangent_map=self.rotation.tangent_map(self.theta, delta),
        )

    def moved(self, x: Array) -> Variables:
        """The same variables with charts centred at x, so that x stands for `start` of the result."""
        return replace(self, problem=self.problem_at(x), theta=self.rotation.retract(self.theta, self._delta(x)))

    def _delta(self, x: Array) -> Array:
        """(n_images, k) displacements in the charts."""
        columns = self.layout.image_columns[:, : self.rotation.tangent_dim]
        return _filled(columns, np.zeros(columns.shape), x)

    def problem_at(self, x: Array) -> Problem:
        """The problem with its free numbers at x."""
        return self.problem.moved_to(self.at(x))

    def constraint(self) -> float:
        """Largest distance of a free image's rotation from SO(3), Frobenius norm of R^T R - I."""
        distance = self.rotation.constraint(self.theta)[self.problem.free.rotations]
        return float(distance.max(initial=0.0))


def make_variables(problem: Problem, rotation: Parameterization) -> Variables:
    """Charts centred at the problem's own rotations."""
    return Variables(
        problem=problem,
        rotation=rotation,
        theta=rotation.from_matrix(problem.rotations),
        layout=make_layout(problem, rotation.tangent_dim),
    )


def _filled(columns: Int, fixed: Array, x: Array) -> Array:
    return np.where(columns >= 0, x[columns] if len(x) else fixed, fixed)

"""Where the numbers of groups and points stand in the vector x of `ba.model.variables`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.model.variables import Variables
from ba.solve.reduced.structure import Structure

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Places:
    """Indices into x (size,): groups (n_groups, width) and points (n_points, 3), -1 where a number is fixed."""

    groups: NDArray[np.int32]
    points: NDArray[np.int32]
    size: int

    def split(self, x: Array) -> tuple[Array, Array]:
        """The numbers of the groups and of the points, with zeros where they are fixed."""
        padded = np.append(x, 0.0)
        return padded[self.groups], padded[self.points]

    def join(self, groups: Array, points: Array) -> Array:
        """(size,) from the numbers of the groups and of the points; zero where x has what no image sees."""
        x = np.zeros(self.size + 1)
        x[self.groups], x[self.points] = groups, points
        return x[:-1]


def make_places(structure: Structure, variables: Variables) -> Places:
    """The places for a structure of the variables' problem."""
    layout, kept = variables.layout, variables.layout.kept
    images, cameras = layout.image_columns, layout.camera_columns
    groups = np.full(structure.free.shape, -1, np.int32)
    poses = slice(0, len(images))
    if structure.split > images.shape[1]:
        groups[poses, : structure.split] = np.hstack([images, cameras[variables.problem.camera_of_image]])
    else:
        groups[poses, : images.shape[1]] = images
        groups[len(images) : len(images) + len(cameras), : cameras.shape[1]] = cameras
    groups[len(groups) - kept.sum() :, :3] = variables.point_entries[kept]
    points = np.where(kept[:, None], np.int32(-1), variables.point_entries)
    return Places(groups, points, layout.size)

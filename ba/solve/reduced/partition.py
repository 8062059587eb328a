"""Where the numbers of groups and points stand in the vector x of `ba.model.variables`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ba.model.arrays import Array, Int
from ba.model.variables import Variables
from ba.solve.reduced.structure import Structure


@dataclass(frozen=True, eq=False)
class Partition:
    """Indices into x (size,): groups (n_groups, width) and points (n_points, 3), -1 where a number is fixed."""

    groups: Int
    points: Int
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


def make_partition(structure: Structure, variables: Variables) -> Partition:
    """The partition for a structure of the variables' problem."""
    layout, kept = variables.layout, variables.layout.kept
    points = layout.point_columns
    parts = layout.image_columns, layout.camera_columns, points[kept], np.full(1, -1, np.int32)
    columns = np.concatenate([part.ravel() for part in parts])
    return Partition(columns[structure.entries], np.where(kept[:, None], np.int32(-1), points), layout.size)

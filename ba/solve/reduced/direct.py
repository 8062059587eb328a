"""Rows of J that touch no eliminated point: they add J^T J to the reduced system as they are.

Those are the rows of terms beside the reprojections, and of observations of the points that such terms touch, which
stay in the reduced system. They are few beside the observations, so that scipy's sparse products serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.sparse import csr_array, vstack

from ba.model.arrays import Array
from ba.model.linearization import Blocks
from ba.model.residual import Residuals
from ba.model.terms.stacked import Member, joined, sparse_rows
from ba.model.variables import Layout
from ba.solve.reduced.partition import Partition
from ba.solve.reduced.structure import Structure

BlockStarts = Callable[[Array, Array], tuple[Array, Array]]
"""block_starts(rows, columns): which of these blocks of S are kept, (n,) bool, and where the numbers of those begin."""


@dataclass(frozen=True, eq=False)
class Direct:
    """residual (n,) and J (n, n_groups width), by the numbers of all groups in turn."""

    residual: Array
    J: csr_array
    width: int

    @cached_property
    def gradient(self) -> Array:
        """J^T r, (n_groups, width)."""
        return self.transposed_times(self.residual)

    def times(self, v: Array) -> Array:
        """J v (n,) for v (n_groups, width)."""
        return np.asarray(self.J @ v.ravel())

    def transposed_times(self, u: Array) -> Array:
        """J^T u (n_groups, width)."""
        return np.asarray(self.J.T @ u).reshape(-1, self.width)

    @cached_property
    def squares(self) -> tuple[Array, Array, Array]:
        """Rows and columns of the blocks of J^T J on and below the diagonal, and those blocks (n, width, width)."""
        H = csr_array(self.J.T @ self.J).tobsr((self.width, self.width))
        rows = np.repeat(np.arange(len(H.indptr) - 1), np.diff(H.indptr))
        lower = rows >= H.indices
        return rows[lower], H.indices[lower], H.data[lower]

    @cached_property
    def diagonal(self) -> Array:
        """(n_groups, width) of J^T J."""
        return np.asarray(self.J.multiply(self.J).sum(axis=0)).reshape(-1, self.width)

    def add_to(self, blocks: Array, structure: Structure, block_starts: BlockStarts) -> None:
        """Add J^T J to those blocks of S that are kept, flat (see `ba.solve.reduced.system`)."""
        rows, columns, squares = self.squares
        kept, first = block_starts(rows, columns)
        rows, columns, squares = rows[kept], columns[kept], squares[kept]
        inside = structure.filled[rows][:, :, None] & structure.filled[columns][:, None, :]
        steps, sizes = np.arange(self.width), np.diff(structure.group_starts)[columns]
        at = first[:, None, None] + steps[:, None] * sizes[:, None, None] + steps
        blocks[at[inside]] += squares[inside]

    def add_diagonal_to(self, blocks: Array) -> None:
        """Add the blocks of J^T J on the diagonal to (n_groups, width, width)."""
        rows, columns, squares = self.squares
        blocks[rows[rows == columns]] += squares[rows == columns]


class DirectRows:
    """Makes `Direct` of the linearizations of one problem.

    Its observations are sorted so that those of points that are not eliminated stand last, from `first` on.
    """

    def __init__(self, structure: Structure, partition: Partition, residuals: Residuals, layout: Layout) -> None:
        self.structure, self.residuals, self.layout = structure, residuals, layout
        self.first = int((~layout.kept[residuals.problem.point_of_obs]).sum())
        self.place_of_column = np.full(layout.size + 1, -1, np.int64)
        self.place_of_column[partition.groups.ravel()] = np.arange(partition.groups.size)
        self.place_of_column[-1] = -1

    def eliminated(self, derivatives: Blocks) -> Blocks:
        """r, A and B of the observations whose points are eliminated, as views."""
        r, A, B = derivatives
        return r[: self.first], A[: self.first], B[: self.first]

    def __call__(self, derivatives: Blocks, members: Sequence[Member]) -> Direct | None:
        """None where there are no such rows."""
        if self.first == len(derivatives[0]) and not members:
            return None
        parts = list(self._parts(derivatives, members))
        size = self.structure.free.size
        rows = [sparse_rows(values, self.place_of_column[columns], size) for _, columns, values in parts]
        return Direct(joined([r for r, _, _ in parts]), csr_array(vstack(rows, format="csr")), self.structure.width)

    def _parts(self, derivatives: Blocks, members: Sequence[Member]) -> Iterable[tuple[Array, Array, Array]]:
        """Residual (n, rows), columns (n, w) and derivatives (n, rows, w)."""
        r, A, B = (array[self.first :] for array in derivatives)
        if len(r):
            columns = self.residuals.columns(self.layout)
            touched = np.hstack([columns.reduced[self.first :], columns.points[self.first :]])
            yield r, touched, np.concatenate([A, B], axis=2)
        for member in members:
            yield member.residual, member.columns, member.derivatives

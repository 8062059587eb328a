"""Residuals and derivatives at one x, with the Jacobian J read as a matrix, or as an operator.

The rows of J are those of the observations, u0 v0 u1 v1 ..., then those of the other terms, one after the other. Shapes
of r, A and B stand in `ba.model.residual`, which computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from ba.engine.jit import kernel
from ba.model.arrays import Array, Bool, Int
from ba.model.terms.stacked import Member, joined, parted, sparse_rows
from ba.model.variables import Layout

Blocks = tuple[Array, Array, Array]
"""r (n_obs, 2), A (n_obs, 2, c), B (n_obs, 2, 3)."""


@dataclass(frozen=True, eq=False)
class Linearization:
    """r, A and B of the observations, and the other terms, at one x."""

    residual: Array
    camera_blocks: Array
    point_blocks: Array
    columns: Columns
    layout: Layout
    members: tuple[Member, ...] = ()

    @property
    def blocks(self) -> Blocks:
        """Of the observations."""
        return self.residual, self.camera_blocks, self.point_blocks

    @property
    def residuals(self) -> Array:
        """(n_rows,) of all terms: u0 v0 u1 v1 ... of the observations, then the other terms' one after the other."""
        return joined(self.parts)

    @property
    def parts(self) -> list[Array]:
        """(n, rows) residuals of the observations and of each other term."""
        return [self.residual, *(member.residual for member in self.members)]

    def scaled(self, scales: Sequence[Array]) -> Linearization:
        """With the rows of the observations, and of each other term, times (n, 1) factors."""
        first, *others = scales
        return replace(
            self,
            residual=self.residual * first,
            camera_blocks=self.camera_blocks * first[:, None],
            point_blocks=self.point_blocks * first[:, None],
            members=tuple(member.scaled(scale) for member, scale in zip(self.members, others, strict=True)),
        )

    def mapped(self, function: Callable[[Array], Array]) -> Linearization:
        """With a function of each number of residuals and derivatives."""
        return replace(
            self,
            residual=function(self.residual),
            camera_blocks=function(self.camera_blocks),
            point_blocks=function(self.point_blocks),
            members=tuple(member.mapped(function) for member in self.members),
        )

    def squares(self, weights: Sequence[Array]) -> Array:
        """(size,) diagonal of J^T diag(w) J, for weights (n, 1) of the observations and of each other term."""
        rows = [np.broadcast_to(weight, part.shape) for weight, part in zip(weights, self.parts, strict=True)]
        return self.mapped(np.square).vjp(joined(rows))

    def csr(self) -> csr_array:
        """(n_rows, size) sparse Jacobian."""
        J = self.columns.csr(self.camera_blocks, self.point_blocks)
        if not self.members:
            return J
        others = [sparse_rows(member.derivatives, member.columns, self.layout.size) for member in self.members]
        return csr_array(vstack([J, *others], format="csr"))

    def jvp(self, v: Array) -> Array:
        """J v, (n_rows,), for v (size,)."""
        by_cameras, by_points = np.empty_like(self.residual), np.empty_like(self.residual)
        padded = np.append(v, 0.0)
        _times(self.camera_blocks, self.columns.reduced, padded, by_cameras)
        _times(self.point_blocks, self.columns.points, padded, by_points)
        return joined([by_cameras + by_points, *(member.jvp(padded) for member in self.members)])

    def vjp(self, u: Array) -> Array:
        """J^T u, (size,), for u (n_rows,)."""
        (u, *others), out = parted(u, [part.shape for part in self.parts]), np.zeros(self.layout.size + 1)
        _scatter(self.camera_blocks, self.columns.reduced, u, out)
        _scatter(self.point_blocks, self.columns.points, u, out)
        for member, part in zip(self.members, others, strict=True):
            member.add_vjp(part, out)
        return out[:-1]


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of x that each observation touches: reduced (n_obs, c) and points (n_obs, 3), -1 where fixed."""

    reduced: Int
    points: Int
    size: int

    @cached_property
    def _pattern(self) -> tuple[Bool, Int, NDArray[np.int64]]:
        columns = np.repeat(np.hstack([self.reduced, self.points])[:, None, :], 2, axis=1)
        kept = columns >= 0
        return kept, columns[kept], np.concatenate([[0], np.cumsum(kept.sum(axis=2).ravel())])

    def csr(self, camera_blocks: Array, point_blocks: Array) -> csr_array:
        kept, indices, pointers = self._pattern
        values = np.concatenate([camera_blocks, point_blocks], axis=2)[kept]
        return csr_array((values, indices, pointers), shape=(2 * len(self.reduced), self.size))


@kernel
def _times(blocks: Any, columns: Any, v: Any, out: Any) -> None:
    for i in range(len(blocks)):
        first, second = 0.0, 0.0
        for j in range(blocks.shape[2]):
            value = v[columns[i, j]]
            first += blocks[i, 0, j] * value
            second += blocks[i, 1, j] * value
        out[i, 0], out[i, 1] = first, second


@kernel
def _scatter(blocks: Any, columns: Any, u: Any, out: Any) -> None:
    for i in range(len(blocks)):
        for j in range(blocks.shape[2]):
            out[columns[i, j]] += blocks[i, 0, j] * u[i, 0] + blocks[i, 1, j] * u[i, 1]

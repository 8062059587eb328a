"""The reduced system of one linearization, and the step that its solution stands for.

All of it is in double precision. Single would not pay: products of conjugate gradients are hardly faster with A and
B in float32, and S in float32 costs Ladybug-49 two rejected steps of 22.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ba.engine.parallel import parallel_map
from ba.engine.simd import lanes
from ba.errors import SolverError
from ba.model.arrays import Array
from ba.model.linearization import Blocks
from ba.solve.reduced import kernels
from ba.solve.reduced.direct import Direct
from ba.solve.reduced.structure import Structure

LEAST_DIAGONAL, MOST_DIAGONAL = 1e-6, 1e32
"""Entries of the damping's diagonal are kept between these, so that numbers nothing depends on are damped too."""

ALL_BLOCKS = 256
"""Up to this many groups S keeps every block, which saves looking them up."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """S x = -rhs over groups, at one damping.

    blocks     the numbers of the blocks of S, each row by row and without filling: those of `pattern`, or all
               num_groups^2 where it is None, of which the ones above the diagonal are not used; only those on the
               diagonal where `explicit` is False
    offsets    (n_blocks + 1,) where each block begins
    rhs, damped  (n_groups, width): reduced gradient, and damping times the clipped diagonal, 1 where a number is fixed
    inverse    (n_points, 6), point_gradient (n_points, 3): each point's L^-1 and gradient
    direct     the rows that touch no eliminated point, None where there are none
    """

    structure: Structure
    derivatives: Blocks
    threads: int
    pattern: tuple[Array, Array] | None
    explicit: bool
    blocks: Array
    offsets: Array
    rhs: Array
    damped: Array
    inverse: Array
    point_gradient: Array
    direct: Direct | None = None

    def diagonal_blocks(self) -> Array:
        """(n_groups, width, width) of S, with ones on the diagonal of what a group has been filled up with."""
        n = self.structure.num_groups
        filling = np.eye(self.structure.width) * ~self.structure.filled[:, None, :]
        return self.filled_blocks(diagonal_indices(n, self.pattern), np.arange(n), np.arange(n)) + filling

    def filled_blocks(self, indices: Array, rows: Array, columns: Array) -> Array:
        """(len(indices), width, width) the blocks of S at these indices, rows and columns, filled up with zeros."""
        of, width = self.structure, self.structure.width
        if of.filled.all():
            return self.blocks.reshape(-1, width, width)[indices]
        inside = of.filled[rows][:, :, None] & of.filled[columns][:, None, :]
        steps, sizes = np.arange(width), np.diff(of.group_starts)[columns]
        at = self.offsets[indices][:, None, None] + steps[:, None] * sizes[:, None, None] + steps
        return np.where(inside, self.blocks[np.where(inside, at, 0)], 0.0)

    def substitute(self, step: Array) -> tuple[Array, float]:
        """Steps of the points (n_points, 3) for a step of the groups, and the reduction of the model by both.

        The model is r.J s + |J s|^2 / 2 of the whole step s, without damping: right for inexact steps too.
        """
        point_step = np.empty_like(self.point_gradient)
        r, A, B = self.derivatives

        def work(part: tuple[int, int]) -> Array:
            model = np.zeros(2)
            kernels.substitute(
                A, B, r, self.structure.arrays, part, self.inverse, self.point_gradient, step, point_step, model
            )
            return model

        linear, quadratic = np.sum(parallel_map(work, self.structure.parts, self.threads), axis=0)
        if self.direct is not None:
            change = self.direct.times(step)
            linear, quadratic = linear + self.direct.residual @ change, quadratic + change @ change
        return point_step, -float(linear + 0.5 * quadratic)


class Eliminator:
    """Makes `Reduced` systems of one structure in memory that is allocated once.

    explicit: form S; otherwise only its diagonal blocks, for solvers that multiply without it.
    """

    def __init__(self, structure: Structure, threads: int, *, explicit: bool) -> None:
        self.structure, self.threads, self.explicit = structure, threads, explicit
        n, n_points = structure.num_groups, len(structure.starts) - 1
        self.pattern: tuple[Array, Array] | None = np.arange(n + 1), np.arange(n, dtype=np.int32)
        if explicit and n <= ALL_BLOCKS:
            self.pattern = None
        elif explicit:
            self.pattern = structure.pattern
        self.offsets = structure.offsets(*rows_and_columns(n, self.pattern))
        self.parts = structure.list_parts
        self.blocks = [np.empty(self.offsets[-1]) for _ in self.parts]
        self.sums = [np.empty((2, n, structure.width)) for _ in self.parts]
        self.inverse = np.empty((n_points, 6))
        self.point_gradient, self.point_diagonal = np.empty((n_points, 3)), np.empty((n_points, 3))
        self.lanes = [lanes(width) for width in structure.widths]

    def __call__(self, derivatives: Blocks, damping: float, direct: Direct | None = None) -> Reduced:
        """The reduced system at r, A, B of observations of eliminated points, and the other rows. Raises SolverError
        where a point's damped block is singular."""
        r, A, B = derivatives
        n = self.structure.num_groups
        rows, columns = self.pattern or (np.arange(n) * n, np.empty(0, np.int32))

        def work(number: int) -> int:
            blocks, (rhs, diagonal) = self.blocks[number], self.sums[number]
            for array in (blocks, rhs, diagonal):
                array[:] = 0.0
            return int(
                kernels.eliminate(
                    A,
                    B,
                    r,
                    self.structure.arrays,
                    self.parts[number],
                    (damping, LEAST_DIAGONAL, MOST_DIAGONAL),
                    blocks,
                    (rows, columns, self.offsets),
                    self.explicit,
                    rhs,
                    diagonal,
                    self.inverse,
                    self.point_gradient,
                    self.point_diagonal,
                    *self.lanes,
                )
            )

        failed = [point for point in parallel_map(work, range(len(self.parts)), self.threads) if point >= 0]
        if failed:
            raise SolverError(f"the 3x3 block of point {failed[0]} is singular at damping {damping:.1e}")
        for blocks, sums in zip(self.blocks[1:], self.sums[1:], strict=True):
            self.blocks[0] += blocks
            self.sums[0] += sums
        rhs, diagonal = self.sums[0]
        if direct is not None:
            rhs += direct.gradient
            diagonal += direct.diagonal
            direct.add_to(self.blocks[0], self.structure, self._block_starts)
        damped = damping * np.clip(diagonal, LEAST_DIAGONAL, MOST_DIAGONAL)
        reduced = Reduced(
            structure=self.structure,
            derivatives=derivatives,
            threads=self.threads,
            pattern=self.pattern,
            explicit=self.explicit,
            blocks=self.blocks[0],
            offsets=self.offsets,
            rhs=rhs,
            damped=np.where(self.structure.free, damped, 1.0),
            inverse=self.inverse,
            point_gradient=self.point_gradient,
            direct=direct,
        )
        diagonal_offsets = self.offsets[diagonal_indices(n, self.pattern)]
        sizes = np.diff(self.structure.group_starts)
        kernels.finish_diagonal(reduced.blocks, diagonal_offsets, reduced.damped, sizes)
        return reduced

    def _block_starts(self, rows: Array, columns: Array) -> tuple[Array, Array]:
        """Which of these blocks of S are kept, and where the numbers of those begin."""
        n = self.structure.num_groups
        numbers = np.stack(rows_and_columns(n, self.pattern), axis=1) @ [n, 1]
        wanted = rows.astype(np.int64) * n + columns
        kept = np.isin(wanted, numbers)
        return kept, self.offsets[np.searchsorted(numbers, wanted[kept])]


def rows_and_columns(n: int, pattern: tuple[Array, Array] | None) -> tuple[Array, Array]:
    """The row and the column of each block of a pattern; None has all n^2."""
    if pattern is None:
        rows, columns = np.divmod(np.arange(n * n), n)
        return rows, columns
    starts, columns = pattern
    return np.repeat(np.arange(n), np.diff(starts)), columns


def diagonal_indices(n: int, pattern: tuple[Array, Array] | None) -> Array:
    """(n,) which blocks of a pattern are on the diagonal."""
    return np.arange(n) * (n + 1) if pattern is None else pattern[0][1:] - 1


def gradient_norm(derivatives: Blocks, structure: Structure, threads: int, direct: Direct | None = None) -> float:
    """Largest component of J^T r."""
    r, A, B = derivatives

    def work(part: tuple[int, int]) -> tuple[Array, float]:
        gradient = np.zeros(structure.free.shape)
        return gradient, float(kernels.largest_gradient(A, B, r, structure.arrays, part, gradient))

    answers = parallel_map(work, structure.parts, threads)
    total = sum(gradient for gradient, _ in answers)
    groups = np.abs(total if direct is None else total + direct.gradient).max(initial=0.0)
    return max(float(groups), *(largest for _, largest in answers))

"""A Cholesky factor of the damped normal equations, kept for as many right-hand sides as are wanted.

With H = J^T J + damping, the points first and the groups of pose and camera numbers last,

    H = [C  E^T]   L = [L_p      ]   L_p L_p^T = C (3x3 blocks),   Y = E L_p^-T,
        [E  H_c]       [Y     L_s]   L_s L_s^T = S = H_c - Y Y^T   (the Schur complement)

`ba.solve.reduced.Reduced` holds L_p^-1 and S, so only L_s is missing. E is never formed: E^T v = B^T (A v). As every
application of L passes over A and B anyway, products with J come with it at no further pass. Preconditioned SciPy, the
second order around an optimum and sensitivities all solve by this factor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ba.engine.jit import kernel
from ba.engine.parallel import parallel_map
from ba.model.arrays import Array, Operator
from ba.model.linearization import Linearization
from ba.model.residual import Residuals
from ba.model.variables import Variables
from ba.solve.reduced.choice import FACTORIZATIONS, choose_factorization
from ba.solve.reduced.direct import DirectRows
from ba.solve.reduced.partition import Partition, make_partition
from ba.solve.reduced.products import (
    add_A_transposed,
    times_A,
    times_B,
    times_B_transposed,
    undo_L,
    undo_L_transposed,
)
from ba.solve.reduced.structure import make_structure
from ba.solve.reduced.system import Eliminator, Reduced


@dataclass(frozen=True, eq=False)
class NormalFactor:
    """L of the damped normal equations J^T J + D = L L^T at one state: the change to coordinates d = L^-T y in which
    they are the identity. Vectors are (size,) as x is in `ba.model.variables`, but for rows of J.

    It reads the arrays of `reduced`, so it is good until their Eliminator makes the next system. undo, undo_transposed:
    x -> L_s^-1 x and L_s^-T x, (n_groups, width).
    """

    reduced: Reduced
    partition: Partition
    undo: Operator
    undo_transposed: Operator

    def forward(self, g: Array) -> Array:
        """L^-1 g."""
        direct = self.reduced.direct
        num_rows = self.reduced.derivatives[0].size + (0 if direct is None else len(direct.residual))
        return self._forward(g, np.zeros(num_rows))

    def transposed_times(self, u: Array) -> Array:
        """L^-1 J^T u, for u (n_rows,)."""
        return self._forward(np.zeros(self.partition.size), u)

    def backward(self, y: Array) -> Array:
        """L^-T y."""
        return self._backward(y)[0]

    def times(self, y: Array) -> Array:
        """J L^-T y, (n_rows,)."""
        return self._backward(y)[1]

    def _forward(self, g: Array, u: Array) -> Array:
        """L^-1 (g + J^T u)."""
        g_groups, g_points = self.partition.split(g)
        y_points, direct = np.empty_like(g_points), self.reduced.direct
        of_observations, others = np.split(u, [self.reduced.derivatives[0].size])
        pairs = of_observations.reshape(-1, 2)

        def work(part: tuple[int, int]) -> Array:
            rest = np.zeros_like(g_groups)
            _forward_points(self._arrays, part, g_points, pairs, y_points, rest)
            return rest

        rest = sum(self._each_part(work), g_groups)
        y_groups = self.undo(rest if direct is None else rest + direct.transposed_times(others))
        return self.partition.join(y_groups, y_points)

    def _backward(self, y: Array) -> tuple[Array, Array]:
        """x = L^-T y, and J x."""
        y_groups, y_points = self.partition.split(y)
        x_groups, x_points = self.undo_transposed(y_groups), np.empty_like(y_points)
        image = np.empty_like(self.reduced.derivatives[0])

        def work(part: tuple[int, int]) -> None:
            _backward_points(self._arrays, part, y_points, x_groups, x_points, image)

        self._each_part(work)
        direct = self.reduced.direct
        image = image.ravel() if direct is None else np.concatenate([image.ravel(), direct.times(x_groups)])
        return self.partition.join(x_groups, x_points), image

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        """What the kernels read."""
        (_, A, B), of = self.reduced.derivatives, self.reduced.structure
        return A, B, self.reduced.inverse, of.starts, of.slots, of.slot_starts, of.slot_groups, of.known_edges

    def _each_part(self, work: Callable[[tuple[int, int]], Any]) -> list[Any]:
        return parallel_map(work, self.reduced.structure.parts, self.reduced.threads)


def factorize(reduced: Reduced, partition: Partition, name: str) -> NormalFactor:
    """The factor, by one of FACTORIZATIONS, of a system with S formed. Raises SolverError where S is singular."""
    return NormalFactor(reduced, partition, *FACTORIZATIONS[name](reduced))


class NormalFactors:
    """Makes factors of the linearizations of one problem; each is good until the next is made.

    name: the one of FACTORIZATIONS that size and fill ask for; num_numbers: of poses, cameras and points that are not
    eliminated, with padding.
    """

    def __init__(self, variables: Variables, residuals: Residuals) -> None:
        structure = make_structure(variables.problem, variables.rotation.tangent_dim)
        self.name = choose_factorization(structure)
        self.num_numbers = structure.free.size
        self.partition = make_partition(structure, variables)
        self.eliminate = Eliminator(structure, residuals.threads, explicit=True)
        self.rows = DirectRows(structure, self.partition, residuals, variables.layout)

    def __call__(self, linearization: Linearization, damping: float) -> NormalFactor:
        """Raises SolverError where the equations are singular at this damping."""
        direct = self.rows(linearization.blocks, linearization.members)
        reduced = self.eliminate(self.rows.eliminated(linearization.blocks), damping, direct)
        return factorize(reduced, self.partition, self.name)


@kernel
def _forward_points(arrays: Any, part: Any, g: Any, u: Any, y: Any, rest: Any) -> None:
    """y = L_p^-1 (g + B^T u) and rest += A^T (u - B L_p^-T y) over the points of `part`."""
    A, B, inverse, starts, slots, slot_starts, slot_groups, edges = arrays
    for p in range(part[0], part[1]):
        groups = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0, h1, h2 = g[p, 0], g[p, 1], g[p, 2]
        for i in range(starts[p], starts[p + 1]):
            a, b, c = times_B_transposed(B[i], u[i, 0], u[i, 1])
            h0, h1, h2 = h0 + a, h1 + b, h2 + c
        y[p, 0], y[p, 1], y[p, 2] = undo_L(inverse[p], h0, h1, h2)
        s0, s1, s2 = undo_L_transposed(inverse[p], y[p, 0], y[p, 1], y[p, 2])
        for i in range(starts[p], starts[p + 1]):
            a, b = times_B(B[i], s0, s1, s2)
            add_A_transposed(A, i, slots, edges, groups, u[i, 0] - a, u[i, 1] - b, rest)


@kernel
def _backward_points(arrays: Any, part: Any, y: Any, v: Any, x: Any, image: Any) -> None:
    """x = L_p^-T (y - L_p^-1 B^T A v) and image = A v + B x over the points of `part`."""
    A, B, inverse, starts, slots, slot_starts, slot_groups, edges = arrays
    for p in range(part[0], part[1]):
        groups = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0 = h1 = h2 = 0.0
        for i in range(starts[p], starts[p + 1]):
            image[i, 0], image[i, 1] = times_A(A, i, slots, edges, groups, v)
            a, b, c = times_B_transposed(B[i], image[i, 0], image[i, 1])
            h0, h1, h2 = h0 + a, h1 + b, h2 + c
        w0, w1, w2 = undo_L(inverse[p], h0, h1, h2)
        x0, x1, x2 = undo_L_transposed(inverse[p], y[p, 0] - w0, y[p, 1] - w1, y[p, 2] - w2)
        x[p, 0], x[p, 1], x[p, 2] = x0, x1, x2
        for i in range(starts[p], starts[p + 1]):
            a, b = times_B(B[i], x0, x1, x2)
            image[i, 0], image[i, 1] = image[i, 0] + a, image[i, 1] + b

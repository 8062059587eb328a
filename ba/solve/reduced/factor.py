"""A Cholesky factor of the damped normal equations, kept for as many right-hand sides as are wanted.

With H = J^T J + damping, the points first and the groups of pose and camera numbers last,

    H = [C  E^T]   L = [L_p      ]   L_p L_p^T = C (3x3 blocks),   Y = E L_p^-T,
        [E  H_c]       [Y     L_s]   L_s L_s^T = S = H_c - Y Y^T   (the Schur complement)

`ba.solve.reduced.Reduced` holds L_p^-1 and S, so only L_s is missing. E is never formed: E^T v = B^T (A v). As every
application of L passes over A and B anyway, products with J come with it at no further pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.engine.jit import kernel
from ba.engine.parallel import parallel_map
from ba.solve.reduced import dense, sparse
from ba.solve.reduced.products import (
    add_A_transposed,
    times_A,
    times_B,
    times_B_transposed,
    undo_L,
    undo_L_transposed,
)
from ba.solve.reduced.system import Reduced

Array = NDArray[Any]
Operator = Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Factor:
    """L of one `Reduced` system, whose arrays it reads: it is good until their Eliminator makes the next system.

    Vectors are pairs, groups (n_groups, width) and points (n_points, 3), and must be zero where a number is fixed, as
    results then are. undo, undo_transposed: x -> L_s^-1 x and L_s^-T x, (n_groups, width).
    """

    reduced: Reduced
    undo: Operator
    undo_transposed: Operator

    def solve(self, g_groups: Array, g_points: Array) -> tuple[Array, Array]:
        """H^-1 g."""
        return self.backward(*self.forward(g_groups, g_points))

    def forward(self, g_groups: Array, g_points: Array) -> tuple[Array, Array]:
        """L^-1 g."""
        return self._forward(g_groups, g_points, np.zeros(self.num_rows))

    def backward(self, y_groups: Array, y_points: Array) -> tuple[Array, Array]:
        """L^-T y."""
        x_groups, x_points, _ = self._backward(y_groups, y_points)
        return x_groups, x_points

    @property
    def num_rows(self) -> int:
        """Of J: those of the observations, then those that touch no eliminated point."""
        direct = self.reduced.direct
        return self.reduced.derivatives[0].size + (0 if direct is None else len(direct.residual))

    def times(self, y_groups: Array, y_points: Array) -> Array:
        """J L^-T y, (num_rows,)."""
        return self._backward(y_groups, y_points)[2]

    def transposed_times(self, u: Array) -> tuple[Array, Array]:
        """L^-1 J^T u, for u (num_rows,)."""
        reduced = self.reduced
        return self._forward(np.zeros_like(reduced.rhs), np.zeros_like(reduced.point_gradient), u)

    def _forward(self, g_groups: Array, g_points: Array, u: Array) -> tuple[Array, Array]:
        """L^-1 (g + J^T u)."""
        y_points, direct = np.empty_like(g_points), self.reduced.direct
        u, others = np.split(u, [self.reduced.derivatives[0].size])
        u = u.reshape(-1, 2)

        def work(part: tuple[int, int]) -> Array:
            rest = np.zeros_like(g_groups)
            _forward_points(self._arrays, part, g_points, u, y_points, rest)
            return rest

        rest = sum(self._each_part(work), g_groups)
        return self.undo(rest if direct is None else rest + direct.transposed_times(others)), y_points

    def _backward(self, y_groups: Array, y_points: Array) -> tuple[Array, Array, Array]:
        """x = L^-T y, and J x."""
        x_groups, x_points = self.undo_transposed(y_groups), np.empty_like(y_points)
        image = np.empty_like(self.reduced.derivatives[0])

        def work(part: tuple[int, int]) -> None:
            _backward_points(self._arrays, part, y_points, x_groups, x_points, image)

        self._each_part(work)
        direct = self.reduced.direct
        image = image.ravel() if direct is None else np.concatenate([image.ravel(), direct.times(x_groups)])
        return x_groups, x_points, image

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        """What the kernels read."""
        (_, A, B), of = self.reduced.derivatives, self.reduced.structure
        return A, B, self.reduced.inverse, of.starts, of.slots, of.slot_starts, of.slot_groups, of.known_edges

    def _each_part(self, work: Callable[[tuple[int, int]], Any]) -> list[Any]:
        return parallel_map(work, self.reduced.structure.parts, self.reduced.threads)


def factorize(reduced: Reduced, name: str) -> Factor:
    """The factor, by one of FACTORIZATIONS, of a system with S formed. Raises SolverError where S is singular."""
    return Factor(reduced, *FACTORIZATIONS[name](reduced))


FACTORIZATIONS: dict[str, Callable[[Reduced], tuple[Operator, Operator]]] = {
    "dense": dense.factorize,
    "sparse": sparse.factorize,
}


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

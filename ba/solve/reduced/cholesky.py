"""Kernels of the block-sparse Cholesky factorization (`ba.solve.reduced.sparse`).

Blocks of L stand transposed in one flat array, block b from offsets[b] on, so that their inner loops run along rows;
sizes are those of the groups in L's order, of which there are two. Products are those of `ba.engine.simd`.
"""

from typing import Any

import numpy as np

from ba.engine.jit import inlined, kernel
from ba.engine.simd import subtract_outer


@kernel
def pattern(starts: Any, rows: Any) -> Any:
    """Column starts and rows of L, diagonal first and ascending, from those of S's lower triangle.

    A column of L has the rows of S's, and those of every column whose first row below the diagonal it is.
    """
    n = len(starts) - 1
    marks, parent, first_child, next_child = np.full(n, -1), np.full(n, -1), np.full(n, -1), np.full(n, -1)
    L_starts = np.zeros(n + 1, np.int64)
    L_rows = np.empty(2 * len(rows) + n, np.int64)
    column = np.empty(n, np.int64)
    for j in range(n):
        size = 1
        column[0], marks[j] = j, j
        for at in range(starts[j], starts[j + 1]):
            i = rows[at]
            if marks[i] != j:
                column[size], marks[i] = i, j
                size += 1
        child = first_child[j]
        while child >= 0:
            for at in range(L_starts[child] + 1, L_starts[child + 1]):
                i = L_rows[at]
                if marks[i] != j:
                    column[size], marks[i] = i, j
                    size += 1
            child = next_child[child]
        column[:size].sort()
        if L_starts[j] + size > len(L_rows):
            larger = np.empty(2 * (L_starts[j] + size), np.int64)
            larger[: L_starts[j]] = L_rows[: L_starts[j]]
            L_rows = larger
        L_starts[j + 1] = L_starts[j] + size
        L_rows[L_starts[j] : L_starts[j + 1]] = column[:size]
        if size > 1:
            parent[j] = column[1]
            next_child[j], first_child[column[1]] = first_child[column[1]], j
    return L_starts, L_rows[: L_starts[n]].copy()


@kernel
def place(
    S: Any, begins: Any, heights: Any, widths: Any, targets: Any, transposed: Any, offsets: Any, L: Any
) -> None:  # fmt: skip
    """Put the blocks of S, which begin there and have these heights and widths, where L has them."""
    for b in range(len(targets)):
        first, height, width, to = begins[b], heights[b], widths[b], offsets[targets[b]]
        block = S[first : first + height * width].reshape(height, width)
        target = L[to : to + height * width]
        if transposed[b]:
            target[:] = S[first : first + height * width]
            continue
        turned = target.reshape(width, height)
        for j in range(height):
            for k in range(width):
                turned[k, j] = block[j, k]


@kernel
def factor(starts: Any, rows: Any, offsets: Any, sizes: Any, L: Any, narrow: Any, wide: Any) -> int:
    """S becomes L, block column by block column; the first whose diagonal block is not positive definite, or -1.

    narrow, wide: `simd.lanes` of the two sizes.
    """
    for j in range(len(starts) - 1):
        first, last, size = starts[j], starts[j + 1], sizes[j]
        D = L[offsets[first] : offsets[first] + size * size].reshape(size, size)
        if not _factor_block(D):
            return j
        for at in range(first + 1, last):
            _solve_block(D, L[offsets[at] : offsets[at + 1]].reshape(size, sizes[rows[at]]))
        for at in range(first + 1, last):
            target, height, Y = starts[rows[at]], sizes[rows[at]], L[offsets[at] :]
            for other in range(at, last):
                while rows[target] != rows[other]:
                    target += 1
                T, X = L[offsets[target] :], L[offsets[other] :]
                if size == len(narrow):
                    _subtract(T, Y, X, height, sizes[rows[other]], narrow, narrow, wide)
                else:
                    _subtract(T, Y, X, height, sizes[rows[other]], wide, narrow, wide)
    return -1


@inlined
def _subtract(T: Any, Y: Any, X: Any, height: Any, width: Any, rows: Any, narrow: Any, wide: Any) -> None:
    """T (height, width) -= Y^T X, where both are one of the two sizes."""
    if height == len(narrow):
        if width == len(narrow):
            subtract_outer(T, Y, X, rows, narrow, narrow)
        else:
            subtract_outer(T, Y, X, rows, narrow, wide)
    elif width == len(narrow):
        subtract_outer(T, Y, X, rows, wide, narrow)
    else:
        subtract_outer(T, Y, X, rows, wide, wide)


@inlined
def _factor_block(D: Any) -> bool:
    """A block becomes its Cholesky factor, transposed: upper, with zeros below."""
    for j in range(len(D)):
        for k in range(j):
            D[j, k] = 0.0
            for i in range(j, len(D)):
                D[j, i] -= D[k, j] * D[k, i]
        if not D[j, j] > 0.0:
            return False
        inverse = 1.0 / np.sqrt(D[j, j])
        for i in range(j, len(D)):
            D[j, i] *= inverse
    return True


@inlined
def _solve_block(D: Any, T: Any) -> None:
    """T becomes the inverse of the factor that D holds transposed, times T."""
    for j in range(len(D)):
        for k in range(j):
            for i in range(T.shape[1]):
                T[j, i] -= D[k, j] * T[k, i]
        for i in range(T.shape[1]):
            T[j, i] /= D[j, j]


@kernel
def forward(starts: Any, rows: Any, offsets: Any, sizes: Any, L: Any, x: Any) -> None:
    """x (n, width) becomes L^-1 x."""
    for j in range(len(starts) - 1):
        first, size = starts[j], sizes[j]
        D = L[offsets[first] : offsets[first] + size * size].reshape(size, size)
        for k in range(size):
            x[j, k] /= D[k, k]
            for i in range(k + 1, size):
                x[j, i] -= D[k, i] * x[j, k]
        for at in range(first + 1, starts[j + 1]):
            width = sizes[rows[at]]
            T = L[offsets[at] : offsets[at + 1]].reshape(size, width)
            for k in range(size):
                for i in range(width):
                    x[rows[at], i] -= T[k, i] * x[j, k]


@kernel
def backward(starts: Any, rows: Any, offsets: Any, sizes: Any, L: Any, x: Any) -> None:
    """x (n, width) becomes L^-T x."""
    for j in range(len(starts) - 2, -1, -1):
        first, size = starts[j], sizes[j]
        for at in range(first + 1, starts[j + 1]):
            width = sizes[rows[at]]
            T = L[offsets[at] : offsets[at + 1]].reshape(size, width)
            for k in range(size):
                total = 0.0
                for i in range(width):
                    total += T[k, i] * x[rows[at], i]
                x[j, k] -= total
        D = L[offsets[first] : offsets[first] + size * size].reshape(size, size)
        for k in range(size - 1, -1, -1):
            for i in range(k + 1, size):
                x[j, k] -= D[k, i] * x[j, i]
            x[j, k] /= D[k, k]

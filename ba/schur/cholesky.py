"""Kernels of the block-sparse Cholesky factorization (`ba.schur.sparse`)."""

from typing import Any

import numpy as np

from ba.jit import inlined, kernel


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
def place(blocks: Any, targets: Any, transposed: Any, L: Any) -> None:
    """Put the blocks of S where L has them."""
    for b in range(len(blocks)):
        at = targets[b]
        for j in range(blocks.shape[1]):
            for k in range(blocks.shape[2]):
                L[at, j, k] = blocks[b, k, j] if transposed[b] else blocks[b, j, k]


@kernel
def factor(starts: Any, rows: Any, L: Any) -> int:
    """S becomes L, block column by block column; the first whose diagonal block is not positive definite, or -1."""
    width = L.shape[1]
    for j in range(len(starts) - 1):
        first, last = starts[j], starts[j + 1]
        if not _factor_block(first, width, L):
            return j
        for at in range(first + 1, last):
            _solve_block(at, first, width, L)
        for at in range(first + 1, last):
            target = starts[rows[at]]
            for other in range(at, last):
                while rows[target] != rows[other]:
                    target += 1
                _subtract_product(other, at, target, width, L)
    return -1


@inlined
def _factor_block(at: Any, width: Any, L: Any) -> bool:
    """Block `at` becomes its Cholesky factor, lower, with zeros above."""
    for j in range(width):
        for k in range(j):
            L[at, k, j] = 0.0
        total = L[at, j, j]
        for k in range(j):
            total -= L[at, j, k] * L[at, j, k]
        if not total > 0.0:
            return False
        L[at, j, j] = np.sqrt(total)
        for i in range(j + 1, width):
            total = L[at, i, j]
            for k in range(j):
                total -= L[at, i, k] * L[at, j, k]
            L[at, i, j] = total / L[at, j, j]
    return True


@inlined
def _solve_block(at: Any, diagonal: Any, width: Any, L: Any) -> None:
    """Block `at` times the inverse transpose of the factor `diagonal`."""
    for i in range(width):
        for j in range(width):
            total = L[at, i, j]
            for k in range(j):
                total -= L[at, i, k] * L[diagonal, j, k]
            L[at, i, j] = total / L[diagonal, j, j]


@inlined
def _subtract_product(first: Any, second: Any, target: Any, width: Any, L: Any) -> None:
    """Block `target` -= block `first` times the transpose of block `second`."""
    for i in range(width):
        for j in range(width):
            total = 0.0
            for k in range(width):
                total += L[first, i, k] * L[second, j, k]
            L[target, i, j] -= total


@kernel
def forward(starts: Any, rows: Any, L: Any, x: Any) -> None:
    """x (n, width) becomes L^-1 x."""
    width = x.shape[1]
    for j in range(len(starts) - 1):
        first = starts[j]
        for i in range(width):
            for k in range(i):
                x[j, i] -= L[first, i, k] * x[j, k]
            x[j, i] /= L[first, i, i]
        for at in range(first + 1, starts[j + 1]):
            for i in range(width):
                for k in range(width):
                    x[rows[at], i] -= L[at, i, k] * x[j, k]


@kernel
def backward(starts: Any, rows: Any, L: Any, x: Any) -> None:
    """x (n, width) becomes L^-T x."""
    width = x.shape[1]
    for j in range(len(starts) - 2, -1, -1):
        first = starts[j]
        for at in range(first + 1, starts[j + 1]):
            for i in range(width):
                for k in range(width):
                    x[j, k] -= L[at, i, k] * x[rows[at], i]
        for i in range(width - 1, -1, -1):
            for k in range(i + 1, width):
                x[j, i] -= L[first, k, i] * x[j, k]
            x[j, i] /= L[first, i, i]

"""The damped normal equations in Schur form, and their Cholesky factor as a change of variables.

With H = J^T J + damping D, D its clipped diagonal, points first and the reduced variables (poses, intrinsics) last,

    H = [C  E^T]   L = [L_p      ]   L_p L_p^T = C (3x3 blocks),   Y = E L_p^-T,
        [E  H_c]       [Y     L_s]   L_s L_s^T = S = H_c - Y Y^T   (the Schur complement)

so that x = L^-T y makes J L^-T nearly orthonormal (Agarwal et al., "Bundle adjustment in the large", ECCV 2010, use S
as their preconditioner; Triggs et al. 2000, section 6.1, derive it). E is never formed: E^T v = B^T (A v).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cholesky, solve_triangular

from ba.errors import SolverError
from ba.jit import kernel
from ba.parallel import blas_threads, each
from ba.problem import Problem
from ba.residual import Linearization

Array = NDArray[Any]

MAX_REDUCED = 12_000
"""Largest dense Schur complement, 1.1 GB; its factorization takes about 10 s on two cores."""

PARTS = 4
"""Parts of the points that are eliminated side by side: not as many as threads, so that sums do not depend on those."""

MAX_COPY_BYTES = 100e6
"""Each part adds into a matrix of its own up to this size; beyond it there is one part."""

MANY = 1000
"""Reduced numbers beyond which LAPACK gets all threads: below, it is done before its threads are awake."""

CLIP = 1e-12
"""Diagonal entries below this share of the largest are raised to it, so that an unobserved number is damped too."""


@dataclass(frozen=True, eq=False)
class SchurFactor:
    """L of the damped normal equations. point_inverse (n_free_points, 3, 3) holds L_p^-1; reduced (m, m) is L_s."""

    linearization: Linearization
    point_inverse: Array
    reduced: Array

    def solve_transposed(self, y: Array) -> Array:
        """L^-T y, (size,): from the new variables to the old."""
        v = self._reduced_solve(y, transposed=True)
        return np.concatenate([v, self._points(y, self.linearization.camera_times(v))])

    def times(self, y: Array) -> Array:
        """J L^-T y, (2 n_obs,)."""
        v = self._reduced_solve(y, transposed=True)
        image = self.linearization.camera_times(v)
        w = self._points(y, image)
        return (image + self.linearization.points_times(np.concatenate([np.zeros_like(v), w]))).ravel()

    def transposed_times(self, u: Array) -> Array:
        """L^-1 J^T u, (size,), for u (2 n_obs,)."""
        m, u = self.linearization.layout.num_reduced, np.ascontiguousarray(u).reshape(-1, 2)
        w = _multiplied(self.point_inverse, self._at_free_points(u))
        lifted = np.concatenate([np.zeros(m), _multiplied(self.point_inverse, w, transposed=True).ravel()])
        rest = self.linearization.camera_transposed(u - self.linearization.points_times(lifted))
        return np.concatenate([self._reduced_solve(rest, transposed=False), w.ravel()])

    def _points(self, y: Array, image: Array) -> Array:
        """L_p^-T (y_p - L_p^-1 B^T image), with image = A v."""
        coupling = _multiplied(self.point_inverse, self._at_free_points(image))
        w = y[self.linearization.layout.num_reduced :].reshape(-1, 3) - coupling
        return _multiplied(self.point_inverse, w, transposed=True).ravel()

    def _at_free_points(self, u: Array) -> Array:
        return self.linearization.points_transposed(u)[self.linearization.columns.free_points]

    def _reduced_solve(self, y: Array, *, transposed: bool) -> Array:
        m = self.linearization.layout.num_reduced
        if m == 0:
            return y[:0]
        trans = 1 if transposed else 0
        return np.asarray(solve_triangular(self.reduced, y[:m], lower=True, trans=trans, check_finite=False))


@dataclass(frozen=True, eq=False)
class Tracks:
    """Observations by point: those of point p are order[starts[p]:starts[p + 1]]."""

    order: Array
    starts: Array

    @classmethod
    def of(cls, problem: Problem) -> Tracks:
        lengths = np.bincount(problem.point_of_obs, minlength=problem.num_points)
        return cls(np.argsort(problem.point_of_obs, kind="stable"), np.concatenate([[0], np.cumsum(lengths)]))

    def parts(self, number: int) -> list[tuple[int, int]]:
        """Ranges of points, first and last + 1, with about as many observations each."""
        bounds = np.searchsorted(self.starts, np.linspace(0, self.starts[-1], number + 1))
        bounds[0], bounds[-1] = 0, len(self.starts) - 1
        return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def factorize(linearization: Linearization, tracks: Tracks, damping: float, threads: int = 1) -> SchurFactor:
    """The factor of J^T J + damping D. Raises SolverError where the damped equations are not positive definite."""
    layout, columns = linearization.layout, linearization.columns
    point_inverse = _point_inverse(linearization, damping)
    size = layout.num_reduced + 1

    def eliminate(part: tuple[int, int]) -> Array:
        S = np.zeros((size, size))
        blocks = linearization.camera_blocks, linearization.point_blocks
        _eliminate(*blocks, columns.reduced, layout.point_columns, point_inverse, tracks.order, tracks.starts, part, S)
        return S

    parts = tracks.parts(PARTS if 8 * size * size < MAX_COPY_BYTES else 1)
    S = _sum(each(eliminate, parts, threads))
    diagonal = np.zeros(size)
    _add_squares(linearization.camera_blocks, columns.reduced, diagonal)
    np.einsum("ii->i", S)[:] += _damped(diagonal, damping) - diagonal
    try:
        with blas_threads(threads if size > MANY else 1):
            reduced = cholesky(S[:-1, :-1], lower=True, check_finite=False) if layout.num_reduced else S[:0, :0]
    except np.linalg.LinAlgError:
        raise SolverError("the reduced camera system is singular at this damping") from None
    return SchurFactor(linearization, point_inverse[columns.free_points], reduced)


def _sum(matrices: list[Array]) -> Array:
    total = matrices[0]
    for matrix in matrices[1:]:
        total += matrix
    return total


def _point_inverse(linearization: Linearization, damping: float) -> Array:
    """(n_points, 3, 3) L_p^-1 of every point's damped block."""
    columns = linearization.columns
    blocks = np.zeros((len(linearization.layout.point_columns), 3, 3))
    _point_normal(linearization.point_blocks, columns.point_of_obs, blocks)
    diagonal = np.einsum("nii->ni", blocks)
    diagonal[:] = _damped(diagonal, damping)
    inverse = np.zeros_like(blocks)
    failed = _invert_cholesky(blocks, inverse)
    if failed >= 0:
        raise SolverError(f"the 3x3 block of point {failed} in the damped normal equations is singular")
    return inverse


def _damped(diagonal: Array, damping: float) -> Array:
    floor = CLIP * diagonal.max(initial=0.0) or 1.0
    return np.asarray(diagonal + damping * np.maximum(diagonal, floor))


def _multiplied(matrices: Array, vectors: Array, *, transposed: bool = False) -> Array:
    """(n, 3): each lower triangular 3x3 matrix, or its transpose, times its vector."""
    out = np.empty_like(vectors)
    (_times_transposed if transposed else _times)(matrices, vectors, out)
    return out


@kernel
def _times(L: Any, v: Any, out: Any) -> None:
    for n in range(len(L)):
        out[n, 0] = L[n, 0, 0] * v[n, 0]
        out[n, 1] = L[n, 1, 0] * v[n, 0] + L[n, 1, 1] * v[n, 1]
        out[n, 2] = L[n, 2, 0] * v[n, 0] + L[n, 2, 1] * v[n, 1] + L[n, 2, 2] * v[n, 2]


@kernel
def _times_transposed(L: Any, v: Any, out: Any) -> None:
    for n in range(len(L)):
        out[n, 0] = L[n, 0, 0] * v[n, 0] + L[n, 1, 0] * v[n, 1] + L[n, 2, 0] * v[n, 2]
        out[n, 1] = L[n, 1, 1] * v[n, 1] + L[n, 2, 1] * v[n, 2]
        out[n, 2] = L[n, 2, 2] * v[n, 2]


@kernel
def _point_normal(B: Any, point: Any, C: Any) -> None:
    for i in range(len(B)):
        p = point[i]
        for a in range(3):
            for b in range(3):
                C[p, a, b] += B[i, 0, a] * B[i, 0, b] + B[i, 1, a] * B[i, 1, b]


@kernel
def _invert_cholesky(C: Any, inverse: Any) -> int:
    """Inverse Cholesky factors of (n, 3, 3) blocks; the first block that is not positive definite, or -1."""
    for n in range(len(C)):
        a = np.sqrt(C[n, 0, 0])
        b, d = C[n, 1, 0] / a, C[n, 2, 0] / a
        c = np.sqrt(C[n, 1, 1] - b * b)
        e = (C[n, 2, 1] - b * d) / c
        f = np.sqrt(C[n, 2, 2] - d * d - e * e)
        if not (a > 0.0 and c > 0.0 and f > 0.0):
            return n
        inverse[n, 0, 0], inverse[n, 1, 1], inverse[n, 2, 2] = 1.0 / a, 1.0 / c, 1.0 / f
        inverse[n, 1, 0], inverse[n, 2, 1] = -b / (a * c), -e / (c * f)
        inverse[n, 2, 0] = (b * e / c - d) / (a * f)
    return -1


@kernel
def _add_squares(A: Any, columns: Any, diagonal: Any) -> None:
    for i in range(len(A)):
        for j in range(A.shape[2]):
            diagonal[columns[i, j]] += A[i, 0, j] * A[i, 0, j] + A[i, 1, j] * A[i, 1, j]


@kernel
def _eliminate(
    A: Any, B: Any, columns: Any, point_columns: Any, inverse: Any, order: Any, starts: Any, part: Any, S: Any
) -> None:
    """S += A^T A - Y Y^T on and below the diagonal, point by point; -1 columns land in the spare last row or column."""
    longest = 0
    for p in range(part[0], part[1]):
        longest = max(longest, starts[p + 1] - starts[p])
    Y = np.empty((longest, A.shape[2], 3))
    for p in range(part[0], part[1]):
        track = order[starts[p] : starts[p + 1]]
        for a in range(len(track)):
            _add_own(A[track[a]], columns[track[a]], S)
        if point_columns[p] < 0:
            continue
        for a in range(len(track)):
            _couple(A[track[a]], B[track[a]], inverse[p], Y[a])
            _subtract_own(Y[a], columns[track[a]], S)
            for b in range(a):
                _subtract(Y[a], Y[b], columns[track[a]], columns[track[b]], S)


@kernel
def _add_own(A: Any, columns: Any, S: Any) -> None:
    for i in range(len(columns)):
        for j in range(i + 1):
            S[columns[i], columns[j]] += A[0, i] * A[0, j] + A[1, i] * A[1, j]


@kernel
def _couple(A: Any, B: Any, inverse: Any, Y: Any) -> None:
    """Y = A^T B L_p^-T for one observation."""
    for j in range(len(Y)):
        e0 = A[0, j] * B[0, 0] + A[1, j] * B[1, 0]
        e1 = A[0, j] * B[0, 1] + A[1, j] * B[1, 1]
        e2 = A[0, j] * B[0, 2] + A[1, j] * B[1, 2]
        for q in range(3):
            Y[j, q] = e0 * inverse[q, 0] + e1 * inverse[q, 1] + e2 * inverse[q, 2]


@kernel
def _subtract_own(Y: Any, columns: Any, S: Any) -> None:
    for i in range(len(columns)):
        for j in range(i + 1):
            S[columns[i], columns[j]] -= Y[i, 0] * Y[j, 0] + Y[i, 1] * Y[j, 1] + Y[i, 2] * Y[j, 2]


@kernel
def _subtract(Y: Any, other: Any, rows: Any, columns: Any, S: Any) -> None:
    """Y other^T and its transpose, as far as they lie on or below the diagonal; on it both do."""
    for i in range(len(rows)):
        y0, y1, y2, row = Y[i, 0], Y[i, 1], Y[i, 2], rows[i]
        for j in range(len(columns)):
            value, column = y0 * other[j, 0] + y1 * other[j, 1] + y2 * other[j, 2], columns[j]
            if row > column:
                S[row, column] -= value
            elif row < column:
                S[column, row] -= value
            else:
                S[row, row] -= 2.0 * value

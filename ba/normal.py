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
from ba.problem import Problem
from ba.residual import Linearization

Array = NDArray[Any]

MAX_REDUCED = 12_000
"""Largest dense Schur complement, 1.1 GB; its factorization takes about 10 s on two cores."""

CLIP = 1e-12
"""Diagonal entries below this share of the largest are raised to it, so that an unobserved number is damped too."""


@dataclass(frozen=True, eq=False)
class SchurFactor:
    """L of the damped normal equations. point_inverse (n_points, 3, 3) holds L_p^-1; reduced (m, m) is L_s, lower."""

    linearization: Linearization
    point_inverse: Array
    reduced: Array

    def solve_transposed(self, y: Array) -> Array:
        """L^-T y, (size,): from the new variables to the old."""
        m, columns = self.linearization.layout.num_reduced, self.linearization.columns
        v = solve_triangular(self.reduced, y[:m], lower=True, trans="T", check_finite=False) if m else y[:0]
        coupling = self.linearization.points_transposed(self.linearization.camera_times(v))[columns.free_points]
        inverse = self.point_inverse[columns.free_points]
        w = y[m:].reshape(-1, 3) - np.einsum("nij,nj->ni", inverse, coupling)
        return np.concatenate([v, np.einsum("nji,nj->ni", inverse, w).ravel()])

    def solve(self, g: Array) -> Array:
        """L^-1 g, (size,): gradients from the old variables to the new."""
        m, columns = self.linearization.layout.num_reduced, self.linearization.columns
        inverse = self.point_inverse[columns.free_points]
        u = np.einsum("nij,nj->ni", inverse, g[m:].reshape(-1, 3))
        lifted = np.concatenate([np.zeros(m), np.einsum("nji,nj->ni", inverse, u).ravel()])
        rest = g[:m] - self.linearization.camera_transposed(self.linearization.points_times(lifted))
        v = solve_triangular(self.reduced, rest, lower=True, check_finite=False) if m else rest
        return np.concatenate([v, u.ravel()])


@dataclass(frozen=True, eq=False)
class Tracks:
    """Observations by point: those of point p are order[starts[p]:starts[p + 1]]."""

    order: Array
    starts: Array

    @classmethod
    def of(cls, problem: Problem) -> Tracks:
        lengths = np.bincount(problem.point_of_obs, minlength=problem.num_points)
        return cls(np.argsort(problem.point_of_obs, kind="stable"), np.concatenate([[0], np.cumsum(lengths)]))


def factorize(linearization: Linearization, tracks: Tracks, damping: float) -> SchurFactor:
    """The factor of J^T J + damping D. Raises SolverError where the damped equations are not positive definite."""
    layout, columns = linearization.layout, linearization.columns
    point_blocks = np.zeros((len(layout.point_columns), 3, 3))
    _point_normal(linearization.point_blocks, columns.point_of_obs, point_blocks)
    _damp(np.einsum("nii->ni", point_blocks), damping)
    try:
        point_inverse = np.linalg.inv(np.linalg.cholesky(point_blocks))
    except np.linalg.LinAlgError:
        raise SolverError("a point's 3x3 block of the damped normal equations is singular") from None
    S = np.zeros((layout.num_reduced + 1, layout.num_reduced + 1))
    _camera_normal(linearization.camera_blocks, columns.reduced, S)
    _damp(np.einsum("ii->i", S)[:-1], damping)
    _eliminate(
        linearization.camera_blocks,
        linearization.point_blocks,
        columns.reduced,
        layout.point_columns,
        point_inverse,
        tracks.order,
        tracks.starts,
        S,
    )
    try:
        reduced = cholesky(S[:-1, :-1], lower=True, check_finite=False) if layout.num_reduced else S[:0, :0]
    except np.linalg.LinAlgError:
        raise SolverError("the reduced camera system is singular at this damping") from None
    return SchurFactor(linearization, point_inverse, reduced)


def _damp(diagonal: Array, damping: float) -> None:
    floor = CLIP * diagonal.max(initial=0.0) or 1.0
    diagonal += damping * np.maximum(diagonal, floor)


@kernel
def _point_normal(B: Any, point: Any, C: Any) -> None:
    for i in range(len(B)):
        p = point[i]
        for a in range(3):
            for b in range(3):
                C[p, a, b] += B[i, 0, a] * B[i, 0, b] + B[i, 1, a] * B[i, 1, b]


@kernel
def _camera_normal(A: Any, columns: Any, S: Any) -> None:
    for i in range(len(A)):
        for a in range(A.shape[2]):
            for b in range(A.shape[2]):
                S[columns[i, a], columns[i, b]] += A[i, 0, a] * A[i, 0, b] + A[i, 1, a] * A[i, 1, b]


@kernel
def _eliminate(A: Any, B: Any, columns: Any, point_columns: Any, inverse: Any, order: Any, starts: Any, S: Any) -> None:
    """S -= Y Y^T on and below the diagonal, point by point; -1 columns land in the spare last row and column."""
    longest = 0
    for p in range(len(starts) - 1):
        longest = max(longest, starts[p + 1] - starts[p])
    Y = np.empty((longest, A.shape[2], 3))
    for p in range(len(starts) - 1):
        if point_columns[p] < 0:
            continue
        track = order[starts[p] : starts[p + 1]]
        for a in range(len(track)):
            _couple(A[track[a]], B[track[a]], inverse[p], Y[a])
        for a in range(len(track)):
            for b in range(len(track)):
                _subtract(Y[a], Y[b], columns[track[a]], columns[track[b]], S)


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
def _subtract(Y: Any, other: Any, rows: Any, columns: Any, S: Any) -> None:
    for i in range(len(rows)):
        for j in range(len(columns)):
            if rows[i] >= columns[j]:
                S[rows[i], columns[j]] -= Y[i, 0] * other[j, 0] + Y[i, 1] * other[j, 1] + Y[i, 2] * other[j, 2]

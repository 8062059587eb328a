"""Dense Cholesky factorization of S: the quickest way for few cameras."""

import numpy as np
from scipy.linalg.lapack import dpotrf, dtrtrs

from ba.engine.parallel import blas_threads
from ba.errors import SolverError
from ba.model.arrays import Array, Operator
from ba.solve.reduced import kernels
from ba.solve.reduced.system import Reduced, rows_and_columns

MANY = 1000
"""Numbers beyond which LAPACK gets all threads: below, it is done before its threads are awake."""


def lower_triangle(reduced: Reduced) -> Array:
    """(numbers, numbers) S of all groups without filling, on and below its diagonal; what stands above is not S."""
    starts = reduced.structure.group_starts
    rows, columns = rows_and_columns(reduced.structure.num_groups, reduced.pattern)
    S = np.zeros((starts[-1], starts[-1]))
    kernels.spread(reduced.blocks, reduced.offsets, rows, columns, starts, S)
    return S


def factorize(reduced: Reduced) -> tuple[Operator, Operator]:
    """x -> L^-1 x and x -> L^-T x, (n_groups, width), of L L^T = S. Raises SolverError where S is singular."""
    S = lower_triangle(reduced)
    # LAPACK reads by columns, so the lower triangle of rows is its upper one.
    with blas_threads(reduced.threads if len(S) > MANY else 1):
        upper, info = dpotrf(S.T, lower=False, overwrite_a=True, clean=False)
    if info:
        starts = reduced.structure.group_starts
        group = int(np.searchsorted(starts, info, side="left")) - 1
        number = info - 1 - starts[group]
        raise SolverError(f"the reduced camera system is singular at number {number} of group {group}")

    filled = reduced.structure.filled

    def solve(x: Array, trans: int) -> Array:
        out = np.zeros_like(x)
        out[filled] = dtrtrs(upper, x[filled], trans=trans)[0]
        return out

    return lambda x: solve(x, 1), lambda x: solve(x, 0)

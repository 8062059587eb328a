"""Dense Cholesky factorization of S: the quickest way for few cameras."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dtrtrs

from ba.engine.parallel import blas_threads
from ba.errors import SolverError
from ba.solve.reduced.system import Reduced

Array = NDArray[Any]
Operator = Callable[[Array], Array]

MANY = 1000
"""Numbers beyond which LAPACK gets all threads: below, it is done before its threads are awake."""


def lower_triangle(reduced: Reduced) -> Array:
    """(n_groups width)^2, S on and below its diagonal blocks; what stands above them is not S."""
    structure = reduced.structure
    n, width = structure.num_groups, structure.width
    rows, columns = np.divmod(np.arange(n * n), n) if reduced.pattern is None else structure.rows_and_columns
    S = np.zeros((n, width, n, width))
    S[rows, :, columns, :] = reduced.blocks
    return S.reshape(n * width, n * width)


def factorize(reduced: Reduced) -> tuple[Operator, Operator]:
    """x -> L^-1 x and x -> L^-T x, (n_groups, width), of L L^T = S. Raises SolverError where S is singular."""
    S = lower_triangle(reduced)
    # LAPACK reads by columns, so the lower triangle of rows is its upper one.
    with blas_threads(reduced.threads if len(S) > MANY else 1):
        upper, info = dpotrf(S.T, lower=False, overwrite_a=True, clean=False)
    if info:
        group, number = divmod(info - 1, reduced.structure.width)
        raise SolverError(f"the reduced camera system is singular at number {number} of group {group}")

    def solve(x: Array, trans: int) -> Array:
        return np.asarray(dtrtrs(upper, x.ravel(), trans=trans)[0]).reshape(x.shape)

    return lambda x: solve(x, 1), lambda x: solve(x, 0)


def solve(reduced: Reduced, tolerance: float) -> tuple[Array, int]:
    """The step (n_groups, width), to rounding whatever the tolerance. Raises SolverError where S is singular."""
    undo, undo_transposed = factorize(reduced)
    return undo_transposed(undo(-reduced.rhs)), 1

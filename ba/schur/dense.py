"""Dense Cholesky factorization of S: the quickest way for few cameras."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg.lapack import dpotrf, dpotrs

from ba.errors import SolverError
from ba.parallel import blas_threads
from ba.schur.system import Reduced

Array = NDArray[Any]

MANY = 1000
"""Numbers beyond which LAPACK gets all threads: below, it is done before its threads are awake."""


def solve(reduced: Reduced, tolerance: float) -> tuple[Array, int]:
    """The step (n_groups, width), to rounding whatever the tolerance. Raises SolverError where S is singular."""
    structure = reduced.structure
    n, width = structure.num_groups, structure.width
    S = np.zeros((n, width, n, width))
    if reduced.pattern is None:
        S[:] = reduced.blocks.reshape(n, n, width, width).transpose(0, 2, 1, 3)
    else:
        starts, columns = reduced.pattern
        rows = np.repeat(np.arange(n), np.diff(starts))
        S[rows, :, columns, :] = reduced.blocks
    # LAPACK reads by columns, so the lower triangle of rows is its upper one.
    with blas_threads(reduced.threads if n * width > MANY else 1):
        factor, info = dpotrf(S.reshape(n * width, n * width).T, lower=False, overwrite_a=True, clean=False)
    if info:
        group, number = divmod(info - 1, width)
        raise SolverError(f"the reduced camera system is singular at number {number} of group {group}")
    step, _ = dpotrs(factor, -reduced.rhs.ravel(), lower=False)
    return step.reshape(n, width), 1

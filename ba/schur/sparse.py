"""Sparse factorization of S, for many cameras of which few see the same points.

SuperLU in symmetric mode with minimum degree on A^T + A: of what SciPy offers for symmetric matrices the one with the
least fill; CHOLMOD's fast part is under the GPL.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_array
from scipy.sparse.linalg import splu

from ba.errors import SolverError
from ba.schur.system import Reduced

Array = NDArray[Any]


def solve(reduced: Reduced, tolerance: float) -> tuple[Array, int]:
    """The step (n_groups, width), to rounding whatever the tolerance. Raises SolverError where S is singular."""
    structure = reduced.structure
    n, width = structure.num_groups, structure.width
    S = matrix(reduced).tocsc()
    try:
        factor = splu(
            S, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True, "Equil": False}
        )
    except RuntimeError as error:
        raise SolverError(f"the reduced camera system cannot be factored: {error}") from None
    step = factor.solve(-reduced.rhs.ravel())
    if not np.isfinite(step).all():
        raise SolverError("the reduced camera system is singular")
    return step.reshape(n, width), 1


def matrix(reduced: Reduced) -> bsr_array:
    """S with both triangles, (n_groups width)^2."""
    structure = reduced.structure
    n, width = structure.num_groups, structure.width
    starts, columns = structure.pattern
    rows = np.repeat(np.arange(n), np.diff(starts))
    places = rows * n + columns if reduced.pattern is None else slice(None)
    blocks = reduced.blocks[places]
    below = rows != columns
    all_rows, all_columns = np.concatenate([rows, columns[below]]), np.concatenate([columns, rows[below]])
    all_blocks = np.concatenate([blocks, blocks[below].transpose(0, 2, 1)])
    order = np.lexsort((all_columns, all_rows))
    pointers = np.searchsorted(all_rows[order], np.arange(n + 1))
    return bsr_array((all_blocks[order], all_columns[order], pointers), shape=(n * width, n * width))

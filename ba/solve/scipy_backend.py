"""Backend `scipy`: `scipy.optimize.least_squares` with the sparse analytic Jacobian, plain or preconditioned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ba.model.variables import Variables
from ba.solve.objective import History, Objective, SolveResult
from ba.solve.plain import solve_plain
from ba.solve.preconditioned import solve_preconditioned

if TYPE_CHECKING:
    from ba.solve.options import Solver


def solve(
    variables: Variables,
    objective: Objective,
    options: Solver,
    bounds: tuple[NDArray[Any], NDArray[Any]],
    history: History,
) -> SolveResult:
    """The one of the two ways that `solver.method` and `solver.preconditioner` name."""
    if options.preconditioner == "schur" and options.method == "trf" and not np.isfinite(np.concatenate(bounds)).any():
        return solve_preconditioned(variables, objective, options, history)
    return solve_plain(variables, objective, options, bounds, history)

"""Backend `scipy`: `scipy.optimize.least_squares` with the sparse analytic Jacobian.

Here it works on the Jacobian as it is, in the charts of the start. Each trust-region step of trf and dogbox is solved
by LSMR: thousands of inner iterations, because poses and points are coupled over many scales. That is what
`preconditioner: schur` removes (`ba.solve.preconditioned`); without it is the reference that it is measured against,
and the only way to methods dogbox and lm and to bounds. scipy makes a plain matrix of whatever sparse Jacobian it is
given and LSMR tells nobody of its iterations, so `solver.max_seconds` is looked at before each trial and after each
step, not inside LSMR.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import OptimizeResult, least_squares

from ba.errors import UserError
from ba.model.arrays import Array
from ba.model.variables import Variables
from ba.solve import endings
from ba.solve.objective import History, Objective, SolveResult
from ba.solve.preconditioned import joint, solve_preconditioned

if TYPE_CHECKING:
    from ba.solve.options import Solver


MAX_DENSE_BYTES = 2e9

EPSILON, LEAST_TOLERANCE = float(np.finfo(float).eps), 1e-15
"""No method takes a tolerance below the machine's; trf and dogbox take None for none, but not for all three."""

ENDINGS = {1: endings.BY_GRADIENT, 2: endings.BY_COST, 3: endings.BY_STEP, 4: endings.BY_COST}
"""By scipy's status; any other says that the iterations are over."""


def solve(
    variables: Variables, objective: Objective, options: Solver, bounds: tuple[Array, Array], history: History
) -> SolveResult:
    """The one of the two ways that `solver.method` and `solver.preconditioner` name."""
    if options.preconditioner == "schur" and options.method == "trf" and not np.isfinite(np.concatenate(bounds)).any():
        return solve_preconditioned(variables, objective, options, history)
    return solve_plain(variables, objective, options, bounds, history)


def solve_plain(
    variables: Variables, objective: Objective, options: Solver, bounds: tuple[Array, Array], history: History
) -> SolveResult:
    """Minimize by one call of least_squares. bounds: (size,) lowest and highest x, trf and dogbox only."""
    state = _State(variables.start)
    history.theta = lambda: variables.moved(state.best).theta
    dense = options.method == "lm"

    def fun(x: Array) -> Array:
        history.check_time()
        history.evaluations += 1
        return objective.residuals.stacked(variables.at(x))

    def jac(x: Array) -> Any:
        linearization = objective.residuals.linearize(variables, x)
        state.at = x.copy()
        state.cost = objective.cost(linearization.residuals)
        state.gradient_norm = float(np.abs(objective.gradient(linearization)).max(initial=0.0))
        if not history.records or (dense and state.cost < history.records[-1].cost):
            state.accept(history)
        J = linearization.csr()
        return J.toarray() if dense else J

    def accepted(intermediate_result: OptimizeResult) -> None:
        if intermediate_result.cost < history.records[-1].cost:
            state.accept(history)
        if history.steps >= options.max_iterations:
            raise StopIteration

    arguments: dict[str, Any] = {"ftol": options.ftol, "xtol": options.xtol, "gtol": options.gtol}
    if dense:
        _check_dense(variables, objective)
        arguments = {name: max(value, LEAST_TOLERANCE) for name, value in arguments.items()}
        arguments |= {"max_nfev": options.max_iterations}
    else:
        arguments = {name: value if value > EPSILON else None for name, value in arguments.items()}
        if not any(arguments.values()):
            arguments["xtol"] = LEAST_TOLERANCE
        arguments |= {"max_nfev": 100 * options.max_iterations, "callback": accepted, "bounds": bounds}
        arguments |= {"loss": joint(objective)}
    try:
        result = least_squares(fun, variables.start, jac, method=options.method, x_scale="jac", **arguments)
    except (KeyboardInterrupt, endings.Stopped) as stop:
        return SolveResult(variables.moved(state.best), *endings.of(stop))
    return SolveResult(variables.moved(result.x), *ENDINGS.get(result.status, endings.OUT_OF_ITERATIONS))


class _State:
    """The last point at which scipy asked for derivatives, and the best one accepted."""

    def __init__(self, start: Array) -> None:
        self.at = self.best = start
        self.cost = self.gradient_norm = 0.0

    def accept(self, history: History) -> None:
        step_norm, self.best = float(np.linalg.norm(self.at - self.best)), self.at
        history.accept(self.cost, step_norm, self.gradient_norm)


def _check_dense(variables: Variables, objective: Objective) -> None:
    rows, columns = objective.residuals.num_rows, variables.layout.size
    if 8.0 * rows * columns > MAX_DENSE_BYTES:
        raise UserError(
            f"solver.method: lm needs a dense Jacobian, here {rows} x {columns}, {8e-9 * rows * columns:.0f} GB; "
            "trf is right for a problem of this size"
        )
    if rows < columns:
        raise UserError(
            f"solver.method: lm needs at least as many residuals as free numbers, here {rows} and {columns}; "
            "trf is right for this problem"
        )

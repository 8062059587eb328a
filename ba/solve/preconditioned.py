"""scipy's trust region in coordinates in which the normal equations are nearly the identity.

Around each accepted state the damped normal equations are factored in Schur form, H = L L^T
(`ba.solve.reduced.NormalFactor`), and least_squares works on y with x = x_k + L^-T (y - y_k): J L^-T is nearly
orthonormal, so LSMR needs 4 to 16 iterations where the plain variables take thousands (Agarwal et al., "Bundle
adjustment in the large", ECCV 2010, precondition by S; Triggs et al. 2000, section 6.1, derive L). The factor and the
rotation charts go stale with the first accepted step; `callback` stops scipy there and the next call starts from fresh
ones. scipy's first trust radius is |y_k|, so the choice of y_k carries the radius over.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse.linalg import LinearOperator

from ba.errors import SolverError, UserError
from ba.model.arrays import Array
from ba.model.linearization import Linearization
from ba.model.loss import linear
from ba.model.variables import Variables
from ba.solve import endings
from ba.solve.objective import History, Objective, SolveResult, is_short
from ba.solve.reduced import NormalFactor, NormalFactors
from ba.solve.result import Status

if TYPE_CHECKING:
    from ba.solve.options import Solver


MAX_DENSE = 12_000
"""Largest S that is factored as a dense matrix: 1.1 GB, and half of it again for each part of the elimination."""

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-4, 1e-9, 1e8

MAX_TRIALS = 30
"""Trial steps scipy may reject before there is none to be had: the radius has then shrunk by 4^30."""

LEAST_STEP = 1e-15
"""scipy wants one tolerance above the machine's; the tests that count are made here, on the step in x."""


@dataclass(frozen=True)
class Region:
    """Damping of the factor, and the trust radius in its coordinates (None: beyond any Gauss-Newton step)."""

    damping: float = FIRST_DAMPING
    radius: float | None = None

    def after(self, step: Step) -> Region:
        """scipy's own rule for the radius (`_lsq/common.py`, update_tr_radius), and the damping moved along with it."""
        rejected, length = len(step.trials) - 1, step.trials[-1]
        radius, damping = (length if rejected else step.radius), self.damping * 10.0**rejected
        if step.gain < 0.25:
            radius, damping = 0.25 * length, 4.0 * damping
        elif step.gain > 0.75:
            radius, damping = max(radius, 2.0 * length), 0.1 * damping
        return Region(float(np.clip(damping, LEAST_DAMPING, MOST_DAMPING)), radius)


@dataclass(frozen=True, eq=False)
class Step:
    """An accepted step: displacement of x, cost after it, radius it began with, lengths tried in y, actual over
    predicted reduction of the cost, and products with J that LSMR took."""

    displacement: Array
    cost: float
    radius: float
    trials: list[float]
    gain: float
    products: int


def solve_preconditioned(variables: Variables, objective: Objective, options: Solver, history: History) -> SolveResult:
    """Minimize by calls of least_squares (trf), each from the last accepted state in fresh Schur coordinates.

    Raises UserError where S is too large for a dense factor and not sparse enough for another.
    """
    factors, region, products, step_norm = _factors(variables, objective), Region(), 0, 0.0
    ending: endings.Ending | None = None
    recorded = variables
    history.theta = lambda: recorded.theta
    try:
        while True:
            x = variables.start
            linearization = objective.residuals.linearize(variables, x)
            here = Expansion(variables, objective, linearization, objective.gradient(linearization))
            recorded = variables
            history.accept(here.cost, step_norm, here.gradient_norm)
            if ending is None and here.gradient_norm < options.gtol:
                ending = endings.BY_GRADIENT
            if ending is None and history.steps >= options.max_iterations:
                ending = endings.OUT_OF_ITERATIONS
            if ending is not None:
                break
            change, region = here.change(factors, region, history)
            step = here.step(change, region, history)
            if step is None:
                lost = here.promised_reduction(change) < objective.rounding(here.cost)
                ending = endings.NO_LOWER if lost else endings.NO_STEP
                break
            variables, region = variables.moved(x + step.displacement), region.after(step)
            step_norm, products = float(np.linalg.norm(step.displacement)), products + step.products
            ending = _converged(step, here.cost, x, options)
    except (KeyboardInterrupt, endings.Stopped) as stop:
        ending = endings.of(stop)
    except SolverError as error:
        ending = Status.FAILED, str(error)
    return SolveResult(recorded, *ending, {"lsmr_products": products, "damping": region.damping})


def joint(objective: Objective) -> str | Callable[[Array], Array]:
    """scipy's loss for one of each member's squared norm: a callable, (n_rows,) squares -> (3, n_rows), or "linear".

    scipy adds up rho and multiplies by rho', so an equal share of rho and all of rho' on each number of a member give
    the exact cost and gradient of the joint loss. No rho'': see `Objective.row_scales`.
    """
    if not any(objective.losses):
        return "linear"

    def rho(squares: Array) -> Array:
        values, firsts = [], []
        for part, loss in objective.parts(squares):
            rows = part.shape[1]
            value, first, _ = (loss or linear)(part.sum(axis=1))
            values.append(np.repeat(value / rows, rows))
            firsts.append(np.repeat(first, rows))
        return np.stack([np.concatenate(values), np.concatenate(firsts), np.zeros(len(squares))])

    return rho


def _factors(variables: Variables, objective: Objective) -> NormalFactors:
    factors = NormalFactors(variables, objective.residuals)
    if factors.name == "dense" and factors.num_numbers > MAX_DENSE:
        raise UserError(
            f"solver.preconditioner: schur factors a dense matrix of {factors.num_numbers} pose and camera numbers a "
            f"side, {MAX_DENSE} at most; none is right for this problem, or solver.backend schur"
        )
    return factors


def _converged(step: Step, cost: float, x: Array, options: Solver) -> endings.Ending | None:
    """scipy's test of the cost (`_lsq/common.py`, check_termination), and `is_short`."""
    if cost - step.cost < options.ftol * cost and step.gain > 0.25:
        return endings.BY_COST
    if is_short(step.displacement, x, options.xtol):
        return endings.BY_STEP
    return None


@dataclass(frozen=True, eq=False)
class Expansion:
    """Value and derivatives at the start of `variables`."""

    variables: Variables
    objective: Objective
    linearization: Linearization
    gradient: Array

    @cached_property
    def cost(self) -> float:
        return self.objective.cost(self.linearization.residuals)

    @cached_property
    def gradient_norm(self) -> float:
        return float(np.abs(self.gradient).max(initial=0.0))

    @cached_property
    def scaled(self) -> Linearization:
        """With its rows scaled for the losses."""
        return self.objective.scaled(self.linearization)

    def change(self, factors: NormalFactors, region: Region, history: History) -> tuple[NormalFactor, Region]:
        """The change of variables at the region's damping, or at the next larger one at which there is a factor."""
        while True:
            history.check_time()
            try:
                return factors(self.scaled, region.damping), region
            except SolverError:
                if region.damping >= MOST_DAMPING:
                    raise
                region = replace(region, damping=10.0 * region.damping)

    def promised_reduction(self, change: NormalFactor) -> float:
        """Of the whole damped Gauss-Newton step, |L^-1 g|^2 / 2."""
        y = change.transposed_times(self.scaled.residuals)
        return 0.5 * float(y @ y)

    def step(self, change: NormalFactor, region: Region, history: History) -> Step | None:
        """One accepted step of scipy's trf, or None where no trial lowers the cost."""
        x, r = self.variables.start, self.linearization.residuals
        radius = region.radius or 2.0 * float(np.linalg.norm(r)) or 1.0
        y_start = np.full(len(x), radius / np.sqrt(len(x)))
        # The change is that of J with its rows scaled for the loss; scipy wants J itself, and scales it.
        rows = self.objective.row_scales(r)
        trials: list[float] = []
        accepted: list[OptimizeResult] = []
        products = 0

        def times(y: Array) -> Array:
            nonlocal products
            history.check_time()
            products += 1
            return change.times(y.ravel()) / rows

        def transposed_times(u: Array) -> Array:
            return change.transposed_times(u.ravel() / rows)

        def fun(y: Array) -> Array:
            if np.array_equal(y, y_start):
                return r
            history.check_time()
            history.evaluations += 1
            trials.append(float(np.linalg.norm(y - y_start)))
            return self.objective.residuals.stacked(self.variables.at(x + change.backward(y - y_start)))

        def stop(intermediate_result: OptimizeResult) -> None:
            if trials and self.objective.cost(intermediate_result.fun) < self.cost:
                accepted.append(intermediate_result)
            raise StopIteration

        # Derivatives at the accepted state would be thrown away by the restart, so the operator stays that of x.
        operator = LinearOperator((len(r), len(x)), matvec=times, rmatvec=transposed_times, dtype=np.float64)
        least_squares(
            fun,
            y_start,
            lambda _: operator,
            tr_solver="lsmr",
            loss=joint(self.objective),
            ftol=None,
            xtol=LEAST_STEP,
            gtol=None,
            max_nfev=MAX_TRIALS,
            callback=stop,
        )
        if not accepted:
            return None
        y = accepted[0].x - y_start
        displacement, moved = change.backward(y), change.times(y)
        cost = self.objective.cost(accepted[0].fun)
        predicted = -float(self.gradient @ displacement + 0.5 * np.vdot(moved, moved))
        gain = (self.cost - cost) / predicted if predicted > 0.0 else 0.0
        return Step(displacement, cost, radius, trials, gain, products)

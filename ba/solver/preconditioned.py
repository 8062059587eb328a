"""scipy's trust region in coordinates in which the problem is round.

Around each accepted state the damped normal equations are factored in Schur form, H = L L^T (`ba.normal`), and
least_squares works on y with x = x_k + L^-T (y - y_k): J L^-T is nearly orthonormal, so LSMR needs 4 to 16 iterations
where the plain variables take thousands. The factor and the rotation charts go stale with the first accepted step;
`callback` stops scipy there and the next call starts from fresh ones. scipy's first trust radius is |y_k|, so the
choice of y_k carries the radius over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.sparse.linalg import LinearOperator

from ba.config import Solver
from ba.errors import SolverError, UserError
from ba.normal import MAX_REDUCED, SchurFactor, Tracks, factorize
from ba.residual import Linearization
from ba.result import Status
from ba.solver.objective import (
    BY_COST,
    BY_GRADIENT,
    BY_STEP,
    INTERRUPTED,
    NO_LOWER,
    NO_STEP,
    OUT_OF_ITERATIONS,
    Finish,
    Log,
    Objective,
    is_short,
)
from ba.solver.plain import joint
from ba.variables import Variables

Array = NDArray[Any]

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


def solve_preconditioned(variables: Variables, objective: Objective, options: Solver, log: Log) -> Finish:
    """Minimize by calls of least_squares (trf), each from the last accepted state in fresh Schur coordinates."""
    _check_size(variables)
    tracks, region, products, step_norm = Tracks.of(objective.residuals.problem), Region(), 0, 0.0
    ending: tuple[Status, str] | None = None
    recorded = variables
    try:
        while True:
            x = variables.start
            linearization = objective.residuals.linearize(variables, x)
            here = Expansion(variables, objective, linearization, objective.gradient(linearization))
            recorded = variables
            log.accept(here.cost, step_norm, here.gradient_norm)
            if ending is None and here.gradient_norm < options.gtol:
                ending = BY_GRADIENT
            if ending is None and log.steps >= options.max_iterations:
                ending = OUT_OF_ITERATIONS
            if ending is not None:
                break
            factor, region = here.factor(tracks, region)
            step = here.step(factor, region, log)
            if step is None:
                lost = here.promised_reduction(factor) < objective.rounding(here.cost)
                ending = NO_LOWER if lost else NO_STEP
                break
            variables, region = variables.moved(x + step.displacement), region.after(step)
            step_norm, products = float(np.linalg.norm(step.displacement)), products + step.products
            ending = _converged(step, here.cost, x, options)
    except KeyboardInterrupt:
        ending = INTERRUPTED
    except SolverError as error:
        ending = Status.FAILED, str(error)
    return Finish(recorded, *ending, {"lsmr_products": products, "damping": region.damping})


def _converged(step: Step, cost: float, x: Array, options: Solver) -> tuple[Status, str] | None:
    """scipy's test of the cost (`_lsq/common.py`, check_termination), and `is_short`."""
    if cost - step.cost < options.ftol * cost and step.gain > 0.25:
        return BY_COST
    if is_short(step.displacement, x, options.xtol):
        return BY_STEP
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
        return self.objective.cost(self.linearization.residual)

    @cached_property
    def gradient_norm(self) -> float:
        return float(np.abs(self.gradient).max(initial=0.0))

    @cached_property
    def row_scale(self) -> Array | None:
        return self.objective.row_scale(self.linearization.residual)

    def factor(self, tracks: Tracks, region: Region) -> tuple[SchurFactor, Region]:
        """The factor at the region's damping, or at the next larger one at which it exists."""
        linearization, scale = self.linearization, self.row_scale
        if scale is not None:
            linearization = replace(
                linearization,
                camera_blocks=linearization.camera_blocks * scale[:, None, None],
                point_blocks=linearization.point_blocks * scale[:, None, None],
            )
        while True:
            try:
                return factorize(linearization, tracks, region.damping, self.objective.residuals.threads), region
            except SolverError:
                if region.damping >= MOST_DAMPING:
                    raise
                region = replace(region, damping=10.0 * region.damping)

    def predicted_reduction(self, displacement: Array) -> float:
        """Of the quadratic model g.d + |row_scale * J d|^2 / 2."""
        change = self.linearization.jvp(displacement)
        if self.row_scale is not None:
            change *= np.repeat(self.row_scale, 2)
        return -float(self.gradient @ displacement + 0.5 * (change @ change))

    def promised_reduction(self, factor: SchurFactor) -> float:
        """Of the whole damped Gauss-Newton step, |L^-1 g|^2 / 2."""
        r = (
            self.linearization.residual
            if self.row_scale is None
            else self.linearization.residual * self.row_scale[:, None]
        )
        y = factor.transposed_times(r)
        return 0.5 * float(y @ y)

    def step(self, factor: SchurFactor, region: Region, log: Log) -> Step | None:
        """One accepted step of scipy's trf, or None where no trial lowers the cost."""
        x, r = self.variables.start, self.linearization.residual.ravel()
        radius = region.radius or 2.0 * float(np.linalg.norm(r)) or 1.0
        y_start = np.full(len(x), radius / np.sqrt(len(x)))
        # The factor is that of J with its rows scaled for the loss; scipy wants J itself, and scales it.
        rows = 1.0 if self.row_scale is None else np.repeat(self.row_scale, 2)
        trials: list[float] = []
        accepted: list[OptimizeResult] = []
        products = 0

        def times(y: Array) -> Array:
            nonlocal products
            products += 1
            return factor.times(y.ravel()) / rows

        def transposed_times(u: Array) -> Array:
            return factor.transposed_times(u.ravel() / rows)

        def fun(y: Array) -> Array:
            if np.array_equal(y, y_start):
                return r
            log.evaluations += 1
            trials.append(float(np.linalg.norm(y - y_start)))
            moved = self.variables.at(x + factor.solve_transposed(y - y_start))
            return self.objective.residuals.residual(moved)[0].ravel()

        def stop(intermediate_result: OptimizeResult) -> None:
            if trials and self.objective.cost(intermediate_result.fun.reshape(-1, 2)) < self.cost:
                accepted.append(intermediate_result)
            raise StopIteration

        # Derivatives at the accepted state would be thrown away by the restart, so the operator stays that of x.
        operator = LinearOperator((len(r), len(x)), matvec=times, rmatvec=transposed_times, dtype=np.float64)
        least_squares(
            fun,
            y_start,
            lambda _: operator,
            x_scale=np.ones(len(x)),
            bounds=(np.full(len(x), -np.inf), np.full(len(x), np.inf)),
            tr_solver="lsmr",
            loss="linear" if self.objective.loss is None else joint(self.objective.loss),
            ftol=None,
            xtol=LEAST_STEP,
            gtol=None,
            max_nfev=MAX_TRIALS,
            callback=stop,
        )
        if not accepted:
            return None
        displacement = factor.solve_transposed(accepted[0].x - y_start)
        cost, predicted = self.objective.cost(accepted[0].fun.reshape(-1, 2)), self.predicted_reduction(displacement)
        gain = (self.cost - cost) / predicted if predicted > 0.0 else 0.0
        return Step(displacement, cost, radius, trials, gain, products)


def _check_size(variables: Variables) -> None:
    if variables.layout.num_reduced > MAX_REDUCED:
        raise UserError(
            f"solver.preconditioner: schur factors a dense matrix of {variables.layout.num_reduced} pose and camera "
            f"numbers a side, {MAX_REDUCED} at most; none is right for a problem of this size"
        )

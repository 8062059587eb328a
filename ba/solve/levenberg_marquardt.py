"""Levenberg-Marquardt: the damping loop, which never sees the linear algebra.

Damping follows the gain, the cost's actual over its predicted reduction, as in Nielsen, "Damping parameter in
Marquardt's method", 1999 (also Madsen, Nielsen, Tingleff, "Methods for non-linear least squares problems", 2004, eq.
3.16): a good step divides it by up to three, a rejected one multiplies it by 2, 4, 8, ... Between them it is linear in
the gain, not cubic: along the flat valley of Ladybug-49, where gains stay near 0.8, that takes 9 and 20 steps to within
1e-4 and 1e-6 of the minimum in place of 17 and 38, and Dubrovnik-16 takes 4 and 5 either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ba.errors import SolverError
from ba.solve import endings
from ba.solve.objective import History
from ba.solve.result import Status

if TYPE_CHECKING:
    from ba.solve.options import Solver

LEAST_DAMPING, MOST_DAMPING = 1e-16, 1e16

PER_MISFIT, LEAST_FIRST, MOST_FIRST = 0.02, 3e-5, 1e-2
"""The first damping grows with the squared residual (Yamashita, Fukushima, "On the rate of convergence of the
Levenberg-Marquardt method", 2001), here as a share of the squared pixels. 3e-5 is the best of six for good starts: the
fewest steps on Dubrovnik-16 and Ladybug-49, whose shares are 4e-4 and 7e-4. From 40 hard starts of Dubrovnik-16
(scripts/bench starts; shares near 0.2) it leads home from 29, where points seen twice fly off in the first step, and
0.02 times the share from 39."""

LEAST_GAIN = 1e-3
"""Steps that gain less than this share of what the model promised are rejected."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A step that was computed and evaluated, but not taken. `state` is for `accept` alone."""

    cost: float
    predicted_reduction: float
    step_norm: float
    state: Any


class System(Protocol):
    """What the loop asks of a problem, all of it about the current state."""

    def misfit(self, cost: float) -> float:
        """The cost as a share of what observations at the pixels' origin would cost."""

    def linearize(self) -> tuple[float, float]:
        """Derivatives at the current state; its cost and the largest component of its gradient."""

    def solve(self, damping: float) -> Trial:
        """The damped step. Raises SolverError where there is none at this damping."""

    def accept(self, trial: Trial) -> None:
        """Make the trial's state the current one."""

    def record(self) -> None:
        """The current state goes into the log; the last such state is what the solve returns."""

    def rounding(self, cost: float) -> float:
        """How much of the cost may be rounding."""

    def is_short(self, trial: Trial, xtol: float) -> bool:
        """Whether a step moves no number by more than xtol of itself (see `objective.is_short`)."""


@dataclass
class Damping:
    value: float
    growth: float = 2.0

    def accepted(self, gain: float) -> None:
        self.value = max(self.value * max(1.0 / 3.0, 2.0 - 2.0 * gain), LEAST_DAMPING)
        self.growth = 2.0

    def rejected(self) -> None:
        self.value *= self.growth
        self.growth *= 2.0


def minimize(system: System, options: Solver, history: History) -> tuple[endings.Ending, dict[str, Any]]:
    """Take steps until a test of `options` holds, or none is to be had. Returns how it ended, and details."""
    damping: Damping | None = None
    step_norm = 0.0
    ending: endings.Ending | None = None
    try:
        while True:
            cost, gradient_norm = system.linearize()
            system.record()
            history.accept(cost, step_norm, gradient_norm)
            damping = damping or Damping(min(max(PER_MISFIT * system.misfit(cost), LEAST_FIRST), MOST_FIRST))
            if ending is None and gradient_norm < options.gtol:
                ending = endings.BY_GRADIENT
            if ending is None and history.steps >= options.max_iterations:
                ending = endings.OUT_OF_ITERATIONS
            if ending is not None:
                break
            answer = _search(system, cost, damping, options, history)
            if not isinstance(answer, Trial):
                ending = answer
                break
            if not answer.predicted_reduction > system.rounding(cost):
                ending = endings.NO_LOWER
            elif cost - answer.cost < options.ftol * cost:
                ending = endings.BY_COST
            elif system.is_short(answer, options.xtol):
                ending = endings.BY_STEP
            system.accept(answer)
            step_norm = answer.step_norm
    except (KeyboardInterrupt, endings.Stopped) as stop:
        ending = endings.of(stop)
    return ending, {"damping": damping.value if damping else None}


def _search(system: System, cost: float, damping: Damping, options: Solver, history: History) -> Trial | endings.Ending:
    """The first step that lowers the cost as promised, with more and more damping; or why there is none.

    A step that promises no more than rounding is taken where it happens to lower the cost: along flat directions it
    moves the state by more than the cost tells.
    """
    why = endings.STUCK
    while damping.value <= MOST_DAMPING:
        history.check_time()
        try:
            trial = system.solve(damping.value)
        except SolverError as error:
            why = Status.FAILED, str(error)
            damping.rejected()
            continue
        history.evaluations += 1
        if not trial.predicted_reduction > system.rounding(cost):
            return trial if trial.cost < cost else endings.NO_LOWER
        gain = (cost - trial.cost) / trial.predicted_reduction
        if gain > LEAST_GAIN:
            damping.accepted(gain)
            return trial
        if system.is_short(trial, options.xtol):
            return endings.BY_STEP
        damping.rejected()
    return why

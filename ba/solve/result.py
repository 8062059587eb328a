"""What a solve gives back: state, status, iteration records, timings. Plain data, no printing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ba.model.problem import Float, Problem
from ba.model.residual import project
from ba.system.words import counted


class Status(StrEnum):
    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    MAX_SECONDS = "max_seconds"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Iteration:
    """One accepted step; iteration 0 is the start. Cost is 0.5 * sum rho, in px^2 (or sigmas^2).

    step_norm, the Euclidean length of the step, and gradient_norm, the largest component of the cost's gradient, are of
    the free numbers in the solver's coordinates (`ba.model.variables`): a rotation by the numbers in which it is
    parameterized, in the chart about the last accepted state (with `solver.preconditioner: none` about the start); the
    rest as it is, in the frame of `ba.prepare.conditioning`, which moves and scales coordinates far from the origin.
    """

    iteration: int
    cost: float
    cost_change: float
    step_norm: float
    gradient_norm: float
    evaluations: int
    seconds: float


Observer = Callable[[Iteration], bool | None]
"""Called with each accepted step. True stops the solve, which keeps that state; what it raises comes out of `solve`."""


def ignore(_: Iteration) -> None:
    """The observer that watches nothing."""


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """The end of a solve. `problem` is the input with its free numbers moved; `solver_details` is the backend's report.

    solve_seconds: without what kernels took to compile.
    """

    problem: Problem
    status: Status
    message: str
    iterations: tuple[Iteration, ...]
    initial_cost: float
    final_cost: float
    solve_seconds: float
    constraint: float
    solver_details: dict[str, Any]

    @property
    def residuals(self) -> Float:
        """(n_obs, 2) px at the end, projection minus pixels, in the problem's order; computed at each call."""
        return project(self.problem, self.solver_details.get("threads", 1)).pixels - self.problem.pixels

    def __repr__(self) -> str:
        steps = counted(self.iterations[-1].iteration if self.iterations else 0, "step")
        return (
            f"Solution({self.status} after {steps}, cost {self.initial_cost:.6g} to {self.final_cost:.6g}, "
            f"{self.solve_seconds:.3g} s: {self.problem.sizes})"
        )

"""What a solve gives back: state, status, iteration records, timings. Plain data, no printing."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ba.problem import Problem


class Status(StrEnum):
    CONVERGED = "converged"
    MAX_ITERATIONS = "max_iterations"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


@dataclass(frozen=True)
class Iteration:
    """One accepted step; iteration 0 is the start. Cost is 0.5 * sum rho, in px^2 (or sigmas^2).

    step_norm, the Euclidean length of the step, and gradient_norm, the largest component of the cost's gradient, are of
    the free numbers in the solver's coordinates (`ba.variables`): a rotation by the numbers in which it is
    parameterized, in the chart about the last accepted state (with `solver.preconditioner: none` about the start); the
    rest as it is, in the frame of `ba.solver.conditioning`, which moves and scales coordinates far from the origin.
    """

    iteration: int
    cost: float
    cost_change: float
    step_norm: float
    gradient_norm: float
    evaluations: int
    seconds: float


Observer = Callable[[Iteration], None]


def ignore(_: Iteration) -> None:
    """The observer that watches nothing."""


@dataclass(frozen=True, eq=False)
class Solution:
    """The end of a solve. `problem` is the input with its free numbers moved; `details` is the backend's own report."""

    problem: Problem
    status: Status
    message: str
    iterations: tuple[Iteration, ...]
    initial_cost: float
    final_cost: float
    solve_seconds: float
    constraint: float
    details: dict[str, Any]

"""iterations.jsonl: each field of the line after `step` accepted steps, and how it is computed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from tests.oracle.case import Case
from tests.oracle.costs import cost, gradient_norm, step_norm
from tests.oracle.known import Known


def _cost(case: Case, step: int) -> Known:
    return cost(case.framed[step], case.config["loss"])


def cost_change(case: Case, step: int) -> Known:
    """By how much the step lowered the cost; 0 at the start."""
    before, after = _cost(case, max(step - 1, 0)), _cost(case, step)
    # As a difference it inherits what float64 may lose in either cost.
    return Known(before.value - after.value, (before.slack + after.slack + 1e-12 * before.value) * (step > 0))


def _step_norm(case: Case, step: int) -> Known:
    return step_norm(case.framed[step - 1], case.framed[step], case.rotation) if step else Known(0.0)


def evaluations(case: Case, step: int) -> int:
    """As the run that stopped after this step counted them: what comes later cannot change it."""
    return int(case.folders[step].summary["evaluations"])


ITERATION: dict[str, Callable[[Case, int], Any]] = {
    "iteration": lambda case, step: step,
    "cost": _cost,
    "cost_change": cost_change,
    "step_norm": _step_norm,
    "gradient_norm": lambda case, step: gradient_norm(case.framed[step], case.rotation, case.config["loss"]),
    "evaluations": evaluations,
}

NOT_COMPUTED = {"seconds": "a time; it never runs backwards, see `summary.clock_is_sound`"}


def evaluations_are_sound(case: Case) -> bool:
    """None before the first trial, or that of the start, and at least one for each step."""
    counts = [line["evaluations"] for line in case.last.iterations]
    return counts[0] in (0, 1) and all(b > a for a, b in pairwise(counts))

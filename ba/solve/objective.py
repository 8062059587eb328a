"""What every backend shares: cost and gradient under a loss, the log of accepted steps, and the test of short steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ba.engine import kernelcache
from ba.model.arrays import Array
from ba.model.linearization import Blocks, Linearization
from ba.model.loss import Loss, linear
from ba.model.residual import Residuals
from ba.model.terms.stacked import Member, joined, parted
from ba.model.variables import Variables
from ba.solve import endings
from ba.solve.result import Iteration, Observer, Status

EPSILON = float(np.finfo(float).eps)

LEAST_WEIGHT = EPSILON
"""The least rho' that scipy leaves an observation."""


@dataclass(frozen=True, eq=False)
class Objective:
    """0.5 * sum rho(|r_i|^2) over observations and the members of other terms. loss: of the observations, None for
    rho(s) = s; other terms have their own."""

    residuals: Residuals
    loss: Loss | None

    @cached_property
    def losses(self) -> list[Loss | None]:
        """Of the observations and of each other term."""
        return self.residuals.losses(self.loss)

    def parts(self, r: Array) -> list[tuple[Array, Loss | None]]:
        """Residuals (n_rows,) of all terms as parts (n, rows), each with its loss."""
        return list(zip(parted(r, self.residuals.shapes), self.losses, strict=True))

    def cost(self, r: Array) -> float:
        """Cost of residuals (n_rows,) of all terms; infinite where a residual is not finite."""
        return self.cost_of(parted(r, self.residuals.shapes))

    def cost_of(self, parts: Sequence[Array]) -> float:
        """As `cost`, of the residuals (n, rows) of the observations and of each other term."""
        with np.errstate(over="ignore", invalid="ignore"):
            total = sum(_cost(*pair) for pair in zip(parts, self.losses, strict=True))
        return total if math.isfinite(total) else math.inf

    @cached_property
    def pixel_norm(self) -> float:
        """Norm of what the residuals would be if every point projected to the pixels' origin, and other terms had
        nothing to subtract from what they measure."""
        pixels, whitener = self.residuals.problem.pixels, self.residuals.whitener
        norm = float(np.linalg.norm(pixels if whitener is None else np.einsum("nij,nj->ni", whitener, pixels)))
        others = [float(np.linalg.norm(term.measured())) for term in self.residuals.problem.terms]
        return math.hypot(norm, *others) if others else norm

    def rounding(self, cost: float) -> float:
        """How much of the cost may be rounding: of its sum, and of projections that are no better than the pixels."""
        noise = 16.0 * EPSILON * self.pixel_norm
        return 64.0 * EPSILON * cost + float(np.sqrt(2.0 * cost)) * noise + noise * noise

    def gradient(self, linearization: Linearization) -> Array:
        """J^T (rho' r), (size,)."""
        weighted = [
            part if loss is None else part * loss(np.einsum("ni,ni->n", part, part))[1][:, None]
            for part, loss in self.parts(linearization.residuals)
        ]
        return linearization.vjp(joined(weighted))

    def row_scales(self, r: Array) -> Array | float:
        """(n_rows,) factors of J's rows in the Gauss-Newton matrix under the losses, sqrt(rho'), or 1 for all.

        Reweighting only, as in Ceres where rho'' < 0. Adding the negative curvature (Triggs et al. 2000, eq. 11), as
        scipy does with its own losses, left Dubrovnik under `cauchy` at a cost of 319155, where reweighting reaches
        11289. Bounded to half the weight along r it gains nothing (98 steps for 100 under `soft_l1`); bounded to 0.8
        of it, solves stall.
        """
        if not any(self.losses):
            return 1.0
        return np.concatenate([np.repeat(_row_scale(*part), part[0].shape[1]) for part in self.parts(r)])

    def scaled(self, linearization: Linearization) -> Linearization:
        """With its rows scaled, so that their Gauss-Newton equations are those of the losses."""
        if not any(self.losses):
            return linearization
        scales = [_row_scale(*part)[:, None] for part in self.parts(linearization.residuals)]
        return linearization.scaled(scales)

    def correct(self, derivatives: Blocks, members: Sequence[Member] = ()) -> tuple[Member, ...]:
        """Rescale r, A and B in place, so that their Gauss-Newton equations are those of the loss; returns the other
        terms, rescaled for theirs."""
        if self.loss is not None:
            scale = _row_scale(derivatives[0], self.loss)
            for array in derivatives:
                array *= scale.reshape(-1, *(1,) * (array.ndim - 1))
        return corrected(members)


def corrected(members: Sequence[Member]) -> tuple[Member, ...]:
    """Terms with their rows rescaled for their losses."""
    return tuple(
        one if one.term.loss is None else one.scaled(_row_scale(one.residual, one.term.loss)[:, None])
        for one in members
    )


def _cost(r: Array, loss: Loss | None) -> float:
    if loss is None:
        return 0.5 * float(np.vdot(r, r))
    return 0.5 * float(loss(np.einsum("ni,ni->n", r, r))[0].sum())


def _row_scale(r: Array, loss: Loss | None) -> Array:
    """(n,) sqrt(rho') of each member."""
    return np.sqrt(np.maximum((loss or linear)(np.einsum("ni,ni->n", r, r))[1], LEAST_WEIGHT))


class ObserverError(Exception):
    """Carries what an observer raised past every `except` of backends and of scipy, to `ba.solve.solve`."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class History:
    """Keeps the accepted steps, tells the observer, and watches the time. max_seconds: None for no limit.

    Seconds are those of solving: what kernels took to compile is left out. theta: what a backend sets to a function
    that gives the rotations of the last accepted state, (n_images, ambient_dim), as numbers of their parameterization.
    """

    observer: Observer
    max_seconds: float | None = None
    evaluations: int = 0
    records: list[Iteration] = field(default_factory=list)
    began: float = field(default_factory=lambda: _solving_clock())
    theta: Callable[[], Array] | None = None

    @property
    def seconds(self) -> float:
        return _solving_clock() - self.began

    @property
    def steps(self) -> int:
        return max(len(self.records) - 1, 0)

    def accept(self, cost: float, step_norm: float, gradient_norm: float) -> None:
        before = self.records[-1].cost if self.records else cost
        self.records.append(
            Iteration(
                iteration=len(self.records),
                cost=cost,
                cost_change=before - cost,
                step_norm=step_norm,
                gradient_norm=gradient_norm,
                evaluations=self.evaluations,
                seconds=self.seconds,
            )
        )
        try:
            answer = self.observer(self.records[-1])
        except Exception as error:
            raise ObserverError(error) from error
        if isinstance(answer, bool | np.bool_) and answer:
            raise endings.Stopped(endings.BY_OBSERVER)

    def check_time(self) -> None:
        """Raise Stopped where the time is over and there is a state to end with. Called inside all that takes long."""
        if self.max_seconds is not None and self.records and self.seconds >= self.max_seconds:
            raise endings.Stopped(endings.OUT_OF_SECONDS)


def _solving_clock() -> float:
    return time.perf_counter() - kernelcache.compile_seconds()


@dataclass(frozen=True, eq=False)
class SolveResult:
    """How a backend ended, and the variables whose `start` is the final state."""

    variables: Variables
    status: Status
    message: str
    solver_details: dict[str, Any] = field(default_factory=dict)


def is_short(step: Array, x: Array, xtol: float) -> bool:
    """Whether no entry of a step moves by more than xtol of itself, or of 1 where it is smaller than that.

    A test of norms, as scipy's and Ceres', is met at once where a single point is far away.
    """
    return bool((np.abs(step) <= xtol * np.maximum(np.abs(x), 1.0)).all())

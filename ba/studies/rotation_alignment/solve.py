"""Levenberg-Marquardt on one rotation, for many starts at once.

A step solves (J^T J + mu I) delta = -J^T r with mu a share of the largest diagonal entry of J^T J. The share falls with
the gain as in `ba.solve.levenberg_marquardt`; charts are centred anew after each accepted step, so a parameterization
is always asked at delta = 0. All starts of a batch take a trial step together and leave the batch as they end.

A share of each diagonal entry instead (Marquardt) fails from the same places: from 170 degrees away `cayley` reaches
75 % either way, and `columns6`, at 30, 90, 150, 170, 179 degrees, 100, 90, 60, 75, 65 % in place of 100, 100, 55, 60,
60 % (20 starts each).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

from ba.model.rotation import Parameterization, isotropy
from ba.model.rotation.parameterization import Array
from ba.solve.result import Status
from ba.studies.rotation_alignment.problem import PointSets, linearize, slope

FIRST_DAMPING, LEAST_DAMPING, MOST_DAMPING = 1e-3, 1e-12, 1e16
LEAST_GAIN = 1e-3
BATCH = 20_000
"""Points times starts that are linearized together, 8 MB of derivatives for four numbers a rotation."""

STATIONARY = 1e-6
"""Cosine between the residual and its derivative below which there is no slope."""
EPS, TINY = float(np.finfo(np.float64).eps), float(np.finfo(np.float64).tiny)


class Step(NamedTuple):
    """The state after an accepted step; number 0 is the start. `isotropy` is that of the tangent map (1: the best)."""

    iteration: int
    cost: float
    gradient_norm: float
    step_norm: float
    isotropy: float
    evaluations: int
    R: Array


@dataclass(frozen=True, eq=False)
class Course:
    """How one start went. theta (ambient_dim,) is the end's."""

    steps: tuple[Step, ...]
    status: Status
    message: str
    theta: Array

    @property
    def end(self) -> Step:
        return self.steps[-1]


@dataclass(frozen=True, eq=False)
class _State:
    """b starts: theta (b, a), R (b, 3, 3), cost (b,), H (b, k, k) = J^T J, g (b, k) = J^T r, isotropy (b,)."""

    theta: Array
    R: Array
    cost: Array
    H: Array
    g: Array
    isotropy: Array

    def take(self, index: Array) -> _State:
        return _State(*(getattr(self, field.name)[index] for field in fields(self)))

    def replaced(self, mask: Array, other: _State) -> _State:
        pairs = ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        return _State(*(np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), b, a) for a, b in pairs))


def solve(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, max_iterations: int
) -> tuple[Course, ...]:
    """Minimize from each start theta (b, ambient_dim); `residual` is a name of RESIDUALS. Raises nothing."""
    size = max(1, BATCH // len(sets.p2))
    p1 = np.broadcast_to(sets.p1, (len(theta), *sets.p2.shape))
    return tuple(
        course
        for first in range(0, len(theta), size)
        for course in _solve_batch(
            PointSets(p1[first : first + size], sets.p2),
            parameterization,
            theta[first : first + size],
            residual,
            max_iterations,
        )
    )


def _solve_batch(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, max_iterations: int
) -> list[Course]:
    state = _state(sets, parameterization, theta, residual)
    rounding = EPS**2 * 0.5 * ((sets.p1**2).sum(axis=(1, 2)) + (sets.p2**2).sum())
    damping, growth = np.full(len(theta), FIRST_DAMPING), np.full(len(theta), 2.0)
    evaluations = np.ones(len(theta), int)
    steps = [[_record(state, i, 0, 0.0, 1)] for i in range(len(theta))]
    courses: list[Course | None] = [None] * len(theta)
    active = np.arange(len(theta))
    while len(active):
        delta, predicted = _damped_step(state, damping)
        trial = _state(sets, parameterization, parameterization.retract(state.theta, delta), residual)
        evaluations += 1
        gain = (state.cost - trial.cost) / np.where(predicted > 0.0, predicted, 1.0)
        within_rounding = ~(predicted > EPS * state.cost + rounding)
        finite = np.isfinite(trial.cost) & np.isfinite(trial.H).all(axis=(1, 2))
        full = np.array([len(steps[lane]) > max_iterations for lane in active])
        accepted = finite & ~full & np.where(within_rounding, trial.cost < state.cost, gain > LEAST_GAIN)
        state = state.replaced(accepted, trial)
        for i in np.flatnonzero(accepted):
            history = steps[active[i]]
            history.append(_record(state, int(i), len(history), float(np.linalg.norm(delta[i])), evaluations[i]))
        shrink = np.clip(2.0 - 2.0 * gain, 1.0 / 3.0, None)
        damping = np.maximum(damping * np.where(accepted, shrink, growth), LEAST_DAMPING)
        growth = np.where(accepted, 2.0, 2.0 * growth)
        ended = within_rounding | full | (damping > MOST_DAMPING)
        for i in np.flatnonzero(ended):
            exact = (
                bool(state.cost[i] <= 1e6 * rounding[i])
                or slope(PointSets(sets.p1[i], sets.p2), state.R[i], parameterization.stays_rotation) < STATIONARY
            )
            status, message = _ending(bool(within_rounding[i]), exact, bool(full[i]))
            courses[active[i]] = Course(tuple(steps[active[i]]), status, message, state.theta[i])
        kept = np.flatnonzero(~ended)
        active, state, sets = active[kept], state.take(kept), PointSets(sets.p1[kept], sets.p2)
        damping, growth, evaluations, rounding = damping[kept], growth[kept], evaluations[kept], rounding[kept]
    return [course for course in courses if course is not None]


def _ending(within_rounding: bool, stationary: bool, full: bool) -> tuple[Status, str]:
    if within_rounding and stationary:
        return Status.CONVERGED, "no step lowers the cost by more than rounding"
    if within_rounding:
        return Status.FAILED, "the cost has a slope, but no step of these numbers follows it"
    if full:
        return Status.MAX_ITERATIONS, "the number of steps that is allowed is used up"
    return Status.FAILED, "no finite step lowers the cost at any damping"


def _state(sets: PointSets, parameterization: Parameterization, theta: Array, residual: str) -> _State:
    r, J = linearize(sets, parameterization, theta, np.zeros((len(theta), parameterization.tangent_dim)), residual)
    transposed = np.swapaxes(J, -1, -2)
    return _State(
        theta=theta,
        R=parameterization.to_matrix(theta),
        cost=0.5 * (r * r).sum(axis=1),
        H=transposed @ J,
        g=(transposed @ r[..., None])[..., 0],
        isotropy=isotropy(parameterization, theta) if parameterization.stays_rotation else np.ones(len(theta)),
    )


def _damped_step(state: _State, damping: Array) -> tuple[Array, Array]:
    """delta (b, k), and by how much the model says that it lowers the cost (b,). H may be singular."""
    mu = damping * np.diagonal(state.H, axis1=1, axis2=2).max(axis=1) + TINY
    values, vectors = np.linalg.eigh(state.H)
    along = (state.g[:, None, :] @ vectors)[:, 0] / (np.maximum(values, 0.0) + mu[:, None])
    delta = -(vectors @ along[..., None])[..., 0]
    return delta, 0.5 * (mu * (delta * delta).sum(axis=1) - (delta * state.g).sum(axis=1))


def _record(state: _State, i: int, iteration: int, step_norm: float, evaluations: int) -> Step:
    return Step(
        iteration,
        float(state.cost[i]),
        float(np.abs(state.g[i]).max()),
        step_norm,
        float(state.isotropy[i]),
        int(evaluations),
        state.R[i],
    )

"""A rotation alignment as a problem of one pose and no point, solved by the backend `schur` of bundle adjustment.

Each start is a problem of its own. Its term is `ba.model.terms.PointAlignment`, or `AlignmentDistance` for the norm of
each point's residual. Steps go on until none lowers the cost in float64, and the state after each is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ba.model.problem import Free, Problem
from ba.model.residual import Residuals
from ba.model.rotation import Parameterization, isotropy
from ba.model.rotation.parameterization import Array
from ba.model.terms import AlignmentDistance, PointAlignment
from ba.model.variables import Variables, make_layout
from ba.solve.levenberg_marquardt import minimize
from ba.solve.objective import EPSILON, Log, Objective
from ba.solve.options import Solver
from ba.solve.result import Iteration, Status
from ba.solve.schur import BundleSystem
from ba.studies.rotation_alignment.problem import PointSets, slope

RESIDUALS: dict[str, type[PointAlignment]] = {"vector": PointAlignment, "norm": AlignmentDistance}

STATIONARY = 1e-6
"""Cosine between the residual and its derivative below which there is no slope."""


@dataclass(frozen=True, eq=False)
class _Objective(Objective):
    """Of one pose: the sum is short and no digits cancel, so that less of the cost is rounding."""

    def rounding(self, cost: float) -> float:
        return EPSILON * cost + (EPSILON * self.pixel_norm) ** 2


EXACT = 1e6
"""A cost below this many of its roundings is that of sets that fit exactly, whose slope is rounding too."""

NO_SLOPE_FOLLOWED = "the cost has a slope, but no step of these numbers follows it"


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


def solve(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, max_iterations: int
) -> tuple[Course, ...]:
    """Minimize from each start theta (b, ambient_dim); `residual` is a name of RESIDUALS. Raises nothing."""
    targets = np.broadcast_to(sets.p1, (len(theta), *sets.p2.shape))
    return tuple(
        _course(PointSets(p1, sets.p2), parameterization, start, residual, max_iterations)
        for p1, start in zip(targets, theta, strict=True)
    )


def make_problem(sets: PointSets, R: Array, residual: str) -> Problem:
    """One image, whose rotation R (3, 3) is free, that sees nothing."""
    n = len(sets.p2)
    term = RESIDUALS[residual](np.zeros(n, np.int32), sets.p1, sets.p2, np.ones(n))
    return Problem(
        rotations=R[None],
        translations=np.zeros((1, 3)),
        camera_of_image=np.zeros(1, np.int32),
        camera_models=("bal",),
        intrinsics=np.zeros((1, 3)),
        points=np.zeros((0, 3)),
        image_of_obs=np.zeros(0, np.int32),
        point_of_obs=np.zeros(0, np.int32),
        pixels=np.zeros((0, 2)),
        free=Free(np.ones(1, bool), np.zeros((1, 3), bool), np.zeros((1, 3), bool), np.zeros(0, bool)),
        terms=(term,),
    )


def _course(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, max_iterations: int
) -> Course:
    problem = make_problem(sets, parameterization.to_matrix(theta[None])[0], residual)
    layout = make_layout(problem, parameterization.tangent_dim)
    objective = _Objective(Residuals(problem), None)
    steps: list[Step] = []

    def keep(iteration: Iteration) -> None:
        state = system.recorded
        even = isotropy(parameterization, state.theta)[0] if parameterization.stays_rotation else 1.0
        steps.append(
            Step(
                iteration.iteration,
                iteration.cost,
                iteration.gradient_norm,
                iteration.step_norm,
                float(even),
                iteration.evaluations + 1,
                state.parameters.rotations[0],
            )
        )

    options = Solver(backend="schur", ftol=0.0, xtol=0.0, gtol=0.0, max_iterations=max_iterations, threads=1)
    log = Log(keep)
    system = BundleSystem(Variables(problem, parameterization, theta[None], layout), objective, options, log.check_time)
    (status, message), _ = minimize(system, options, log)
    end = steps[-1]
    exact = end.cost <= EXACT * objective.rounding(0.0)
    if status is Status.CONVERGED and not exact and not _is_stationary(sets, end.R, parameterization):
        status, message = Status.FAILED, NO_SLOPE_FOLLOWED
    return Course(tuple(steps), status, message, system.recorded.theta[0])


def _is_stationary(sets: PointSets, R: Array, parameterization: Parameterization) -> bool:
    return slope(sets, R, parameterization.stays_rotation) < STATIONARY

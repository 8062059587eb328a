"""A rotation alignment as a problem of one pose and no point, solved by a backend of bundle adjustment.

Each start is a problem of its own. Its term is `ba.model.terms.PointAlignment`, or `AlignmentDistance` for the length
of each point's residual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ba.engine.parallel import blas_threads
from ba.model.problem import Free, Problem
from ba.model.residual import Residuals
from ba.model.rotation import Parameterization, isotropy
from ba.model.rotation.parameterization import Array
from ba.model.terms import AlignmentDistance, PointAlignment
from ba.model.variables import Variables, make_layout
from ba.solve.backends import SOLVERS
from ba.solve.objective import EPSILON, NO_LOWER, History, Objective
from ba.solve.options import Solver
from ba.solve.result import Iteration, Status
from ba.studies.rotation_alignment.problem import PointSets, slope

RESIDUALS: dict[str, type[PointAlignment]] = {"vector": PointAlignment, "norm": AlignmentDistance}

STATIONARY = 1e-6
"""Cosine between the residual and its derivative below which there is no slope."""

EXACT = 1e6
"""A cost below this many of its roundings is that of sets that fit exactly, whose slope is rounding too."""

NOT_FOLLOWED = Status.FAILED, "the cost has a slope, but no step of these numbers follows it"


@dataclass(frozen=True, eq=False)
class AlignmentObjective(Objective):
    """Less of the cost of one pose is rounding than of projections: the sum is short, and no digits cancel."""

    def rounding(self, cost: float) -> float:
        return EPSILON * cost + (EPSILON * self.pixel_norm) ** 2


@dataclass(frozen=True, eq=False)
class Course:
    """How one start went; theta (steps + 1, ambient_dim): its rotation at the start and after each accepted step."""

    parameterization: Parameterization
    steps: tuple[Iteration, ...]
    theta: Array
    status: Status
    message: str

    @property
    def end(self) -> Iteration:
        return self.steps[-1]

    @property
    def R(self) -> Array:
        """(steps + 1, 3, 3)."""
        return self.parameterization.to_matrix(self.theta)

    @property
    def isotropy(self) -> Array:
        """(steps + 1,) that of the tangent map; 1, the best, for numbers that leave SO(3)."""
        whole = self.parameterization.stays_rotation
        return isotropy(self.parameterization, self.theta) if whole else np.ones(len(self.theta))


def solve(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, options: Solver
) -> tuple[Course, ...]:
    """Minimize from each start theta (b, ambient_dim); `residual` is a name of RESIDUALS. Raises nothing."""
    each = [sets] * len(theta) if sets.p1.ndim == 2 else [PointSets(p1, sets.p2) for p1 in sets.p1]
    with blas_threads(1):
        return tuple(
            _course(some, parameterization, start, residual, options)
            for some, start in zip(each, theta[:, None], strict=True)
        )


def make_problem(sets: PointSets, residual: str) -> Problem:
    """One image that sees nothing, whose rotation is free."""
    n = len(sets.p2)
    return Problem(
        rotations=np.eye(3)[None],
        translations=np.zeros((1, 3)),
        camera_of_image=np.zeros(1, np.int32),
        camera_models=("pinhole",),
        intrinsics=np.zeros((1, 4)),
        points=np.zeros((0, 3)),
        image_of_obs=np.zeros(0, np.int32),
        point_of_obs=np.zeros(0, np.int32),
        pixels=np.zeros((0, 2)),
        free=Free(np.ones(1, bool), np.zeros((1, 3), bool), np.zeros((1, 4), bool), np.zeros(0, bool)),
        terms=(RESIDUALS[residual](np.zeros(n, np.int32), sets.p1, sets.p2, np.ones(n)),),
    )


def _course(
    sets: PointSets, parameterization: Parameterization, theta: Array, residual: str, options: Solver
) -> Course:
    problem = make_problem(sets, residual)
    variables = Variables(problem, parameterization, theta, make_layout(problem, parameterization.tangent_dim))
    objective = AlignmentObjective(Residuals(problem), None)
    visited: list[Array] = []

    def keep(_: Iteration) -> None:
        assert history.theta is not None
        visited.append(history.theta())

    history = History(keep, options.max_seconds)
    unbounded = np.full(variables.layout.size, np.inf)
    result = SOLVERS[options.backend].solve(variables, objective, options, (-unbounded, unbounded), history)
    status, message = result.status, result.message
    exact = history.records[-1].cost <= EXACT * objective.rounding(0.0)
    if (status, message) == NO_LOWER and not exact and not _is_stationary(sets, visited[-1], parameterization):
        status, message = NOT_FOLLOWED
    return Course(parameterization, tuple(history.records), np.concatenate(visited), status, message)


def _is_stationary(sets: PointSets, theta: Array, parameterization: Parameterization) -> bool:
    return slope(sets, parameterization.to_matrix(theta)[0], parameterization.stays_rotation) < STATIONARY

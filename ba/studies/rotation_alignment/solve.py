"""A rotation alignment as a problem of one pose and no point, solved by a backend of bundle adjustment.

Its term is `ba.model.terms.PointAlignment`, or `AlignmentDistance` for the length of each point's residual. Each start
is solved by itself: many starts as the poses of one problem would share one damping.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ba.engine.parallel import blas_threads
from ba.model.problem import Free, Problem
from ba.model.residual import Residuals
from ba.model.rotation import Parameterization, isotropy
from ba.model.rotation.parameterization import Array
from ba.model.terms.alignment import AlignmentDistance, PointAlignment
from ba.model.variables import Variables, make_layout
from ba.solve.backends import SOLVERS
from ba.solve.endings import NO_LOWER, NO_STEP
from ba.solve.objective import EPSILON, History, Objective
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
    problem = make_problem(sets, residual)
    objective = AlignmentObjective(Residuals(problem), None)
    layout = make_layout(problem, parameterization.tangent_dim)
    starts = [Variables(problem, parameterization, start, layout) for start in theta[:, None]]
    with blas_threads(1):
        return tuple(_course(sets, start, objective, options) for start in starts)


def make_problem(sets: PointSets, residual: str) -> Problem:
    """One image that sees nothing, and whose rotation alone is free."""
    one, none, image = np.zeros((1, 3)), np.zeros(0, np.int32), np.zeros(1, np.int32)
    n = len(sets.p2)
    return Problem(
        rotations=np.eye(3)[None],
        translations=one,
        camera_of_image=image,
        camera_models=("bal",),
        intrinsics=one,
        points=np.zeros((0, 3)),
        image_of_obs=none,
        point_of_obs=none,
        pixels=np.zeros((0, 2)),
        free=Free(image == 0, one != 0.0, one != 0.0, none != 0),
        terms=(RESIDUALS[residual](np.zeros(n, np.int32), sets.p1, sets.p2, np.ones(n)),),
    )


def _course(sets: PointSets, start: Variables, objective: Objective, options: Solver) -> Course:
    visited: list[Array] = []

    def keep(_: Iteration) -> None:
        assert history.theta is not None
        visited.append(history.theta())

    history, unbounded = History(keep, options.max_seconds), np.full(start.layout.size, np.inf)
    result = SOLVERS[options.backend].solve(start, objective, options, (-unbounded, unbounded), history)
    ending = result.status, result.message
    rotation, exact = start.rotation, history.records[-1].cost <= EXACT * objective.rounding(0.0)
    left = slope(sets, rotation.to_matrix(visited[-1])[0], rotation.stays_rotation)
    if ending in (NO_LOWER, NO_STEP):
        ending = NO_LOWER if exact or left < STATIONARY else NOT_FOLLOWED
    return Course(rotation, tuple(history.records), np.concatenate(visited), *ending)

"""What every `System` of `ba.solve.levenberg_marquardt` does with the state that it stands at."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ba.model.arrays import Array
from ba.model.problem import Problem
from ba.model.variables import State, Variables
from ba.solve.levenberg_marquardt import Trial
from ba.solve.objective import Objective, is_short


@dataclass(frozen=True, eq=False)
class Iterate:
    """Where a system stands: chart centres theta, and what they and the rest stand for."""

    theta: Array
    state: State


class StateSystem:
    """Keeps the current state and the one that was last recorded, and says how far two states are apart."""

    def __init__(self, variables: Variables, objective: Objective) -> None:
        self.start, self.objective = variables, objective
        self.residuals, self.rotation = objective.residuals, variables.rotation
        self.all_turn = bool(variables.problem.free.rotations.all())
        self.centre = np.zeros((len(variables.theta), self.rotation.tangent_dim))
        self.state = self.recorded = self._at(variables.theta, variables.problem)

    @property
    def variables(self) -> Variables:
        """The variables whose start is the last recorded state."""
        problem = self.start.problem.moved_to(self.recorded.state)
        return replace(self.start, problem=problem, theta=self.recorded.theta)

    def accept(self, trial: Trial) -> None:
        self.state = trial.state

    def record(self) -> None:
        self.recorded = self.state

    def misfit(self, cost: float) -> float:
        return 2.0 * cost / max(self.objective.pixel_norm**2, np.finfo(float).tiny)

    def rounding(self, cost: float) -> float:
        return self.objective.rounding(cost)

    def is_short(self, trial: Trial, xtol: float) -> bool:
        now, then = self.state.state, trial.state.state
        return all(
            is_short(getattr(then, name) - getattr(now, name), getattr(now, name), xtol)
            for name in ("rotations", "translations", "intrinsics", "points")
        )

    def _at(self, theta: Array, values: Problem | State) -> Iterate:
        """With rotations by theta, and the other numbers of `values`."""
        rotations, problem = self.rotation.to_matrix(theta), self.start.problem
        if not self.all_turn:
            rotations = np.where(problem.free.rotations[:, None, None], rotations, problem.rotations)
        tangent_map = self.rotation.tangent_map(theta, self.centre)
        return Iterate(theta, State(rotations, values.translations, values.intrinsics, values.points, tangent_map))

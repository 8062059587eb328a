"""Problems without observations and of few numbers, for backend `schur`: their J is one dense matrix.

There is no point to eliminate, so the damped normal equations are solved as they are. A rotation alignment has three
numbers, and its comparisons take 10^5 steps: one takes 0.2 ms here, and 1.4 ms by the structure, the sparse rows
and the kernels of the reduced system.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg.lapack import dposv

from ba.errors import SolverError
from ba.model.arrays import Array
from ba.model.terms.stacked import Member, columns_of, joined
from ba.model.terms.term import Term
from ba.model.variables import Variables
from ba.solve.levenberg_marquardt import Trial
from ba.solve.objective import Objective, corrected
from ba.solve.reduced.system import LEAST_DIAGONAL, MOST_DIAGONAL
from ba.solve.state_system import Iterate, StateSystem

if TYPE_CHECKING:
    from ba.solve.options import Solver

UNSEEN = np.empty((0, 2))
"""The residuals of no observations."""

MOST_NUMBERS, MOST_ENTRIES = 300, 4e7
"""A pose graph of more numbers is sparse, and solved faster as a reduced system; a J of more entries takes 320 MB."""


def is_dense(variables: Variables, options: Solver) -> bool:
    """Whether the problem is one for `DenseSystem`."""
    size, rows = variables.layout.size, sum(n * rows for n, rows in (term.shape for term in variables.problem.terms))
    small = 0 < rows * size <= MOST_ENTRIES and size <= MOST_NUMBERS
    return small and variables.problem.num_observations == 0 and options.linear in (None, "dense")


class DenseSystem(StateSystem):
    """The `System` of a problem of terms alone."""

    def __init__(self, variables: Variables, objective: Objective) -> None:
        super().__init__(variables, objective)
        layout, self.terms = variables.layout, variables.problem.terms
        self.columns = [columns_of(term, layout) for term in self.terms]
        self.shape = objective.residuals.num_rows, layout.size + 1
        self.entries = self._entries()
        turns, moves = layout.image_columns[:, : self.rotation.tangent_dim], layout.image_columns[:, -3:]
        parts = {"translations": moves, "intrinsics": layout.camera_columns, "points": layout.point_columns}
        self.turns, self.moving = turns, {name: part for name, part in parts.items() if (part >= 0).any()}
        self.H: Array = np.empty((0, 0))
        self.g = self.diagonal = np.empty(0)
        self.inner = 0

    @property
    def solver_details(self) -> dict[str, Any]:
        return {"linear_solver": "dense", "linear_iterations": self.inner}

    def linearize(self) -> tuple[float, float]:
        members = tuple(map(self._member, self.terms, self.columns))
        cost = self._cost(member.residual for member in members)
        members = corrected(members)
        derivatives = joined([member.derivatives for member in members])
        J = np.bincount(self.entries, derivatives, self.shape[0] * self.shape[1]).reshape(self.shape)[:, :-1]
        self.H, self.g = J.T @ J, joined([member.residual for member in members]) @ J
        self.diagonal = np.minimum(np.maximum(self.H.diagonal(), LEAST_DIAGONAL), MOST_DIAGONAL)
        return cost, float(np.abs(self.g).max())

    def solve(self, damping: float) -> Trial:
        damped = self.H.copy()
        damped.ravel()[:: len(damped) + 1] += damping * self.diagonal
        _, step, info = dposv(damped, -self.g, overwrite_b=True)
        if info:
            raise SolverError(f"the normal equations are singular at number {info - 1}")
        self.inner += 1
        predicted = 0.5 * float(damping * (self.diagonal @ (step * step)) - self.g @ step)
        state = self._moved(step)
        cost = self._cost(term.residual(state.state) for term in self.terms)
        return Trial(cost, predicted, math.sqrt(step @ step), state)

    def _cost(self, residuals: Iterable[Array]) -> float:
        return self.objective.cost_of([UNSEEN, *residuals])

    def _entries(self) -> Array:
        """Where each derivative of the terms stands in J with one column more, which takes those by fixed numbers."""
        number, entries = 0, []
        for term, columns in zip(self.terms, self.columns, strict=True):
            rows = number + np.arange(len(columns) * term.rows).reshape(-1, term.rows, 1)
            number += rows.size
            entries.append(rows * self.shape[1] + columns[:, None, :] % self.shape[1])
        return joined(entries)

    def _member(self, term: Term, columns: Array) -> Member:
        blocks = term.linearize(self.state.state)
        first, *others = blocks.derivatives
        return Member(term, blocks.residual, np.concatenate([first, *others], axis=2) if others else first, columns)

    def _moved(self, step: Array) -> Iterate:
        padded, at = np.zeros(len(step) + 1), self.state.state
        padded[:-1] = step
        moved = {name: getattr(at, name) + padded[columns] for name, columns in self.moving.items()}
        theta = self.rotation.retract(self.state.theta, padded[self.turns])
        return self._at(theta, replace(at, **moved) if moved else at)

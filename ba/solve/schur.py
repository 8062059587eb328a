"""Backend `schur`: Levenberg-Marquardt on the reduced camera system, with kernels of our own.

A step eliminates the points, solves for poses and cameras by one of `ba.solve.reduced.LINEAR_SOLVERS`, and substitutes
back (Brown, 1958; Triggs et al. 2000, section 6). Under a robust loss residuals and blocks are first scaled by
sqrt(rho'), which is iteratively reweighted least squares; `Objective.row_scales` says why the negative curvature of the
loss (Triggs et al. 2000, eq. 11) is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ba.model.arrays import Array
from ba.model.linearization import Blocks
from ba.model.terms.stacked import joined, linearized
from ba.model.variables import Variables
from ba.solve.dense_system import DenseSystem, is_dense
from ba.solve.levenberg_marquardt import Trial, minimize
from ba.solve.objective import History, Objective, SolveResult
from ba.solve.reduced import (
    DirectRows,
    Eliminator,
    choose,
    gradient_norm,
    linear_solver,
    make_partition,
    make_structure,
)
from ba.solve.reduced.direct import Direct
from ba.solve.state_system import Iterate, StateSystem

if TYPE_CHECKING:
    from ba.solve.options import Solver


LEAST_FORCING, MOST_FORCING = 1e-3, 0.1
"""Inexact linear solvers stop at this share of the right-hand side, in the norm of their preconditioner: the less, the
faster the gradient falls (Eisenstat and Walker, "Choosing the forcing terms in an inexact Newton method", 1996, choice
2)."""


def solve(
    variables: Variables, objective: Objective, options: Solver, bounds: tuple[Array, Array], history: History
) -> SolveResult:
    """Minimize from `variables.start`. bounds: none, as `ba.solve.backends` says."""
    system = (
        DenseSystem(variables, objective)
        if is_dense(variables, options)
        else BundleSystem(variables, objective, options, history.check_time)
    )
    history.theta = lambda: system.recorded.theta
    (status, message), details = minimize(system, options, history)
    return SolveResult(system.variables, status, message, details | system.solver_details)


class BundleSystem(StateSystem):
    """The `System` of bundle adjustment. Derivatives live in arrays that are allocated once."""

    def __init__(
        self, variables: Variables, objective: Objective, options: Solver, check_time: Callable[[], None]
    ) -> None:
        super().__init__(variables, objective)
        self.structure = make_structure(variables.problem, self.rotation.tangent_dim)
        self.name, explicit = choose(self.structure, options.linear)
        self.solve_reduced = linear_solver(self.name, options.cg_preconditioner, check_time)
        self.eliminate = Eliminator(self.structure, self.residuals.threads, explicit=explicit)
        partition = make_partition(self.structure, variables)
        self.rows = DirectRows(self.structure, partition, self.residuals, variables.layout)
        self.derivatives: Blocks | None = None
        self.direct: Direct | None = None
        self.forcing, self.slope, self.inner = MOST_FORCING, 0.0, 0

    @property
    def solver_details(self) -> dict[str, Any]:
        return {"linear_solver": self.name, "linear_iterations": self.inner}

    def linearize(self) -> tuple[float, float]:
        parameters, terms = self.state.state, self.start.problem.terms
        self.derivatives = self.residuals.blocks(parameters, self.derivatives)
        members = linearized(terms, parameters, self.start.layout)
        cost = self.objective.cost(joined([self.derivatives[0], *(member.residual for member in members)]))
        members = self.objective.correct(self.derivatives, members)
        self.direct = self.rows(self.derivatives, members)
        eliminated = self.rows.eliminated(self.derivatives)
        slope = gradient_norm(eliminated, self.structure, self.residuals.threads, self.direct)
        if self.slope > 0.0:
            self.forcing = min(max(0.9 * (slope / self.slope) ** 2, LEAST_FORCING), MOST_FORCING)
        self.slope = slope
        return cost, slope

    def solve(self, damping: float) -> Trial:
        assert self.derivatives is not None
        reduced = self.eliminate(self.rows.eliminated(self.derivatives), damping, self.direct)
        step, inner = self.solve_reduced(reduced, self.forcing)
        self.inner += inner
        point_step, predicted = reduced.substitute(step)
        state = self._moved(step, point_step)
        cost = self.objective.cost(self.residuals.stacked(state.state))
        norm = float(np.sqrt(np.vdot(step, step) + np.vdot(point_step, point_step)))
        return Trial(cost, predicted, norm, state)

    def _moved(self, step: Array, point_step: Array) -> Iterate:
        problem, k = self.start.problem, self.rotation.tangent_dim
        kept = self.start.layout.kept
        poses, intrinsics, points = self.structure.by_parameter(
            step, problem.num_images * (k + 3), problem.intrinsics.size, 3 * int(kept.sum())
        )
        images, cameras = poses.reshape(-1, k + 3), intrinsics.reshape(problem.intrinsics.shape)
        if kept.any():
            point_step = point_step.copy()
            point_step[kept] = points.reshape(-1, 3)
        p = self.state.state
        moved = replace(
            p,
            translations=p.translations + images[:, k : k + 3],
            intrinsics=p.intrinsics + cameras,
            points=p.points + point_step,
        )
        return self._at(self.rotation.retract(self.state.theta, images[:, :k]), moved)

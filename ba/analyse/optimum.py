"""The cost to second order around a solved problem: its Hessian as an operator, and that operator's inverse.

Gauss-Newton's part G of the Hessian H is factored once in Schur form, G = L L^T. What G leaves out is known exactly, as
a product (`ba.analyse.hessian`), so in the coordinates y = L^T x

    L^-1 H L^-T  =  I + L^-1 (H - G) L^-T

has its eigenvalues around 1 by as much as G is off: `curvature` finds by how much at most (Lanczos), and conjugate
gradients solve with H in few products. At Dubrovnik-16's optimum the eigenvalues go from 0.946 to 1.069, and eight
products reach 1e-13.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from ba.analyse.derivatives.errors import KINDS, groups_of
from ba.analyse.hessian import HessianProduct, hessian_product, loss_derivatives
from ba.errors import SolverError, UserError
from ba.model.arrays import Array
from ba.model.linearization import Linearization
from ba.model.loss import make_loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.terms.stacked import joined, parted
from ba.model.terms.term import touched_points
from ba.model.variables import Variables, make_variables
from ba.solve.arguments import settings
from ba.solve.objective import Objective
from ba.solve.reduced import NormalFactor, NormalFactors

if TYPE_CHECKING:
    from ba.model.options import Loss as LossConfig


TOLERANCE, MOST_ITERATIONS = 1e-13, 500
"""Of conjugate gradients, on the norm of L^-1 times the residual; and how many they may take."""

LEAST_DAMPING = 1e-15
"""Damping too small to matter; fixed points need it because their blocks are zero."""

SINGULAR = 1e-3
"""Most that factor and matrix may disagree, in directions of length 1 in scaled numbers."""

STATIONARY = 1e-6
"""Most of the cost that one more Gauss-Newton step may promise to take away at what is called an optimum."""

ROUNDING_PX = 1e-9
"""Residuals below this are no misfit."""


@dataclass(frozen=True)
class Curvature:
    """What Gauss-Newton's matrix G = L L^T leaves out of the Hessian H, as shares of G.

    lowest, highest: bounds of v^T (H - G) v / v^T G v over all v;  typical: |L^-1 (H - G) v| / |L^T v| of a random v,
    the root mean square of that share's eigenvalues. At a minimum `lowest` is above -1.
    """

    lowest: float
    highest: float
    typical: float


@dataclass(frozen=True, eq=False)
class Optimum:
    """The cost to second order around `variables.start`.

    order: the original index of each of the problem's observations, which are sorted by point and image.
    """

    variables: Variables
    objective: Objective
    order: Array

    def solve(self, g: Array, *, exact: bool = True) -> Array:
        """H^-1 g (size,), or without `exact` G^-1 g. Raises SolverError where H is seen not to be positive definite."""
        start = self._factor.forward(g)
        return self._factor.backward(self._conjugate_gradients(start) if exact else start)

    def product(self, v: Array) -> HessianProduct:
        """H v."""
        return hessian_product(self.objective.residuals, self.variables, self.variables.start, v, self.objective.loss)

    def curvature(self, seed: int = 0) -> Curvature:
        """How far Gauss-Newton's matrix is from the Hessian here, by Lanczos' method."""
        n, rng = self.variables.layout.size, np.random.default_rng(seed)
        rest = LinearOperator((n, n), matvec=self._rest, dtype=float)
        if n < 3:
            ends = np.linalg.eigvalsh(rest @ np.eye(n))
        else:
            ends = eigsh(rest, k=2, which="BE", tol=1e-4, v0=rng.normal(size=n), return_eigenvectors=False)
        y = rng.normal(size=n)
        return Curvature(float(min(ends)), float(max(ends)), float(np.linalg.norm(rest @ y) / np.linalg.norm(y)))

    @cached_property
    def linearization(self) -> Linearization:
        return self.objective.residuals.linearize(self.variables, self.variables.start)

    @cached_property
    def gradient(self) -> Array:
        """(size,)"""
        return self.objective.gradient(self.linearization)

    @cached_property
    def remaining(self) -> float:
        """|L^-1 g|: how far away the optimum still is, as |L^T dx|."""
        return float(np.linalg.norm(self._factor.forward(self.gradient)))

    @cached_property
    def scale(self) -> Array:
        """(size,) root of the diagonal of Gauss-Newton's matrix: what each number does to the residuals."""
        return np.sqrt(self.linearization.squares(self.weights))

    @cached_property
    def weights(self) -> list[Array]:
        """(n, 1) rho' of each observation, and of each member of the other terms."""
        return [loss_derivatives(r, loss)[0] for r, loss in self.objective.parts(self.linearization.residuals)]

    @cached_property
    def _factor(self) -> NormalFactor:
        scaled = self.objective.scaled(self.linearization)
        return NormalFactors(self.variables, self.objective.residuals)(scaled, LEAST_DAMPING)

    def _rest(self, y: Array) -> Array:
        """L^-1 (H - G) L^-T y."""
        return self._factor.forward(self.product(self._factor.backward(y)).curvature)

    def _conjugate_gradients(self, start: Array) -> Array:
        """y with L^-1 H L^-T y = start."""

        def times(y: Array) -> Array:
            image = y + self._rest(y)
            if np.vdot(y, image) < 0.0:
                raise SolverError("the Hessian is not positive definite: this is no minimum of the cost")
            return np.asarray(image)

        operator = LinearOperator((len(start), len(start)), matvec=times, dtype=float)
        y, left = cg(operator, start, rtol=TOLERANCE, maxiter=MOST_ITERATIONS)
        if left:
            raise SolverError(f"conjugate gradients on the Hessian have not ended after {MOST_ITERATIONS} iterations")
        return np.asarray(y)


def make_optimum(
    problem: Problem,
    *,
    rotation: str = "so3_left",
    loss: LossConfig | str = "linear",
    threads: int = 1,
) -> Optimum:
    """The cost to second order around a solved problem, from which its sensitivities are had.

    Raises UserError where something free is determined by no observation, as the frame is without a `gauge` and a
    parameterization's surplus numbers always are, and where the problem is not at its optimum; `refine` takes it there.
    """
    optimum = _around(problem, rotation, loss, threads)
    _check_determined(optimum, rotation)
    _check_stationary(optimum)
    return optimum


def refine(
    problem: Problem,
    *,
    rotation: str = "so3_left",
    loss: LossConfig | str = "linear",
    threads: int = 1,
) -> Problem:
    """The problem moved from near its optimum into it: Newton's steps with the exact Hessian, while they shrink.

    Solvers end where the cost is flat in float64, which leaves half the digits of x; the gradient knows the rest.
    Raises as `make_optimum`, and SolverError where the Hessian is not positive definite.
    """
    here = _around(problem, rotation, loss, threads)
    _check_determined(here, rotation)
    while True:
        step = -here.solve(here.gradient)
        moved = here.variables.problem_at(here.variables.start + step)
        there = _around(problem.moved_to(moved), rotation, loss, threads)
        if not there.remaining < 0.5 * here.remaining:
            return problem.moved_to(here.variables.problem)
        here = there


def _around(problem: Problem, rotation: str, loss: LossConfig | str, threads: int) -> Optimum:
    rotation, loss, _ = settings(rotation, loss, place="optimum")
    kept = touched_points(problem.terms, problem.num_points)
    order = np.lexsort((problem.image_of_obs, problem.point_of_obs, kept[problem.point_of_obs]))
    ordered = problem.take(order)
    objective = Objective(Residuals(ordered, threads), make_loss(loss.name, loss.scale))
    return Optimum(make_variables(ordered, ROTATIONS[rotation]), objective, order)


def _check_determined(optimum: Optimum, rotation: str) -> None:
    if optimum.variables.layout.size == 0:
        raise UserError("optimum: nothing is free, so nothing moves; free what a solver may move")
    least = _undetermined(optimum)
    if least is not None:
        raise UserError(
            f"optimum: the observations do not determine every free number: {least}. Hold the frame by gauge "
            "two_cameras or three_points, hold by fix or camera.refine what else is open, and choose a rotation "
            f"without surplus numbers if {rotation!r} has some"
        )


def _undetermined(optimum: Optimum) -> str | None:
    """What observations say least about, if Gauss-Newton's matrix is singular: if its factor, held against it on a
    random vector, answers with what rounding decides."""
    at, scale, weights = optimum.linearization, optimum.scale, optimum.weights
    if (scale == 0.0).any():
        return _name(optimum.variables, int(np.argmin(scale)))
    v = np.random.default_rng(0).normal(size=len(scale)) / scale
    try:
        image = parted(at.jvp(v), [part.shape for part in at.parts])
        weighted = [weight * part for weight, part in zip(weights, image, strict=True)]
        found = optimum.solve(at.vjp(joined(weighted)), exact=False)
    except SolverError as singular:
        return str(singular)
    error = np.nan_to_num(np.abs(scale * (found - v)), nan=np.inf)
    return _name(optimum.variables, int(np.argmax(error))) if np.linalg.norm(error) > SINGULAR else None


def _name(variables: Variables, column: int) -> str:
    """Which number that column of x is, in words."""
    groups = groups_of(variables)
    kind, owner = KINDS[groups.kind[column]], groups.owner[column]
    if kind == "point":
        return f"least of all point {owner}"
    return f"least of all the {kind} of {'image' if kind in ('rotation', 'position') else 'camera'} {owner}"


def _check_stationary(optimum: Optimum) -> None:
    r = optimum.linearization.residuals
    cost, left = optimum.objective.cost(r), 0.5 * optimum.remaining**2
    if not left <= STATIONARY * cost + 0.5 * len(r) * ROUNDING_PX**2:
        raise UserError(
            f"optimum: not at an optimum: a step promises to lower the cost {cost:.6g} by {left:.2g}; "
            "solve with a smaller solver.ftol, or use ba.analyse.optimum.refine"
        )

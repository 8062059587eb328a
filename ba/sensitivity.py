"""How the solution moves with what it was made from: the implicit function theorem at the optimum.

Where the gradient g(x, p) of the cost is zero, it stays zero along x(p), so with the Hessian H = dg/dx

    dx/dp = -H^-1 dg/dp        jvp: dp -> -H^-1 (dg/dp dp)        vjp: w -> -(dg/dp)^T H^-1 w

for p the observed pixels, or numbers that were held fixed (Blondel et al., "Efficient and modular implicit
differentiation", 2022). Gauss-Newton's part of H has a Cholesky factor in Schur form, L L^T, so each product is one
Schur solve. The residuals' second derivatives, which it leaves out, are exact with `exact`: conjugate gradients on
L^-1 H L^-T, whose eigenvalues lie around 1 by as much as Gauss-Newton's matrix is off (`Optimum.distance`).

On Dubrovnik-16 with three points held, re-solving after a change of the pixels agrees with the exact operators to
MEASURED_EXACT and with Gauss-Newton's to MEASURED_GN of the change (`scripts/show-sensitivity`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, cg, eigsh

from ba.config import Loss as LossConfig
from ba.errors import SolverError, UserError
from ba.hessian import HessianProduct, gradient, hessian_product, loss_derivatives
from ba.loss import LOSSES, Loss, scaled
from ba.problem import Free, Problem, all_free
from ba.residual import Linearization, Residuals
from ba.rotation import ROTATIONS
from ba.schur import FACTORIZATIONS, Eliminator, Factor, Places, choose, factorize, make_places, make_structure
from ba.variables import Layout, Variables, make_variables

Array = NDArray[Any]
Operator = Callable[[Array], Array]

TOLERANCE, MOST_ITERATIONS = 1e-13, 500
"""Of conjugate gradients, on the norm of L^-1 times the residual; and how many they may take."""

LEAST_DAMPING = 1e-15
"""Beneath rounding; a point that is held fixed has no block of its own to factor at no damping at all."""

SINGULAR = 1e-3
"""Most that factor and matrix may disagree, in directions of length 1 in scaled numbers."""

STATIONARY = 1e-6
"""Most of the cost that one more Gauss-Newton step may promise to take away at what is called an optimum."""

ROUNDING_PX = 1e-9
"""Residuals below this are no misfit."""


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """dx/dp as operators, for p (n_parameters,) and x (size,) as in `ba.variables`."""

    solve: Operator
    cross: Operator
    cross_transposed: Operator

    def jvp(self, dp: Array) -> Array:
        """dx (size,) for dp (n_parameters,)."""
        return -self.solve(self.cross(dp))

    def vjp(self, w: Array) -> Array:
        """(n_parameters,) derivatives by p of w . x, for w (size,)."""
        return -self.cross_transposed(self.solve(w))


@dataclass(frozen=True)
class Distance:
    """How far Gauss-Newton's matrix G = L L^T is from the Hessian H, as shares of G.

    lowest, highest: bounds of v^T (H - G) v / v^T G v over all v;  typical: the root of its mean square over the
    eigenvectors, which is |L^-1 (H - G) v| / |L^T v| along random v. H is positive definite where lowest > -1.
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
    residuals: Residuals
    loss: Loss | None
    order: Array

    def to_observations(self, *, exact: bool = True) -> Sensitivity:
        """By the observed pixels, p (2 n_obs,) px: u0 v0 u1 v1 ... in the order of the problem that was given."""

        def cross(dp: Array) -> Array:
            dr = -self._whitened(np.asarray(dp, float).reshape(-1, 2)[self.order])
            return self.linearization.vjp(self._weighted(dr, exact))

        def cross_transposed(y: Array) -> Array:
            dr = self._weighted(self.linearization.jvp(y).reshape(-1, 2), exact)
            dp = np.empty_like(dr)
            dp[self.order] = -self._whitened(dr, transposed=True)
            return dp.ravel()

        return Sensitivity(self._solver(exact), cross, cross_transposed)

    def to_fixed(self, held: Free | None = None, *, exact: bool = True) -> Sensitivity:
        """By numbers that `problem.free` holds fixed: all of them, or those of `held`.

        p is laid out as x is, with `held` in place of `free`; rotations move in charts centred at themselves. Raises
        UserError where `held` names what is free.
        """
        problem = self.variables.problem
        free, held = problem.free, held or fixed(problem)
        if any(mask.any() for mask in _masks(_each(np.logical_and, held, free))):
            raise UserError("sensitivity: held names numbers that are free; only what is fixed can be a parameter")
        both = make_variables(problem.with_free(_each(np.logical_or, held, free)), self.variables.rotation)
        layout = make_variables(problem.with_free(held), self.variables.rotation).layout
        inner, outer = _places_in(both.layout, self.variables.layout), _places_in(both.layout, layout)
        residuals = Residuals(both.problem, self.residuals.threads)

        def across(v: Array, start: Array, end: Array) -> Array:
            whole = np.zeros(both.layout.size)
            whole[start] = v
            product = hessian_product(residuals, both, both.start, whole, self.loss)
            return (product.total if exact else product.gauss_newton)[end]

        return Sensitivity(self._solver(exact), lambda dp: across(dp, outer, inner), lambda y: across(y, inner, outer))

    def solve(self, g: Array, *, exact: bool = True) -> Array:
        """H^-1 g (size,), or Gauss-Newton's. Raises SolverError where H is not positive definite."""
        return self._solver(exact)(g)

    def product(self, v: Array) -> HessianProduct:
        """H v."""
        return hessian_product(self.residuals, self.variables, self.variables.start, v, self.loss)

    def distance(self, seed: int = 0) -> Distance:
        """How far Gauss-Newton's matrix is from the Hessian here, by Lanczos' method."""
        n, rng = self.variables.layout.size, np.random.default_rng(seed)
        rest = LinearOperator(
            (n, n), matvec=lambda y: self._forward(self.product(self._backward(y)).curvature), dtype=float
        )
        if n < 3:
            ends = np.linalg.eigvalsh(rest @ np.eye(n))
        else:
            ends = eigsh(rest, k=2, which="BE", tol=1e-4, v0=rng.normal(size=n), return_eigenvectors=False)
        y = rng.normal(size=n)
        return Distance(float(min(ends)), float(max(ends)), float(np.linalg.norm(rest @ y) / np.linalg.norm(y)))

    @cached_property
    def linearization(self) -> Linearization:
        return self.residuals.linearize(self.variables, self.variables.start)

    @cached_property
    def gradient(self) -> Array:
        """(size,)"""
        return gradient(self.linearization, self.loss)

    @cached_property
    def distance_left(self) -> float:
        """|L^-1 g|: the root of twice what a Gauss-Newton step promises to take off the cost."""
        return float(np.linalg.norm(self._forward(self.gradient)))

    @cached_property
    def scale(self) -> Array:
        """(size,) root of the diagonal of Gauss-Newton's matrix: what each number does to the residuals."""
        at = self.linearization
        squares = replace(at, camera_blocks=at.camera_blocks**2, point_blocks=at.point_blocks**2)
        return np.sqrt(squares.vjp(np.repeat(self._weights, 2, axis=1)))

    @cached_property
    def _weights(self) -> Array:
        return loss_derivatives(self.linearization.residual, self.loss)[0]

    @cached_property
    def _places(self) -> Places:
        return make_places(self._factor.reduced.structure, self.variables)

    @cached_property
    def _factor(self) -> Factor:
        structure = make_structure(self.variables.problem, self.variables.rotation.tangent_dim)
        name, _ = choose(structure, None)
        scale = np.sqrt(np.maximum(self._weights, np.finfo(float).eps))
        at = self.linearization
        blocks = at.residual * scale, at.camera_blocks * scale[:, None], at.point_blocks * scale[:, None]
        eliminate = Eliminator(structure, self.residuals.threads, explicit=True)
        return factorize(eliminate(blocks, LEAST_DAMPING), name if name in FACTORIZATIONS else "dense")

    def _forward(self, g: Array) -> Array:
        """L^-1 g."""
        return self._places.join(*self._factor.forward(*self._places.split(g)))

    def _backward(self, y: Array) -> Array:
        """L^-T y."""
        return self._places.join(*self._factor.backward(*self._places.split(y)))

    def _solver(self, exact: bool) -> Operator:
        return self._solve_exact if exact else lambda g: self._backward(self._forward(g))

    def _solve_exact(self, g: Array) -> Array:
        def times(y: Array) -> Array:
            image = y + self._forward(self.product(self._backward(y)).curvature)
            if np.vdot(y, image) < 0.0:
                raise SolverError("the Hessian is not positive definite: this is no minimum of the cost")
            return image

        n = self.variables.layout.size
        operator = LinearOperator((n, n), matvec=times, dtype=float)
        y, left = cg(operator, self._forward(g), rtol=TOLERANCE, maxiter=MOST_ITERATIONS)
        if left:
            raise SolverError(f"conjugate gradients on the Hessian have not ended after {MOST_ITERATIONS} iterations")
        return self._backward(y)

    def _weighted(self, dr: Array, exact: bool) -> Array:
        """The change of rho' r with the residuals, (n_obs, 2); without `exact`, at a constant rho'."""
        r = self.linearization.residual
        first, second = loss_derivatives(r, self.loss)
        weighted = first * dr
        return weighted + 2.0 * second * r * (r * dr).sum(axis=1, keepdims=True) if exact else weighted

    def _whitened(self, u: Array, *, transposed: bool = False) -> Array:
        whitener = self.residuals.whitener
        if whitener is None:
            return u
        return np.asarray(np.einsum("nji,nj->ni" if transposed else "nij,nj->ni", whitener, u))


def make_optimum(
    problem: Problem,
    *,
    rotation: str = "so3_left",
    loss: LossConfig = LossConfig(),  # noqa: B008 (frozen)
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
    loss: LossConfig = LossConfig(),  # noqa: B008 (frozen)
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
        there = _around(_at(moved, problem), rotation, loss, threads)
        if not there.distance_left < 0.5 * here.distance_left:
            return _at(here.variables.problem, problem)
        here = there


def _around(problem: Problem, rotation: str, loss: LossConfig, threads: int) -> Optimum:
    if rotation not in ROTATIONS:
        raise UserError(f"rotation: {rotation!r} is unknown; right are {', '.join(ROTATIONS)}")
    order = np.lexsort((problem.image_of_obs, problem.point_of_obs))
    ordered = replace(
        problem,
        image_of_obs=problem.image_of_obs[order],
        point_of_obs=problem.point_of_obs[order],
        pixels=problem.pixels[order],
        covariances=None if problem.covariances is None else problem.covariances[order],
    )
    return Optimum(
        make_variables(ordered, ROTATIONS[rotation]),
        Residuals(ordered, threads),
        None if loss.name == "linear" else scaled(LOSSES[loss.name], loss.scale),
        order,
    )


def _at(moved: Problem, problem: Problem) -> Problem:
    """`problem` in the state of `moved`."""
    return replace(
        problem,
        rotations=moved.rotations,
        translations=moved.translations,
        intrinsics=moved.intrinsics,
        points=moved.points,
    )


def _check_determined(optimum: Optimum, rotation: str) -> None:
    """Hold the factor against its matrix on a random direction: where that is singular, rounding decides."""
    at, scale = optimum.linearization, optimum.scale
    error, cause = np.inf, ""
    if (scale > 0.0).all():
        v = np.random.default_rng(0).normal(size=len(scale)) / scale
        try:
            image = at.vjp(optimum._weights * at.jvp(v).reshape(-1, 2))
            error = float(np.linalg.norm(scale * (optimum.solve(image, exact=False) - v)))
        except SolverError as singular:
            cause = f" ({singular})"
    if not error <= SINGULAR:
        raise UserError(
            f"sensitivity: the observations do not determine every free number{cause}: hold the frame by gauge "
            f"two_cameras or three_points, and choose a rotation without surplus numbers if {rotation!r} has some"
        )


def _check_stationary(optimum: Optimum) -> None:
    r = optimum.linearization.residual
    rho = (optimum.loss or LOSSES["linear"])(np.einsum("ni,ni->n", r, r))[0]
    cost, left = 0.5 * float(rho.sum()), 0.5 * optimum.distance_left**2
    if not left <= STATIONARY * cost + len(r) * ROUNDING_PX**2:
        raise UserError(
            f"sensitivity: not at an optimum: a step promises to lower the cost {cost:.6g} by {left:.2g}; "
            "solve with a smaller solver.ftol, or use ba.sensitivity.refine"
        )


def fixed(problem: Problem) -> Free:
    """Every number that exists and that `problem.free` holds fixed."""
    everything = all_free(problem.camera_models, problem.num_images, problem.num_points)
    return _each(lambda every, mask: every & ~mask, everything, problem.free)


def _masks(free: Free) -> tuple[Array, ...]:
    return free.rotations, free.translations, free.intrinsics, free.points


def _each(function: Callable[[Array, Array], Array], a: Free, b: Free) -> Free:
    return Free(*map(function, _masks(a), _masks(b)))


def _places_in(whole: Layout, part: Layout) -> Array:
    """(part.size,) where the numbers of `part` stand in `whole`, which has them all."""
    points = part.point_columns >= 0
    return np.concatenate(
        [
            whole.image_columns[part.image_columns >= 0],
            whole.camera_columns[part.camera_columns >= 0],
            (whole.point_columns[points][:, None] + np.arange(3)).ravel(),
        ]
    )

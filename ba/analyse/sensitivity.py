"""How the solution moves with what it was made from: the implicit function theorem at the optimum.

Where the gradient g(x, p) of the cost is zero, it stays zero along x(p), so with the Hessian H = dg/dx

    dx/dp = -H^-1 dg/dp        jvp: dp -> -H^-1 (dg/dp dp)        vjp: w -> -(dg/dp)^T H^-1 w

for p the observed pixels, or numbers that were held fixed (Blondel et al., "Efficient and modular implicit
differentiation", 2022). A product solves with H once: by one Schur solve where Gauss-Newton's matrix stands for H, or
exactly, by a few (`ba.analyse.optimum`). Pixels enter residuals alone; fixed numbers enter as those of x do, so that
dg/dp is the block of a larger Hessian, that of the problem in which they are free.

On Dubrovnik-16 with three points held, for 20 random changes of the pixels and 20 of the held points, re-solving finds
what the exact operators say to 2e-7; Gauss-Newton's matrix alone is 7e-4 to 3e-2 off for pixels, 1e-4 for held points
(`scripts/show-sensitivity`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ba.analyse.hessian import hessian_product, weighted_change
from ba.analyse.optimum import Optimum
from ba.errors import UserError
from ba.model.arrays import Array, Operator
from ba.model.problem import Free, Problem, all_free
from ba.model.residual import Residuals
from ba.model.terms.stacked import joined
from ba.model.variables import Layout, make_variables


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """dx/dp as operators, for p (n_parameters,) and x (size,) as in `ba.model.variables`."""

    solve: Operator
    cross: Operator
    cross_transposed: Operator

    def jvp(self, dp: Array) -> Array:
        """dx (size,) for dp (n_parameters,)."""
        return -self.solve(self.cross(dp))

    def vjp(self, w: Array) -> Array:
        """(n_parameters,) derivatives by p of w . x, for w (size,)."""
        return -self.cross_transposed(self.solve(w))


def to_observations(optimum: Optimum, *, exact: bool = True) -> Sensitivity:
    """By the observed pixels, p (2 n_obs,) px: u0 v0 u1 v1 ... in the order of the problem that was given.

    exact: with the second derivatives of residuals and loss; without, by Gauss-Newton's matrix alone.
    """
    at, order, whitener = optimum.linearization, optimum.order, optimum.objective.residuals.whitener

    others = [np.zeros(member.residual.shape) for member in at.members]

    def weighted(dr: Array) -> Array:
        constant, bend = weighted_change(at.residual, dr, optimum.objective.loss)
        return constant + bend if exact else constant

    def cross(dp: Array) -> Array:
        dr = -np.asarray(dp, float).reshape(-1, 2)[order]
        if whitener is not None:
            dr = np.einsum("nij,nj->ni", whitener, dr)
        return at.vjp(joined([weighted(dr), *others]))

    def cross_transposed(y: Array) -> Array:
        dr = -weighted(at.jvp(y)[: at.residual.size].reshape(-1, 2))
        if whitener is not None:
            dr = np.einsum("nji,nj->ni", whitener, dr)
        dp = np.empty_like(dr)
        dp[order] = dr
        return dp.ravel()

    return Sensitivity(partial(optimum.solve, exact=exact), cross, cross_transposed)


def to_fixed(optimum: Optimum, held: Free | None = None, *, exact: bool = True) -> Sensitivity:
    """By numbers that `problem.free` holds fixed: all of them, or those of `held`.

    p is laid out as x is, with `held` in place of `free`; rotations move in charts centred at themselves. Raises
    UserError where `held` names what is free.
    """
    problem = optimum.variables.problem
    free, held = problem.free, held or fixed(problem)
    if any(mask.any() for mask in vars(_each(np.logical_and, held, free)).values()):
        raise UserError("sensitivity: held names numbers that are free; only what is fixed can be a parameter")
    both = make_variables(problem.with_free(_each(np.logical_or, held, free)), optimum.variables.rotation)
    layout = make_variables(problem.with_free(held), optimum.variables.rotation).layout
    inner, outer = _places_in(both.layout, optimum.variables.layout), _places_in(both.layout, layout)
    residuals = Residuals(both.problem, optimum.objective.residuals.threads)

    def across(v: Array, start: Array, end: Array) -> Array:
        whole = np.zeros(both.layout.size)
        whole[start] = v
        product = hessian_product(residuals, both, both.start, whole, optimum.objective.loss)
        return (product.total if exact else product.gauss_newton)[end]

    return Sensitivity(
        partial(optimum.solve, exact=exact),
        cross=partial(across, start=outer, end=inner),
        cross_transposed=partial(across, start=inner, end=outer),
    )


def fixed(problem: Problem) -> Free:
    """Every number that exists and that `problem.free` holds fixed."""
    everything = all_free(problem.camera_models, problem.num_images, problem.num_points)
    return _each(lambda every, mask: every & ~mask, everything, problem.free)


def _each(function: Callable[[Array, Array], Array], a: Free, b: Free) -> Free:
    return Free(*map(function, vars(a).values(), vars(b).values()))


def _places_in(whole: Layout, part: Layout) -> Array:
    """(part.size,) where the numbers of `part` stand in `whole`, which has them all."""
    entries = np.empty(part.size, np.int64)
    for family in ("image_columns", "camera_columns", "point_columns"):
        columns = getattr(part, family)
        entries[columns[columns >= 0]] = getattr(whole, family)[columns >= 0]
    return entries

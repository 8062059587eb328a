"""The Hessian of the cost times a vector, exact to rounding: a gradient through a gradient.

With s = |r_i|^2 the gradient of 0.5 sum rho(s) is g = J^T (rho' r). Along v, where r changes by dr = J v and J by dJ,

    H v  =  J^T (rho' dr)  +  dJ^T (rho' r) + J^T (2 rho'' r (r . dr))

The first term is Gauss-Newton's, the very matrix that solvers factor; the rest is the curvature that it leaves out, of
the residuals and of the loss. One pass gives it all: at x + i h v, J and r hold themselves in their real parts and h dJ
and h dr in their imaginary ones (Squire and Trapp, "Using complex variables to estimate derivatives of real functions",
1998). No difference cancels, so the curvature is as exact where it is 1e-9 of the whole. Losses are not
evaluated at complex numbers, because they are not analytic at their bend: their two derivatives enter by the product
rule. Automatic differentiation of the forward code
agrees to 1e-12 of every entry, for every rotation and camera. A product takes as long as eight linearizations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ba.model.arrays import Array
from ba.model.linearization import Linearization
from ba.model.loss import Loss, linear
from ba.model.residual import Residuals
from ba.model.terms.stacked import joined
from ba.model.variables import Variables

STEP = 2.0**-100
"""h: its square is beyond every rounding, and a power of two rounds nothing."""


@dataclass(frozen=True, eq=False)
class HessianProduct:
    """The two parts of H v, (size,) each."""

    gauss_newton: Array
    curvature: Array

    @property
    def total(self) -> Array:
        return np.asarray(self.gauss_newton + self.curvature)


def hessian_product(
    residuals: Residuals, variables: Variables, x: Array, v: Array, loss: Loss | None = None
) -> HessianProduct:
    """H v of 0.5 sum rho(|r_i|^2) at x (size,), v (size,), in the chart of `variables`; `loss` None for rho(s) = s.

    residuals: of `variables.problem`, or of one that differs in its pixels only.
    """
    here, change = linearize_along(residuals, variables, x, v)
    parts = list(zip(here.parts, change.parts, residuals.losses(loss), strict=True))
    changes = [weighted_change(r, dr, own) for r, dr, own in parts]
    return HessianProduct(
        gauss_newton=here.vjp(joined([constant for constant, _ in changes])),
        curvature=change.vjp(joined([loss_derivatives(r, own)[0] * r for r, _, own in parts]))
        + here.vjp(joined([bend for _, bend in changes])),
    )


def weighted_change(r: Array, dr: Array, loss: Loss | None) -> tuple[Array, Array]:
    """rho' dr and 2 rho'' r (r . dr), (n, rows), which make up the change of rho' r."""
    first, second = loss_derivatives(r, loss)
    return first * dr, 2.0 * second * r * (r * dr).sum(axis=1, keepdims=True)


def loss_derivatives(r: Array, loss: Loss | None) -> tuple[Array, Array]:
    """rho' and rho'', (n, 1), at residuals r (n, rows)."""
    _, first, second = (loss or linear)(np.einsum("ni,ni->n", r, r))
    return first[:, None], second[:, None]


def linearize_along(
    residuals: Residuals, variables: Variables, x: Array, v: Array
) -> tuple[Linearization, Linearization]:
    """r, A and B at x (size,), and their derivatives along v (size,), in the same shapes."""
    both = residuals.linearize(variables, x + 1j * STEP * v)
    return both.mapped(lambda array: array.real.copy()), both.mapped(lambda array: array.imag / STEP)

"""Robust losses of the squared whitened norm s of an observation's residual: s -> (rho, rho', rho'').

rho(s) = s for small s, and grows more slowly beyond s = 1; `scaled` moves the bend to `scale`:
rho_c(s) = c^2 rho(s / c^2). Names and formulas are those of scipy's `least_squares`
(Triggs, McLauchlan, Hartley, Fitzgibbon, "Bundle adjustment: a modern synthesis", 2000, section 4.3, for their use).
"""

from collections.abc import Callable

import numpy as np

from ba.model.arrays import Float

Loss = Callable[[Float], tuple[Float, Float, Float]]


def linear(s: Float) -> tuple[Float, Float, Float]:
    return s, np.ones_like(s), np.zeros_like(s)


def huber(s: Float) -> tuple[Float, Float, Float]:
    root = np.sqrt(np.maximum(s, 1.0))
    first, outside = 1.0 / root, s > 1.0
    return np.where(outside, 2.0 * root - 1.0, s), first, np.where(outside, -0.5 * first**3, 0.0)


def soft_l1(s: Float) -> tuple[Float, Float, Float]:
    root = np.sqrt(1.0 + s)
    first = 1.0 / root
    return 2.0 * s / (root + 1.0), first, -0.5 * first**3


def cauchy(s: Float) -> tuple[Float, Float, Float]:
    first = 1.0 / (1.0 + s)
    return np.log1p(s), first, -first * first


def arctan(s: Float) -> tuple[Float, Float, Float]:
    t = np.minimum(s, 1e150)  # beyond 1e154 its square overflows
    first = 1.0 / (1.0 + t * t)
    return np.arctan(s), first, -2.0 * t * first * first


LOSSES: dict[str, Loss] = {
    "linear": linear,
    "huber": huber,
    "soft_l1": soft_l1,
    "cauchy": cauchy,
    "arctan": arctan,
}


def make_loss(name: str, scale: float) -> Loss | None:
    """The loss of LOSSES with its bend at `scale`; None for `linear`, whose rho' = 1 needs no product."""
    return None if name == "linear" else scaled(LOSSES[name], scale)


def scaled(loss: Loss, scale: float) -> Loss:
    """The loss whose bend lies at a residual norm of `scale` (px, or sigmas for whitened residuals)."""
    square = scale * scale

    def rho(s: Float) -> tuple[Float, Float, Float]:
        value, first, second = loss(s / square)
        return square * value, first, second / square

    return rho

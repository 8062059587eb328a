"""Numbers that say how well residuals fit although a few of them are far off.

The RMS of all residuals is decided by the largest: 5 % of mismatches at 600 px make it 130 px, however well the other
95 % fit. Two kinds of number look past them; s_i = |r_i|^2 is the squared norm of an observation's residual.

weighted RMS    sqrt(sum w_i s_i / sum w_i) with w_i = rho'(s_i), the weight that the loss leaves the observation: the
                step of a robust solve is that of least squares with these weights (Holland and Welsch, "Robust
                regression using iteratively reweighted least-squares", 1977). It is the plain RMS where rho(s) = s.
inliers         the observations whose |r_i| is at most `inlier_limit`. For Gaussian errors of one sigma in both
                coordinates |r| has Rayleigh's distribution, P(|r| > t) = exp(-t^2 / (2 sigma^2)) = 2^-(t / median)^2,
                so its median gives sigma and t = median sqrt(log2(1 / OUTSIDE)) leaves the share OUTSIDE of good
                observations out. That is the test of Hartley and Zisserman, 2nd ed., section 4.7.1, at 99 instead of
                95 %, with sigma from the median as in Rousseeuw and Leroy, "Robust Regression and Outlier Detection",
                1987: up to half of the observations may be anywhere.

The other usual rule, rho' >= 0.5, follows the scale that the user gave the loss: one ten times too large calls every
mismatch an inlier, and under rho(s) = s there would be no outliers at all.
"""

from __future__ import annotations

import numpy as np

from ba.model.arrays import Float
from ba.model.loss import Loss

OUTSIDE = 0.01
"""Share of Gaussian errors that lies beyond the limit of the inliers."""

LIMIT_IN_MEDIANS = float(np.sqrt(np.log2(1.0 / OUTSIDE)))
"""2.58"""

RANGE_IN_MEDIANS = 2.0 * LIMIT_IN_MEDIANS
"""Where the axis of a histogram and the scale of colours end at the latest: at twice the limit of the inliers."""


def squared_norms(vectors: Float) -> Float:
    """(n,) of (n, k); infinite where they overflow."""
    with np.errstate(over="ignore"):
        return np.asarray(np.einsum("ni,ni->n", vectors, vectors))


def rms(squares: Float) -> float:
    """The root of the mean of squares (n,); 0 where there are none."""
    return float(np.sqrt(np.mean(squares))) if len(squares) else 0.0


def weighted_rms(squares: Float, loss: Loss) -> float:
    """As in the module's docstring, of squared norms (n,) in the units in which the loss has its scale; 0 for none."""
    if not len(squares):
        return 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        weights = loss(squares)[1]
        return float(np.sqrt(weights @ squares / weights.sum()))


def inlier_limit(norms: Float) -> float:
    """The largest of the norms (n,) that are no more than LIMIT_IN_MEDIANS medians; 0 where none are finite.

    A norm that is not finite counts as infinitely large.
    """
    finite = np.where(np.isfinite(norms), norms, np.inf)
    limit = LIMIT_IN_MEDIANS * float(np.median(finite)) if len(finite) else 0.0
    return float(np.max(finite, where=np.isfinite(finite) & (finite <= limit), initial=0.0))


def range_end(norms: Float, share: float) -> float:
    """Where a drawing of norms (n,), finite and not none, ends: it holds `share` of them, or RANGE_IN_MEDIANS medians.

    The lesser of the two, so that mismatches do not press all others into one bar or one colour however many they are.
    """
    quantile, median = float(np.quantile(norms, share)), float(np.median(norms))
    return min(quantile, RANGE_IN_MEDIANS * median) if median > 0.0 else quantile

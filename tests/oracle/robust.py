"""Numbers of a run that a few mismatches do not decide.

Whitened norms are sqrt(r^T S^-1 r), in sigmas; without covariances they are the norms in px. An inlier's norm at the
end is at most that of Rayleigh's distribution which one of a hundred exceeds, its scale from the median: as
P(norm > t) = 2^-(t / median)^2, t is sqrt(log2 100) medians. The loss weighs an observation by rho'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.costs import LOSSES, squares, whitened_rounding
from tests.oracle.known import Known, between
from tests.oracle.projecting import norms, rounding
from tests.oracle.reading import Scene

MEDIANS = float(np.sqrt(np.log2(100)))
MISLEADING = 1.1
"""Inliers are told of under a robust loss, and where the RMS of all is more than so many times theirs."""


def unit(case: Case) -> str:
    return "px" if case.start.covariances is None else "sigmas"


def inliers(case: Case) -> Any:
    """(n_obs,) at the end."""
    norms = np.sqrt(squares(case.end))
    return norms <= MEDIANS * np.median(norms)


def limit(case: Case) -> Known:
    """The largest norm of an inlier."""
    norms, inside = np.sqrt(squares(case.end)), inliers(case)
    return Known(float(norms[inside].max()), float(whitened_rounding(case.end)[inside].max()))


def rms_of_inliers(case: Case, scene: Scene) -> Known:
    inside = inliers(case)
    lengths, moved = norms(scene)[inside], rounding(scene)[inside]
    return Known(float(np.sqrt((lengths**2).mean())), float(np.sqrt((moved**2).mean())))


def median_of_inliers(case: Case, scene: Scene) -> Known:
    inside = inliers(case)
    lengths, moved = norms(scene)[inside], rounding(scene)[inside]
    return between(float(np.median(lengths - moved)), float(np.median(lengths + moved)))


def whitened_rms(scene: Scene) -> Known:
    value = np.sqrt(squares(scene).mean())
    return Known(float(value), float(np.sqrt((whitened_rounding(scene) ** 2).mean())))


def weighted_rms(case: Case, scene: Scene) -> Known:
    """sqrt(sum w s / sum w) with s the squared whitened norm and w = rho'(s); to first order moved by each norm."""
    _, slope = LOSSES[case.config["loss"]["name"]]
    scale = case.config["loss"]["scale"]

    def weighted(s: Any) -> tuple[Any, Any]:
        weights = slope(s / scale**2)
        return weights * s, weights

    lengths, moved = np.sqrt(squares(scene)), whitened_rounding(scene)
    upper, lower = weighted(lengths**2)
    value = np.sqrt(upper.sum() / lower.sum())
    after = weighted((lengths + moved) ** 2)
    shares = [np.abs(more - now).sum() / now.sum() for more, now in zip(after, (upper, lower), strict=True)]
    return Known(float(value), float(value * sum(shares)))


def are_told(case: Case) -> bool:
    if case.config["loss"]["name"] != "linear":
        return True
    every = np.sqrt((norms(case.end) ** 2).mean())
    return bool(every > MISLEADING * rms_of_inliers(case, case.end).value)


def _of(unit_of: str, value: Callable[[Case], Any]) -> Callable[[Case], Any]:
    """A key of problems whose residuals have this unit; others lack it."""
    return lambda case: value(case) if unit(case) == unit_of else Known(None)


def _ends(name: str, value: Callable[[Case, Scene], Any]) -> dict[str, Callable[[Case], Any]]:
    return {
        f"initial_{name}": lambda case: value(case, case.start),
        f"final_{name}": lambda case: value(case, case.end),
    }


SUMMARY: dict[str, Callable[[Case], Any]] = {
    "residual_unit": unit,
    "num_inliers": lambda case: int(inliers(case).sum()),
    "inlier_limit_px": _of("px", limit),
    "inlier_limit_sigmas": _of("sigmas", limit),
    **_ends("inlier_rms_px", rms_of_inliers),
    **_ends("inlier_median_px", median_of_inliers),
    **_ends("whitened_rms_sigmas", lambda case, scene: whitened_rms(scene)),
    **_ends("weighted_rms_px", weighted_rms),
    **_ends("weighted_rms_sigmas", weighted_rms),
}

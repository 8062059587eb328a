"""What runs of several sizes say together: a table, fitted powers of the observations, a picture.

A power is the slope of log(value) against log(observations) by least squares, over the sizes from FIT_FROM upwards:
below, fixed costs show, and few images are solved by another linear solver. It takes two such sizes.
"""

from collections.abc import Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np

Run = dict[str, Any]
Line = tuple[float, float]
"""Slope and intercept of log(value) against log(observations)."""

FIT_FROM = 100_000
NEAR = 1e-3
FITTED = {"step_seconds": "time a step, s", "peak_mb": "peak memory, MB"}


def fit(observations: Sequence[float], values: Sequence[float]) -> Line:
    """The line through the logarithms."""
    slope, intercept = np.polyfit(np.log(observations), np.log(values), 1)
    return float(slope), float(intercept)


def fits(runs: Sequence[Run]) -> dict[str, Line]:
    """A line for each of FITTED, or none where too few sizes count."""
    large = [run for run in runs if run["asked"] >= FIT_FROM]
    if len({run["asked"] for run in large}) < 2:
        return {}
    return {key: fit([run["observations"] for run in large], [run[key] for run in large]) for key in FITTED}


HEADER = (
    f"{'observations':>13}{'images':>8}{'points':>10}{'free':>10}{'steps':>7}{'trials':>7}{'step s':>9}{'first s':>9}"
    f"{'near s':>9}{'all s':>9}{'peak MB':>9}{'B/obs':>7}{'above floor':>13}{'scatter':>9}  solver"
)
LEGEND = f"""\
step: median; first, near: seconds until the first step, and until within {NEAR:g} of the noise floor; B/obs: peak
memory an observation; above floor: last cost over the cost expected at the minimum, less 1; scatter: what the latter
varies by from one draw of the noise to another"""


def row(run: Run) -> str:
    near = "never" if run["near_seconds"] is None else f"{run['near_seconds']:.2f}"
    return (
        f"{run['observations']:>13,}{run['images']:>8,}{run['points']:>10,}{run['free_numbers']:>10,}{run['steps']:>7}"
        f"{run['evaluations']:>7}{run['step_seconds']:>9.3f}{run['first_step_seconds']:>9.2f}{near:>9}"
        f"{run['solve_seconds']:>9.2f}{run['peak_mb']:>9,.0f}{run['bytes_per_observation']:>7,.0f}"
        f"{run['above_floor']:>13.2e}{run['scatter']:>9.1e}  {run['linear_solver']}, {run['status']}"
    )


def conclusion(lines: dict[str, Line]) -> str:
    if not lines:
        return f"no power fitted: that takes two sizes from {FIT_FROM:,} observations"
    powers = "; ".join(f"{FITTED[key]} ~ observations^{slope:.3f}" for key, (slope, _) in lines.items())
    return f"fitted from {FIT_FROM:,} observations: {powers}"


def digest(runs: Sequence[Run], lines: dict[str, Line]) -> dict[str, Any]:
    """The fitted powers, and what a reader is told of each size."""
    told = ("observations", "step_seconds", "near_seconds", "solve_seconds", "peak_mb", "linear_solver")
    return {
        "powers": {key: slope for key, (slope, _) in lines.items()},
        "sizes": {str(run["asked"]): {key: run[key] for key in told} for run in runs},
    }


def draw(runs: Sequence[Run], lines: dict[str, Line], title: str, path: Path) -> None:
    """Measurements and fitted powers, side by side, both axes logarithmic, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(FITTED), figsize=(11, 4.5), layout="constrained")
    sizes = [run["observations"] for run in runs]
    for axes, (key, label) in zip(panels, FITTED.items(), strict=True):
        axes.plot(sizes, [run[key] for run in runs], "o", color="C0", label="measured")
        if key in lines:
            slope, intercept = lines[key]
            ends = np.array([FIT_FROM, max(sizes)], float)
            axes.plot(ends, exp(intercept) * ends**slope, "-", color="C1", label=f"observations^{slope:.3f}")
        axes.set(xscale="log", yscale="log", xlabel="observations", ylabel=label)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
    pyplot.close(figure)

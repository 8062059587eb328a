"""What of a run's summary is shown side by side, start and end: the same rows on the terminal and on the report page.

Rows that leave outliers out are shown only where their numbers differ from those of all observations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MISLEADING = 1.1
"""The inliers' RMS is shown where that of all observations is more than this times as large; it is 1.02 times as large
where all errors are Gaussian."""

TRUTH_TITLE = "against the truth, after alignment (Sim(3))"
TRUTH = (
    ("median rotation error, degrees", "rotation_error_median_deg"),
    ("largest rotation error, degrees", "rotation_error_max_deg"),
    ("RMS position error, world units", "position_error_rms_world_units"),
    ("median point error, world units", "point_error_median_world_units"),
    ("RMS point error, world units", "point_error_rms_world_units"),
)


@dataclass(frozen=True)
class Row:
    """A label with its unit, and what the summary holds for start and end, None where it lacks them."""

    label: str
    start: Any
    end: Any


def fit_rows(summary: Mapping[str, Any]) -> list[Row]:
    """Cost and residuals."""
    labelled = [
        (cost_label(summary), "cost"),
        ("RMS reprojection error, px", "rms_px"),
        ("median reprojection error, px", "median_px"),
        *_robust(summary),
    ]
    rows = [Row(label, summary.get(f"initial_{key}"), summary.get(f"final_{key}")) for label, key in labelled]
    return [row for row in rows if row.start is not None or row.end is not None]


def cost_label(summary: Mapping[str, Any]) -> str:
    """With the loss where there is one, and the unit: the square of what the loss takes."""
    unit = {"px": ", px²", "sigmas": ", sigmas²"}.get(str(summary.get("residual_unit")), "")
    return f"cost under {summary['loss']}{unit}" if _is_robust(summary) else f"cost{unit}"


def truth_rows(summary: Mapping[str, Any]) -> list[Row]:
    """Distances from the truth of a generated scene; none for other data."""
    truth = summary.get("truth")
    return [] if truth is None else [Row(label, truth["start"][key], truth["end"][key]) for label, key in TRUTH]


def inlier_share(summary: Mapping[str, Any]) -> str | None:
    """As "94.0 %", where inliers are shown."""
    if not _outliers_matter(summary):
        return None
    return f"{100.0 * summary['num_inliers'] / summary['num_observations']:.1f} %"


def inlier_limit(summary: Mapping[str, Any]) -> str:
    """With its unit."""
    unit = summary["residual_unit"]
    return f"{summary[f'inlier_limit_{unit}']:.3g} {unit}"


def _robust(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    unit = summary.get("residual_unit")
    if (share := inlier_share(summary)) is not None:
        yield f"RMS of inliers ({share}), px", "inlier_rms_px"
        yield f"median of inliers ({share}), px", "inlier_median_px"
    if unit == "sigmas":
        yield "RMS of whitened errors, sigmas", "whitened_rms_sigmas"
    if _is_robust(summary):
        yield f"RMS weighted by the loss, {unit}", f"weighted_rms_{unit}"


def _is_robust(summary: Mapping[str, Any]) -> bool:
    return str(summary.get("loss", "linear")) != "linear"


def _outliers_matter(summary: Mapping[str, Any]) -> bool:
    if not summary.get("num_observations") or "num_inliers" not in summary:
        return False
    return _is_robust(summary) or bool(summary["final_rms_px"] > MISLEADING * summary["final_inlier_rms_px"])

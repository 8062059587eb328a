"""A run as one HTML page that needs nothing else: styles, charts (SVG) and the picture are inside it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ba.files import write_bytes
from ba.page import Axis, Frame, document, power_ticks, section, table, text_of, whole_ticks
from ba.result import Iteration
from ba.words import counted

CHART = Frame()
PICTURE_WIDTH = 1200
BINS = 60
LARGEST = 1e150
"""Residuals of this size and more have no finite square, so no finite cost; they are not drawn."""

SIZES = (
    ("num_images", "image"),
    ("num_cameras", "camera"),
    ("num_points", "point"),
    ("num_observations", "observation"),
)
EFFORT = (("solve_seconds", "s in the solver"), ("total_seconds", "s in all"))
CHANGES = (
    ("cost", "initial_cost", "final_cost"),
    ("RMS reprojection error, px", "initial_rms_px", "final_rms_px"),
    ("median reprojection error, px", "initial_median_px", "final_median_px"),
    ("observations behind their camera", "behind_camera_start", "behind_camera_end"),
)
FACTS = (
    ("rotation", "rotation"), ("solver", "solver"), ("gauge", "gauge"), ("loss", "loss"), ("iterations", "iterations"),
    ("solve, s", "solve_seconds"), ("whole run, s", "total_seconds"), ("seed", "seed"), ("data", "data_path"),
    ("data, SHA-256", "data_sha256"), ("versions", "versions"),
)  # fmt: skip
FRAME = (
    "World coordinates are those of the input. Poses are cam_from_world, x_cam = R x_world + t, with camera axes "
    "x right, y down, z forward. Residuals are projected minus observed, in px; cost is 0.5 times the sum of the loss "
    "of the squared residual norms, each residual divided by its sigma where the input gives covariances."
)
GAUGES = {
    "free": "The gauge is free: nothing but what `fix` names holds position, orientation and scale of the whole scene.",
    "two_cameras": "The gauge is fixed by the first pose and one coordinate of a second.",
    "three_points": "The gauge is fixed by three points.",
}


def write_report(
    path: Path,
    summary: Mapping[str, Any],
    iterations: Sequence[Iteration],
    residuals: NDArray[np.float64],
    picture: Path | None,
    config_text: str,
) -> None:
    """Write the page. residuals (n_obs, 2) px at the end; keys that `summary` lacks are left out.

    A `picture` that is None or absent is left out. Raises UserError where `path` cannot be written.
    """
    body = "\n".join([
        _head(summary),
        section("Result", _result(summary)),
        section("Picture", _picture(picture)) if picture is not None and picture.is_file() else "",
        section("Cost", cost_chart(iterations)),
        section("Residuals at the end", residual_chart(np.linalg.norm(residuals, axis=1))),
        section("Iterations", _iterations(iterations)),
        section("Settings and versions", _facts(summary)),
        section("Configuration", _configuration(config_text)),
    ])  # fmt: skip
    write_bytes(path, document(_title(summary), body).encode())


def _title(summary: Mapping[str, Any]) -> str:
    return f"Bundle adjustment: {Path(str(summary.get('data_path') or 'generated scene')).name}"


def _head(summary: Mapping[str, Any]) -> str:
    sizes = ", ".join(_count(summary[key], noun) for key, noun in SIZES if key in summary)
    status = ": ".join(str(summary[key]) for key in ("status", "message") if summary.get(key))
    steps = [_count(summary["iterations"], "iteration")] if "iterations" in summary else []
    effort = ", ".join(steps + [f"{text_of(summary[key])} {name}" for key, name in EFFORT if key in summary])
    return (
        f"<header><h1>{escape(_title(summary))}</h1><p><strong>{escape(status)}</strong></p>"
        f'<p>{escape(effort)}</p><p class="soft">{escape(sizes)}</p></header>'
    )


def _count(value: Any, noun: str) -> str:
    """A count of the summary; whatever else stands in its place is shown as it is."""
    return counted(value, noun) if isinstance(value, int) else f"{text_of(value)} {noun}s"


def _result(summary: Mapping[str, Any]) -> str:
    rows = [
        [label, *(text_of(summary[key]) if key in summary else "" for key in keys)]
        for label, *keys in CHANGES
        if any(key in summary for key in keys)
    ]
    gauge = GAUGES.get(str(summary.get("gauge")), "")
    return table(["", "start", "end"], rows) + f'<p class="soft">{escape(" ".join(filter(None, [gauge, FRAME])))}</p>'


def _facts(summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td>{escape(text_of(summary[key]))}</td></tr>"
        for label, key in FACTS
        if key in summary
    )
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _iterations(iterations: Sequence[Iteration]) -> str:
    head = ["iteration", "cost", "change", "step", "gradient", "evaluations", "seconds"]
    rows = [
        [
            str(i.iteration), f"{i.cost:.9g}", f"{i.cost_change:.3e}", f"{i.step_norm:.3e}", f"{i.gradient_norm:.3e}",
            str(i.evaluations), f"{i.seconds:.3f}",
        ]
        for i in iterations
    ]  # fmt: skip
    return table(head, rows)


def _configuration(text: str) -> str:
    return f"<details><summary>as it ran, every default spelled out</summary><pre>{escape(text)}</pre></details>"


def _picture(picture: Path) -> str:
    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="points and camera frusta in 3D" src="data:image/jpeg;base64,{data}"></figure>'


def cost_chart(iterations: Sequence[Iteration]) -> str:
    """SVG: cost on a log axis against the iteration. Costs of zero, or not finite, are left out."""
    known = [(i.iteration, math.log10(i.cost)) for i in iterations if 0.0 < i.cost < math.inf]
    if not known:
        return '<p class="soft">No cost to draw.</p>'
    low, high = math.floor(min(y for _, y in known)), math.ceil(max(y for _, y in known))
    x_axis = CHART.x_axis(0.0, max(float(known[-1][0]), 1.0))
    y_axis = CHART.y_axis(float(low), float(max(high, low + 1)))
    dots = [(x_axis(x), y_axis(y)) for x, y in known]
    marks = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots)
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return CHART.chart(
        "cost against iteration", "iteration", "cost (log)",
        whole_ticks(x_axis), power_ticks(y_axis), f'<polyline class="curve" points="{curve}"/>{marks}',
    )  # fmt: skip


def residual_chart(norms: NDArray[np.float64]) -> str:
    """SVG: histogram of residual norms (n_obs,) px, counts on a log axis; the last bar holds all beyond the axis."""
    known = norms[norms < LARGEST]
    if not len(known):
        return '<p class="soft">No residuals to draw.</p>'
    end = max(float(np.quantile(known, 0.999)), 1e-12)
    counts, edges = np.histogram(np.minimum(known, end), BINS, (0.0, end))
    x_axis = CHART.x_axis(0.0, end)
    y_axis = CHART.y_axis(-0.3, float(max(math.ceil(math.log10(counts.max())), 1)))
    bars = "".join(_bar(x_axis, y_axis, edges[i : i + 2], int(count)) for i, count in enumerate(counts) if count)
    ticks = [(x_axis(value), f"{value:.3g}") for value in np.linspace(0.0, end, 6)]
    note = (
        f"Median {text_of(float(np.median(known)))} px, largest {text_of(float(known.max()))} px. "
        f"The last bar also holds the {int((known > end).sum()):,} residuals beyond the axis."
    )
    chart = CHART.chart(
        "histogram of residual norms", "residual norm, px", "observations (log)", ticks, power_ticks(y_axis), bars
    )
    return f"<figure>{chart}<figcaption>{escape(note)}</figcaption></figure>"


def _bar(x_axis: Axis, y_axis: Axis, edges: NDArray[np.float64], count: int) -> str:
    left, right, top = x_axis(edges[0]), x_axis(edges[1]), y_axis(math.log10(count))
    return (
        f'<rect class="bar" x="{left + 0.5:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" '
        f'height="{y_axis.start - top:.1f}"><title>{edges[0]:.3g} to {edges[1]:.3g} px: {count:,}</title></rect>'
    )

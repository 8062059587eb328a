"""A run as one HTML page that needs nothing else: styles, charts (SVG) and the picture are inside it.

The page follows the reader's light or dark setting and prints. Everything that comes from outside is escaped.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ba.files import write_bytes
from ba.result import Iteration

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 100, 14, 14, 46
PICTURE_WIDTH = 1200
BINS = 60
LARGEST = 1e150
"""Residuals of this size and more have no finite square, so no finite cost; they are not drawn."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d1f24; --soft: #667; --line: #d9dbe1; --page: #fff; --card: #f5f6f8;
  --mark: #2456c8; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e7e8ec; --soft: #9aa0ad; --line: #383c46; --page: #16181d; --card: #1f2229; --mark: #7ea6ff; } }
@media print { :root { --ink: #000; --soft: #444; --line: #bbb; --page: #fff; --card: #fff; --mark: #2456c8; }
  section, figure { break-inside: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0 0 .25rem; font-size: 1.7rem; line-height: 1.25; overflow-wrap: anywhere; }
h2 { margin: 2.25rem 0 .6rem; font-size: 1.15rem; }
p { margin: .25rem 0; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
.facts td { text-align: left; overflow-wrap: anywhere; } .facts th { text-align: left; width: 13rem; }
.wide { overflow-x: auto; } figure { margin: 0; }
img, svg { display: block; width: 100%; height: auto; } img { border: 1px solid var(--line); border-radius: 6px; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; } .grid { stroke: var(--line); }
.curve { fill: none; stroke: var(--mark); stroke-width: 2; } .dot, .bar { fill: var(--mark); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem 1rem; }
summary { cursor: pointer; } pre { overflow-x: auto; font-size: .85rem; }
"""

SIZES = (
    ("num_images", "images"),
    ("num_cameras", "cameras"),
    ("num_points", "points"),
    ("num_observations", "observations"),
)
EFFORT = (("iterations", "iterations"), ("solve_seconds", "s in the solver"), ("total_seconds", "s in all"))
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
        _section("Result", _result(summary)),
        _section("Picture", _picture(picture)) if picture is not None and picture.is_file() else "",
        _section("Cost", cost_chart(iterations)),
        _section("Residuals at the end", residual_chart(np.linalg.norm(residuals, axis=1))),
        _section("Iterations", _iterations(iterations)),
        _section("Settings and versions", _facts(summary)),
        _section("Configuration", _configuration(config_text)),
    ])  # fmt: skip
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(summary))}</title><style>{STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    write_bytes(path, page.encode())


def _title(summary: Mapping[str, Any]) -> str:
    return f"Bundle adjustment: {Path(str(summary.get('data_path') or 'generated scene')).name}"


def _head(summary: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{_text(summary[key])} {name}" for key, name in SIZES if key in summary)
    status = ": ".join(str(summary[key]) for key in ("status", "message") if summary.get(key))
    effort = ", ".join(f"{_text(summary[key])} {name}" for key, name in EFFORT if key in summary)
    return (
        f"<header><h1>{escape(_title(summary))}</h1><p><strong>{escape(status)}</strong></p>"
        f'<p>{escape(effort)}</p><p class="soft">{escape(sizes)}</p></header>'
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _text(value: Any) -> str:
    """A value as a reader wants it: six digits, thousands set apart, pairs for a mapping."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:,.6g}" if abs(number) < 1e6 else f"{number:,.0f}" if abs(number) < 1e12 else f"{number:.6e}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    return str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


def _result(summary: Mapping[str, Any]) -> str:
    rows = [
        [label, *(_text(summary[key]) if key in summary else "" for key in keys)]
        for label, *keys in CHANGES
        if any(key in summary for key in keys)
    ]
    gauge = GAUGES.get(str(summary.get("gauge")), "")
    return _table(["", "start", "end"], rows) + f'<p class="soft">{escape(" ".join(filter(None, [gauge, FRAME])))}</p>'


def _facts(summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><th>{escape(label)}</th><td>{escape(_text(summary[key]))}</td></tr>"
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
    return _table(head, rows)


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
    x_axis = _Axis(0.0, max(float(known[-1][0]), 1.0), LEFT, WIDTH - RIGHT)
    y_axis = _Axis(float(low), float(max(high, low + 1)), HEIGHT - BOTTOM, TOP)
    dots = [(x_axis(x), y_axis(y)) for x, y in known]
    marks = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots)
    curve = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
    return _chart(
        "cost against iteration", "iteration", "cost (log)",
        _whole_ticks(x_axis), _power_ticks(y_axis), f'<polyline class="curve" points="{curve}"/>{marks}',
    )  # fmt: skip


def residual_chart(norms: NDArray[np.float64]) -> str:
    """SVG: histogram of residual norms (n_obs,) px, counts on a log axis; the last bar holds all beyond the axis."""
    known = norms[norms < LARGEST]
    if not len(known):
        return '<p class="soft">No residuals to draw.</p>'
    end = max(float(np.quantile(known, 0.999)), 1e-12)
    counts, edges = np.histogram(np.minimum(known, end), BINS, (0.0, end))
    x_axis = _Axis(0.0, end, LEFT, WIDTH - RIGHT)
    y_axis = _Axis(-0.3, float(max(math.ceil(math.log10(counts.max())), 1)), HEIGHT - BOTTOM, TOP)
    bars = "".join(_bar(x_axis, y_axis, edges[i : i + 2], int(count)) for i, count in enumerate(counts) if count)
    ticks = [(x_axis(value), f"{value:.3g}") for value in np.linspace(0.0, end, 6)]
    note = (
        f"Median {_text(float(np.median(known)))} px, largest {_text(float(known.max()))} px. "
        f"The last bar also holds the {int((known > end).sum()):,} residuals beyond the axis."
    )
    chart = _chart(
        "histogram of residual norms", "residual norm, px", "observations (log)", ticks, _power_ticks(y_axis), bars
    )
    return f"<figure>{chart}<figcaption>{escape(note)}</figcaption></figure>"


@dataclass(frozen=True)
class _Axis:
    """A linear map from [low, high] to [start, end] of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


Ticks = list[tuple[float, str]]


def _bar(x_axis: _Axis, y_axis: _Axis, edges: NDArray[np.float64], count: int) -> str:
    left, right, top = x_axis(edges[0]), x_axis(edges[1]), y_axis(math.log10(count))
    return (
        f'<rect class="bar" x="{left + 0.5:.1f}" y="{top:.1f}" width="{right - left - 1:.1f}" '
        f'height="{y_axis.start - top:.1f}"><title>{edges[0]:.3g} to {edges[1]:.3g} px: {count:,}</title></rect>'
    )


def _whole_ticks(axis: _Axis) -> Ticks:
    step = max(math.ceil(axis.high / 10), 1)
    return [(axis(value), str(value)) for value in range(0, int(axis.high) + 1, step)]


def _power_ticks(axis: _Axis) -> Ticks:
    powers = range(math.ceil(axis.low), int(axis.high) + 1)
    step = max(math.ceil(len(powers) / 8), 1)
    return [(axis(power), f"1e{power}" if not 0 <= power <= 6 else f"{10**power:,}") for power in powers[::step]]


def _chart(label: str, x_label: str, y_label: str, x_ticks: Ticks, y_ticks: Ticks, marks: str) -> str:
    floor, middle = HEIGHT - BOTTOM, (TOP + HEIGHT - BOTTOM) / 2
    horizontal = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for y, text in y_ticks
    )
    vertical = "".join(
        f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{escape(text)}</text>' for x, text in x_ticks
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{horizontal}{vertical}'
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>{marks}'
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{escape(x_label)}</text>'
        f'<text x="14" y="{middle}" text-anchor="middle" transform="rotate(-90 14 {middle})">'
        f"{escape(y_label)}</text></svg>"
    )

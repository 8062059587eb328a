"""A run as one HTML page that needs nothing else: styles, charts (SVG) and the picture are inside it."""

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.model.robust import LIMIT_IN_MEDIANS, OUTSIDE, range_end
from ba.show import page
from ba.show.page import soft, table, text_of
from ba.show.rows import TRUTH_TITLE, Row, cost_label, fit_rows, inlier_limit, inlier_share, truth_rows
from ba.solve.result import Iteration
from ba.system.files import write_bytes

CHART = page.Frame()
PICTURE_WIDTH = 1200
BINS = 60
BEYOND_WIDTH, BEYOND_GAP = 48, 14
"""Room at the right of a histogram for the bar of what is beyond its axis, and the gap before it."""
LARGEST = 1e150
"""Residuals of this size and more have no finite square, so no finite cost; they are not drawn."""

EFFORT = (("iterations", "iteration"), ("solve_seconds", "s in the solver"), ("total_seconds", "s in all"))
SIZES = tuple((f"num_{noun}s", noun) for noun in ("image", "camera", "point", "observation"))
COLUMNS = (
    ("iteration", "iteration", "d"), ("cost", "cost", ".9g"), ("change", "cost_change", ".3e"),
    ("step", "step_norm", ".3e"), ("gradient", "gradient_norm", ".3e"), ("evaluations", "evaluations", "d"),
    ("seconds", "seconds", ".3f"),
)  # fmt: skip
"""Of the table of iterations: heading, field and format."""
COUNTS = (
    ("observations behind their camera", "behind_camera_start", "behind_camera_end"),
    ("observations where the distortion is not one-to-one", "outside_field_start", "outside_field_end"),
)
FACTS = (
    ("rotation", "rotation"), ("solver", "solver"), ("gauge", "gauge"), ("loss", "loss"),
    ("iterations", "iterations"), ("solve, s", "solve_seconds"),
    ("whole run, s", "total_seconds"), ("seed", "seed"), ("data", "data_path"), ("data, SHA-256", "data_sha256"),
    ("versions", "versions"),
)  # fmt: skip
FRAME = (
    "World coordinates are those of the input. Poses are cam_from_world, x_cam = R x_world + t, with camera axes "
    "x right, y down, z forward. A reprojection error is the norm of projected minus observed, in px."
)
COST = "Cost is 0.5 times the sum of squared errors."
ROBUST_COST = "Cost is 0.5 times the sum of rho(s), the loss of the squared error s of each observation."
WHITENED = "Cost and loss take errors in sigmas: the input gives a covariance to each observation."
WEIGHTED = "Weighted RMS: each squared error counts rho'(s) times, which is the weight the loss leaves it."
ITERATIONS = (
    "Change is how much the cost fell; step is the length of the step in the solver's own coordinates, gradient the "
    "largest component of the gradient there; evaluations and seconds are counted from the start."
)
GAUGES = {
    "free": "The gauge is free: nothing but what `fix` names holds position, orientation and scale of the whole scene.",
    "two_cameras": "The gauge is held by one pose and one coordinate of a second image's translation.",
    "three_points": "The gauge is held by three points.",
}
TRUTH = (
    "The best similarity, seven numbers, takes the solution to the truth first, because a free gauge leaves them open. "
    "Positions are those of camera centres; world units are the truth's."
)


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
    configuration = f"<summary>as it ran, every default spelled out</summary><pre>{escape(config_text)}</pre>"
    body = "\n".join([
        _head(summary),
        page.section("Result", _result(summary)),
        page.section("Picture", _picture(picture)) if picture is not None and picture.is_file() else "",
        page.section("Cost", cost_chart(iterations, cost_label(summary))),
        page.section("Residuals at the end", residual_chart(np.linalg.norm(residuals, axis=1))),
        page.section("Iterations", _iterations(iterations)),
        page.section("Settings and versions", _facts(summary)),
        page.section("Configuration", f"<details>{configuration}</details>"),
    ])  # fmt: skip
    write_bytes(path, page.document(_title(summary), body).encode())


def _title(summary: Mapping[str, Any]) -> str:
    return f"Bundle adjustment: {Path(str(summary.get('data_path') or 'generated scene')).name}"


def _head(summary: Mapping[str, Any]) -> str:
    status = ": ".join(str(summary[key]) for key in ("status", "message") if summary.get(key))
    paragraphs = [f"<p><strong>{escape(status)}</strong></p>"]
    if (share := inlier_share(summary)) is not None:
        inside, everything = (text_of(summary[key]) for key in ("final_inlier_rms_px", "final_rms_px"))
        text = f"{share} of the observations fit with an RMS of {inside} px; with the others it is {everything} px."
        paragraphs.append(f"<p>{escape(text)}</p>")
    effort = ", ".join(_count(summary[key], noun) for key, noun in EFFORT if key in summary)
    sizes = ", ".join(_count(summary[key], noun) for key, noun in SIZES if key in summary)
    return (
        f"<header><h1>{escape(_title(summary))}</h1>{''.join(paragraphs)}<p>{escape(effort)}</p>{soft(sizes)}</header>"
    )


def _count(value: Any, noun: str) -> str:
    """A number and its noun; whatever else a summary has in its place is shown as it is."""
    return f"{text_of(value)} {noun}{'s' * (value != 1 and not noun.startswith('s '))}"


def _result(summary: Mapping[str, Any]) -> str:
    counts = (Row(label, summary.get(start), summary.get(end)) for label, start, end in COUNTS)
    rows = [*fit_rows(summary), *(row for row in counts if row.start or row.end)]
    content = _start_and_end(rows) + "".join(map(soft, _meanings(summary)))
    if truth := truth_rows(summary):
        content += f"<h3>{escape(TRUTH_TITLE[0].upper() + TRUTH_TITLE[1:])}</h3>{_start_and_end(truth)}{soft(TRUTH)}"
    return content


def _start_and_end(rows: Sequence[Row]) -> str:
    cells = [[row.label, *("" if value is None else text_of(value) for value in (row.start, row.end))] for row in rows]
    return f'<div class="pairs">{table(["", "start", "end"], cells)}</div>'


def _meanings(summary: Mapping[str, Any]) -> Iterator[str]:
    """What the rows of the result mean, in sentences."""
    if (share := inlier_share(summary)) is not None:
        yield (
            f"Inliers are the {summary['num_inliers']:,} observations ({share}) that are off by at most "
            f"{inlier_limit(summary)} at the end: within {LIMIT_IN_MEDIANS:.3g} medians, which hold "
            f"{100.0 * (1.0 - OUTSIDE):g} % of Gaussian errors. Their errors at the start are of the same observations."
        )
    whitened = WHITENED if summary.get("residual_unit") == "sigmas" else ""
    sentences = [ROBUST_COST, whitened, WEIGHTED] if summary.get("loss", "linear") != "linear" else [COST, whitened]
    yield " ".join(filter(None, sentences))
    yield f"{GAUGES.get(str(summary.get('gauge')), '')} {FRAME}".lstrip()


def _facts(summary: Mapping[str, Any]) -> str:
    facts = {label: text_of(summary[key]) for label, key in FACTS if key in summary}
    if summary.get("loss", "linear") != "linear" and "loss_scale" in summary:
        bend = f"{text_of(summary['loss_scale'])} {summary.get('residual_unit', '')}".rstrip()
        facts["loss"] += f", with its bend at {bend}"
    rows = "".join(f"<tr><th>{escape(label)}</th><td>{escape(text)}</td></tr>" for label, text in facts.items())
    return f'<table class="facts"><tbody>{rows}</tbody></table>'


def _iterations(iterations: Sequence[Iteration]) -> str:
    rows = [[format(getattr(iteration, name), digits) for _, name, digits in COLUMNS] for iteration in iterations]
    return table([heading for heading, _, _ in COLUMNS], rows) + soft(ITERATIONS)


def _picture(picture: Path) -> str:
    from PIL import Image

    with Image.open(picture) as image:
        small = image.convert("RGB")
    small.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=85, optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<figure><img alt="points and camera frusta in 3D" src="data:image/jpeg;base64,{data}"></figure>'


def cost_chart(iterations: Sequence[Iteration], label: str = "cost") -> str:
    """SVG: cost on a log axis, called `label`, against the iteration. Costs of zero, or not finite, are left out."""
    costs = [(i.iteration, math.log10(i.cost)) for i in iterations if 0.0 < i.cost < math.inf]
    if not costs:
        return soft("No cost to draw.")
    low, high = math.floor(min(y for _, y in costs)), math.ceil(max(y for _, y in costs))
    x_axis = CHART.x_axis(0.0, max(float(costs[-1][0]), 1.0))
    y_axis = CHART.y_axis(float(low), float(max(high, low + 1)))
    dots = [(x_axis(x), y_axis(y)) for x, y in costs]
    marks = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in dots)
    return _scrolled(CHART.chart(
        "cost against iteration", "iteration", f"{label} (log)",
        page.whole_ticks(x_axis), page.power_ticks(y_axis), page.polyline(dots, 'class="curve"') + marks,
    ))  # fmt: skip


def _scrolled(chart: str) -> str:
    """In a box of its own that scrolls where the page is too narrow to read the chart's text."""
    return f'<div class="wide">{chart}</div>'


def residual_chart(norms: NDArray[np.float64]) -> str:
    """SVG: histogram of residual norms (n_obs,) px, counts on a log axis.

    The axis ends where `range_end` says; a bar of its own counts what is beyond.
    """
    norms = norms[norms < LARGEST]
    if not len(norms):
        return soft("No residuals to draw.")
    end = max(range_end(norms, 0.999), 1e-12)
    counts, edges = np.histogram(norms[norms <= end], BINS, (0.0, end))
    beyond = int((norms > end).sum())
    right = float(CHART.width - CHART.right)
    x_axis = page.Axis(0.0, end, CHART.left, right - BEYOND_WIDTH)
    y_axis = CHART.y_axis(-0.3, float(max(math.ceil(math.log10(max(counts.max(), beyond))), 1)))
    bars = [
        _bar("bar", y_axis, (x_axis(low) + 0.5, x_axis(high) - 0.5), int(count), f"{low:.3g} to {high:.3g} px")
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
        if count
    ]
    ticks = [(x_axis(value), f"{value:.3g}") for value in page.round_ticks(end)]
    note = "All are within the axis."
    if beyond:
        left = right - BEYOND_WIDTH + BEYOND_GAP
        bars.append(_bar("bar beyond", y_axis, (left, right), beyond, f"more than {end:.3g} px"))
        ticks.append(((left + right) / 2.0, "more"))
        of = f"{beyond:,} of {len(norms):,} ({100.0 * beyond / len(norms):.2g} %)"
        note = f"{of} {'is' if beyond == 1 else 'are'} larger than {end:.3g} px: the bar at the right."
    median, largest = text_of(float(np.median(norms))), text_of(float(norms.max()))
    chart = CHART.chart(
        "histogram of residual norms", "reprojection error, px", "observations (log)",
        ticks, page.power_ticks(y_axis), "".join(bars),
    )  # fmt: skip
    return page.figure(_scrolled(chart), f"Median {median} px, largest {largest} px. {note}")


def _bar(kind: str, y_axis: page.Axis, sides: tuple[float, float], count: int, what: str) -> str:
    (left, right), top = sides, y_axis(math.log10(count))
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" '
        f'height="{y_axis.start - top:.1f}"><title>{what}: {count:,}</title></rect>'
    )

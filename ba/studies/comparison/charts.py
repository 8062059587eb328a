"""Charts of a comparison: one line for each label, the median over the seeds, and the seeds thin behind it.

A `Chart` says what is drawn: as SVG on the page (`svg`), and as PNG files for papers and slides (`write_pictures`).
Seven colours that colour-blind readers can tell apart (after Okabe and Ito), in a light and a dark version, times three
kinds of line; long dashes are kept for labels whose runs may not be ranked. A label has the same ink in every chart.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np

from ba.show.page import Axis, Frame, Html, Ticks, figure, polyline, power_ticks, soft
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import MEASURES, Course, Curve, best_cost, course, grouped, problem, profile, ranked
from ba.system.files import replacing

COLOURS = (
    ("#0072b2", "#5aaeff"), ("#d55e00", "#ff9a52"), ("#009e73", "#2fd0a2"), ("#b0468e", "#ec93cd"),
    ("#b58900", "#f0cc3a"), ("#2e9fd8", "#8fdcff"), ("#33363d", "#e7e8ec"),
)  # fmt: skip
"""Light page, dark page."""
DASHES = ((), (1.5, 2.5), (8.0, 2.5, 1.5, 2.5))
UNRANKED = (7.0, 5.0)
GAP_FLOOR = 1e-9
"""Costs this close to the best, relatively, are equal: nothing is drawn below."""
GAP_CEILING = 1e6
LONGEST_RATIO = 64.0
"""Where profiles end at the right."""
NEAR = 2.5
"""Lines within this of each other, in the drawing's units, are one to the eye."""
DPI = 150
PROFILE_SHARE = 1e-6
"""The share above the best cost that the profiles among the pictures are of."""
FRAME = Frame(width=600, height=380, left=74, right=16)

STYLE = "".join([
    ":root {", *(f"--c{i}: {light};" for i, (light, _) in enumerate(COLOURS)), "}\n",
    "@media screen and (prefers-color-scheme: dark) { :root {",
    *(f"--c{i}: {dark};" for i, (_, dark) in enumerate(COLOURS)), "} }\n",
    *(f".ink{i} {{ stroke: var(--c{i}); }}" for i in range(len(COLOURS))), "\n",
])  # fmt: skip
"""The inks; how lines and labels are drawn stands in page.css."""

Points = list[tuple[float, float]]
Ends = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """Lines along two straight axes: where an axis is logarithmic, ends, ticks and points are logarithms already.

    about: a description for readers who do not see the chart; x, y: where the axes begin and end; seeds: the lines of
    single seeds behind the line of their label.
    """

    about: str
    x_label: str
    y_label: str
    x: Ends
    y: Ends
    x_ticks: Ticks
    y_ticks: Ticks
    lines: dict[str, Points]
    seeds: dict[str, list[Points]]


@dataclass(frozen=True)
class Ink:
    """How a label is drawn: its number, the index of its colour in COLOURS, and lengths of dashes, none if solid."""

    number: int
    colour: int
    dash: tuple[float, ...]

    def __str__(self) -> str:
        """As attributes of an SVG shape."""
        dash = f' stroke-dasharray="{" ".join(f"{length:g}" for length in self.dash)}"' if self.dash else ""
        return f'class="median ink{self.colour}"{dash}'


def inks(outcomes: Sequence[Outcome]) -> dict[str, Ink]:
    """The ink of each label, in the order in which labels come."""
    unranked = {outcome.label for outcome in outcomes if not ranked(outcome)}
    dashes = DASHES * (len(outcomes) // (len(DASHES) * len(COLOURS)) + 1)
    return {
        label: Ink(i, i % len(COLOURS), UNRANKED if label in unranked else dashes[i // len(COLOURS)])
        for i, label in enumerate(dict.fromkeys(outcome.label for outcome in outcomes))
    }


def highlights(count: int) -> str:
    """Style rules: a pointer over a label or line fades the other lines everywhere."""
    return "\n".join(
        f"body:has(.is{i}:hover) .line:not(.is{i}) {{ opacity: .12; }} body:has(.is{i}:hover) .is{i} .seed "
        "{ opacity: .8; }"
        for i in range(count)
    )


def named(label: str, ink: Ink) -> Html:
    """A label with a piece of its line before it."""
    swatch = f'<svg class="swatch" viewBox="0 0 30 10" aria-hidden="true"><path {ink} d="M1 5H29"/></svg>'
    return Html(f'<span class="label is{ink.number}">{swatch}{escape(label)}</span>')


def legend(outcomes: Iterable[Outcome], inks: Mapping[str, Ink]) -> str:
    """The labels of the outcomes, each with a piece of its line."""
    labels = dict.fromkeys(outcome.label for outcome in outcomes)
    return f'<div class="legend">{"".join(named(label, inks[label]) for label in labels)}</div>'


def gaps(outcomes: Sequence[Outcome], across: str) -> Chart:
    """Cost above the best, relatively, against `across`, "steps" or "seconds"; outcomes: of one dataset.

    Runs without a cost are left out, and so are datasets and seeds without a best cost above zero.
    """
    best = best_cost(outcomes)
    groups = grouped((o for o in outcomes if o.cost and best[problem(o)] > 0.0), lambda outcome: outcome.label)
    medians = {label: course(group, best) for label, group in groups.items()}
    seeds = {label: [course([outcome], best) for outcome in group] for label, group in groups.items()}
    x, x_ticks = _x_axis(across, [single for group in seeds.values() for single in group])
    highest = [float(np.max(m.gaps, where=np.isfinite(m.gaps), initial=0.1)) for m in medians.values()]
    y = math.log10(GAP_FLOOR), math.ceil(math.log10(min(max(highest, default=0.1), GAP_CEILING)))
    return Chart(
        f"relative cost above the best against {across}", f"{across} (log)", "cost / best - 1 (log)",
        x, y, x_ticks, power_ticks(Axis(*y, *y)),
        {label: _points(median, across, x[0], y[1]) for label, median in medians.items()},
        {label: [_points(single, across, x[0], y[1]) for single in group] for label, group in seeds.items()},
    )  # fmt: skip


def _x_axis(across: str, singles: Sequence[Course]) -> tuple[Ends, Ticks]:
    """A logarithmic axis: steps + 1, so that the start is on it, or seconds from the quickest first step."""
    last = max((float(getattr(single, across)[-1]) for single in singles), default=1.0)
    if across == "steps":
        first, last, offset = 0.0, max(last, 1.0), 1.0
        ticks = [0.0, *round_numbers(1.0, last)]
    else:
        first = min((float(s) for single in singles for s in single.seconds[1:2] if s > 0.0), default=0.1)
        last, offset = max(last, 2.0 * first), 0.0
        ticks = round_numbers(first, last)
    ends = math.log10(first + offset), math.log10(last + offset)
    return ends, [(math.log10(tick + offset), f"{tick:g}") for tick in ticks]


def _points(median: Course, across: str, low: float, top: float) -> Points:
    """The part of a course to draw: up to the first gap at the floor, with seconds below and gaps above clipped."""
    arrived = np.flatnonzero(median.gaps <= GAP_FLOOR)
    shown = slice(int(arrived[0]) + 1 if len(arrived) else None)
    x = median.steps[shown] + 1.0 if across == "steps" else np.maximum(median.seconds[shown], 10.0**low)
    y = np.log10(np.clip(median.gaps[shown], GAP_FLOOR, GAP_CEILING))
    return list(zip(np.log10(x).tolist(), np.minimum(y, top).tolist(), strict=True))


def profiles(curves: Mapping[str, Curve], what: str) -> Chart:
    """The share of problems a label solves within a ratio of the best label; what: names the measure.

    The axis ends at the largest ratio, but not below 2 and not beyond LONGEST_RATIO.
    """
    curves = {label: curve for label, curve in curves.items() if len(curve[0])}
    end = float(np.clip(max((ratios[-1] for ratios, _ in curves.values()), default=2.0), 2.0, LONGEST_RATIO))
    corners = {label: stairs(curve, end) for label, curve in curves.items()}
    ticks = (1, 1.2, 1.5, 2, 2.5, 3) if end < 4.0 else (1, 2, 4, 8, 16, 32, 64)
    return Chart(
        f"performance profile of {what}", f"{what} over the least", "share of problems",
        (0.0, math.log2(end)), (0.0, 1.0),
        [(math.log2(ratio), f"{ratio:g}") for ratio in ticks if ratio <= end],
        [(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
        {label: list(zip(np.log2(x).tolist(), y.tolist(), strict=True)) for label, (x, y) in corners.items()}, {},
    )  # fmt: skip


def stairs(curve: Curve, end: float) -> Curve:
    """The corners of a profile's steps from ratio 1 to `end`."""
    ratios, fractions = curve
    between = (ratios > 1.0) & (ratios <= end)
    won = fractions[ratios <= 1.0].max(initial=0.0)
    corners = np.concatenate([[1.0], np.repeat(ratios[between], 2), [end]])
    return corners, np.repeat(np.concatenate([[won], fractions[between]]), 2)


def round_numbers(low: float, high: float) -> list[float]:
    """For a logarithmic axis: numbers with digits 1, 2 and 5, or powers of ten alone over more than three decades."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if math.log10(high / low) < 3.0 else (1,)
    return [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]


def short(share: float) -> str:
    """1e-4 where Python writes 1e-04."""
    return f"1e{round(math.log10(share))}"


def gap_chart(outcomes: Sequence[Outcome], inks: Mapping[str, Ink], across: str) -> str:
    """`gaps` as a figure of the page."""
    chart = gaps(outcomes, across)
    return svg(chart, inks) if chart.lines else soft("No cost to draw.")


def profile_chart(curves: Mapping[str, Curve], inks: Mapping[str, Ink], what: str) -> str:
    """`profiles` as a figure of the page."""
    return svg(profiles(curves, what), inks)


def svg(chart: Chart, inks: Mapping[str, Ink]) -> str:
    """A figure of the page; its caption names the lines that lie on top of each other."""
    x_axis, y_axis = FRAME.x_axis(*chart.x), FRAME.y_axis(*chart.y)

    def placed(points: Points) -> Points:
        return [(x_axis(x), y_axis(y)) for x, y in points]

    lines = {label: placed(points) for label, points in chart.lines.items()}
    marks = "".join(
        _series(label, inks[label], [placed(seed) for seed in chart.seeds.get(label, ())], line)
        for label, line in lines.items()
    )
    x_ticks = [(x_axis(x), text) for x, text in chart.x_ticks]
    y_ticks = [(y_axis(y), text) for y, text in chart.y_ticks]
    picture = FRAME.chart(chart.about, chart.x_label, chart.y_label, x_ticks, y_ticks, marks)
    names = "; ".join(", ".join(group) for group in coinciding(lines))
    return figure(picture, f"On top of each other: {names}." if names else "")


def coinciding(lines: Mapping[str, Points]) -> list[list[str]]:
    """Labels, two and more together, whose lines an eye cannot tell apart: nowhere further than NEAR from the first."""
    groups: list[list[str]] = []
    for label, line in lines.items():
        for group in groups:
            if _near(lines[group[0]], line):
                group.append(label)
                break
        else:
            groups.append([label])
    return [group for group in groups if len(group) > 1]


def _near(one: Points, other: Points) -> bool:
    return len(one) == len(other) and bool(np.all(np.abs(np.subtract(one, other)) <= NEAR))


def _series(label: str, ink: Ink, seeds: Sequence[Points], line: Points) -> str:
    """A label's line, its end marked by a ring, or by a cross where the label may not be ranked."""
    x, y = line[-1]
    cross = f'<path class="end ink{ink.colour}" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>'
    ring = f'<circle class="end ink{ink.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    behind = "".join(polyline(seed, f'class="seed ink{ink.colour}"') for seed in seeds)
    wide = polyline(line, 'class="hit"')
    return (
        f'<g class="line is{ink.number}"><title>{escape(label)}</title>{behind}{polyline(line, str(ink))}'
        f"{wide}{cross if ink.dash == UNRANKED else ring}</g>"
    )


def write_pictures(outcomes: Sequence[Outcome], folder: Path) -> None:
    """Write cost-steps-DATASET.png and cost-seconds-DATASET.png for each dataset, and profiles.png, into folder.

    Raises UserError where `folder` cannot be written.
    """
    ink_of = inks(outcomes)
    for dataset, group in grouped(outcomes, lambda outcome: outcome.dataset).items():
        for across in MEASURES:
            file = folder / f"cost-{across}-{file_name(dataset)}.png"
            _save({f"{dataset}: medians over seeds": gaps(group, across)}, ink_of, file)
    panels = {
        f"{name} to {short(PROFILE_SHARE)} of the best cost": profiles(profile(outcomes, measure, PROFILE_SHARE), name)
        for name, measure in MEASURES.items()
    }
    _save(panels, ink_of, folder / "profiles.png")


def file_name(dataset: str) -> str:
    """The dataset's name with what a file name may not hold replaced."""
    return re.sub(r"[^\w.-]+", "-", dataset)


def _save(panels: Mapping[str, Chart], inks: Mapping[str, Ink], path: Path) -> None:
    """Charts by title, side by side, with the legend of the first."""
    from matplotlib.figure import Figure

    # A figure that pyplot does not know, so that nothing has to be closed.
    figure = Figure(figsize=(5.5 + 3.5 * len(panels), 5.2), layout="constrained")
    panes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (title, chart) in zip(panes, panels.items(), strict=True):
        for label, line in chart.lines.items():
            ink = inks[label]
            colour = COLOURS[ink.colour][0]
            for seed in chart.seeds.get(label, ()):
                axes.plot(*zip(*seed, strict=True), color=colour, linewidth=0.5, alpha=0.25)
            dashes = (0, ink.dash) if ink.dash else "-"
            axes.plot(*zip(*line, strict=True), color=colour, linestyle=dashes, linewidth=1.4, label=label)
        margin = 0.02 * (chart.y[1] - chart.y[0])
        axes.set(xlim=chart.x, ylim=(chart.y[0] - margin, chart.y[1] + margin), title=title)
        axes.set(xlabel=chart.x_label, ylabel=chart.y_label)
        axes.set_xticks(*zip(*chart.x_ticks, strict=True))
        axes.set_yticks(*zip(*chart.y_ticks, strict=True))
        axes.grid(alpha=0.3)
    if any(inks[label].dash == UNRANKED for chart in panels.values() for label in chart.lines):
        figure.supxlabel("dashed: not ranked", fontsize=8, color="gray", ha="left", x=0.01)
    handles, labels = panes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right upper", fontsize=9, handlelength=3.0, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=DPI)

"""Charts of a comparison (SVG): one line a label, the median over seeds, the seeds thin behind it.

Seven colours that colour-blind readers can tell apart (after Okabe and Ito), in a light and a dark version, times three
kinds of line; long dashes are kept for labels whose runs may not be ranked. A line keeps its ink all over the page.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from ba.show.page import Axis, Frame, Html, Ticks, power_ticks
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import Course, Curve, best_cost, course, problem, ranked

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
FRAME = Frame(width=600, height=380, left=74, right=16)

STYLE = (
    ":root {" + "".join(f"--c{i}: {light};" for i, (light, _) in enumerate(COLOURS)) + "}\n"
    "@media screen and (prefers-color-scheme: dark) { :root {"
    + "".join(f"--c{i}: {dark};" for i, (_, dark) in enumerate(COLOURS))
    + "} }\n"
    + "".join(f".ink{i} {{ stroke: var(--c{i}); }}" for i in range(len(COLOURS)))
    + """
.median { fill: none; stroke-width: 1.8; stroke-linejoin: round; } .seed { fill: none; stroke-width: .7; opacity: .22; }
.end { fill: var(--page); stroke-width: 1.8; } .hit { fill: none; stroke: transparent; stroke-width: 12; }
.swatch { display: inline-block; width: 30px; height: 10px; margin-right: .45rem; vertical-align: middle; }
.label { white-space: nowrap; } .legend { display: flex; flex-wrap: wrap; gap: .15rem 1.2rem; font-size: .88rem; }
"""
)


Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Ink:
    """How one label is drawn: the place of its colour in COLOURS, and dash lengths, none for a whole line."""

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


def legend(drawn: Mapping[str, Ink]) -> str:
    return '<div class="legend">' + "".join(named(label, ink) for label, ink in drawn.items()) + "</div>"


def gap_chart(outcomes: Sequence[Outcome], drawn: Mapping[str, Ink], across: str) -> str:
    """A figure: cost above the best, relatively, against `across`, "steps" or "seconds"; outcomes: of one dataset."""
    groups = drawable(outcomes)
    if not groups:
        return '<p class="soft">No cost to draw.</p>'
    best = best_cost(outcomes)
    medians = {label: course(group, best) for label, group in groups.items()}
    seeds = {label: [course([outcome], best) for outcome in group] for label, group in groups.items()}
    x_axis, x_ticks = _x_axis(across, [single for group in seeds.values() for single in group])
    y_axis = _gap_axis(list(medians.values()))

    lines = {label: _points(median, across, x_axis, y_axis) for label, median in medians.items()}

    def behind(label: str) -> str:
        thin = f'class="seed ink{drawn[label].colour}"'
        return "".join(_path(_points(single, across, x_axis, y_axis), thin) for single in seeds[label])

    chart = FRAME.chart(
        f"relative cost above the best against {across}", f"{across} (log)", "cost / best - 1 (log)",
        x_ticks, power_ticks(y_axis), "".join(_series(key, drawn[key], behind(key), lines[key]) for key in lines),
    )  # fmt: skip
    return _figure(chart, lines)


def drawable(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """The runs by label that have a cost, in datasets and seeds that have a best cost above zero."""
    best = best_cost(outcomes)
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.cost and best[problem(outcome)] > 0.0:
            groups.setdefault(outcome.label, []).append(outcome)
    return groups


def profile_chart(curves: Mapping[str, Curve], drawn: Mapping[str, Ink], what: str) -> str:
    """A figure: the share of problems a label solves within a ratio of the best label; what: names the measure."""
    end = farthest(curves)
    x_axis = FRAME.x_axis(0.0, math.log2(end))
    y_axis = FRAME.y_axis(0.0, 1.0)

    corners = {label: stairs(curve, end) for label, curve in curves.items() if len(curve[0])}
    lines = {
        label: [(x_axis(math.log2(ratio)), y_axis(share)) for ratio, share in zip(*found, strict=True)]
        for label, found in corners.items()
    }
    chart = FRAME.chart(
        f"performance profile of {what}", f"{what} over the least", "share of problems",
        [(x_axis(math.log2(ratio)), f"{ratio:g}") for ratio in ratio_ticks(end)],
        [(y_axis(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)],
        "".join(_series(label, drawn[label], "", line) for label, line in lines.items()),
    )  # fmt: skip
    return _figure(chart, lines)


def _figure(chart: str, lines: Mapping[str, Points]) -> str:
    names = "; ".join(", ".join(group) for group in coinciding(lines))
    caption = f"<figcaption>On top of each other: {escape(names)}.</figcaption>" if names else ""
    return f"<figure>{chart}{caption}</figure>"


def coinciding(lines: Mapping[str, Points]) -> list[list[str]]:
    """Labels, two and more together, whose lines an eye cannot tell apart: nowhere further than NEAR from the first."""
    groups: list[list[str]] = []
    for label, line in lines.items():
        group = next((group for group in groups if _near(lines[group[0]], line)), None)
        if group is None:
            groups.append([label])
        else:
            group.append(label)
    return [group for group in groups if len(group) > 1]


def _near(one: Points, other: Points) -> bool:
    return len(one) == len(other) and bool(np.all(np.abs(np.subtract(one, other)) <= NEAR))


def stairs(curve: Curve, end: float) -> Curve:
    """The corners of a profile's steps from ratio 1 to `end`."""
    ratios, fractions = curve
    between = (ratios > 1.0) & (ratios <= end)
    won = fractions[ratios <= 1.0].max(initial=0.0)
    at = np.concatenate([[1.0], np.repeat(ratios[between], 2), [end]])
    return at, np.repeat(np.concatenate([[won], fractions[between]]), 2)


def along(median: Course, across: str) -> NDArray[np.float64]:
    return median.seconds if across == "seconds" else median.steps.astype(np.float64)


def limits(singles: Sequence[Course], across: str) -> tuple[float, float]:
    """The first and last place on the axis: steps from 0, seconds from the quickest first step, never the same."""
    last = max(float(along(single, across)[-1]) for single in singles)
    if across == "steps":
        return 0.0, max(last, 1.0)
    first = [float(second) for single in singles for second in single.seconds[1:2] if second > 0.0]
    low = min(first, default=0.1)
    return low, max(last, 2.0 * low)


def visible(median: Course) -> Course:
    """The part of a course to draw: up to the first gap at the floor, with gaps and seconds clipped."""
    arrived = np.flatnonzero(median.gaps <= GAP_FLOOR)
    shown = slice(int(arrived[0]) + 1 if len(arrived) else None)
    gaps = np.clip(median.gaps[shown], GAP_FLOOR, GAP_CEILING)
    return Course(median.steps[shown], median.seconds[shown], gaps)


def farthest(curves: Mapping[str, Curve]) -> float:
    """Where profiles end at the right: the largest ratio within LONGEST_RATIO, at least 2."""
    longest = max((float(ratios[-1]) for ratios, _ in curves.values() if len(ratios)), default=2.0)
    return min(max(longest, 2.0), LONGEST_RATIO)


def ratio_ticks(end: float) -> list[float]:
    return [ratio for ratio in ((1, 1.2, 1.5, 2, 2.5, 3) if end < 4.0 else (1, 2, 4, 8, 16, 32, 64)) if ratio <= end]


def short(share: float) -> str:
    """1e-4 where Python writes 1e-04."""
    return f"1e{round(math.log10(share))}"


def _x_axis(across: str, singles: Sequence[Course]) -> tuple[Axis, Ticks]:
    """A logarithmic axis, of steps + 1 so that the start is on it."""
    low, high = limits(singles, across)
    if across == "steps":
        axis = FRAME.x_axis(0.0, math.log10(1.0 + high))
        return axis, [(axis(math.log10(1.0 + tick)), f"{tick:g}") for tick in (0.0, *round_numbers(1.0, high))]
    axis = FRAME.x_axis(math.log10(low), math.log10(high))
    return axis, [(axis(math.log10(tick)), f"{tick:g}") for tick in round_numbers(low, high)]


def round_numbers(low: float, high: float) -> list[float]:
    """For a logarithmic axis: numbers with digits 1, 2 and 5, or powers of ten alone over more than three decades."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    digits = (1, 2, 5) if math.log10(high / low) < 3.0 else (1,)
    return [digit * 10.0**power for power in powers for digit in digits if low <= digit * 10.0**power <= high]


def _gap_axis(medians: Sequence[Course]) -> Axis:
    highest = max(float(np.max(median.gaps, where=np.isfinite(median.gaps), initial=0.1)) for median in medians)
    return FRAME.y_axis(math.log10(GAP_FLOOR), math.ceil(math.log10(min(highest, GAP_CEILING))))


def _points(median: Course, across: str, x_axis: Axis, y_axis: Axis) -> Points:
    shown = visible(median)
    at = shown.steps + 1.0 if across == "steps" else np.maximum(shown.seconds, 10.0**x_axis.low)
    gaps = np.minimum(np.log10(shown.gaps), y_axis.high)
    return [(x_axis(x), y_axis(y)) for x, y in zip(np.log10(at), gaps, strict=True)]


def _path(points: Points, attributes: str) -> str:
    return f'<polyline {attributes} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def _series(label: str, ink: Ink, behind: str, points: Points) -> str:
    """A label's line, its end marked by a ring, or a cross where the label may not be ranked."""
    x, y = points[-1]
    cross = f'<path class="end ink{ink.colour}" d="M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"/>'
    ring = f'<circle class="end ink{ink.colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    hit = _path(points, 'class="hit"')
    return (
        f'<g class="line is{ink.number}"><title>{escape(label)}</title>{behind}{_path(points, str(ink))}'
        f"{hit}{cross if ink.dash == UNRANKED else ring}</g>"
    )

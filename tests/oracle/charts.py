"""The two charts of report.html and what is printed below them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.iterations import ITERATION
from tests.oracle.known import Known, between, known
from tests.oracle.markup import Element, Page, Scale, scales
from tests.oracle.printed import Printed, matched, parsed
from tests.oracle.projecting import norms, rounding
from tests.oracle.robust import MEDIANS
from tests.oracle.summary import SUMMARY

BARS = 60
SHARE, MOST_MEDIANS = 0.999, 2 * MEDIANS
"""The histogram's axis holds this share of the residuals, but no more than so many medians."""


def cost_chart(page: Page, case: Case) -> Iterator[Printed]:
    chart = next(page.sections["Cost"].all("svg"))
    across, up = scales(chart)
    dots = [(dot.number("cx"), dot.number("cy")) for dot in chart.all("circle")]
    curve = [tuple(map(float, pair.split(","))) for pair in next(chart.all("polyline")).attributes["points"].split()]
    assert dots == curve
    costs = [known(ITERATION["cost"](case, step)).value for step in range(len(case.states))]
    assert len(dots) == len(costs)
    for step, ((x, y), value) in enumerate(zip(dots, costs, strict=True)):
        yield across.read(f"Cost, dot {step}, across", x, step)
        yield up.read(f"Cost, dot {step}, up", y, math.log10(value))


def end_of_axis(case: Case) -> float:
    lengths = norms(case.end)
    return float(min(np.quantile(lengths, SHARE), MOST_MEDIANS * np.median(lengths)))


def histogram(page: Page, case: Case) -> Iterator[Printed]:
    chart = next(page.sections["Residuals at the end"].all("svg"))
    lengths, moved, end = norms(case.end), rounding(case.end), end_of_axis(case)
    across, up = scales(chart)
    bars = list(chart.all("rect"))
    within = [bar for bar in bars if bar.attributes["class"] == "bar"]
    drawn = {round(across(bar.number("x") - 0.5) / end * BARS): bar for bar in within}
    assert set(drawn) <= set(range(BARS))
    assert len(drawn) == len(within)
    edges = end * np.arange(BARS + 1) / BARS
    for i, inside in enumerate(_counts(lengths, moved, edges)):
        yield from _bar(f"Residuals, bar {i}", drawn.get(i), (across, up), edges[i : i + 2], inside)
    (beyond,) = [bar for bar in bars if bar not in within] or [None]
    count = _beyond(case)
    if beyond is None:
        yield Printed("Residuals, more than the axis holds", "0", count)
    else:
        yield from matched("Residuals, last bar", next(beyond.all("title")).text, [(end, 3), (count, None)])
        yield up.read("Residuals, last bar, height", beyond.number("y"), math.log10(count.value))


def _counts(lengths: Any, moved: Any, edges: Any) -> Iterator[Known]:
    """How many residuals lie in each bar, the least and the most where rounding may move one."""
    for i in range(BARS):
        low, high = edges[i], edges[i + 1] * (1 + 1e-15 if i == BARS - 1 else 1)
        surely = (lengths - moved >= low) & (lengths + moved < high)
        maybe = (lengths + moved >= low) & (lengths - moved < high)
        yield between(int(surely.sum()), int(maybe.sum()))


def _beyond(case: Case) -> Known:
    return Known(int((norms(case.end) > end_of_axis(case)).sum()))


def _bar(place: str, bar: Element | None, axes: tuple[Scale, Scale], edges: Any, inside: Known) -> Iterator[Printed]:
    if bar is None:
        yield Printed(f"{place}, count of what is not drawn", "0", inside)
        return
    across, up = axes
    low, _, high, _, count = next(bar.all("title")).text.replace(":", "").split()
    yield Printed(f"{place}, from", low, Known(float(edges[0])), digits=3)
    yield Printed(f"{place}, to", high, Known(float(edges[1])), digits=3)
    yield Printed(f"{place}, count", count, inside)
    yield up.read(f"{place}, height", bar.number("y"), math.log10(parsed(count)))
    yield across.read(f"{place}, left", bar.number("x") - 0.5, edges[0])
    yield across.read(f"{place}, right", bar.number("x") + bar.number("width") + 0.5, edges[1])


def caption(page: Page, case: Case) -> Iterator[Printed]:
    text = next(page.sections["Residuals at the end"].all("figcaption")).words
    lengths, moved = norms(case.end), rounding(case.end)
    worst, beyond = int(lengths.argmax()), _beyond(case)
    expected: list[tuple[Any, int | None]] = [
        (SUMMARY["final_median_px"](case), 6),
        (Known(float(lengths[worst]), float(moved[worst])), 6),
    ]
    if beyond.value:
        share = 100 * beyond.value / len(lengths)
        expected += [(beyond, None), (len(lengths), None), (share, 2), (end_of_axis(case), 3)]
    yield from matched("Residuals, caption", text, expected)

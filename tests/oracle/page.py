"""report.html: every cell of its tables, the lines of its head, its charts and their captions.

Charts are read as a reader does: a mark's place between the ticks of its axis is a number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from html.parser import HTMLParser
from typing import Any

import numpy as np

from oracle.case import Case
from oracle.iterations import ITERATION
from oracle.known import Known, between, known
from oracle.printed import Printed, matched, parsed
from oracle.projecting import norms, rounding
from oracle.summary import SUMMARY

BARS = 60
SHARE = 0.999
"""Of the residuals, those that the axis of their histogram holds."""
DRAWN = 0.11
"""Units of the drawing that two rounded places leave open."""


@dataclass
class Element:
    """A tag with its attributes, the text directly inside it and the elements inside it."""

    tag: str
    attributes: dict[str, str]
    text: str = ""
    inside: list[Element] = field(default_factory=list)

    def all(self, *tags: str) -> Iterator[Element]:
        for element in self.inside:
            if element.tag in tags:
                yield element
            yield from element.all(*tags)

    @property
    def words(self) -> str:
        return self.text + "".join(element.words for element in self.inside)

    def number(self, name: str) -> float:
        return float(self.attributes[name])


class Page(HTMLParser):
    """The tree of a page, and its sections by heading."""

    VOID = ("meta", "img")

    def __init__(self, html: str) -> None:
        super().__init__()
        self.root = Element("page", {})
        self._open = [self.root]
        self.feed(html)
        self.close()
        self.sections = {next(s.all("h2")).text: s for s in self.root.all("section")}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].inside.append(element)
        if tag not in self.VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open[-1].inside.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        self._open.pop()

    def handle_data(self, data: str) -> None:
        self._open[-1].text += data


@cache
def page_of(case: Case) -> Page:
    return Page((case.last.path / "report.html").read_text())


def rows(section: Element) -> list[list[str]]:
    """The cells of a section's tables, the heads among them."""
    return [[cell.words for cell in line.all("td", "th")] for line in section.all("tr")]


# --- what is printed --------------------------------------------------------------------------------------------------

RESULT: dict[str, tuple[str, str]] = {
    "cost": ("initial_cost", "final_cost"),
    "RMS reprojection error, px": ("initial_rms_px", "final_rms_px"),
    "median reprojection error, px": ("initial_median_px", "final_median_px"),
    "observations behind their camera": ("behind_camera_start", "behind_camera_end"),
}
"""Rows of the table `Result`: the keys of the summary of its two columns."""

SETTINGS = {
    "rotation": "rotation", "solver": "solver", "gauge": "gauge", "loss": "loss", "iterations": "iterations",
    "solve, s": "solve_seconds", "whole run, s": "total_seconds", "seed": "seed", "data": "data_path",
    "data, SHA-256": "data_sha256",
}  # fmt: skip
"""Rows of `Settings and versions`, but for the versions."""

HEAD = {
    "iterations": "iterations", "s in the solver": "solve_seconds", "s in all": "total_seconds",
    "images": "num_images", "cameras": "num_cameras", "points": "num_points", "observations": "num_observations",
}  # fmt: skip
"""What stands behind each number in the head."""

COLUMNS: dict[str, tuple[str, int | None]] = {
    "iteration": ("iteration", None), "cost": ("cost", 9), "change": ("cost_change", 4), "step": ("step_norm", 4),
    "gradient": ("gradient_norm", 4), "evaluations": ("evaluations", None), "seconds": ("seconds", None),
}  # fmt: skip
"""Columns of the table `Iterations`: the field of a line, and its significant digits."""


def of_summary(case: Case, key: str) -> Known:
    """As the oracle computes it; a time as the summary has it, for it is measured once."""
    return Known(case.last.summary[key]) if key.endswith("_seconds") else known(SUMMARY[key](case))


def cell(place: str, text: str, value: Known) -> Printed:
    """Six significant digits of what is no integer; `none` where nothing is given."""
    value = Known("none") if value.value is None else value
    return Printed(place, text, value, digits=6 if isinstance(value.value, float) else None)


def head(page: Page, case: Case) -> Iterator[Printed]:
    header = next(page.root.all("header"))
    status, *lines = (paragraph.words for paragraph in header.all("p"))
    yield Printed("head, status", status.partition(":")[0], of_summary(case, "status"))
    for part in ", ".join(lines).split(", "):
        number, _, name = part.partition(" ")
        yield cell(f"head, {name}", number, of_summary(case, HEAD[name]))


def result(page: Page, case: Case) -> Iterator[Printed]:
    (_, *ends), *lines = rows(page.sections["Result"])
    assert ends == ["start", "end"]
    for label, *texts in lines:
        for text, key, end in zip(texts, RESULT[label], ends, strict=True):
            yield cell(f"Result, {label}, {end}", text, of_summary(case, key))


def settings(page: Page, case: Case) -> Iterator[Printed]:
    for label, text in rows(page.sections["Settings and versions"]):
        if label == "versions":
            names = ("python", "ba", "numpy", "scipy", "numba")
            value = known(", ".join(f"{name} {SUMMARY[f'versions.{name}'](case)}" for name in names))
        else:
            value = of_summary(case, SETTINGS[label])
        yield cell(f"Settings, {label}", text, value)


def iterations(page: Page, case: Case) -> Iterator[Printed]:
    heads, *lines = rows(page.sections["Iterations"])
    assert len(lines) == len(case.states)
    for step, texts in enumerate(lines):
        for name, text in zip(heads, texts, strict=True):
            quantity, digits = COLUMNS[name]
            place = f"Iterations, {name}, step {step}"
            if quantity == "seconds":
                yield Printed(place, text, Known(case.last.iterations[step]["seconds"]), decimals=3)
            else:
                yield Printed(place, text, known(ITERATION[quantity](case, step)), digits)


# --- charts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """A straight line through two ticks, from places of the drawing to numbers."""

    ticks: tuple[tuple[float, float], ...]

    @property
    def per_unit(self) -> float:
        (place, value), (other, last) = self.ticks[0], self.ticks[-1]
        return (last - value) / (other - place)

    def __call__(self, place: float) -> float:
        return self.ticks[0][1] + (place - self.ticks[0][0]) * self.per_unit

    def read(self, where: str, place: float, value: float) -> Printed:
        """A mark at `place` that should stand for `value`."""
        return Printed(where, repr(self(place)), Known(float(value), DRAWN * abs(self.per_unit)))


def scales(chart: Element, y: Callable[[float], float]) -> tuple[Scale, Scale]:
    """The two axes by their ticks, whose labels stand beside or below them; y: what a label's number is drawn as."""
    texts = [text for text in chart.all("text") if "transform" not in text.attributes]
    across = [(t.number("x"), parsed(t.text)) for t in texts if t.attributes["text-anchor"] == "middle" and _is(t.text)]
    up = [(t.number("y") - 4, y(parsed(t.text))) for t in texts if t.attributes["text-anchor"] == "end"]
    return Scale(tuple(across)), Scale(tuple(up))


def _is(text: str) -> bool:
    try:
        parsed(text)
    except ValueError:
        return False
    return True


def cost_chart(page: Page, case: Case) -> Iterator[Printed]:
    chart = next(page.sections["Cost"].all("svg"))
    across, up = scales(chart, math.log10)
    dots = [(dot.number("cx"), dot.number("cy")) for dot in chart.all("circle")]
    curve = [tuple(map(float, pair.split(","))) for pair in next(chart.all("polyline")).attributes["points"].split()]
    assert dots == curve
    costs = [known(ITERATION["cost"](case, step)).value for step in range(len(case.states))]
    assert len(dots) == len(costs)
    for step, ((x, y), value) in enumerate(zip(dots, costs, strict=True)):
        yield across.read(f"Cost, dot {step}, across", x, step)
        yield up.read(f"Cost, dot {step}, up", y, math.log10(value))


def histogram(page: Page, case: Case) -> Iterator[Printed]:
    chart = next(page.sections["Residuals at the end"].all("svg"))
    lengths, moved = norms(case.end), rounding(case.end)
    end = float(np.quantile(lengths, SHARE))
    across, up = scales(chart, math.log10)
    for (_, label), value in zip(across.ticks, np.linspace(0, end, len(across.ticks)), strict=True):
        yield Printed(f"Residuals, tick {label}", repr(label), Known(float(value)), digits=3)
    exact = Scale(((across.ticks[0][0], 0.0), (across.ticks[-1][0], end)))
    edges = end * np.arange(BARS + 1) / BARS
    drawn = {round(exact(bar.number("x") - 0.5) / end * BARS): bar for bar in chart.all("rect")}
    assert set(drawn) <= set(range(BARS))
    for i, inside in enumerate(_counts(lengths, moved, edges)):
        yield from _bar(f"Residuals, bar {i}", drawn.get(i), (exact, up), edges[i : i + 2], inside)


def _counts(lengths: Any, moved: Any, edges: Any) -> Iterator[Known]:
    """How many residuals lie in each bar, the least and the most where rounding may move one; the last has no end."""
    for low, high in zip(edges, [*edges[1:-1], math.inf], strict=False):
        surely = (lengths - moved >= low) & (lengths + moved < high)
        maybe = (lengths + moved >= low) & (lengths - moved < high)
        yield between(int(surely.sum()), int(maybe.sum()))


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
    lengths = norms(case.end)
    beyond = int((lengths > np.quantile(lengths, SHARE)).sum())
    largest = int(lengths.argmax())
    expected: list[tuple[Any, int | None]] = [
        (of_summary(case, "final_median_px"), 6),
        (Known(float(lengths[largest]), float(rounding(case.end)[largest])), 6),
        (beyond, None),
    ]
    yield from matched("Residuals, caption", text, expected)


PARTS: dict[str, Callable[[Page, Case], Iterator[Printed]]] = {
    "head": head,
    "table Result": result,
    "chart Cost": cost_chart,
    "chart Residuals at the end": histogram,
    "caption of the residuals": caption,
    "table Iterations": iterations,
    "table Settings and versions": settings,
}

NOT_COMPUTED = {
    "Picture": "a picture",
    "Configuration": "config.yaml word for word, which is what the oracle reads",
}
"""Sections without numbers of their own."""

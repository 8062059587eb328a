"""HTML and SVG, read as a reader does: headings, cells, and marks whose place between ticks is a number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

from tests.oracle.known import Known
from tests.oracle.printed import Printed, parsed

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


def rows(table: Element) -> list[list[str]]:
    """The cells of a table, its heads among them."""
    return [[cell.words for cell in line.all("td", "th")] for line in table.all("tr")]


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
        """A mark at `place` that should stand for `value`; a tick's own rounding grows with the distance from it."""
        first, last = self.ticks[0][0], self.ticks[-1][0]
        beyond = max(1.0, abs(place - first) / abs(last - first))
        return Printed(where, repr(self(place)), Known(float(value), beyond * DRAWN * abs(self.per_unit)))


def scales(chart: Element, up: Callable[[float], float] = math.log10) -> tuple[Scale, Scale]:
    """The two axes by their ticks, whose labels stand below or beside them; up: how the second draws a number."""
    labels = [text for text in chart.all("text") if "transform" not in text.attributes]
    across = [(t.number("x"), t.text) for t in labels if t.attributes["text-anchor"] == "middle"]
    beside = [(t.number("y") - 4, t.text) for t in labels if t.attributes["text-anchor"] == "end"]
    return (
        Scale(tuple((place, parsed(text)) for place, text in across if is_number(text))),
        Scale(tuple((place, up(parsed(text))) for place, text in beside)),
    )


def is_number(text: str) -> bool:
    try:
        parsed(text)
    except ValueError:
        return False
    return True

"""Parts of an HTML page that needs nothing else: styles, tables and charts (SVG) are inside it.

The page follows the reader's light or dark setting and prints. What is given as `str` is escaped, `Html` is not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ba.system.words import printable

STYLE = "\n" + Path(__file__).with_name("page.css").read_text(encoding="utf-8")


class Html(str):
    """Markup, its outside parts escaped already."""


def escaped(text: str) -> str:
    return text if isinstance(text, Html) else escape(text)


def document(title: str, body: str, style: str = "") -> str:
    """The whole page; `style` is added to the common one. Control characters, as in names of files, are shown."""
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}{style}</style></head>\n<body>\n{body}\n</body></html>\n"
    )
    return printable(page, keep="\n")


def section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def span(kind: str, text: str) -> Html:
    """Text of a kind that a style describes."""
    return Html(f'<span class="{kind}">{escape(text)}</span>')


def soft(text: str) -> str:
    """A paragraph in the soft colour."""
    return f'<p class="soft">{escape(text)}</p>'


def figure(content: str, caption: str) -> str:
    """A figure with its caption, or with none where that is empty."""
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f"<figure>{content}{below}</figure>"


def polyline(points: Sequence[tuple[float, float]], attributes: str) -> str:
    """SVG of a line through `points`."""
    return f'<polyline {attributes} points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>'


def text_of(value: Any) -> str:
    """A value as a reader wants it: six digits, thousands set apart, pairs for a mapping."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if isinstance(value, float | np.floating):
        number = float(value)
        return f"{number:,.6g}" if abs(number) < 1e6 else f"{number:,.0f}" if abs(number) < 1e12 else f"{number:.6e}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items())
    return str(value)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], groups: Sequence[tuple[str, int]] = ()) -> str:
    """A table that scrolls in its own box; groups: headings over the columns, each with the columns it spans."""

    def line(tag: str, cells: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{tag}>{escaped(cell)}</{tag}>" for cell in cells) + "</tr>"

    over = "".join(f'<th colspan="{span}">{escape(text)}</th>' for text, span in groups)
    top = f'<tr class="groups">{over}</tr>' if groups else ""
    body = "".join(line("td", row) for row in rows)
    return f'<div class="wide"><table><thead>{top}{line("th", head)}</thead><tbody>{body}</tbody></table></div>'


@dataclass(frozen=True)
class Axis:
    """A linear map from [low, high] to [start, end] of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


Ticks = list[tuple[float, str]]


def whole_ticks(axis: Axis) -> Ticks:
    step = max(math.ceil(axis.high / 10), 1)
    return [(axis(value), str(value)) for value in range(0, int(axis.high) + 1, step)]


def round_ticks(end: float, most: int = 8) -> list[float]:
    """Multiples from 0 to `end` of 1, 2 or 5 times a power of ten, at most `most` of them and one more."""
    power = 10.0 ** math.floor(math.log10(end / most))
    step = next(digit * power for digit in (1.0, 2.0, 5.0, 10.0, 20.0) if digit * power * most >= end)
    return [step * i for i in range(int(end / step * (1.0 + 1e-12)) + 1)]


def power_ticks(axis: Axis) -> Ticks:
    powers = range(math.ceil(axis.low), int(axis.high) + 1)
    step = max(math.ceil(len(powers) / 8), 1)
    return [(axis(power), f"1e{power}" if not 0 <= power <= 6 else f"{10**power:,}") for power in powers[::step]]


@dataclass(frozen=True)
class Frame:
    """The size of a chart and the margins around its data, in the drawing's units."""

    width: int = 720
    height: int = 300
    left: int = 100
    right: int = 14
    top: int = 14
    bottom: int = 46

    def x_axis(self, low: float, high: float) -> Axis:
        return Axis(low, high, self.left, self.width - self.right)

    def y_axis(self, low: float, high: float) -> Axis:
        return Axis(low, high, self.height - self.bottom, self.top)

    def chart(self, label: str, x_label: str, y_label: str, x_ticks: Ticks, y_ticks: Ticks, marks: str) -> str:
        """SVG of `marks` with axes; label: for readers who do not see it."""
        end, floor = self.width - self.right, self.height - self.bottom
        middle = (self.top + floor) / 2
        heights = [*(y for y, _ in y_ticks), floor]
        grid = "".join(f'<line class="grid" x1="{self.left}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>' for y in heights)
        texts = [
            *(_text(self.left - 8, y + 4, text, "end") for y, text in y_ticks),
            *(_text(x, floor + 18, text) for x, text in x_ticks),
            _text((self.left + end) / 2, self.height - 8, x_label),
            _text(14, middle, y_label, rest=f' transform="rotate(-90 14 {middle})"'),
        ]
        head = f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(label)}">'
        return f"{head}{grid}{''.join(texts)}{marks}</svg>"


def _text(x: float, y: float, text: str, anchor: str = "middle", rest: str = "") -> str:
    return f'<text x="{x:.5g}" y="{y:.5g}" text-anchor="{anchor}"{rest}>{escape(text)}</text>'

"""Numbers as a reader sees them: found in text, and held to what they should be by the digits that are printed."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from tests.oracle.known import Known

NUMBER = re.compile(r"(?<![\w.])-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?|(?<!\w)(?:nan|inf)(?!\w)")


def numbers(text: str) -> list[str]:
    """Every number in a text; the hyphen of `4-9` and of `image-3` is no sign."""
    return NUMBER.findall(text)


def parsed(text: str) -> float:
    return float(text.replace(",", ""))


@dataclass(frozen=True)
class Printed:
    """Something on a page or in a line: where it stands, what is printed, what is known, and how many digits count.

    digits: significant ones; or `decimals` after the point; without both an integer or a text, which are exact.
    """

    place: str
    text: str
    known: Known
    digits: int | None = None
    decimals: int | None = None

    def difference(self) -> float:
        """Relative difference beyond what the printed digits leave open; infinite where another thing is printed."""
        return Known(self.known.value, self.known.slack + self.open()).difference(self.found)

    def raw(self) -> float:
        """The same, the digits that are not printed among it."""
        return self.known.raw(self.found)

    @property
    def found(self) -> str | float:
        if isinstance(self.known.value, str):
            return self.text
        try:
            return parsed(self.text)
        except ValueError:
            return self.text

    def open(self) -> float:
        """Half of the last digit; the share on top is for a value that is itself halfway between two."""
        if isinstance(self.known.value, str):
            return 0.0
        value = abs(float(self.known.value))
        if self.decimals is not None:
            return 0.5 * 10.0**-self.decimals * (1 + 1e-9)
        if self.digits is None or not 0 < value < math.inf:
            return 0.0
        return 0.5 * 10.0 ** (math.floor(math.log10(value)) + 1 - self.digits) * (1 + 1e-9)


def matched(place: str, text: str, expected: list[tuple[Any, int | None]]) -> list[Printed]:
    """The numbers of a text in order, each with (what is known, significant digits) of it; none may be left."""
    found = numbers(text)
    values = [value if isinstance(value, Known) else Known(value) for value, _ in expected]
    if len(found) != len(values):
        return [Printed(f"{place}: {text}", f"{len(found)} numbers", Known(f"{[one.value for one in values]}"))]
    return [
        Printed(f"{place}, number {i}", one, value, digits)
        for i, (one, value, (_, digits)) in enumerate(zip(found, values, expected, strict=True), 1)
    ]

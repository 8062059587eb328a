"""An answer of the oracle: a value, and by how much rounding may move it.

Two programs that work in float64 agree to the rounding of what they are given. Where a number of the input is large
beside what it decides, as coordinates of 5e6 m are beside a millimetre, this is much more than 1e-12, and the oracle
says how much: `slack` is a bound on the effect of EPS times a few on every number that is read, to first order. What
is left after the slack has to be below 1e-12 of the value.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

EPS = float(np.finfo(float).eps)
ROUNDING = 16.0 * EPS
"""By which share a number that went through a few operations, or through a file's other way to write it, may differ."""

AGREEMENT = 1e-12


@dataclass(frozen=True)
class Known:
    """value: a number, a text or None; slack: how much rounding may move a number."""

    value: Any
    slack: float = 0.0

    def difference(self, found: Any) -> float:
        """Relative difference of what `ba` says, beyond the slack; infinite where another thing is said."""
        return self._share(found, self.slack)

    def raw(self, found: Any) -> float:
        """The same without slack, for tables; a slack that hides a difference is seen there."""
        return self._share(found, 0.0)

    def _share(self, found: Any, slack: float) -> float:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float | np.number):
            return 0.0 if found == self.value else math.inf
        if isinstance(found, bool) or not isinstance(found, int | float):
            return math.inf
        if found == self.value or (math.isnan(found) and math.isnan(self.value)):
            return 0.0
        beyond = max(abs(found - self.value) - slack, 0.0)
        return beyond / abs(self.value) if self.value and math.isfinite(self.value) else math.inf if beyond else 0.0

    @property
    def sharpness(self) -> float:
        """The relative difference that would not be seen."""
        if isinstance(self.value, bool) or not isinstance(self.value, float) or not self.value:
            return 0.0
        return self.slack / abs(self.value)


def known(value: Any) -> Known:
    return value if isinstance(value, Known) else Known(value)


def between(low: float, high: float) -> Known:
    """A value that lies between two bounds."""
    return Known(0.5 * (low + high), 0.5 * (high - low))

"""A distance between two points that is known, as from a scale bar: r = (|X_i - X_j| - d) / sigma.

d r / d X_i = u / sigma with u the unit vector from X_j to X_i, and its negative by X_j. Where the points coincide u is
set to zero: the distance has no derivative there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from ba.model.arrays import Array, Int
from ba.model.terms.term import Term, TermBlocks, Touch

if TYPE_CHECKING:
    from ba.model.similarity import Similarity
    from ba.model.variables import State


@dataclass(frozen=True, eq=False)
class Distance(Term):
    """Points first (n,) and second (n,) are `distance` (n,) apart, with standard deviation sigma (n,), world units."""

    first: Int
    second: Int
    distance: Array
    sigma: Array
    rows = 1

    @property
    def touches(self) -> tuple[Touch, ...]:
        return Touch("point", self.first), Touch("point", self.second)

    def residual(self, state: State) -> Array:
        return ((_length(self._between(state)) - self.distance) / self.sigma)[:, None]

    def linearize(self, state: State) -> TermBlocks:
        between = self._between(state)
        length = _length(between)
        along = between / (np.where(length == 0.0, 1.0, length) * self.sigma)[:, None]
        return TermBlocks(self.residual(state), (along[:, None, :], -along[:, None, :]))

    def measured(self) -> Array:
        return (self.distance / self.sigma)[:, None]

    def transformed(self, similarity: Similarity) -> Self:
        return replace(self, distance=similarity.scale * self.distance, sigma=similarity.scale * self.sigma)

    def renumbered(self, points: Int) -> Self:
        return replace(self, first=points[self.first], second=points[self.second])

    def _between(self, state: State) -> Array:
        return np.asarray(state.points[self.first] - state.points[self.second])


def _length(vectors: Array) -> Array:
    """(n,), analytic for complex vectors (n, 3)."""
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=1)))

"""Where a camera's centre is known to be, as from GPS: r = W (C - p) with C = -R^T t.

d C / d t = -R^T, and by the entries of R, d C_c / d R_ab = -t_a where b = c, else zero.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from ba.model.arrays import Array, Int
from ba.model.terms.term import Term, TermBlocks, Touch, by_rotation, inverse_factor

if TYPE_CHECKING:
    from ba.model.similarity import Similarity
    from ba.model.variables import State


@dataclass(frozen=True, eq=False)
class PositionPrior(Term):
    """The centre of each image (n,) is at position (n, 3), world units, with covariance (n, 3, 3), world units^2."""

    image: Int
    position: Array
    covariance: Array
    rows = 3

    @property
    def touches(self) -> tuple[Touch, ...]:
        return (Touch("pose", self.image),)

    @property
    def whitener(self) -> Array:
        """(n, 3, 3)"""
        return inverse_factor(self.covariance)

    def residual(self, state: State) -> Array:
        R, t = state.rotations[self.image], state.translations[self.image]
        return np.asarray(np.einsum("nij,nj->ni", self.whitener, -np.einsum("nab,na->nb", R, t) - self.position))

    def linearize(self, state: State) -> TermBlocks:
        R, t = state.rotations[self.image], state.translations[self.image]
        W = self.whitener
        by_entries = -np.einsum("nic,na->niac", W, t)
        turn = by_rotation(by_entries, R, state.tangent_map[self.image])
        return TermBlocks(self.residual(state), (np.concatenate([turn, -W @ np.swapaxes(R, 1, 2)], axis=2),))

    def measured(self) -> Array:
        return np.asarray(np.einsum("nij,nj->ni", self.whitener, self.position))

    def transformed(self, similarity: Similarity) -> Self:
        Q, s = similarity.rotation, similarity.scale
        return replace(self, position=similarity.apply(self.position), covariance=s**2 * Q @ self.covariance @ Q.T)

"""Points that are known in the world and in a camera's frame: r_i = (q_i - (R x_i + t)) / sigma_i, or its length.

    `PointAlignment`      r_i, 3 numbers a point:     d r_i = -d(R x_i) - d t
    `AlignmentDistance`   n_i = |r_i|, 1 number:      d n_i = r_i^T / |r_i| d r_i

Both have the cost 0.5 sum |r_i|^2 and the same gradient, but not the same Gauss-Newton matrix: that of the length keeps
of d r_i only the part along r_i, about a third. Its steps are about three times too long, damping shortens them, and
convergence is linear where that of the vector is quadratic. |r| has no derivative at r = 0; there d n_i is set to zero,
which gives the cost its true gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from ba.model.arrays import Array, Int
from ba.model.terms.term import Term, TermBlocks, Touch, by_rotation

if TYPE_CHECKING:
    from ba.model.similarity import Similarity
    from ba.model.variables import State


@dataclass(frozen=True, eq=False)
class PointAlignment(Term):
    """Point `world` (n, 3) is at `camera` (n, 3) in the frame of image (n,), with standard deviation sigma (n,), all in
    world units."""

    image: Int
    camera: Array
    world: Array
    sigma: Array
    rows = 3

    @property
    def touches(self) -> tuple[Touch, ...]:
        return (Touch("pose", self.image),)

    def residual(self, state: State) -> Array:
        return self._vector(state)

    def linearize(self, state: State) -> TermBlocks:
        R = state.rotations[self.image]
        W = -np.eye(3) / self.sigma[:, None, None]
        by_entries = W[:, :, :, None] * self.world[:, None, None, :]
        turn = by_rotation(by_entries, R, state.tangent_map[self.image])
        return TermBlocks(self._vector(state), (np.concatenate([turn, W], axis=2),))

    def measured(self) -> Array:
        return np.asarray(self.camera / self.sigma[:, None])

    def transformed(self, similarity: Similarity) -> Self:
        s = similarity.scale  # of the cameras' frames too
        return replace(self, camera=s * self.camera, world=similarity.apply(self.world), sigma=s * self.sigma)

    def _vector(self, state: State) -> Array:
        R, t = state.rotations[self.image], state.translations[self.image]
        return np.asarray((self.camera - (np.einsum("nij,nj->ni", R, self.world) + t)) / self.sigma[:, None])


@dataclass(frozen=True, eq=False)
class AlignmentDistance(PointAlignment):
    """As `PointAlignment`, by how far each point is off."""

    rows = 1

    def residual(self, state: State) -> Array:
        r = self._vector(state)
        return np.asarray(np.sqrt((r * r).sum(axis=1, keepdims=True)))

    def linearize(self, state: State) -> TermBlocks:
        whole = super().linearize(state)
        length = self.residual(state)
        along = whole.residual / np.where(length == 0.0, 1.0, length)
        return TermBlocks(length, (along[:, None, :] @ whole.derivatives[0],))

    def measured(self) -> Array:
        return np.asarray(np.linalg.norm(super().measured(), axis=1, keepdims=True))

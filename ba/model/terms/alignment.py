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
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from ba.model.arrays import Array, Int
from ba.model.rotation import so3
from ba.model.terms.term import Term, TermBlocks, Touch

if TYPE_CHECKING:
    from ba.model.similarity import Similarity
    from ba.model.variables import State

AGAINST = -so3.hat(np.eye(3))
"""(3, 3, 3): the sum over c of x[c] times AGAINST[c] is -[x]_x."""


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

    @cached_property
    def weight(self) -> Array:
        """(n, 1)"""
        return 1.0 / self.sigma[:, None]

    def residual(self, state: State) -> Array:
        return self._vector(state, self._turned(state))

    def linearize(self, state: State) -> TermBlocks:
        turned = self._turned(state)
        turn = self._turn(state, turned)
        J = np.empty((*turn.shape[:2], turn.shape[2] + 3), turn.dtype)
        J[:, :, :-3], J[:, :, -3:] = turn, np.eye(3)
        J *= -self.weight[:, :, None]
        return TermBlocks(self._vector(state, turned), (J,))

    def measured(self) -> Array:
        return np.asarray(self.camera / self.sigma[:, None])

    def transformed(self, similarity: Similarity) -> Self:
        s = similarity.scale  # of the cameras' frames too
        return replace(self, camera=s * self.camera, world=similarity.apply(self.world), sigma=s * self.sigma)

    def _turned(self, state: State) -> Array:
        """R x, (n, 3)."""
        return self._each(self.world, state.rotations.swapaxes(1, 2))

    def _turn(self, state: State, turned: Array) -> Array:
        """d(R x) by the numbers of the rotation, (n, 3, k)."""
        G = state.tangent_map
        if G.shape[1] == 9:
            return self._each(self.world, G.reshape(len(G), 3, 3, -1).swapaxes(1, 2))
        return self._each(turned, AGAINST @ G[:, None])

    def _each(self, vectors: Array, maps: Array) -> Array:
        """(n, ...) sum over c of vectors[:, c] times maps[image, c], for vectors (n, 3) and maps (n_images, 3, ...)."""
        flat = maps.reshape(len(maps), 3, -1)
        product = vectors @ flat[0] if len(flat) == 1 else np.einsum("nc,ncm->nm", vectors, flat[self.image])
        return np.asarray(product).reshape(len(vectors), *maps.shape[2:])

    def _vector(self, state: State, turned: Array) -> Array:
        t = state.translations if len(state.translations) == 1 else state.translations[self.image]
        return np.asarray((self.camera - (turned + t)) * self.weight)


@dataclass(frozen=True, eq=False)
class AlignmentDistance(PointAlignment):
    """As `PointAlignment`, by how far each point is off."""

    rows = 1

    def residual(self, state: State) -> Array:
        return _length(super().residual(state))

    def linearize(self, state: State) -> TermBlocks:
        turned = self._turned(state)
        r = self._vector(state, turned)
        length = _length(r)
        along = r * (-self.weight / np.where(length == 0.0, 1.0, length))
        turn = np.einsum("ni,nik->nk", along, self._turn(state, turned))
        return TermBlocks(length, (np.concatenate([turn, along], axis=1)[:, None],))

    def measured(self) -> Array:
        return np.asarray(np.linalg.norm(super().measured(), axis=1, keepdims=True))


def _length(r: Array) -> Array:
    """(n, 1) without `abs`, so that complex states go through."""
    return np.asarray(np.sqrt(np.einsum("ni,ni->n", r, r)))[:, None]

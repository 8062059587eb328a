"""The residuals of all terms behind those of the reprojections, as one vector, with J as a matrix and as an
operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from ba.model.arrays import Array, Int
from ba.model.terms.term import Term

if TYPE_CHECKING:
    from ba.model.variables import Layout, State


@dataclass(frozen=True, eq=False)
class Member:
    """One term at a state: residual (n, rows), derivatives (n, rows, w) by all that it touches, and columns (n, w), the
    places of those numbers in x, -1 where fixed."""

    term: Term
    residual: Array
    derivatives: Array
    columns: Int

    def scaled(self, scale: Array) -> Member:
        """With each member's rows times a factor, (n, 1)."""
        return replace(self, residual=self.residual * scale, derivatives=self.derivatives * scale[:, None])

    def mapped(self, function: Callable[[Array], Array]) -> Member:
        """With a function of each number of residual and derivatives."""
        return replace(self, residual=function(self.residual), derivatives=function(self.derivatives))

    def jvp(self, padded: Array) -> Array:
        """J v (n, rows); padded: v with one zero behind it, for what is fixed."""
        return np.asarray(np.einsum("nrw,nw->nr", self.derivatives, padded[self.columns]))

    def add_vjp(self, u: Array, out: Array) -> None:
        """out (size + 1,) += J^T u for u (n, rows)."""
        np.add.at(out, self.columns, np.einsum("nrw,nr->nw", self.derivatives, u))


def sparse_rows(derivatives: Array, columns: Array, size: int) -> csr_array:
    """(n rows, size) matrix of derivatives (n, rows, w) by the numbers in columns (n, w), of which -1 are left out."""
    n, rows = derivatives.shape[:2]
    free = np.broadcast_to((columns >= 0)[:, None, :], derivatives.shape)
    column = np.broadcast_to(columns[:, None, :], derivatives.shape)[free]
    row = np.broadcast_to(np.arange(n * rows).reshape(n, rows, 1), derivatives.shape)[free]
    return csr_array((derivatives[free], (row, column)), shape=(n * rows, size))


def joined(parts: Sequence[Array]) -> Array:
    """(n_rows,) one vector of the parts (n, rows), a view where there is only one."""
    return parts[0].ravel() if len(parts) == 1 else np.concatenate([part.ravel() for part in parts])


def parted(vector: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """The parts of these shapes that `joined` put together, as views."""
    edges = [0, *accumulate(n * rows for n, rows in shapes)]
    flat = np.ascontiguousarray(vector).ravel()
    return [flat[first:last].reshape(shape) for (first, last), shape in zip(pairwise(edges), shapes, strict=True)]


def linearized(terms: Sequence[Term], state: State, layout: Layout) -> tuple[Member, ...]:
    """Each term at the state."""
    members = []
    for term in terms:
        blocks = term.linearize(state)
        columns = columns_of(term, layout)
        derivatives = np.concatenate(blocks.derivatives, axis=2)
        members.append(Member(term, blocks.residual, np.where(columns[:, None, :] >= 0, derivatives, 0.0), columns))
    return tuple(members)


def columns_of(term: Term, layout: Layout) -> Int:
    """(n, width) columns of x that each member touches, in the order of `touches`; -1 where fixed."""
    of_family = {"pose": layout.image_columns, "point": layout.point_columns}
    return np.hstack([of_family[touch.family][touch.block] for touch in term.touches])

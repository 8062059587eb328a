"""The contract of a term: a family of residuals, each of which touches few blocks of the state.

    r_i = W_i f_i(state)                          (rows,) for each member i, whitened
    J_i = d r_i / d (each block that it touches)  (rows, k + 3) by a pose, (rows, 3) by a point

A pose's columns are those of its rotation's k numbers, then of its translation. A term gives derivatives by the entries
of the rotation matrix; `by_rotation` takes them to the k numbers, so that no term knows a parameterization:
with R' = exp(phi) R the entries move by [phi]_x R, and phi by the tangent map G (3, k); nine free numbers, which do not
stay a rotation, move the entries by G (9, k) itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np

from ba.model.arrays import Array, Bool, Int
from ba.model.loss import Loss

if TYPE_CHECKING:
    from ba.model.similarity import Similarity
    from ba.model.variables import State

Family = Literal["pose", "point"]


@dataclass(frozen=True, eq=False)
class Touch:
    """Which block of a family each member touches, (n,)."""

    family: Family
    block: Int


@dataclass(frozen=True, eq=False)
class TermBlocks:
    """residual (n, rows), and derivatives (n, rows, width) by each touch in the order of `Term.touches`."""

    residual: Array
    derivatives: tuple[Array, ...]


@dataclass(frozen=True, eq=False)
class Term(ABC):
    """A family of n residuals of `rows` numbers each.

    loss: rho of a member's squared norm, None for rho(s) = s. Residuals are finite for every finite state, and take
    complex states analytically, which is what derivatives along a direction are made from.
    """

    rows: ClassVar[int]
    loss: Loss | None = field(default=None, kw_only=True)

    @property
    def shape(self) -> tuple[int, int]:
        """Of its residuals, (n, rows)."""
        return len(self.touches[0].block), self.rows

    @property
    @abstractmethod
    def touches(self) -> tuple[Touch, ...]:
        """What the members touch; a family may come twice."""

    @abstractmethod
    def residual(self, state: State) -> Array:
        """(n, rows) whitened."""

    @abstractmethod
    def linearize(self, state: State) -> TermBlocks:
        """Residuals and derivatives."""

    @abstractmethod
    def measured(self) -> Array:
        """(n, rows) what the residuals would be if the state gave zeros: the whitened measurements. Its norm says how
        large rounding is."""

    @abstractmethod
    def transformed(self, similarity: Similarity) -> Self:
        """The same knowledge after the world's points have gone to similarity.apply(points)."""

    def renumbered(self, points: Int) -> Self:
        """The same knowledge where point i has become points[i]."""
        return self

    def take(self, kept: Any) -> Self:
        """The members `kept`, an index array, mask or slice, of every array of the term."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **{name: array[kept] for name, array in arrays.items()})


def touched_points(terms: Sequence[Term], num_points: int) -> Bool:
    """(num_points,) whether any term touches the point: those stay in the reduced system."""
    touched = np.zeros(num_points, bool)
    for term in terms:
        for touch in term.touches:
            if touch.family == "point":
                touched[touch.block] = True
    return touched


def by_rotation(by_entries: Array, R: Array, G: Array) -> Array:
    """(n, rows, k) derivatives by the numbers of each rotation R (n, 3, 3) with tangent map G (n, 3 or 9, k), of what
    has the derivatives `by_entries` (n, rows, 3, 3) by the entries of R."""
    if G.shape[1] == 9:
        return np.asarray(by_entries.reshape(*by_entries.shape[:2], 9) @ G)
    turned = by_entries @ np.swapaxes(R, -1, -2)[:, None]
    by_phi = np.stack([turned[..., b, a] - turned[..., a, b] for a, b in ((1, 2), (2, 0), (0, 1))], axis=-1)
    return np.asarray(by_phi @ G)


def inverse_factor(covariance: Array) -> Array:
    """(n, m, m) W with W^T W the inverse of each covariance (n, m, m)."""
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))

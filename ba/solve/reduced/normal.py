"""The change to coordinates in which the damped normal equations are the identity: H = L L^T, d = L^-T y.

`Factor` works on groups and points; here its products take the vector x of `ba.model.variables`. Preconditioned SciPy,
the second order around an optimum and sensitivities all solve by this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ba.model.linearization import Linearization
from ba.model.residual import Residuals
from ba.model.variables import Variables
from ba.solve.reduced.choice import choose_factorization
from ba.solve.reduced.direct import DirectRows
from ba.solve.reduced.factor import Factor, factorize
from ba.solve.reduced.partition import Partition, make_partition
from ba.solve.reduced.structure import make_structure
from ba.solve.reduced.system import Eliminator

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class NormalFactor:
    """L of the damped normal equations J^T J + D = L L^T at one state; all vectors are (size,) but for rows of J."""

    factor: Factor
    partition: Partition

    def solve(self, g: Array) -> Array:
        """(L L^T)^-1 g."""
        return self.backward(self.forward(g))

    def forward(self, g: Array) -> Array:
        """L^-1 g."""
        return self.partition.join(*self.factor.forward(*self.partition.split(g)))

    def backward(self, y: Array) -> Array:
        """L^-T y."""
        return self.partition.join(*self.factor.backward(*self.partition.split(y)))

    def times(self, y: Array) -> Array:
        """J L^-T y, (n_rows,)."""
        return self.factor.times(*self.partition.split(y))

    def transposed_times(self, u: Array) -> Array:
        """L^-1 J^T u, for u (n_rows,)."""
        return self.partition.join(*self.factor.transposed_times(u))


class NormalFactors:
    """Makes factors of the linearizations of one problem; each is good until the next is made.

    name: the one of FACTORIZATIONS that size and fill ask for; num_numbers: of poses, cameras and points that are not
    eliminated, with padding.
    """

    def __init__(self, variables: Variables, residuals: Residuals) -> None:
        structure = make_structure(variables.problem, variables.rotation.tangent_dim)
        self.name = choose_factorization(structure)
        self.num_numbers = structure.free.size
        self.partition = make_partition(structure, variables)
        self.eliminate = Eliminator(structure, residuals.threads, explicit=True)
        self.rows = DirectRows(structure, self.partition, residuals, variables.layout)

    def __call__(self, linearization: Linearization, damping: float) -> NormalFactor:
        """Raises SolverError where the equations are singular at this damping."""
        direct = self.rows(linearization.blocks, linearization.members)
        reduced = self.eliminate(self.rows.eliminated(linearization.blocks), damping, direct)
        return NormalFactor(factorize(reduced, self.name), self.partition)

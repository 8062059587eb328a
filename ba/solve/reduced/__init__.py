"""The reduced camera system: eliminating points, and solvers for what remains.

To add a solver: write one file with `solve(reduced, tolerance) -> (step, iterations)` and add one line to
`LINEAR_SOLVERS`; a test holds each against the dense reference.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from numpy.typing import NDArray

from ba.solve.reduced import conjugate_gradients, dense, sparse
from ba.solve.reduced.choice import choose, choose_factorization
from ba.solve.reduced.conjugate_gradients import PRECONDITIONERS
from ba.solve.reduced.direct import DirectRows
from ba.solve.reduced.factor import FACTORIZATIONS, Factor, factorize
from ba.solve.reduced.normal import NormalFactor, NormalFactors
from ba.solve.reduced.partition import Partition, make_partition
from ba.solve.reduced.structure import Structure, make_structure
from ba.solve.reduced.system import Eliminator, Reduced, gradient_norm

LinearSolver = Callable[[Reduced, float], tuple[NDArray[Any], int]]

LINEAR_SOLVERS: dict[str, LinearSolver] = {
    "dense": dense.solve,
    "sparse": sparse.solve,
    "cg": conjugate_gradients.solve,
}


def linear_solver(name: str, preconditioner: str, check: Callable[[], None] = lambda: None) -> LinearSolver:
    """The solver of that name, with that preconditioner of `PRECONDITIONERS` where it takes one.

    check: called before each iteration of conjugate gradients; what it raises ends them.
    """
    if name == "cg":
        return partial(conjugate_gradients.solve, preconditioner=preconditioner, check=check)
    return LINEAR_SOLVERS[name]


__all__ = [
    "FACTORIZATIONS",
    "LINEAR_SOLVERS",
    "PRECONDITIONERS",
    "DirectRows",
    "Eliminator",
    "Factor",
    "LinearSolver",
    "NormalFactor",
    "NormalFactors",
    "Partition",
    "Reduced",
    "Structure",
    "choose",
    "choose_factorization",
    "factorize",
    "gradient_norm",
    "linear_solver",
    "make_partition",
    "make_structure",
]

"""The reduced camera system: eliminating points, and solvers for what remains.

To add a solver: write one file with `solve(reduced, tolerance) -> (step, iterations)` and add one line to
`LINEAR_SOLVERS`; a test holds each against the dense reference.
"""

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from ba.schur import conjugate_gradients, dense, sparse
from ba.schur.structure import Structure, make_structure
from ba.schur.system import Eliminator, Reduced, gradient_norm

LinearSolver = Callable[[Reduced, float], tuple[NDArray[Any], int]]

LINEAR_SOLVERS: dict[str, LinearSolver] = {
    "dense": dense.solve,
    "sparse": sparse.solve,
    "cg": conjugate_gradients.solve,
}

DENSE_NUMBERS = 2500
SPARSE_SHARE = 0.1


def choose(structure: Structure, name: str | None) -> tuple[str, bool]:
    """The linear solver to use, `name` if it is given, and whether S is to be formed for it."""
    if name is None:
        name = "dense" if structure.free.size <= DENSE_NUMBERS else "cg"
        n = structure.num_groups
        if name == "cg" and len(structure.pattern[1]) < SPARSE_SHARE * n * (n + 1) / 2:
            name = "sparse"
    return name, name != "cg"


__all__ = [
    "LINEAR_SOLVERS",
    "Eliminator",
    "LinearSolver",
    "Reduced",
    "Structure",
    "choose",
    "gradient_norm",
    "make_structure",
]

"""The reduced camera system: eliminating points, and solvers for what remains.

To add a solver: write one file with `solve(reduced, tolerance) -> (step, iterations)` and add one line to
`LINEAR_SOLVERS`, or one with `factorize(reduced)` and add one line to `FACTORIZATIONS`, which makes a solver of it. A
test holds each against the dense reference.
"""

from collections.abc import Callable
from functools import partial

from ba.model.arrays import Array
from ba.solve.reduced import conjugate_gradients
from ba.solve.reduced.choice import FACTORIZATIONS as FACTORIZATIONS
from ba.solve.reduced.choice import choose as choose
from ba.solve.reduced.choice import choose_factorization as choose_factorization
from ba.solve.reduced.conjugate_gradients import PRECONDITIONERS as PRECONDITIONERS
from ba.solve.reduced.direct import DirectRows as DirectRows
from ba.solve.reduced.factor import NormalFactor as NormalFactor
from ba.solve.reduced.factor import NormalFactors as NormalFactors
from ba.solve.reduced.partition import make_partition as make_partition
from ba.solve.reduced.structure import Structure as Structure
from ba.solve.reduced.structure import make_structure as make_structure
from ba.solve.reduced.system import Eliminator as Eliminator
from ba.solve.reduced.system import Reduced as Reduced
from ba.solve.reduced.system import gradient_norm as gradient_norm

LinearSolver = Callable[[Reduced, float], tuple[Array, int]]


def by_factor(name: str) -> LinearSolver:
    """solve(reduced, tolerance) -> (step (n_groups, width), 1), to rounding whatever the tolerance, by one of
    FACTORIZATIONS. It raises SolverError where S is singular."""

    def solve(reduced: Reduced, tolerance: float) -> tuple[Array, int]:
        undo, undo_transposed = FACTORIZATIONS[name](reduced)
        return undo_transposed(undo(-reduced.rhs)), 1

    return solve


LINEAR_SOLVERS: dict[str, LinearSolver] = {
    **{name: by_factor(name) for name in FACTORIZATIONS},
    "cg": conjugate_gradients.solve,
}


def linear_solver(name: str, preconditioner: str, check: Callable[[], None] = lambda: None) -> LinearSolver:
    """The solver of that name, with that preconditioner of `PRECONDITIONERS` where it takes one.

    check: called before each iteration of conjugate gradients; what it raises ends them.
    """
    if name == "cg":
        return partial(conjugate_gradients.solve, preconditioner=preconditioner, check=check)
    return LINEAR_SOLVERS[name]

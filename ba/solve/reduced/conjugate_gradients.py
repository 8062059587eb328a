"""Preconditioned conjugate gradients on S, which need not be formed.

S v is computed from the blocks of S, or, where those would take more memory than the derivatives, from A, B and the
points' factors: S v = D v + sum A_i^T (A_i v - X_i sum_j X_j^T A_j v). Preconditioners:

jacobi   the diagonal blocks of S (Agarwal et al., "Bundle adjustment in the large", ECCV 2010)
power    terms of S^-1 = sum_i (H^-1 E C^-1 E^T)^i H^-1, H = S + E C^-1 E^T (Weber, Demmel, Chan, Cremers, "Power bundle
         adjustment", CVPR 2023); each term costs a product with S and saves iterations

To the end of a solve, jacobi took 253 iterations on an internet collection (300 images, 49,962 observations) and power
with 2, 4, 8 terms 367, 224, 198, each of so many products; on a street loop of that size 3384, and power with 4 terms
1955. Products take the time, so jacobi is the default.

Steps are inexact (Dembo, Eisenstat, Steihaug, 1982): iterations end where the residual r of S x = b has
sqrt(r^T M^-1 r) <= tolerance * sqrt(b^T M^-1 b), in the norm of the preconditioner M, and not in the plain one.
"""

from collections.abc import Callable

import numpy as np
from scipy.sparse import bsr_array

from ba.engine.parallel import parallel_map
from ba.errors import SolverError
from ba.model.arrays import Array, Operator
from ba.solve.reduced import kernels
from ba.solve.reduced.system import Reduced

MAX_ITERATIONS = 500

TERMS = 4


def solve(
    reduced: Reduced, tolerance: float, preconditioner: str = "jacobi", check: Callable[[], None] = lambda: None
) -> tuple[Array, int]:
    """The step (n_groups, width), and the iterations it took.

    Its residual is at most `tolerance` times the right-hand side in the norm of the preconditioner's inverse, unless
    MAX_ITERATIONS are over or a direction has no curvature. Raises SolverError where that is the first direction.
    check: called before each iteration; what it raises ends them.
    """
    product = explicit_product(reduced) if reduced.explicit else implicit_product(reduced)
    precondition = PRECONDITIONERS[preconditioner](reduced, product)
    b = -reduced.rhs
    x, residual = np.zeros_like(b), b.copy()
    z = precondition(residual)
    direction, rho = z, float(np.vdot(residual, z))
    target = tolerance**2 * rho
    for iteration in range(MAX_ITERATIONS):
        if rho <= target:
            return x, iteration
        check()
        image = product(direction)
        curvature = float(np.vdot(direction, image))
        if not curvature > 0.0:
            if iteration == 0:
                raise SolverError("the reduced camera system is not positive definite")
            return x, iteration
        length = rho / curvature
        x += length * direction
        residual -= length * image
        z = precondition(residual)
        rho, before = float(np.vdot(residual, z)), rho
        direction = z + (rho / before) * direction
    return x, MAX_ITERATIONS


def jacobi(reduced: Reduced, _: Operator) -> Operator:
    """v -> the inverse of the diagonal blocks of S, times v."""
    inverse = _inverted(reduced.diagonal_blocks())
    return lambda v: np.asarray(np.einsum("nij,nj->ni", inverse, v))


def power(reduced: Reduced, product: Operator) -> Operator:
    """v -> the first TERMS terms of the series of S^-1, times v.

    H is block diagonal where every observation has one slot; where it has m, as with a shared camera, m times its
    diagonal blocks bound it, and the series converges all the same.
    """
    inverse = _inverted(float(reduced.structure.slots.shape[1]) * camera_blocks(reduced))

    def precondition(v: Array) -> Array:
        term = np.einsum("nij,nj->ni", inverse, v)
        total = term.copy()
        for _ in range(TERMS - 1):
            term = term - np.einsum("nij,nj->ni", inverse, product(term))
            total += term
        return np.asarray(total)

    return precondition


def camera_blocks(reduced: Reduced) -> Array:
    """(n_groups, width, width) diagonal blocks of H, damped: A^T A of each group."""
    structure, (_, A, _) = reduced.structure, reduced.derivatives
    blocks = np.zeros((structure.num_groups, structure.width, structure.width))
    kernels.add_squares(A, structure.arrays, blocks)
    steps = np.arange(structure.width)
    blocks[:, steps, steps] += reduced.damped
    if reduced.direct is not None:
        reduced.direct.add_diagonal_to(blocks)
    return blocks


def explicit_product(reduced: Reduced) -> Operator:
    """v -> S v by the blocks of S."""
    S = matrix(reduced)
    return lambda v: np.asarray(S @ v.ravel()).reshape(v.shape)


def matrix(reduced: Reduced) -> bsr_array:
    """S with both triangles, (n_groups width)^2; groups are filled up with zeros."""
    structure = reduced.structure
    size = structure.free.size
    which, transposed, columns, pointers = structure.symmetric
    rows, below = structure.rows_and_columns
    indices = np.arange(len(rows)) if reduced.pattern is not None else rows * structure.num_groups + below
    blocks = reduced.filled_blocks(indices[which], rows[which], below[which])
    blocks[transposed] = blocks[transposed].transpose(0, 2, 1)
    return bsr_array((blocks, columns, pointers), shape=(size, size))


def implicit_product(reduced: Reduced) -> Operator:
    """v -> S v without S."""
    structure, (_, A, B) = reduced.structure, reduced.derivatives
    parts = structure.parts

    def product(v: Array) -> Array:
        def work(part: tuple[int, int]) -> Array:
            out = np.zeros_like(v)
            kernels.multiply(A, B, structure.arrays, part, reduced.inverse, v, out)
            return out

        total = sum(parallel_map(work, parts, reduced.threads), reduced.damped * v)
        if reduced.direct is not None:
            total = total + reduced.direct.transposed_times(reduced.direct.times(v))
        return np.asarray(total)

    return product


def _inverted(blocks: Array) -> Array:
    try:
        return np.asarray(np.linalg.inv(blocks))
    except np.linalg.LinAlgError:
        raise SolverError("a diagonal block of the reduced camera system is singular") from None


PRECONDITIONERS: dict[str, Callable[[Reduced, Operator], Operator]] = {
    "jacobi": jacobi,
    "power": power,
}

"""The products that every kernel of the reduced system is made of, each written once.

An observation has A (2, c) and B (2, 3). The columns of A from edges[s] to edges[s + 1] belong to its slot s, whose
group is groups[slots[s]], with the groups of its point. A point has C = L L^T, and L^-1 as six numbers, row by row.
"""

from typing import Any

from ba.engine.jit import formula


@formula
def times_A(A: Any, i: Any, slots: Any, edges: Any, groups: Any, v: Any) -> Any:
    """A v of observation i, two numbers, for v (n_groups, width).

    The first slot stands apart because its columns begin at zero, which is known to be no negative index: compiled code
    then takes several at once, and is half again as fast where there is one slot.
    """
    a, b, own = 0.0, 0.0, v[groups[slots[i, 0]]]
    for j in range(edges[1]):
        a += A[i, 0, j] * own[j]
        b += A[i, 1, j] * own[j]
    for s in range(1, len(edges) - 1):
        first, of_group = edges[s], v[groups[slots[i, s]]]
        for j in range(edges[s + 1] - first):
            a += A[i, 0, first + j] * of_group[j]
            b += A[i, 1, first + j] * of_group[j]
    return a, b


@formula
def add_A_transposed(A: Any, i: Any, slots: Any, edges: Any, groups: Any, a: Any, b: Any, out: Any) -> None:
    """out (n_groups, width) += A^T (a, b) of observation i."""
    own = out[groups[slots[i, 0]]]
    for j in range(edges[1]):
        own[j] += A[i, 0, j] * a + A[i, 1, j] * b
    for s in range(1, len(edges) - 1):
        first, of_group = edges[s], out[groups[slots[i, s]]]
        for j in range(edges[s + 1] - first):
            of_group[j] += A[i, 0, first + j] * a + A[i, 1, first + j] * b


@formula
def times_B(B: Any, x: Any, y: Any, z: Any) -> Any:
    """B (x, y, z), two numbers."""
    return B[0, 0] * x + B[0, 1] * y + B[0, 2] * z, B[1, 0] * x + B[1, 1] * y + B[1, 2] * z


@formula
def times_B_transposed(B: Any, a: Any, b: Any) -> Any:
    """B^T (a, b), three numbers."""
    return B[0, 0] * a + B[1, 0] * b, B[0, 1] * a + B[1, 1] * b, B[0, 2] * a + B[1, 2] * b


@formula
def undo_L(inverse: Any, x: Any, y: Any, z: Any) -> Any:
    """L^-1 (x, y, z)."""
    return inverse[0] * x, inverse[1] * x + inverse[2] * y, inverse[3] * x + inverse[4] * y + inverse[5] * z


@formula
def undo_L_transposed(inverse: Any, x: Any, y: Any, z: Any) -> Any:
    """L^-T (x, y, z)."""
    return inverse[0] * x + inverse[1] * y + inverse[3] * z, inverse[2] * y + inverse[4] * z, inverse[5] * z

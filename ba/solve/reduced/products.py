"""The products that every kernel of the reduced system is made of, each written once.

An observation has A (2, c) and B (2, 3). The columns of A from edges[s] to edges[s + 1] belong to its slot s, whose
group is groups[slots[s]], with the groups of its point. A point has C = L L^T, and L^-1 as six numbers, row by row.
"""

from typing import Any

from ba.engine.jit import inlined


@inlined
def times_A(A: Any, slots: Any, edges: Any, groups: Any, v: Any) -> Any:
    """A v, two numbers, for v (n_groups, width)."""
    a = b = 0.0
    for s in range(len(slots)):
        first, of_group = edges[s], v[groups[slots[s]]]
        for j in range(edges[s + 1] - first):
            a += A[0, first + j] * of_group[j]
            b += A[1, first + j] * of_group[j]
    return a, b


@inlined
def add_A_transposed(A: Any, slots: Any, edges: Any, groups: Any, a: Any, b: Any, out: Any) -> None:
    """out (n_groups, width) += A^T (a, b)."""
    for s in range(len(slots)):
        first, of_group = edges[s], out[groups[slots[s]]]
        for j in range(edges[s + 1] - first):
            of_group[j] += A[0, first + j] * a + A[1, first + j] * b


@inlined
def times_B(B: Any, x: Any, y: Any, z: Any) -> Any:
    """B (x, y, z), two numbers."""
    return B[0, 0] * x + B[0, 1] * y + B[0, 2] * z, B[1, 0] * x + B[1, 1] * y + B[1, 2] * z


@inlined
def times_B_transposed(B: Any, a: Any, b: Any) -> Any:
    """B^T (a, b), three numbers."""
    return B[0, 0] * a + B[1, 0] * b, B[0, 1] * a + B[1, 1] * b, B[0, 2] * a + B[1, 2] * b


@inlined
def undo_L(inverse: Any, x: Any, y: Any, z: Any) -> Any:
    """L^-1 (x, y, z)."""
    return inverse[0] * x, inverse[1] * x + inverse[2] * y, inverse[3] * x + inverse[4] * y + inverse[5] * z


@inlined
def undo_L_transposed(inverse: Any, x: Any, y: Any, z: Any) -> Any:
    """L^-T (x, y, z)."""
    return inverse[0] * x + inverse[1] * y + inverse[3] * z, inverse[2] * y + inverse[4] * z, inverse[5] * z

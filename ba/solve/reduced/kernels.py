"""The kernels of a step: eliminate the points, then substitute back.

For point p with damped block C = L L^T, gradient g_p and observations i with blocks A_i, B_i:

    X_i = B_i L^-T,   Y_s = sum over the observations of slot s of A_i^T X_i,   u = L^-1 g_p
    S   = sum A_i^T A_i - Y Y^T,   b = sum A_i^T (r_i - X_i u)            (Triggs et al. 2000, section 6.1)

Points that touch the same slots stand together as a *list*: the blocks of S that they add to are looked up once, and
stay in the nearest cache.
"""

from typing import Any

import numpy as np

from ba.engine.jit import inlined, kernel
from ba.engine.simd import add_outer, add_square, subtract_outer, subtract_square
from ba.solve.reduced.products import (
    add_A_transposed,
    times_A,
    times_B,
    times_B_transposed,
    undo_L,
    undo_L_transposed,
)


@kernel
def eliminate(
    A: Any, B: Any, r: Any, structure: Any, part: Any, damping: Any, S: Any, pattern: Any, explicit: bool,
    b: Any, diagonal: Any, inverse: Any, point_gradient: Any, point_diagonal: Any, narrow: Any, wide: Any,
) -> int:  # fmt: skip
    """Add the points of the lists of `part` to S (blocks on and below the diagonal, or on it alone), b and diagonal.

    structure: `Structure.arrays`. S: the numbers of all blocks, of those on the diagonal only what stands on and below
    it; pattern: where rows of blocks begin, their columns, or none where each row has every column, and where
    each block's numbers begin. damping: the factor, least and
    most diagonal entry. inverse: L^-1 by rows, (n, 6). narrow, wide: `simd.lanes` of groups of the first slot and of
    others. Returns the first point whose damped block is not positive definite, or -1.
    """
    starts, slots, slot_starts, slot_groups, list_starts, edges, num_narrow, longest = structure
    Z, block_starts = np.empty((longest, 4 * b.shape[1])), np.empty(longest * (longest + 1) // 2, np.int64)
    X, filled = np.empty((2, 4)), np.zeros((len(edges), 2, len(wide) + 1))
    for q in range(part[0], part[1]):
        groups = slot_groups[slot_starts[list_starts[q]] : slot_starts[list_starts[q] + 1]]
        _find_block_starts(groups, pattern, explicit, block_starts)
        poses = _num_below(groups, num_narrow)
        for p in range(list_starts[q], list_starts[q + 1]):
            if not _factor_point(B, r, starts[p], starts[p + 1], damping, p, inverse, point_gradient, point_diagonal):
                return p
            Z[: len(groups)] = 0.0
            for i in range(starts[p], starts[p + 1]):
                _whiten(B[i], r[i], inverse[p], point_gradient[p], X)
                own, y = A[i][:, : edges[1]], slots[i, 0]
                _add_slot(own, X, Z[y], diagonal[groups[y]], S[block_starts[_pair(y, y)] :], narrow)
                for s in range(1, len(edges) - 1):
                    shared, z = _columns_of_slot(A[i], s, edges, filled, wide), slots[i, s]
                    _add_slot(shared, X, Z[z], diagonal[groups[z]], S[block_starts[_pair(z, z)] :], wide)
                    if explicit:
                        add_outer(S[block_starts[_pair(z, y)] :], shared, own, 2, wide, narrow)
                        for t in range(1, s):
                            other = _columns_of_slot(A[i], t, edges, filled, wide)
                            add_outer(S[block_starts[_pair(z, slots[i, t])] :], shared, other, 2, wide, wide)
            _subtract_products(Z, groups, poses, block_starts, explicit, S, b, narrow, wide)
    return -1


@inlined
def _num_below(ascending: Any, limit: Any) -> Any:
    """How many come before the first that is not below the limit. numpy's search, compiled, would load parts of numba
    that take 0.1 s, at each start of a process."""
    number = 0
    while number < len(ascending) and ascending[number] < limit:
        number += 1
    return number


@inlined
def _columns_of_slot(A: Any, s: Any, edges: Any, filled: Any, wide: Any) -> Any:
    """The columns of A that belong to slot s, filled up with zeros where its group is wider than they are."""
    first, last = edges[s], edges[s + 1]
    if last - first == len(wide):
        return A[:, first:last]
    for d in range(2):
        for j in range(last - first):
            filled[s, d, j] = A[d, first + j]
    return filled[s][:, : len(wide)]


@inlined
def _pair(y: Any, z: Any) -> Any:
    """Where the pair of slots y >= z stands in a triangle that is stored by rows."""
    return y * (y + 1) // 2 + z


@inlined
def _find_block_starts(groups: Any, pattern: Any, explicit: bool, block_starts: Any) -> None:
    """Where the block of each pair of groups, or of each with itself, begins in S.

    A row's last block is the diagonal's, and no two columns stand further apart than their numbers say.
    """
    rows, columns, offsets = pattern
    for y in range(len(groups)):
        row = groups[y]
        place = rows[row] + row if len(columns) == 0 else rows[row + 1] - 1
        block_starts[_pair(y, y)] = offsets[place]
        for z in range(y - 1 if explicit else -1, -1, -1):
            first = max(rows[row], place - (groups[z + 1] - groups[z]))
            place = first if len(columns) == 0 else _place(groups[z], columns, first, place)
            block_starts[_pair(y, z)] = offsets[place]


@inlined
def _factor_point(
    B: Any, r: Any, first: Any, last: Any, damping: Any, p: Any, inverse: Any, gradient: Any, diagonal: Any
) -> bool:
    """The inverse Cholesky factor of the damped block of point p, whose observations are first .. last - 1."""
    c00 = c10 = c11 = c20 = c21 = c22 = g0 = g1 = g2 = 0.0
    for i in range(first, last):
        for d in range(2):
            b0, b1, b2, residual = B[i, d, 0], B[i, d, 1], B[i, d, 2], r[i, d]
            c00 += b0 * b0
            c10 += b1 * b0
            c11 += b1 * b1
            c20 += b2 * b0
            c21 += b2 * b1
            c22 += b2 * b2
            g0 += b0 * residual
            g1 += b1 * residual
            g2 += b2 * residual
    factor, least, most = damping
    d0, d1, d2 = min(max(c00, least), most), min(max(c11, least), most), min(max(c22, least), most)
    gradient[p, 0], gradient[p, 1], gradient[p, 2] = g0, g1, g2
    diagonal[p, 0], diagonal[p, 1], diagonal[p, 2] = d0, d1, d2
    l00 = np.sqrt(c00 + factor * d0)
    l10, l20 = c10 / l00, c20 / l00
    l11 = np.sqrt(c11 + factor * d1 - l10 * l10)
    l21 = (c21 - l20 * l10) / l11
    l22 = np.sqrt(c22 + factor * d2 - l20 * l20 - l21 * l21)
    i00, i11, i22 = 1.0 / l00, 1.0 / l11, 1.0 / l22
    inverse[p, 0], inverse[p, 2], inverse[p, 5] = i00, i11, i22
    inverse[p, 1], inverse[p, 4] = -l10 * i00 * i11, -l21 * i11 * i22
    inverse[p, 3] = (l10 * l21 * i11 - l20) * i00 * i22
    return bool(l00 > 0.0 and l11 > 0.0 and l22 > 0.0)


@inlined
def _whiten(B: Any, r: Any, L: Any, g: Any, X: Any) -> None:
    """X (2, 4): B L^-T of an observation, and r - B L^-T u beside it."""
    u0, u1, u2 = undo_L(L, g[0], g[1], g[2])
    for d in range(2):
        x0, x1, x2 = undo_L(L, B[d, 0], B[d, 1], B[d, 2])
        X[d, 0], X[d, 1], X[d, 2], X[d, 3] = x0, x1, x2, r[d] - (x0 * u0 + x1 * u1 + x2 * u2)


@inlined
def _add_slot(A: Any, X: Any, Z: Any, diagonal: Any, block: Any, width: Any) -> None:
    """What one observation adds through one of its slots: Z (4, w) += X^T A, block += A^T A."""
    add_outer(Z, X, A, 2, 4, width)
    add_square(block, A, 2, width)
    for j in range(len(width)):
        diagonal[j] += A[0, j] * A[0, j] + A[1, j] * A[1, j]


@inlined
def _subtract_products(
    Z: Any, groups: Any, poses: Any, block_starts: Any, explicit: bool, S: Any, b: Any, narrow: Any, wide: Any
) -> None:
    """S -= Y Y^T and b += A^T (r - X u) of a point whose slots, of which the first `poses` are narrow, have Y^T in the
    first three rows of Z and the rest in the fourth."""
    for y in range(poses):
        if explicit:
            for z in range(y):
                subtract_outer(S[block_starts[_pair(y, z)] :], Z[y], Z[z], 3, narrow, narrow)
        subtract_square(S[block_starts[_pair(y, y)] :], Z[y], 3, narrow)
        for j in range(len(narrow)):
            b[groups[y], j] += Z[y, 3 * len(narrow) + j]
    for y in range(poses, len(groups)):
        if explicit:
            for z in range(poses):
                subtract_outer(S[block_starts[_pair(y, z)] :], Z[y], Z[z], 3, wide, narrow)
            for z in range(poses, y):
                subtract_outer(S[block_starts[_pair(y, z)] :], Z[y], Z[z], 3, wide, wide)
        subtract_square(S[block_starts[_pair(y, y)] :], Z[y], 3, wide)
        for j in range(len(wide)):
            b[groups[y], j] += Z[y, 3 * len(wide) + j]


@inlined
def _place(column: Any, columns: Any, low: Any, high: Any) -> Any:
    """Where `column` stands among the ascending columns[low:high]; mostly it is the first."""
    while columns[low] != column:
        middle = (low + high) // 2
        if columns[middle] <= column:
            low = middle
        else:
            high = middle
    return low


@kernel
def finish_diagonal(S: Any, offsets: Any, damped: Any, sizes: Any) -> None:
    """Add the damping to the diagonal blocks, which begin at `offsets`, and make them symmetric."""
    for group in range(len(sizes)):
        at, size = offsets[group], sizes[group]
        for j in range(size):
            S[at + j * size + j] += damped[group, j]
            for k in range(j):
                S[at + k * size + j] = S[at + j * size + k]


@kernel
def spread(numbers: Any, offsets: Any, rows: Any, columns: Any, starts: Any, S: Any) -> None:
    """Put the blocks that are on or below the diagonal into a whole matrix, where group g begins at starts[g]."""
    for block in range(len(rows)):
        row, column, at = rows[block], columns[block], offsets[block]
        if column > row:
            continue
        width = starts[column + 1] - starts[column]
        for j in range(starts[row + 1] - starts[row]):
            for k in range(width):
                S[starts[row] + j, starts[column] + k] = numbers[at + j * width + k]


@kernel
def substitute(
    A: Any, B: Any, r: Any, structure: Any, part: Any, inverse: Any, gradient: Any, step: Any, point_step: Any,
    model: Any,
) -> None:  # fmt: skip
    """Steps of the points of `part`, -C^-1 (g_p + E^T step), and of the whole step s, model += (r.J s, |J s|^2)."""
    starts, longest = structure[0], structure[-1]
    linear = quadratic = 0.0
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        h0, h1, h2 = _point_images(A, B, structure, p, step, images)
        w0, w1, w2 = undo_L(inverse[p], h0 + gradient[p, 0], h1 + gradient[p, 1], h2 + gradient[p, 2])
        s0, s1, s2 = undo_L_transposed(inverse[p], w0, w1, w2)
        s0, s1, s2 = -s0, -s1, -s2
        point_step[p, 0], point_step[p, 1], point_step[p, 2] = s0, s1, s2
        for i in range(first, last):
            for d in range(2):
                change = images[i - first, d] + B[i, d, 0] * s0 + B[i, d, 1] * s1 + B[i, d, 2] * s2
                linear += r[i, d] * change
                quadratic += change * change
    model[0] += linear
    model[1] += quadratic


@inlined
def _point_images(A: Any, B: Any, structure: Any, p: Any, v: Any, images: Any) -> Any:
    """B^T A v of point p; images: A v of its observations."""
    starts, slots, slot_starts, slot_groups, _, edges, _, _ = structure
    groups, first = slot_groups[slot_starts[p] : slot_starts[p + 1]], starts[p]
    h0 = h1 = h2 = 0.0
    for i in range(first, starts[p + 1]):
        a, b = times_A(A, i, slots, edges, groups, v)
        images[i - first, 0], images[i - first, 1] = a, b
        x, y, z = times_B_transposed(B[i], a, b)
        h0, h1, h2 = h0 + x, h1 + y, h2 + z
    return h0, h1, h2


@kernel
def multiply(A: Any, B: Any, structure: Any, part: Any, inverse: Any, v: Any, out: Any) -> None:
    """out += A^T (A v - X X^T A v) over the points of `part`, with X = B L^-T: the undamped product S v."""
    starts, slots, slot_starts, slot_groups, _, edges, _, longest = structure
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        groups = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0, h1, h2 = _point_images(A, B, structure, p, v, images)
        w0, w1, w2 = undo_L(inverse[p], h0, h1, h2)
        s0, s1, s2 = undo_L_transposed(inverse[p], w0, w1, w2)
        for i in range(first, last):
            a, b = times_B(B[i], s0, s1, s2)
            rest = images[i - first, 0] - a, images[i - first, 1] - b
            add_A_transposed(A, i, slots, edges, groups, rest[0], rest[1], out)


@kernel
def largest_gradient(A: Any, B: Any, r: Any, structure: Any, part: Any, gradient: Any) -> float:
    """gradient (n_groups, width) += A^T r over the points of `part`; the largest component of B^T r."""
    starts, slots, slot_starts, slot_groups, _, edges, _, _ = structure
    largest = 0.0
    for p in range(part[0], part[1]):
        groups = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        g0 = g1 = g2 = 0.0
        for i in range(starts[p], starts[p + 1]):
            add_A_transposed(A, i, slots, edges, groups, r[i, 0], r[i, 1], gradient)
            x, y, z = times_B_transposed(B[i], r[i, 0], r[i, 1])
            g0, g1, g2 = g0 + x, g1 + y, g2 + z
        largest = max(largest, abs(g0), abs(g1), abs(g2))
    return largest


@kernel
def add_squares(A: Any, structure: Any, blocks: Any) -> None:
    """blocks (n_groups, width, width) += A^T A of every group of every observation."""
    starts, slots, slot_starts, slot_groups, _, edges, _, _ = structure
    for p in range(len(starts) - 1):
        for i in range(starts[p], starts[p + 1]):
            for s in range(len(edges) - 1):
                group, first, last = slot_groups[slot_starts[p] + slots[i, s]], edges[s], edges[s + 1]
                for j in range(first, last):
                    for k in range(first, last):
                        blocks[group, j - first, k - first] += A[i, 0, j] * A[i, 0, k] + A[i, 1, j] * A[i, 1, k]


@kernel
def find_columns(
    point_starts: Any, points: Any, slot_starts: Any, slot_groups: Any, row_starts: Any, columns: Any
) -> None:
    """Columns of the blocks of S on and below the diagonal, ascending by row; with empty `columns`, count them.

    points: those of each group, from point_starts. row_starts (n_groups + 1,): where rows begin, or their lengths,
    each behind its row, to be counted.
    """
    n = len(row_starts) - 1
    seen_by = np.full(n, -1, np.int64)
    for row in range(n):
        seen_by[row] = row
        row_columns = columns[row_starts[row] : row_starts[row + 1]]
        found = 1
        if len(columns) > 0:
            row_columns[0] = row
        for point in points[point_starts[row] : point_starts[row + 1]]:
            for column in slot_groups[slot_starts[point] : slot_starts[point + 1]]:
                if column >= row:
                    break
                if seen_by[column] != row:
                    seen_by[column] = row
                    if len(columns) > 0:
                        row_columns[found] = column
                    found += 1
        if len(columns) > 0:
            row_columns.sort()
        else:
            row_starts[row + 1] = found

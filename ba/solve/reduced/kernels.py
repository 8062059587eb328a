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
from ba.engine.simd import add_outer, subtract_outer


@kernel
def eliminate(
    A: Any, B: Any, r: Any, structure: Any, part: Any, damping: Any, S: Any, rows: Any, columns: Any, explicit: bool,
    b: Any, diagonal: Any, inverse: Any, point_gradient: Any, point_diagonal: Any, width: Any,
) -> int:  # fmt: skip
    """Add the points of the lists of `part` to S (blocks on and below the diagonal, or on it alone), b and diagonal.

    structure: `Structure.arrays`. rows and columns: the pattern of S, see `_place`. damping: the factor, least and most
    diagonal entry. inverse: L^-1 by rows, (n, 6). width: `simd.lanes` of w. Returns the first point whose damped block
    is not positive definite, or -1.
    """
    starts, image_slot, camera_slot, slot_starts, slot_groups, list_starts, split, longest = structure
    Z, places = np.empty((longest, 4, b.shape[1])), np.empty(longest * (longest + 1) // 2, np.int64)
    X = np.empty((2, 4))
    # The columns of one observation's image and of its shared camera, filled up with zeros to the width of a group.
    own, shared = np.zeros((2, b.shape[1])), np.zeros((2, b.shape[1]))
    for q in range(part[0], part[1]):
        slots = slot_groups[slot_starts[list_starts[q]] : slot_starts[list_starts[q] + 1]]
        _find_places(slots, rows, columns, explicit, places)
        for p in range(list_starts[q], list_starts[q + 1]):
            first, last = starts[p], starts[p + 1]
            if not _factor_point(B, r, first, last, damping, p, inverse, point_gradient, point_diagonal):
                return p
            Z[: len(slots)] = 0.0
            for i in range(first, last):
                _whiten(B[i], r[i], inverse[p], point_gradient[p], X)
                y, z = image_slot[i], camera_slot[i]
                if split == A.shape[2]:
                    _add_observation(A[i], X, Z[y], diagonal[slots[y]], S[places[_pair(y, y)]], width)
                    continue
                _part_columns(A[i], split, own, shared)
                _add_observation(own, X, Z[y], diagonal[slots[y]], S[places[_pair(y, y)]], width)
                _add_observation(shared, X, Z[z], diagonal[slots[z]], S[places[_pair(z, z)]], width)
                if explicit:
                    add_outer(S[places[_pair(z, y)]], shared, own, 2, width, width)
            _subtract_products(Z, slots, places, explicit, S, b, width)
    return -1


@inlined
def _part_columns(A: Any, split: Any, own: Any, shared: Any) -> None:
    """The first `split` columns of A (2, c) go to own, the others to shared; what stands beyond them there stays."""
    for d in range(2):
        for j in range(split):
            own[d, j] = A[d, j]
        for j in range(split, A.shape[1]):
            shared[d, j - split] = A[d, j]


@inlined
def _pair(y: Any, z: Any) -> Any:
    """Where the pair of slots y >= z stands in a triangle that is stored by rows."""
    return y * (y + 1) // 2 + z


@inlined
def _find_places(slots: Any, rows: Any, columns: Any, explicit: bool, places: Any) -> None:
    """The block of S of each pair of slots, or of each slot with itself."""
    for y in range(len(slots)):
        for z in range(0 if explicit else y, y + 1):
            places[_pair(y, z)] = _place(slots[y], slots[z], rows, columns)


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
    u0, u1, u2 = L[0] * g[0], L[1] * g[0] + L[2] * g[1], L[3] * g[0] + L[4] * g[1] + L[5] * g[2]
    for d in range(2):
        x0 = B[d, 0] * L[0]
        x1 = B[d, 0] * L[1] + B[d, 1] * L[2]
        x2 = B[d, 0] * L[3] + B[d, 1] * L[4] + B[d, 2] * L[5]
        X[d, 0], X[d, 1], X[d, 2], X[d, 3] = x0, x1, x2, r[d] - (x0 * u0 + x1 * u1 + x2 * u2)


@inlined
def _add_observation(A: Any, X: Any, Z: Any, diagonal: Any, block: Any, width: Any) -> None:
    """What one observation adds through one of its groups: Z (4, w) += X^T A, block += A^T A."""
    add_outer(Z, X, A, 2, 4, width)
    add_outer(block, A, A, 2, width, width)
    for j in range(A.shape[1]):
        diagonal[j] += A[0, j] * A[0, j] + A[1, j] * A[1, j]


@inlined
def _subtract_products(Z: Any, slots: Any, places: Any, explicit: bool, S: Any, b: Any, width: Any) -> None:
    """S -= Y Y^T and b += A^T (r - X u) of a point, whose slots have Y^T in the first rows of Z, and the rest below."""
    for y in range(len(slots)):
        for z in range(0 if explicit else y, y + 1):
            subtract_outer(S[places[_pair(y, z)]], Z[y], Z[z], 3, width, width)
        for j in range(b.shape[1]):
            b[slots[y], j] += Z[y, 3, j]


@inlined
def _place(row: Any, column: Any, rows: Any, columns: Any) -> Any:
    """The index of block (row, column) of S, whose rows begin at `rows` and hold `columns`, or every column if those
    are none."""
    if len(columns) == 0:
        return rows[row] + column
    low, high = rows[row], rows[row + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if columns[middle] <= column:
            low = middle
        else:
            high = middle
    return low


@kernel
def substitute(
    A: Any,
    B: Any,
    r: Any,
    structure: Any,
    part: Any,
    inverse: Any,
    gradient: Any,
    step: Any,
    point_step: Any,
    model: Any,
) -> None:
    """Steps of the points of `part`, -C^-1 (g_p + E^T step), and of the whole step s, model += (r.J s, |J s|^2)."""
    starts, _, _, _, _, _, _, longest = structure
    linear = quadratic = 0.0
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        h0, h1, h2 = _times(A, B, structure, p, step, images)
        h0, h1, h2 = h0 + gradient[p, 0], h1 + gradient[p, 1], h2 + gradient[p, 2]
        L = inverse[p]
        w0, w1, w2 = L[0] * h0, L[1] * h0 + L[2] * h1, L[3] * h0 + L[4] * h1 + L[5] * h2
        s0, s1, s2 = -(L[0] * w0 + L[1] * w1 + L[3] * w2), -(L[2] * w1 + L[4] * w2), -L[5] * w2
        point_step[p, 0], point_step[p, 1], point_step[p, 2] = s0, s1, s2
        for i in range(first, last):
            for d in range(2):
                change = images[i - first, d] + B[i, d, 0] * s0 + B[i, d, 1] * s1 + B[i, d, 2] * s2
                linear += r[i, d] * change
                quadratic += change * change
    model[0] += linear
    model[1] += quadratic


@inlined
def _times(A: Any, B: Any, structure: Any, p: Any, v: Any, images: Any) -> Any:
    """B^T A v of point p; images: A v of its observations."""
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, _ = structure
    slots, first = slot_groups[slot_starts[p] : slot_starts[p + 1]], starts[p]
    h0 = h1 = h2 = 0.0
    for i in range(first, starts[p + 1]):
        own, other = v[slots[image_slot[i]]], v[slots[camera_slot[i]]]
        v0 = v1 = 0.0
        for j in range(split):
            v0 += A[i, 0, j] * own[j]
            v1 += A[i, 1, j] * own[j]
        for j in range(split, A.shape[2]):
            v0 += A[i, 0, j] * other[j - split]
            v1 += A[i, 1, j] * other[j - split]
        images[i - first, 0], images[i - first, 1] = v0, v1
        h0 += B[i, 0, 0] * v0 + B[i, 1, 0] * v1
        h1 += B[i, 0, 1] * v0 + B[i, 1, 1] * v1
        h2 += B[i, 0, 2] * v0 + B[i, 1, 2] * v1
    return h0, h1, h2


@kernel
def multiply(A: Any, B: Any, structure: Any, part: Any, inverse: Any, v: Any, out: Any) -> None:
    """out += A^T (A v - X X^T A v) over the points of `part`, with X = B L^-T: the undamped product S v."""
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, longest = structure
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        slots = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0, h1, h2 = _times(A, B, structure, p, v, images)
        L = inverse[p]
        w0, w1, w2 = L[0] * h0, L[1] * h0 + L[2] * h1, L[3] * h0 + L[4] * h1 + L[5] * h2
        s0, s1, s2 = L[0] * w0 + L[1] * w1 + L[3] * w2, L[2] * w1 + L[4] * w2, L[5] * w2
        for i in range(first, last):
            own, other = out[slots[image_slot[i]]], out[slots[camera_slot[i]]]
            v0 = images[i - first, 0] - (B[i, 0, 0] * s0 + B[i, 0, 1] * s1 + B[i, 0, 2] * s2)
            v1 = images[i - first, 1] - (B[i, 1, 0] * s0 + B[i, 1, 1] * s1 + B[i, 1, 2] * s2)
            for j in range(split):
                own[j] += A[i, 0, j] * v0 + A[i, 1, j] * v1
            for j in range(split, A.shape[2]):
                other[j - split] += A[i, 0, j] * v0 + A[i, 1, j] * v1


@kernel
def largest_gradient(A: Any, B: Any, r: Any, structure: Any, part: Any, gradient: Any) -> float:
    """gradient (n_groups, width) += A^T r over the points of `part`; the largest component of B^T r."""
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, _ = structure
    largest = 0.0
    for p in range(part[0], part[1]):
        slots = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        g0 = g1 = g2 = 0.0
        for i in range(starts[p], starts[p + 1]):
            r0, r1 = r[i, 0], r[i, 1]
            own, other = gradient[slots[image_slot[i]]], gradient[slots[camera_slot[i]]]
            for j in range(split):
                own[j] += A[i, 0, j] * r0 + A[i, 1, j] * r1
            for j in range(split, A.shape[2]):
                other[j - split] += A[i, 0, j] * r0 + A[i, 1, j] * r1
            g0 += B[i, 0, 0] * r0 + B[i, 1, 0] * r1
            g1 += B[i, 0, 1] * r0 + B[i, 1, 1] * r1
            g2 += B[i, 0, 2] * r0 + B[i, 1, 2] * r1
        largest = max(largest, abs(g0), abs(g1), abs(g2))
    return largest


@kernel
def add_squares(A: Any, structure: Any, blocks: Any) -> None:
    """blocks (n_groups, width, width) += A^T A of every group of every observation."""
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, _ = structure
    for p in range(len(starts) - 1):
        for i in range(starts[p], starts[p + 1]):
            own, other = slot_groups[slot_starts[p] + image_slot[i]], slot_groups[slot_starts[p] + camera_slot[i]]
            for j in range(split):
                for k in range(split):
                    blocks[own, j, k] += A[i, 0, j] * A[i, 0, k] + A[i, 1, j] * A[i, 1, k]
            for j in range(split, A.shape[2]):
                for k in range(split, A.shape[2]):
                    blocks[other, j - split, k - split] += A[i, 0, j] * A[i, 0, k] + A[i, 1, j] * A[i, 1, k]


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

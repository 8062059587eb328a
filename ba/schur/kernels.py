"""The kernels of a step: eliminate the points, then substitute back.

For point p with damped block C = L L^T, gradient g_p and observations i with blocks A_i, B_i:

    X_i = B_i L^-T,   Y_s = sum over the observations of slot s of A_i^T X_i,   u = L^-1 g_p
    S   = sum A_i^T A_i - Y Y^T,   b = sum A_i^T (r_i - X_i u)            (Triggs et al. 2000, section 6.1)

Reading A once and adding blocks of S in the order of sorted points keeps the work in the first two cache levels.
"""

from typing import Any

import numpy as np

from ba.jit import inlined, kernel


@kernel
def eliminate(
    A: Any, B: Any, r: Any, structure: Any, part: Any, damping: Any, S: Any, rows: Any, columns: Any, explicit: bool,
    b: Any, diagonal: Any, inverse: Any, point_gradient: Any, point_diagonal: Any,
) -> int:  # fmt: skip
    """Add the points of `part` to S (blocks on and below the diagonal, or on it alone), b and diagonal.

    structure: `Structure.arrays`. rows and columns: the pattern of S; rows of length 0 mean that S has all num_groups^2
    blocks. damping: the factor, least and most diagonal entry. inverse (n_points, 6): L^-1 by rows.
    Returns the first point whose damped block is not positive definite, or -1.
    """
    starts, image_slot, camera_slot, slot_starts, slot_groups, split, longest = structure
    n_groups, width = b.shape
    Y = np.empty((longest, 3 * width))
    for p in range(part[0], part[1]):
        first, last, slot = starts[p], starts[p + 1], slot_starts[p]
        if not _factor_point(B, r, first, last, damping, p, inverse, point_gradient, point_diagonal):
            return p
        n_slots = slot_starts[p + 1] - slot
        Y[:n_slots] = 0.0
        for i in range(first, last):
            own, other = slot_groups[slot + image_slot[i]], slot_groups[slot + camera_slot[i]]
            _add_observation(
                A, B, r, i, inverse[p], point_gradient[p], split, image_slot[i], camera_slot[i], own, other, Y, b
            )
            _add_squares(A, i, split, own, other, S, rows, columns, explicit, diagonal)
        for a in range(n_slots):
            for c in range(0 if explicit else a, a + 1):
                place = _place(slot_groups[slot + a], slot_groups[slot + c], rows, columns, n_groups)
                _subtract_product(Y, a, c, width, S, place)
    return -1


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
def _add_observation(
    A: Any, B: Any, r: Any, i: Any, L: Any, g: Any, split: Any, y: Any, z: Any, own: Any, other: Any, Y: Any, b: Any
) -> None:
    """Y += A^T X and b += A^T (r - X u) of observation i with slots y and z, groups own and other."""
    width = b.shape[1]
    u0, u1, u2 = L[0] * g[0], L[1] * g[0] + L[2] * g[1], L[3] * g[0] + L[4] * g[1] + L[5] * g[2]
    x00, x01 = B[i, 0, 0] * L[0], B[i, 0, 0] * L[1] + B[i, 0, 1] * L[2]
    x10, x11 = B[i, 1, 0] * L[0], B[i, 1, 0] * L[1] + B[i, 1, 1] * L[2]
    x02 = B[i, 0, 0] * L[3] + B[i, 0, 1] * L[4] + B[i, 0, 2] * L[5]
    x12 = B[i, 1, 0] * L[3] + B[i, 1, 1] * L[4] + B[i, 1, 2] * L[5]
    s0, s1 = r[i, 0] - (x00 * u0 + x01 * u1 + x02 * u2), r[i, 1] - (x10 * u0 + x11 * u1 + x12 * u2)
    for j in range(split):
        a0, a1 = A[i, 0, j], A[i, 1, j]
        Y[y, j] += a0 * x00 + a1 * x10
        Y[y, width + j] += a0 * x01 + a1 * x11
        Y[y, 2 * width + j] += a0 * x02 + a1 * x12
        b[own, j] += a0 * s0 + a1 * s1
    for j in range(A.shape[2] - split):
        a0, a1 = A[i, 0, split + j], A[i, 1, split + j]
        Y[z, j] += a0 * x00 + a1 * x10
        Y[z, width + j] += a0 * x01 + a1 * x11
        Y[z, 2 * width + j] += a0 * x02 + a1 * x12
        b[other, j] += a0 * s0 + a1 * s1


@inlined
def _add_squares(
    A: Any, i: Any, split: Any, own: Any, other: Any, S: Any, rows: Any, columns: Any, explicit: bool, diagonal: Any
) -> None:
    """S += A^T A and diagonal += its diagonal, for the groups `own` and `other` of observation i."""
    n_groups, width = diagonal.shape
    place = _place(own, own, rows, columns, n_groups)
    block, first, second = S[place], A[i, 0], A[i, 1]
    for j in range(split):
        a0, a1 = first[j], second[j]
        for k in range(split):
            block[j * width + k] += a0 * first[k] + a1 * second[k]
    rest = A.shape[2] - split
    if rest == 0:
        return
    place = _place(other, other, rows, columns, n_groups)
    cross = _place(other, own, rows, columns, n_groups) if explicit else 0
    for j in range(rest):
        a0, a1 = A[i, 0, split + j], A[i, 1, split + j]
        diagonal[other, j] += a0 * a0 + a1 * a1
        for k in range(rest):
            S[place, j * width + k] += a0 * A[i, 0, split + k] + a1 * A[i, 1, split + k]
        if explicit:
            for k in range(split):
                S[cross, j * width + k] += a0 * A[i, 0, k] + a1 * A[i, 1, k]


@inlined
def _place(row: Any, column: Any, rows: Any, columns: Any, n_groups: Any) -> Any:
    """The index of block (row, column) of S."""
    if len(rows) == 0:
        return row * n_groups + column
    low, high = rows[row], rows[row + 1]
    while high - low > 1:
        middle = (low + high) // 2
        if columns[middle] <= column:
            low = middle
        else:
            high = middle
    return low


@inlined
def _subtract_product(Y: Any, a: Any, c: Any, width: Any, S: Any, place: Any) -> None:
    """Block `place` of S -= Y_a Y_c^T."""
    block, y, z = S[place], Y[a], Y[c]
    for j in range(width):
        y0, y1, y2 = y[j], y[width + j], y[2 * width + j]
        for k in range(width):
            block[j * width + k] -= y0 * z[k] + y1 * z[width + k] + y2 * z[2 * width + k]


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
    starts, image_slot, camera_slot, slot_starts, slot_groups, split, longest = structure
    linear = quadratic = 0.0
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        slots = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0, h1, h2 = gradient[p, 0], gradient[p, 1], gradient[p, 2]
        for i in range(first, last):
            own, other = step[slots[image_slot[i]]], step[slots[camera_slot[i]]]
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


@kernel
def multiply(A: Any, B: Any, structure: Any, part: Any, inverse: Any, v: Any, out: Any) -> None:
    """out += A^T (A v - X X^T A v) over the points of `part`, with X = B L^-T: the undamped product S v."""
    starts, image_slot, camera_slot, slot_starts, slot_groups, split, longest = structure
    images = np.empty((4 * longest + 4, 2))
    for p in range(part[0], part[1]):
        first, last = starts[p], starts[p + 1]
        if last - first > len(images):
            images = np.empty((last - first, 2))
        slots = slot_groups[slot_starts[p] : slot_starts[p + 1]]
        h0 = h1 = h2 = 0.0
        for i in range(first, last):
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
    starts, image_slot, camera_slot, slot_starts, slot_groups, split, _longest = structure
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

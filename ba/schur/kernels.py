"""The kernels of a step: eliminate the points, then substitute back.

For point p with damped block C = L L^T, gradient g_p and observations i with blocks A_i, B_i:

    X_i = B_i L^-T,   Y_s = sum over the observations of slot s of A_i^T X_i,   u = L^-1 g_p
    S   = sum A_i^T A_i - Y Y^T,   b = sum A_i^T (r_i - X_i u)            (Triggs et al. 2000, section 6.1)

Points that touch the same slots, a *list*, are summed up before their share is added to S: the adding is bound by the
caches, not by arithmetic, and rows over all slots at once make long inner loops (Dubrovnik: 23 ms pair by pair).
"""

from typing import Any

import numpy as np

from ba.jit import inlined, kernel

PANEL = 24
"""Slots whose rows of a point's share are summed up before they are added to S: 24 groups of 9 fit the second cache."""


@kernel
def eliminate(
    own: Any, shared: Any, B: Any, r: Any, structure: Any, part: Any, damping: Any, S: Any, rows: Any, columns: Any,
    explicit: bool, b: Any, diagonal: Any, inverse: Any, point_gradient: Any, point_diagonal: Any,
) -> int:  # fmt: skip
    """Add the points of the lists of `part` to S (blocks on and below the diagonal, or on it alone), b and diagonal.

    own and shared: A's columns of the image and of the shared camera. structure: `Structure.arrays`. rows and columns:
    the pattern of S, see `_place`. damping: the factor, least and most diagonal entry. inverse: L^-1 by rows, (n, 6).
    Returns the first point whose damped block is not positive definite, or -1.
    """
    starts, image_slot, camera_slot, slot_starts, slot_groups, list_starts, _, longest = structure
    width = b.shape[1]
    Z, share = np.empty((3, longest, width)), np.empty((min(PANEL, longest), width, longest, width))
    flat_Z, flat_share = Z.reshape(3, longest * width), share.reshape(len(share), width, longest * width)
    for q in range(part[0], part[1]):
        first_point, last_point = list_starts[q], list_starts[q + 1]
        slots = slot_groups[slot_starts[first_point] : slot_starts[first_point + 1]]
        for low in range(0, len(slots), PANEL):
            high = min(low + PANEL, len(slots))
            _clear(low, high, width, flat_share)
            for p in range(first_point, last_point):
                first, last = starts[p], starts[p + 1]
                if low == 0:
                    if not _factor_point(B, r, first, last, damping, p, inverse, point_gradient, point_diagonal):
                        return p
                    Z[:, : len(slots)] = 0.0
                    for i in range(first, last):
                        x, s = _whitened(B, r, i, inverse[p], point_gradient[p])
                        _add_observation(own, i, x, s, image_slot[i], slots, Z, b, diagonal)
                        if shared.shape[2] > 0:
                            _add_observation(shared, i, x, s, camera_slot[i], slots, Z, b, diagonal)
                for i in range(first, last):
                    _add_squares(own, shared, i, image_slot[i], camera_slot[i], low, high, explicit, share)
                _subtract_products(Z, flat_Z, low, high, explicit, share, flat_share)
            _add_share(share, low, high, slots, rows, columns, explicit, S)
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
def _whitened(B: Any, r: Any, i: Any, L: Any, g: Any) -> Any:
    """X = B L^-T of observation i, by rows, and r - X u."""
    u0, u1, u2 = L[0] * g[0], L[1] * g[0] + L[2] * g[1], L[3] * g[0] + L[4] * g[1] + L[5] * g[2]
    x00, x01 = B[i, 0, 0] * L[0], B[i, 0, 0] * L[1] + B[i, 0, 1] * L[2]
    x10, x11 = B[i, 1, 0] * L[0], B[i, 1, 0] * L[1] + B[i, 1, 1] * L[2]
    x02 = B[i, 0, 0] * L[3] + B[i, 0, 1] * L[4] + B[i, 0, 2] * L[5]
    x12 = B[i, 1, 0] * L[3] + B[i, 1, 1] * L[4] + B[i, 1, 2] * L[5]
    rest = r[i, 0] - (x00 * u0 + x01 * u1 + x02 * u2), r[i, 1] - (x10 * u0 + x11 * u1 + x12 * u2)
    return (x00, x01, x02, x10, x11, x12), rest


@inlined
def _add_observation(A: Any, i: Any, x: Any, s: Any, slot: Any, slots: Any, Z: Any, b: Any, diagonal: Any) -> None:
    """Z += A^T X, b += A^T (r - X u) and diagonal += that of A^T A, for observation i and one of its groups."""
    group = slots[slot]
    for j in range(A.shape[2]):
        a0, a1 = A[i, 0, j], A[i, 1, j]
        Z[0, slot, j] += a0 * x[0] + a1 * x[3]
        Z[1, slot, j] += a0 * x[1] + a1 * x[4]
        Z[2, slot, j] += a0 * x[2] + a1 * x[5]
        b[group, j] += a0 * s[0] + a1 * s[1]
        diagonal[group, j] += a0 * a0 + a1 * a1


@inlined
def _clear(low: Any, high: Any, width: Any, flat_share: Any) -> None:
    for a in range(high - low):
        for j in range(width):
            for k in range((low + a + 1) * width):
                flat_share[a, j, k] = 0.0


@inlined
def _add_squares(
    own: Any, shared: Any, i: Any, y: Any, z: Any, low: Any, high: Any, explicit: bool, share: Any
) -> None:
    """share += A^T A of observation i with slots y and z, as far as its rows are those of slots low to high - 1."""
    if low <= y < high:
        _add_outer(own, own, i, y - low, y, share)
    if shared.shape[2] > 0 and low <= z < high:
        _add_outer(shared, shared, i, z - low, z, share)
        if explicit:
            _add_outer(shared, own, i, z - low, y, share)


@inlined
def _subtract_products(Z: Any, flat_Z: Any, low: Any, high: Any, explicit: bool, share: Any, flat_share: Any) -> None:
    """share -= Z^T Z for the rows of slots low to high - 1, on and below the diagonal, or on it alone."""
    width = Z.shape[2]
    for a in range(low, high):
        for j in range(width):
            y0, y1, y2 = Z[0, a, j], Z[1, a, j], Z[2, a, j]
            if explicit:
                for k in range((a + 1) * width):
                    flat_share[a - low, j, k] -= y0 * flat_Z[0, k] + y1 * flat_Z[1, k] + y2 * flat_Z[2, k]
            else:
                for k in range(width):
                    share[a - low, j, a, k] -= y0 * Z[0, a, k] + y1 * Z[1, a, k] + y2 * Z[2, a, k]


@inlined
def _add_share(share: Any, low: Any, high: Any, slots: Any, rows: Any, columns: Any, explicit: bool, S: Any) -> None:
    width = share.shape[1]
    for a in range(low, high):
        for c in range(0 if explicit else a, a + 1):
            place = _place(slots[a], slots[c], rows, columns)
            for j in range(width):
                for k in range(width):
                    S[place, j, k] += share[a - low, j, c, k]


@inlined
def _add_outer(A: Any, other: Any, i: Any, row: Any, column: Any, share: Any) -> None:
    """share += A^T other of observation i."""
    for j in range(A.shape[2]):
        a0, a1 = A[i, 0, j], A[i, 1, j]
        for k in range(other.shape[2]):
            share[row, j, column, k] += a0 * other[i, 0, k] + a1 * other[i, 1, k]


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
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, longest = structure
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
    starts, image_slot, camera_slot, slot_starts, slot_groups, _, split, longest = structure
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

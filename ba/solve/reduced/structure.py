"""Which groups of pose and camera numbers each observation and each point touches.

A group is what moves together: the pose of an image with the intrinsics of its camera where no image shares one, or a
shared camera's intrinsics alone. Every observation touches m groups, one through each of its slots. Groups of the first
slot, the images', have one width, and all others have another, so that S is made of blocks of three shapes. A point's
*slots* are the groups that its track touches, sorted and each once: the point's share of the Schur complement has a
block for each pair of slots, however many observations stand behind one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.sparse import csr_array, vstack

from ba.model.arrays import Array
from ba.model.problem import Problem
from ba.model.terms.term import touched_points
from ba.model.variables import active_columns
from ba.solve.reduced import kernels

PARTS = 4
"""Parts of the points that are worked on side by side: fixed, so that sums do not depend on the number of threads."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Observations are sorted by point and image; those of point p are starts[p]:starts[p + 1].

    entries      (n_groups, width) where each number stands among all pose numbers, image by image, all intrinsics
                 behind them, and the coordinates of points that are not eliminated; -1 where the group has none, in
                 rows that are filled up to the greater width
    free         (n_groups, width) bool: this number exists and may move
    num_images   groups of the first slot, which come first
    edges        (m + 1,) where the columns of A begin that belong to each slot of an observation
    slots        (n_obs, m) int32, which of its point's slots each of an observation's is; ascending in a row
    slot_starts  (n_points + 1,), slot_groups (n_slots,)  the groups of each point's slots, ascending
    coupled      (n, n_groups) the groups that other rows of J couple, a row each; None where there are no such rows
    memory       what solvers found out about the pattern
    """

    entries: Array
    free: Array
    num_images: int
    edges: Array
    starts: Array
    slots: Array
    slot_starts: Array
    slot_groups: Array
    coupled: csr_array | None = None
    memory: dict[str, Any] = field(default_factory=dict)

    @property
    def num_groups(self) -> int:
        return len(self.free)

    @property
    def width(self) -> int:
        return int(self.free.shape[1])

    @cached_property
    def widths(self) -> tuple[int, int]:
        """Numbers of a group of the first slot, and at most of any other; 0 where there is none."""
        lengths, others = np.diff(self.edges), (self.entries[self.num_images :] >= 0).sum(axis=1)
        return int(lengths[0]), int(max(lengths[1:].max(initial=0), others.max(initial=0)))

    @cached_property
    def group_starts(self) -> Array:
        """(n_groups + 1,) where each group begins in a vector of all their numbers, without filling."""
        narrow, wide = self.widths
        sizes = np.where(np.arange(self.num_groups) < self.num_images, narrow, wide)
        return np.concatenate([[0], np.cumsum(sizes)])

    @cached_property
    def filled(self) -> Array:
        """(n_groups, width) bool: no filling."""
        return np.arange(self.width) < np.diff(self.group_starts)[:, None]

    @cached_property
    def known_edges(self) -> tuple[int, ...]:
        """`edges` for the kernels: the compiler knows a tuple's length, and so how many slots to write out."""
        return tuple(self.edges.tolist())

    @cached_property
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels read."""
        longest = int(np.diff(self.slot_starts).max(initial=0))
        slots = self.slots, self.slot_starts, self.slot_groups
        return self.starts, *slots, self.list_starts, self.known_edges, self.num_images, longest

    def by_parameter(self, groups: Array, *counts: int) -> list[Array]:
        """All so many pose numbers, intrinsics, and coordinates of points that are not eliminated, of vectors
        (n_groups, width); zero where no group has them."""
        numbers = np.zeros(sum(counts) + 1)
        numbers[self.entries] = groups
        return np.split(numbers[:-1], np.cumsum(counts)[:-1])

    def offsets(self, rows: Array, columns: Array) -> Array:
        """(n_blocks + 1,) where the numbers of these blocks of S begin in one flat array, each block row by row."""
        sizes = np.diff(self.group_starts)
        return np.concatenate([[0], np.cumsum(sizes[rows] * sizes[columns])])

    @cached_property
    def list_starts(self) -> Array:
        """(n_lists + 1,) where runs of points with the same slots begin."""
        lengths = np.diff(self.slot_starts)
        same = lengths[1:] == lengths[:-1]
        candidates = np.flatnonzero(same)
        counts = lengths[candidates]
        offsets = np.repeat(self.slot_starts[candidates] - (np.cumsum(counts) - counts), counts) + np.arange(
            counts.sum()
        )
        shift = np.repeat(counts, counts)
        differ = self.slot_groups[offsets] != self.slot_groups[offsets + shift]
        same[candidates[np.repeat(np.arange(len(candidates)), counts)[differ]]] = False
        return (
            np.concatenate([[0], np.flatnonzero(~same) + 1, [len(lengths)]]) if len(lengths) else np.zeros(1, np.int64)
        )

    @cached_property
    def pattern(self) -> tuple[Array, Array]:
        """Row starts (n_groups + 1,) and columns of the blocks of S on and below the diagonal, each row ascending."""
        n = self.num_groups
        incidence = csr_array(
            (np.ones(len(self.slot_groups), bool), self.slot_groups, self.slot_starts), (len(self.starts) - 1, n)
        )
        if self.coupled is not None:
            incidence = csr_array(vstack([incidence, self.coupled], format="csr"))
        points = incidence.tocsc()
        row_starts = np.zeros(n + 1, np.int64)
        read = points.indptr, points.indices, incidence.indptr.astype(np.int64), incidence.indices.astype(np.int32)
        kernels.find_columns(*read, row_starts, np.empty(0, np.int32))
        columns = np.empty(np.cumsum(row_starts, out=row_starts)[-1], np.int32)
        kernels.find_columns(*read, row_starts, columns)
        return row_starts, columns

    @cached_property
    def rows_and_columns(self) -> tuple[Array, Array]:
        """The row and the column of each block of `pattern`."""
        starts, columns = self.pattern
        return np.repeat(np.arange(self.num_groups), np.diff(starts)), columns

    @cached_property
    def symmetric(self) -> tuple[Array, Array, Array, Array]:
        """Both triangles of S row by row: the block of `pattern` at each place, whether it is transposed there, its
        column, and where rows begin."""
        rows, columns = self.rows_and_columns
        below = np.flatnonzero(rows != columns)
        blocks = np.concatenate([np.arange(len(rows)), below])
        all_rows, all_columns = np.concatenate([rows, columns[below]]), np.concatenate([columns, rows[below]])
        order = np.lexsort((all_columns, all_rows))
        pointers = np.searchsorted(all_rows[order], np.arange(self.num_groups + 1))
        return blocks[order], order >= len(rows), all_columns[order], pointers

    @cached_property
    def list_parts(self) -> list[tuple[int, int]]:
        """`parts` in lists."""
        bounds = np.searchsorted(self.list_starts, [first for first, _ in self.parts[1:]])
        edges = [0, *bounds.tolist(), len(self.list_starts) - 1]
        return list(pairwise(edges))

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Ranges of points, first and last + 1, with about as many observations each, that threads work on."""
        bounds = np.searchsorted(self.starts, np.linspace(0, self.starts[-1], PARTS + 1))
        bounds[0], bounds[-1] = 0, len(self.starts) - 1
        return list(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))


def make_structure(problem: Problem, tangent_dim: int) -> Structure:
    """The structure of a problem whose observations are sorted by point and image, those of points that a term touches
    behind all others.

    Such points are not eliminated: each is a group of its own, after those of poses and cameras.
    """
    active, pose = active_columns(problem.free, tangent_dim), tangent_dim + 3
    kept = np.flatnonzero(touched_points(problem.terms, problem.num_points))
    free = np.hstack([np.repeat(problem.free.rotations[:, None], tangent_dim, axis=1), problem.free.translations])
    intrinsics = problem.free.intrinsics
    entries = [_numbered(free.shape, 0, active[:pose]), _numbered(intrinsics.shape, free.size, active[pose:])]
    groups = [problem.image_of_obs.astype(np.int64)]
    edges = [0, active[:pose].sum(), active.sum()]
    if is_shared(problem):
        groups.append(problem.num_images + problem.camera_of_image[problem.image_of_obs].astype(np.int64))
    else:
        entries, edges = [np.hstack([entries[0], entries[1][problem.camera_of_image]])], [0, active.sum()]
    if len(kept):
        entries.append(_numbered((len(kept), 3), free.size + intrinsics.size, np.ones(3, bool)))
    width = max(part.shape[1] for part in entries)
    fill = [((0, 0), (0, width - part.shape[1])) for part in entries]
    of_group = np.concatenate([np.pad(part, by, constant_values=-1) for part, by in zip(entries, fill, strict=True)])
    free_points = np.repeat(problem.free.points[kept], 3)
    coupled = None
    if problem.terms:
        group_of_point = np.full(problem.num_points, -1, np.int64)
        group_of_point[kept] = len(of_group) - len(kept) + np.arange(len(kept))
        coupled = _coupled(problem, groups, group_of_point, len(of_group))
        eliminated = group_of_point[problem.point_of_obs] < 0
        problem, groups = problem.take(eliminated), [group[eliminated] for group in groups]
    slot_groups, slots, slot_starts = _slots(problem, groups, len(of_group))
    lengths = np.bincount(problem.point_of_obs, minlength=problem.num_points)
    return Structure(
        entries=of_group,
        free=np.concatenate([free.ravel(), intrinsics.ravel(), free_points, [False]])[of_group],
        num_images=problem.num_images,
        edges=np.array(edges, np.int64),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        slots=slots,
        slot_starts=slot_starts,
        slot_groups=slot_groups,
        coupled=coupled,
    )


def _coupled(problem: Problem, groups: list[Array], group_of_point: Array, n_groups: int) -> csr_array:
    """(n, n_groups) what the observations of points that are not eliminated, and the members of terms, touch."""
    kept = group_of_point[problem.point_of_obs] >= 0
    touched = [np.stack([*(group[kept] for group in groups), group_of_point[problem.point_of_obs[kept]]], axis=1)]
    for term in problem.terms:
        blocks = [group_of_point[touch.block] if touch.family == "point" else touch.block for touch in term.touches]
        touched.append(np.stack(blocks, axis=1))
    rows = []
    for some in touched:
        starts = np.arange(len(some) + 1) * some.shape[1]
        rows.append(csr_array((np.ones(some.size, bool), some.ravel(), starts), (len(some), n_groups)))
    coupled = csr_array(vstack(rows, format="csr"))
    coupled.sum_duplicates()
    return coupled


def is_shared(problem: Problem) -> bool:
    """Whether several images share a camera, of which a number may move."""
    users = np.bincount(problem.camera_of_image, minlength=problem.num_cameras)
    return bool((users > 1).any() and problem.free.intrinsics.any())


def _numbered(shape: tuple[int, ...], first: int, active: Array) -> Array:
    """Numbers from `first` on, row by row, of the active columns."""
    return np.arange(first, first + shape[0] * shape[1]).reshape(shape)[:, active]


def _slots(problem: Problem, groups: list[Array], n_groups: int) -> tuple[Array, Array, Array]:
    """Groups of all slots, the slots of each observation, one for each of `groups`, and where each point's slots start.

    Each of `groups` has numbers above those of the one before, so that its slots stand behind.
    """
    point, points = problem.point_of_obs, np.arange(problem.num_points + 1, dtype=np.int64) * n_groups
    found = [_distinct(point.astype(np.int64) * n_groups + group) for group in groups]
    starts = [np.searchsorted(keys, points) for keys, _ in found]
    slot_starts = np.sum(starts, axis=0)
    slot_groups, slots = np.empty(slot_starts[-1], np.int32), np.empty((len(point), len(groups)), np.int32)
    filled = slot_starts[:-1].copy()
    for s, ((keys, of_obs), first) in enumerate(zip(found, starts, strict=True)):
        slots[:, s] = of_obs + (filled - slot_starts[:-1] - first[:-1])[point]
        slot_groups[np.arange(len(keys)) + np.repeat(filled - first[:-1], np.diff(first))] = keys % n_groups
        filled += np.diff(first)
    return slot_groups, slots, slot_starts


def _distinct(keys: Array) -> tuple[Array, Array]:
    """The keys, ascending and each once, and which of them each is."""
    if (np.diff(keys) < 0).any():
        found, of_key = np.unique(keys, return_inverse=True)
        return found, of_key
    new = np.diff(keys, prepend=-1) > 0
    return keys[new], np.cumsum(new) - 1

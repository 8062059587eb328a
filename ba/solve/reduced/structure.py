"""Which groups of pose and camera numbers each observation and each point touches.

A group is what moves together: the pose of an image with the intrinsics of its camera where no image shares one, or a
shared camera's intrinsics alone. Groups have one width, padded with numbers that are not there, so that S is made of
equal square blocks. A point's *slots* are the groups that its track touches, sorted and each once: the point's share of
the Schur complement has a block for each pair of slots, however many observations stand behind one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from ba.model.problem import Problem
from ba.model.terms.term import touched_points
from ba.solve.reduced import kernels

Array = NDArray[Any]

PARTS = 4
"""Parts of the points that are worked on side by side: fixed, so that sums do not depend on the number of threads."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Observations are sorted by point and image; those of point p are starts[p]:starts[p + 1].

    free         (n_groups, width) bool: this number exists and may move
    split        width of an image's own columns in A; what follows belongs to the shared camera, if there is one
    image_slot   (n_obs,) slot of the image's group within the point's slots
    camera_slot  (n_obs,) slot of the shared camera's group, or image_slot where cameras are not shared
    slot_starts  (n_points + 1,), slot_groups (n_slots,)  the groups of each point's slots, ascending
    coupled      (n, n_groups) the groups that other rows of J couple, a row each; None where there are no such rows
    memory       what solvers found out about the pattern
    """

    free: Array
    split: int
    starts: Array
    image_slot: Array
    camera_slot: Array
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
    def arrays(self) -> tuple[Any, ...]:
        """What the kernels read."""
        longest = int(np.diff(self.slot_starts).max(initial=0))
        return (
            self.starts,
            self.image_slot,
            self.camera_slot,
            self.slot_starts,
            self.slot_groups,
            self.list_starts,
            self.split,
            longest,
        )

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
        places = np.concatenate([np.arange(len(rows)), below])
        all_rows, all_columns = np.concatenate([rows, columns[below]]), np.concatenate([columns, rows[below]])
        order = np.lexsort((all_columns, all_rows))
        pointers = np.searchsorted(all_rows[order], np.arange(self.num_groups + 1))
        return places[order], order >= len(rows), all_columns[order], pointers

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
    alone = bool((np.bincount(problem.camera_of_image, minlength=problem.num_cameras) <= 1).all())
    free, kept = problem.free, np.flatnonzero(touched_points(problem.terms, problem.num_points))
    poses = np.hstack([np.repeat(free.rotations[:, None], tangent_dim, axis=1), free.translations])
    groups = [problem.image_of_obs.astype(np.int64)]
    if alone:
        masks = [np.hstack([poses, free.intrinsics[problem.camera_of_image]])]
    else:
        masks = [poses, free.intrinsics]
        groups.append(problem.num_images + problem.camera_of_image[problem.image_of_obs].astype(np.int64))
    split = int(masks[0].shape[1])
    if len(kept):
        masks.append(np.repeat(free.points[kept][:, None], 3, axis=1))
    mask = np.concatenate(_padded(masks))
    coupled = None
    if problem.terms:
        group_of_point = np.full(problem.num_points, -1, np.int64)
        group_of_point[kept] = len(mask) - len(kept) + np.arange(len(kept))
        coupled = _coupled(problem, groups, group_of_point, len(mask))
        eliminated = group_of_point[problem.point_of_obs] < 0
        problem, groups = problem.take(eliminated), [group[eliminated] for group in groups]
    slots, local, slot_starts = _slots(problem, groups, len(mask))
    lengths = np.bincount(problem.point_of_obs, minlength=problem.num_points)
    return Structure(
        free=mask,
        split=split,
        starts=np.concatenate([[0], np.cumsum(lengths)]),
        image_slot=local[0],
        camera_slot=local[-1],
        slot_starts=slot_starts,
        slot_groups=slots,
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


def _slots(problem: Problem, groups: list[Array], n_groups: int) -> tuple[Array, list[Array], Array]:
    """Groups of all slots, the slot of each observation in each of `groups`, and where each point's slots start."""
    keys = np.concatenate([problem.point_of_obs.astype(np.int64) * n_groups + group for group in groups])
    if len(groups) == 1:  # sorted already
        new = np.concatenate([[True], keys[1:] != keys[:-1]]) if len(keys) else np.empty(0, bool)
        slots, inverse = keys[new], np.cumsum(new) - 1
    else:
        slots, inverse = np.unique(keys, return_inverse=True)
    slot_starts = np.searchsorted(slots, np.arange(problem.num_points + 1, dtype=np.int64) * n_groups)
    local = (inverse.reshape(len(groups), -1) - slot_starts[problem.point_of_obs]).astype(np.int32)
    return (slots % n_groups).astype(np.int32), list(local), slot_starts


def _padded(masks: list[Array]) -> list[Array]:
    width = max(mask.shape[1] for mask in masks)
    return [np.pad(mask, ((0, 0), (0, width - mask.shape[1]))) for mask in masks]

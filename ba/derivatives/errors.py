"""How far two Jacobians are apart, by kind of number.

An entry's error is a share of the largest entry of its group, the numbers of one kind of one image, camera or point:
entry by entry, one that happens to be zero would be infinitely wrong, and column by column, no difference quotient
resolves the real part of a quaternion near the identity.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ba.camera import CAMERAS
from ba.variables import Variables

Array = NDArray[Any]

KINDS = ("rotation", "position", "focal", "principal point", "distortion", "skew", "point")
IMAGES, CAMERA, POINT = KINDS[:2], KINDS[2:6], KINDS[6]


@dataclass(frozen=True, eq=False)
class Groups:
    """What each column (size,) is: kind, an index into KINDS; owner, its image, camera or point; place in the group."""

    kind: Array
    owner: Array
    place: Array


@dataclass(frozen=True)
class Error:
    """The largest error of one kind: share of its group's largest entry, where it is, and both entries."""

    kind: str
    share: float
    row: int
    column: int
    found: float
    right: float


def groups_of(variables: Variables) -> Groups:
    """What every column of the Jacobian belongs to."""
    problem, layout, k = variables.problem, variables.layout, variables.rotation.tangent_dim
    kind, owner, place = (np.zeros(layout.size, np.int64) for _ in range(3))
    for columns, code in (
        (layout.image_columns, np.repeat([0, 1], [k, 3])),
        (layout.camera_columns, _intrinsic_kinds(problem.camera_models, layout.camera_columns.shape[1])),
        (variables.point_entries, np.array(len(KINDS) - 1)),
    ):
        free = columns >= 0
        rows, places = np.nonzero(free)
        kind[columns[free]] = np.broadcast_to(code, columns.shape)[free]
        owner[columns[free]], place[columns[free]] = rows, places
    return Groups(kind, owner, place)


def _intrinsic_kinds(models: tuple[str, ...], width: int) -> Array:
    """(n_cameras, width) index into KINDS."""
    rows = {}
    for name in dict.fromkeys(models):
        model, row = CAMERAS[name], np.zeros(width, np.int64)
        for kind, members in zip(
            CAMERA, (model.focal, model.principal_point, model.distortion, model.skew), strict=True
        ):
            row[list(members)] = KINDS.index(kind)
        rows[name] = row
    return np.array([rows[name] for name in models]).reshape(len(models), width)


def largest_errors(found: csr_array, right: csr_array, groups: Groups) -> list[Error]:
    """The largest error of each kind that has columns. An entry that is not finite is infinitely wrong."""
    difference = (found - right).tocoo()
    scale = _scales(right, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.abs(difference.data) / scale[difference.col]
    shares[difference.data == 0.0] = 0.0
    shares[np.isnan(shares)] = np.inf
    kinds = groups.kind[difference.col]
    return [_largest(code, shares, kinds, difference, found, right) for code in np.unique(groups.kind)]


def _largest(code: int, shares: Array, kinds: Array, difference: Any, found: csr_array, right: csr_array) -> Error:
    members = np.flatnonzero(kinds == code)
    if not len(members):
        return Error(KINDS[code], 0.0, -1, -1, 0.0, 0.0)
    worst = members[np.argmax(shares[members])]
    row, column = int(difference.row[worst]), int(difference.col[worst])
    return Error(KINDS[code], float(shares[worst]), row, column, float(found[row, column]), float(right[row, column]))


def _scales(matrix: csr_array, groups: Groups) -> Array:
    """(size,) the largest entry of each column's group."""
    largest = np.zeros(len(groups.kind))
    np.maximum.at(largest, matrix.indices, np.abs(matrix.data))
    _, group = np.unique(groups.kind * (groups.owner.max(initial=0) + 1) + groups.owner, return_inverse=True)
    by_group = np.zeros(int(group.max(initial=-1)) + 1)
    np.maximum.at(by_group, group, largest)
    return np.asarray(by_group[group])

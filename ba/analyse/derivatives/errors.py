"""How far two Jacobians are apart, by kind of number.

An entry's error is a share of the largest entry of its group, the numbers of one kind of one image, camera or point:
entry by entry, one that happens to be zero would be infinitely wrong, and column by column, no difference quotient
resolves the real part of a quaternion near the identity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from ba.model.arrays import Array
from ba.model.camera import CAMERAS
from ba.model.variables import Variables

KINDS = ("rotation", "position", "focal", "principal point", "distortion", "skew", "point")
CAMERA = KINDS[2:6]

HARMLESS = 17.6
"""Terms this many times the depth make 256 of their roundings 1e-12 of it. Over 25 random states of Ladybug-49 with
seven parameterizations two answers were up to 90 roundings apart, and the worst pair 4e-11 and 2e-11 from the
derivative in 60 digits, on either side of it: neither was wrong."""


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
        (layout.point_columns, np.array(len(KINDS) - 1)),
    ):
        free = columns >= 0
        rows, indices = np.nonzero(free)
        kind[columns[free]] = np.broadcast_to(code, columns.shape)[free]
        owner[columns[free]], place[columns[free]] = rows, indices
    return Groups(kind, owner, place)


def _intrinsic_kinds(models: tuple[str, ...], width: int) -> Array:
    """(n_cameras, width) index into KINDS."""
    code = np.zeros((len(models), width), np.int64)
    for camera, name in enumerate(models):
        for kind in CAMERA:
            code[camera, list(getattr(CAMERAS[name], kind.replace(" ", "_")))] = KINDS.index(kind)
    return code


def largest_errors(found: csr_array, right: csr_array, groups: Groups, slack: Array | None = None) -> list[Error]:
    """The largest error of each kind that has columns. An entry that is not finite is infinitely wrong.

    slack (rows,): the errors of each row count divided by this, as by `rounding_slack`.
    """
    difference = (found - right).tocoo()
    scale = _scales(right, groups)
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.abs(difference.data) / scale[difference.col]
    if slack is not None:
        shares /= slack[difference.row]
    shares[difference.data == 0.0] = 0.0
    shares[np.isnan(shares)] = np.inf
    errors = []
    for code in np.unique(groups.kind):
        members = np.flatnonzero(groups.kind[difference.col] == code)
        error = Error(KINDS[code], 0.0, -1, -1, 0.0, 0.0)
        if len(members):
            worst = members[np.argmax(shares[members])]
            place = int(difference.row[worst]), int(difference.col[worst])
            error = Error(KINDS[code], float(shares[worst]), *place, float(found[place]), float(right[place]))
        errors.append(error)
    return errors


def rounding_slack(variables: Variables, x: Array) -> Array:
    """(n_rows,) >= 1: how much further apart than others two right answers for each row may be.

    R x + t is rounded in the last digit of its terms. Where the point's depth is what is left of terms many times as
    large, near the camera's plane or in a world far from the origin, two ways to compute it differ by that many
    roundings, and derivatives, which go with the depth to the power of minus seven or so, by as many times more.
    """
    problem, p = variables.problem, variables.at(x)
    R, t = np.abs(p.rotations[problem.image_of_obs]), np.abs(p.translations[problem.image_of_obs])
    point = p.points[problem.point_of_obs]
    terms = (np.einsum("nij,nj->ni", R, np.abs(point)) + t).max(axis=1)
    axis = p.rotations[problem.image_of_obs, 2]
    depth = np.abs(np.einsum("ni,ni->n", axis, point) + p.translations[problem.image_of_obs, 2])
    lost = terms / depth.clip(min=np.finfo(float).tiny)
    observations = np.repeat(np.maximum(1.0, lost / HARMLESS), 2)
    return np.concatenate([observations, *(np.ones(term.shape[0] * term.shape[1]) for term in problem.terms)])


def _scales(matrix: csr_array, groups: Groups) -> Array:
    """(size,) the largest entry of each column's group."""
    largest = np.zeros(len(groups.kind))
    np.maximum.at(largest, matrix.indices, np.abs(matrix.data))
    _, group = np.unique(groups.kind * (groups.owner.max(initial=0) + 1) + groups.owner, return_inverse=True)
    by_group = np.zeros(int(group.max(initial=-1)) + 1)
    np.maximum.at(by_group, group, largest)
    return np.asarray(by_group[group])

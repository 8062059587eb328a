"""Are the derivatives right? The analytic Jacobian against every other way, at the start and at random states.

Ways whose time grows with the square of the observations work on a connected cut. Errors and where they are come from
`ba.analyse.derivatives.largest_errors`; only the exact ways decide. Times are the least of up to two runs on one
thread, memory is the peak of what numpy and Python allocate, both at n, 2n and 4n observations; a straight line through
their logarithms gives the power of n by which they grow.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from timeit import timeit
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ba.analyse.derivatives import JACOBIANS, KINDS, Error, Way, groups_of, largest_errors, rounding_slack
from ba.analyse.undetermined import image_name
from ba.check.subproblem import Subproblem, cut
from ba.errors import UserError
from ba.model.arrays import Array
from ba.model.camera import CAMERAS
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import Parameterization
from ba.model.variables import Variables, make_variables

FEW, MOST = 2_000, 200_000
"""Observations of the cut for quadratic ways, and for all others."""

LONG, ENOUGH = 0.3, 500
"""In a run of so many seconds, or of so many observations, what is done only once no longer dominates."""

FRACTIONS = (0.25, 0.5, 1.0)
TURN, SHARE = 0.1, 0.01
"""Random states: sigma of rotation numbers, and of all others as a share of the scene or of their own size."""


@dataclass(frozen=True)
class Cost:
    """Observations, and the seconds and bytes of a Jacobian of so many, with the powers of n by which they grow."""

    observations: tuple[int, ...]
    seconds: tuple[float, ...]
    bytes: tuple[int, ...]

    @property
    def powers(self) -> tuple[float, float]:
        """Of time and of memory; NaN where the three sizes are not distinct, or the largest is below ENOUGH."""
        if len(set(self.observations)) < len(FRACTIONS) or self.observations[-1] < ENOUGH:
            return np.nan, np.nan
        n = np.log(self.observations)
        time_power, memory_power = (np.polyfit(n, np.log(y), 1)[0] for y in (self.seconds, self.bytes))
        return float(time_power), float(memory_power)


@dataclass(frozen=True)
class Row:
    """The analytic Jacobian against one way: the largest error of each kind, where, what is wrong, what the way costs.

    Errors are told as they are; what is wrong is judged by what rounding leaves
    (`ba.analyse.derivatives.rounding_slack`).
    """

    name: str
    errors: dict[str, Error]
    entries: dict[str, str]
    faults: list[str]
    cost: Cost


@dataclass(frozen=True, eq=False)
class Derivatives:
    """The table, which ways are missing and why, and the cut: its pattern, and of the entries outside how many were
    tested and how many are stray, not zero."""

    rows: list[Row]
    missing: dict[str, str]
    cut: Problem
    pattern: csr_array
    tested: int
    stray: int
    kinds: Array

    @property
    def inner_zeros(self) -> dict[str, float]:
        """The share of the pattern's entries that are zero all the same, by kind, where some are."""
        kinds, zero = self.kinds[self.pattern.indices], self.pattern.data == 0.0
        shares = {KINDS[code]: float(zero[kinds == code].mean()) for code in np.unique(kinds)}
        return {kind: share for kind, share in shares.items() if share > 0.0}

    @property
    def failures(self) -> list[str]:
        found = [fault for row in self.rows for fault in row.faults]
        return found + ([f"{self.stray} entries outside the pattern are not zero"] if self.stray else [])


def check_derivatives(subproblem: Subproblem, rotation: Parameterization, seed: int, states: int) -> Derivatives:
    """Compare at the start and at `states` random states."""
    whole, piece = cut(subproblem, MOST), cut(subproblem, FEW)
    rows, missing = [], {}
    for name, way in JACOBIANS.items():
        try:
            rows.append(_compare(name, piece if way.quadratic else whole, rotation, seed, states))
        except UserError as error:
            missing[name] = str(error)
    pattern, moving = (_work(JACOBIANS[name], piece.problem, rotation)() for name in ("analytic", "complex_columns"))
    tested = pattern.shape[0] * pattern.shape[1] - pattern.nnz
    inside = csr_array((np.ones(pattern.nnz), pattern.indices, pattern.indptr), pattern.shape)
    reached = csr_array((np.ones(moving.nnz), moving.indices, moving.indptr), moving.shape)
    stray = int((reached - reached.multiply(inside)).count_nonzero())
    kinds = groups_of(make_variables(piece.problem, rotation)).kind
    return Derivatives(rows, missing, piece.problem, pattern, tested, stray, kinds)


def random_state(variables: Variables, rng: np.random.Generator) -> Array:
    """(size,) away from the start, and from the centre of the charts."""
    groups, x = groups_of(variables), variables.start
    points = variables.problem.points
    extent = float(np.median(np.abs(points - np.median(points, axis=0)))) if len(points) else 1.0
    sigma = SHARE * np.abs(x)
    sigma[groups.kind == KINDS.index("rotation")] = TURN
    for kind in ("position", "point"):
        sigma[groups.kind == KINDS.index(kind)] = SHARE * extent
    return np.asarray(x + sigma * rng.standard_normal(len(x)))


def _compare(name: str, subproblem: Subproblem, rotation: Parameterization, seed: int, states: int) -> Row:
    way, analytic = JACOBIANS[name], JACOBIANS["analytic"]
    variables, residuals = make_variables(subproblem.problem, rotation), Residuals(subproblem.problem)
    groups, rng = groups_of(variables), np.random.default_rng(seed)
    errors: dict[str, Error] = {}
    judged: dict[str, Error] = {}
    for number in range(states + 1):
        x = random_state(variables, rng) if number else variables.start
        pair = analytic.compute(residuals, variables, x), way.compute(residuals, variables, x)
        _keep_larger(errors, largest_errors(*pair, groups))
        if way.exact:
            _keep_larger(judged, largest_errors(*pair, groups, rounding_slack(variables, x)))
    entries = {kind: _place(error, subproblem, variables) for kind, error in errors.items()}
    faults = [
        f"analytic and {name} differ in {kind} by {error.share:.2g}, {_place(error, subproblem, variables)}: "
        f"{error.found:.17g} and {error.right:.17g}; at most {way.tolerance:g} is right"
        for kind, error in judged.items()
        if not error.share <= way.tolerance
    ]
    return Row(name, errors, entries, faults, _cost(way, subproblem, rotation))


def _keep_larger(largest: dict[str, Error], found: list[Error]) -> None:
    for error in found:
        largest[error.kind] = max(largest.get(error.kind, error), error, key=lambda each: each.share)


def _place(error: Error, subproblem: Subproblem, variables: Variables) -> str:
    """Which residual by which number, in the indices that the user knows."""
    if error.row < 0:
        return "nowhere"
    problem, groups = subproblem.problem, groups_of(variables)
    observation, coordinate = divmod(error.row, 2)
    image, point = int(problem.image_of_obs[observation]), int(problem.point_of_obs[observation])
    place, owner = int(groups.place[error.column]), int(groups.owner[error.column])
    match error.kind:
        case "rotation":
            number = f"its rotation's number {place}"
        case "position":
            number = f"its translation's {'xyz'[place - variables.rotation.tangent_dim]}"
        case "point":
            number = f"the point's {'xyz'[place]}"
        case _:
            number = f"{CAMERAS[problem.camera_models[owner]].parameters[place]} of camera {subproblem.cameras[owner]}"
    name = image_name(problem, image, int(subproblem.images[image]))
    return f"{'uv'[coordinate]} of {name} point {subproblem.points[point]} by {number}"


def _cost(way: Way, subproblem: Subproblem, rotation: Parameterization) -> Cost:
    parts = [cut(subproblem, int(share * subproblem.problem.num_observations)).problem for share in FRACTIONS]
    works = [_work(way, part, rotation) for part in parts]
    return Cost(
        observations=tuple(part.num_observations for part in parts),
        seconds=tuple(_least_seconds(work) for work in works),
        bytes=tuple(_peak(work) for work in works),
    )


def _work(way: Way, problem: Problem, rotation: Parameterization) -> Callable[[], csr_array]:
    variables, residuals = make_variables(problem, rotation), Residuals(problem)
    return lambda: way.compute(residuals, variables, variables.start)


def _least_seconds(work: Callable[[], Any]) -> float:
    """The shorter of two runs, or the first where it takes LONG: then what is done only once no longer counts."""
    first = timeit(work, number=1)
    return first if first > LONG else min(first, timeit(work, number=1))


def _peak(work: Callable[[], Any]) -> int:
    """Bytes allocated at most beyond what was there."""
    tracemalloc.start()
    try:
        work()
        return max(tracemalloc.get_traced_memory()[1], 1)
    finally:
        tracemalloc.stop()

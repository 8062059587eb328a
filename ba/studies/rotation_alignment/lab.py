"""What a rotation alignment measures: each parameterization from one start, and from many starts far away."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ba.model.rotation import ROTATIONS, so3
from ba.model.rotation.parameterization import Array
from ba.solve.options import Solver
from ba.studies.rotation_alignment.config import Alignment, Starts
from ba.studies.rotation_alignment.problem import PointSets, angle_between, cost
from ba.studies.rotation_alignment.solve import Course, solve

COST_SHARE = 1e-8
"""By which the cost at an end may exceed that of the closed form; about 1e-6 rad in the shipped example."""


@dataclass(frozen=True)
class Row:
    """One parameterization from one start. Angles in radians; to_truth is None where no truth is known.

    distance_from_so3: |R^T R - I|, Frobenius; of a matrix that is no rotation, the angles are those of the nearest one.
    """

    rotation: str
    residual: str
    status: str
    message: str
    iterations: int
    evaluations: int
    initial_cost: float
    final_cost: float
    to_closed_form: float
    to_truth: float | None
    distance_from_so3: float
    seconds: float


@dataclass(frozen=True)
class StartRow:
    """How many of the starts at one angle from the closed form reached its cost, and with how many steps."""

    rotation: str
    residual: str
    degrees: float
    reached: int
    of: int
    median_steps: float


def align(
    sets: PointSets, best: Array, rotation: str, residual: str, start: Array, options: Solver | None = None
) -> tuple[Row, Course]:
    """Solve from the start (3, 3) and compare with the closed form `best` (3, 3)."""
    parameterization, began = ROTATIONS[rotation], time.perf_counter()
    theta = parameterization.from_matrix(start[None])
    (course,) = solve(sets, parameterization, theta, residual, options or Alignment())
    seconds, R = time.perf_counter() - began, course.R[-1]
    return Row(
        rotation=rotation,
        residual=residual,
        status=str(course.status),
        message=course.message,
        iterations=course.end.iteration,
        evaluations=course.end.evaluations,
        initial_cost=course.steps[0].cost,
        final_cost=course.end.cost,
        to_closed_form=float(angle_between(R, best)),
        to_truth=None if sets.truth is None else float(angle_between(R, sets.truth)),
        distance_from_so3=float(parameterization.constraint(course.theta[-1:])[0]),
        seconds=seconds,
    ), course


def from_afar(
    sets: PointSets, best: Array, names: tuple[str, str], starts: Starts, options: Solver
) -> Iterator[StartRow]:
    """A row for each angle, from the same starts whatever the names (rotation, residual)."""
    parameterization, of = ROTATIONS[names[0]], starts.count
    for index, degrees in enumerate(starts.angles_deg):
        R = so3.exp(np.radians(degrees) * directions(of, starts.seed + index)) @ best
        courses = solve(sets, parameterization, parameterization.from_matrix(R), names[1], options)
        there = [reaches(course, sets, best) for course in courses]
        yield StartRow(*names, degrees, sum(there), of, median_steps(courses, there))


def directions(count: int, seed: int) -> Array:
    """(count, 3) random unit vectors."""
    vectors = np.random.default_rng(seed).normal(size=(count, 3))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def reaches(course: Course, sets: PointSets, best: Array) -> bool:
    """Whether the end costs no more than the closed form, for which a matrix that is no rotation also counts."""
    return course.end.cost <= (1.0 + COST_SHARE) * cost(sets, best) + 1e-15 * float((sets.p1**2).sum())


def median_steps(courses: Sequence[Course], reached: Sequence[bool]) -> float:
    """Of those that reached the optimum; NaN where none did."""
    steps = [course.end.iteration for course, there in zip(courses, reached, strict=True) if there]
    return float(np.median(steps)) if steps else float("nan")

"""Starts where some parameterization is weak, and how often each reaches the optimum from there.

Every seed is a problem of its own: 100 noisy points whose optimum is turned so that the start lies at the stressed
place. All parameterizations get the same starts, but for two places that lie in the numbers, not in the rotation:

near 2 pi    the numbers are carried along a turn of 2 pi - 1e-3 about a random axis, as far as steps of theirs can
             follow it; numbers that cannot, or are no other after it, start from the same matrix
gimbal lock  of the rotations that take one axis to +- another, the one where the tangent map is weakest, and the
             optimum half a radian away in the direction that it reaches worst

`why` tells what was measured where a start failed: how weak the tangent map was met (third singular value over the
first, `isotropy`: 1 is best), how far from the optimum it ended, or that steps ran out.

Of 20 seeds, all reach the optimum from all six places, but for `cayley` (near pi 8, at its weakest place, a half turn,
0, 90 degrees away 15, 170 degrees away 10: its numbers run off to infinity, where half turns are) and `columns6` (near
2 pi 14, 90 degrees away 17, 170 degrees away 15: steps end where the two columns are parallel, for its lengths are
hardly damped). Gimbal lock costs Euler angles two to four steps and no start, because the points' spread differs by
direction, and the gradient leaves the plane that the angles reach. With points of equal spread and no noise it does
not: then none of 20 starts of `euler_xyz` and `euler_zxz` takes a step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ba.model.rotation import ROTATIONS, Parameterization, isotropy, so3
from ba.model.rotation.parameterization import Array
from ba.solve.result import Status
from ba.studies.rotation_alignment.config import Alignment
from ba.studies.rotation_alignment.lab import COST_SHARE, median_steps
from ba.studies.rotation_alignment.problem import PointSets, angle_between, closed_form, cost
from ba.studies.rotation_alignment.solve import Course, solve

POINTS, SIGMA = 100, 0.01
OPTIONS = Alignment(max_iterations=100)
HALF = 0.5
"""How far from the start the optimum is where the place alone is the stress, radians."""
NEAR, PIECES = 1e-3, 60
WEAK = 1e-2
QUARTER_TURNS = so3.exp(0.5 * np.pi * np.array([[0, 0, 0], *np.eye(3), *-np.eye(3), *(2.0 * np.eye(3))]))
"""(10, 3, 3): no turn, quarter turns and half turns about the axes. Turned about an axis, they hold the lock of every
order of Euler angles: the middle one 90 degrees, or 0 or 180 where the first and the last axis are the same."""

Starts = tuple[Array, Array]
"""theta (b, ambient_dim) and the optimum up to noise (b, 3, 3) for each seed."""


@dataclass(frozen=True)
class StressRow:
    """Of `of` seeds, `reached` ended at the optimum's cost, in median_steps (NaN: none did); why the others failed."""

    parameterization: str
    stress: str
    reached: int
    of: int
    median_steps: float
    why: str


@dataclass(frozen=True, eq=False)
class Draw:
    """What each of b seeds draws: two unit vectors (b, 3) and an angle (b,) of 0 to pi."""

    first: Array
    second: Array
    angle: Array

    def turned(self, R: Array, radians: float) -> Array:
        """R (b, 3, 3) turned by so much about the second axis."""
        return np.asarray(so3.exp(radians * self.second) @ R)


def _apart(radians: float, turn: float | None = None) -> Callable[[Parameterization, Draw], Starts]:
    """So far from the optimum, at a rotation by `turn`, or by the angle that is drawn."""

    def place(parameterization: Parameterization, draw: Draw) -> Starts:
        R = so3.exp((draw.angle[:, None] if turn is None else turn) * draw.first)
        return parameterization.from_matrix(R), draw.turned(R, radians)

    return place


def _near_2pi(parameterization: Parameterization, draw: Draw) -> Starts:
    w = (2.0 * np.pi - NEAR) * draw.first
    return _carried(parameterization, w), draw.turned(so3.exp(w), HALF)


def _gimbal_lock(parameterization: Parameterization, draw: Draw) -> Starts:
    spins = so3.exp(draw.angle[:, None, None] * np.eye(3))
    places = (spins[:, :, None] @ QUARTER_TURNS).reshape(len(draw.angle), -1, 3, 3)
    if not parameterization.stays_rotation:
        return parameterization.from_matrix(places[:, 0]), draw.turned(places[:, 0], HALF)
    weakness = isotropy(parameterization, parameterization.from_matrix(places.reshape(-1, 3, 3)))
    R = places[np.arange(len(places)), weakness.reshape(places.shape[:2]).argmin(axis=1)]
    theta = parameterization.from_matrix(R)
    G = parameterization.tangent_map(theta, np.zeros((len(theta), parameterization.tangent_dim)))
    return theta, so3.exp(HALF * np.linalg.svd(G)[0][:, :, 2]) @ R


STRESS: dict[str, Callable[[Parameterization, Draw], Starts]] = {
    "near 0": _apart(HALF, 1e-9),
    "near pi": _apart(HALF, np.pi - 1e-6),
    "near 2 pi": _near_2pi,
    "gimbal lock": _gimbal_lock,
    "90 degrees away": _apart(np.radians(90.0)),
    "170 degrees away": _apart(np.radians(170.0)),
}


def run(
    parameterizations: Mapping[str, Parameterization] = ROTATIONS, seeds: Sequence[int] = range(20)
) -> tuple[StressRow, ...]:
    """A row for each parameterization and stress, with the vector residual. Raises nothing."""
    return tuple(_row(name, p, stress, seeds) for name, p in parameterizations.items() for stress in STRESS)


def _row(name: str, parameterization: Parameterization, stress: str, seeds: Sequence[int]) -> StressRow:
    theta, optimum = STRESS[stress](parameterization, _draw(seeds))
    p2 = np.random.default_rng(1001).normal(size=(POINTS, 3))
    courses: list[Course] = []
    reached, failed = [], []
    for seed, start, R in zip(seeds, theta, optimum, strict=True):
        sets = PointSets(p2 @ R.T + SIGMA * np.random.default_rng(seed).normal(size=p2.shape), p2)
        best = closed_form(sets)
        courses += solve(sets, parameterization, start[None], "vector", OPTIONS)
        reached.append(courses[-1].end.cost <= (1.0 + COST_SHARE) * cost(sets, best))
        if not reached[-1]:
            failed.append((courses[-1], best))
    return StressRow(name, stress, sum(reached), len(seeds), median_steps(courses, reached), _why(failed))


def _draw(seeds: Sequence[int]) -> Draw:
    randoms = [np.random.default_rng((seed, 1)) for seed in seeds]
    vectors = np.stack([random.normal(size=(2, 3)) for random in randoms])
    vectors /= np.linalg.norm(vectors, axis=-1, keepdims=True)
    return Draw(vectors[:, 0], vectors[:, 1], np.array([random.uniform(0.0, np.pi) for random in randoms]))


def _why(failed: Sequence[tuple[Course, Array]]) -> str:
    """The reasons in a few words, each with its number of starts and with its worst measure."""
    reasons: dict[str, list[float]] = {}
    for course, best in failed:
        degrees = float(np.degrees(angle_between(course.R[-1], best)))
        if not np.isfinite(course.theta).all():
            reason, worst = "numbers not finite", 0.0
        elif (weakest := float(course.isotropy.min())) < WEAK:
            reason, worst = "tangent map collapsed, isotropy down to", weakest
        elif course.status is Status.MAX_ITERATIONS:
            reason, worst = f"out of {OPTIONS.max_iterations} steps, degrees left", degrees
        else:
            reason, worst = "stopped, degrees short of 180", 180.0 - degrees
        reasons.setdefault(reason, []).append(worst)
    return "; ".join(f"{len(found)}: {reason} {min(found):.1g}" for reason, found in reasons.items())


def _carried(parameterization: Parameterization, w: Array) -> Array:
    """theta (b, ambient_dim) that follows exp(s w) (b, 3) from s = 0 to 1, or `from_matrix` of the end if it cannot."""
    theta = parameterization.from_matrix(np.broadcast_to(np.eye(3), (len(w), 3, 3)))
    zero = np.zeros((len(w), parameterization.tangent_dim))
    for share in (*np.linspace(0.0, 1.0, PIECES + 1)[1:], 1.0, 1.0):
        R, target = parameterization.to_matrix(theta), so3.exp(share * w)
        left = so3.log(target @ np.swapaxes(R, -1, -2)) if parameterization.stays_rotation else so3.flatten(target - R)
        theta = parameterization.retract(theta, _reached_by(parameterization.tangent_map(theta, zero), left))
    there = so3.exp(w)
    close = np.isfinite(theta).all(axis=1) & (angle_between(parameterization.to_matrix(theta), there) < 0.01 * NEAR)
    return np.where(close[:, None], theta, parameterization.from_matrix(there))


def _reached_by(G: Array, phi: Array) -> Array:
    """The shortest step (b, k) that the tangent map G takes to phi (b, 3 or 9)."""
    return np.asarray((np.linalg.pinv(G) @ phi[..., None])[..., 0])

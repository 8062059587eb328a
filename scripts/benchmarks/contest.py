"""The same task for every contender, and what each brings back.

All minimize the same cost, 0.5 * sum of squared residuals in px^2 over the same observations. That is checked, not
assumed: the initial cost must be ours, and so must the cost of the final state by our own formula. It is not obvious:
pycolmap and GTSAM give a point behind its camera no residual at all, where BAL's definition gives it the one that the
formula has. Ladybug-49 starts with 31 such observations, and a peer that ignores them seems to find a lower minimum.
They are therefore posed to Ceres through a camera turned half round about its x axis, with u negated:

    B = diag(1, -1, -1),  B (X, Y, Z) = (X, -Y, -Z),   X / -Z = -(X / Z),   -Y / -Z = Y / Z

so the residual is the same but for the sign of its first component, and the point lies in front. GTSAM has no such
factor in C++, and one in Python doubled the time of its steps: it is given problems without such observations only,
which `in_front` makes of any, for every contender.
"""

import time
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba import io
from ba.errors import UserError
from ba.model.problem import Problem, make_problem
from scripts.benchmarks.contenders import CONTENDERS

MAX_ITERATIONS = 200
SAME_START, SAME_END, SAME_PRINTED = 1e-12, 1e-9, 1e-6
TURNED = np.diag([1.0, -1.0, -1.0])
NEGATED_U = np.array([-1.0, 1.0])


@dataclass(frozen=True)
class Task:
    """One run. `enough` is the cost at which it may stop, 0 for none; `ftol` where it stops by itself.

    both_sides: points may pass through the plane of a camera, which `ceres` then takes into account at every step.
    in_front: without the observations that start behind their cameras.
    ceres_binary, ceres_built: a program of `native`, and how it was built, in words.
    """

    contender: str
    file: str
    threads: int
    enough: float = 0.0
    ftol: float = 1e-10
    ceres_solver: str = "auto"
    check: bool = True
    both_sides: bool = False
    in_front: bool = False
    ceres_binary: str = ""
    ceres_built: str = ""


class Curve:
    """Cost against seconds since it was made; entry 0 is the start."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.points: list[tuple[float, float]] = []

    def add(self, cost: float) -> None:
        self.points.append((time.perf_counter() - self.began, cost))


@dataclass(frozen=True, eq=False)
class Outcome:
    """A solve: seconds to pose the problem, seconds to solve it, cost against time, and the state it ended in.

    problem: None where the contender does not tell, and prints its costs with seven digits.
    """

    build_seconds: float
    solve_seconds: float
    curve: list[tuple[float, float]]
    problem: Problem | None
    settings: dict[str, Any] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)


def load(path: Path | str, *, in_front: bool = False) -> Problem:
    """The problem without the points that `ba` would hold fixed (seen fewer than twice): peers would move them."""
    problem = io.load(path)
    if problem.covariances is not None:
        raise UserError(f"{path}: has covariances, which the peers are not given; a file without them is right")
    if in_front:
        problem = _kept(problem, ~behind(problem))
    return _kept(problem, problem.free.points[problem.point_of_obs])


def _kept(problem: Problem, keep: NDArray[np.bool_]) -> Problem:
    """The problem of these observations (n_obs,), whose masks are made anew."""
    if keep.all():
        return problem
    return make_problem(
        rotations=problem.rotations,
        translations=problem.translations,
        camera_models=problem.camera_models,
        camera_of_image=problem.camera_of_image,
        intrinsics=problem.intrinsics,
        points=problem.points,
        image_of_obs=problem.image_of_obs[keep],
        point_of_obs=problem.point_of_obs[keep],
        pixels=problem.pixels[keep],
    )


def only_bal(problem: Problem, *, one_each: bool = False) -> None:
    """Raises UserError where a peer cannot be given the cameras of this problem."""
    if other := set(problem.camera_models) - {"bal"}:
        raise UserError(f"is posed here for cameras of model bal only, not {', '.join(sorted(other))}")
    if one_each and problem.num_cameras != problem.num_images:
        raise UserError("is posed here with a camera for each image only")


def behind(problem: Problem) -> NDArray[np.bool_]:
    """(n_obs,) whether the point lies behind its camera."""
    row = problem.rotations[problem.image_of_obs, 2]
    depth = np.einsum("oi,oi->o", row, problem.points[problem.point_of_obs])
    return np.asarray(depth + problem.translations[problem.image_of_obs, 2] <= 0.0)


def moved(problem: Problem, rotations: Any, translations: Any, intrinsics: Any, points: Any) -> Problem:
    """The problem with another state."""
    return replace(
        problem,
        rotations=np.array(rotations, float),
        translations=np.array(translations, float),
        intrinsics=np.array(intrinsics, float),
        points=np.array(points, float),
    )


def cost(problem: Problem) -> float:
    from ba.model.residual import project  # loads compiled kernels, which a cold run of a peer does without

    return 0.5 * float(np.sum((project(problem).pixels - problem.pixels) ** 2))


def faults(problem: Problem, outcome: Outcome) -> list[str]:
    """In what the run was not the one that was asked for."""
    first, last = outcome.curve[0][1], outcome.curve[-1][1]
    ours, found = cost(problem), []
    if not abs(first / ours - 1.0) <= (SAME_PRINTED if outcome.problem is None else SAME_START):
        found.append(f"starts at cost {first:.12g}, not at {ours:.12g}")
    if outcome.problem is None:
        return found
    end = cost(outcome.problem)
    if (
        not abs(end - last) <= SAME_END * last + SAME_START * first
    ):  # the second for problems that can be solved exactly
        found.append(f"says {last:.12g} of a state that costs {end:.12g}")
    return found


def peak_mb() -> float:
    """Largest resident memory of this process so far. (`ru_maxrss` would count that of the process it came from.)"""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024.0
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def run(task: Task) -> dict[str, Any]:
    """The run as JSON has it. Raises UserError where the contender cannot be given this problem."""
    contender = CONTENDERS[task.contender]
    problem = load(task.file, in_front=task.in_front)
    outcome = import_module(f"scripts.benchmarks.contenders.{contender.module}").solve(
        problem, task, **contender.options
    )
    peak = peak_mb()
    return asdict(task) | {
        "observations": problem.num_observations,
        "build_seconds": outcome.build_seconds,
        "solve_seconds": outcome.solve_seconds,
        "curve": outcome.curve,
        "settings": outcome.settings,
        "phases": outcome.phases,
        "peak_mb": peak,
        "versions": {package: version(package) for package in contender.packages},
        "faults": faults(problem, outcome) if task.check else [],
    }

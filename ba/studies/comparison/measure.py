"""One run of a comparison: it is solved from its start, and its end is described in numbers."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba import io
from ba.analyse.free_directions import directions_and_condition
from ba.engine.parallel import blas_threads
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.options import Config
from ba.solve import solve
from ba.solve.result import Solution, Status
from ba.studies.comparison.outcome import Ending

MOST_SOLVES, ENOUGH_S = 5, 0.5
"""Solves of a few milliseconds vary by half; five of them, or as many as take half a second, do not."""


def measure(start: Path, config: Config) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """An `Ending` as a dictionary, and the points at the end (n_points, 3). On one thread, for others run beside it.

    Raises KeyboardInterrupt where Ctrl-C ended the solve.
    """
    solution = solved(io.load(start), config, threads=1)
    with blas_threads(1):
        directions, condition = directions_and_condition(solution.problem, ROTATIONS[config.rotation], config.loss)
    ending = Ending(
        status=str(solution.status),
        message=solution.message,
        cost=tuple(record.cost for record in solution.iterations),
        free_numbers=solution.solver_details["free_numbers"],
        free_directions=directions,
        condition=condition,
        distance_from_so3=solution.constraint,
    )
    return asdict(ending), solution.problem.points


def timed(start: Problem, config: Config) -> dict[str, list[float]]:
    """Cost and seconds at the start and after each accepted step, medians of as many solves as ENOUGH_S allows.

    Every solve takes the same steps, for one number of threads gives the same bits.
    """
    courses = [solved(start, config, config.solver.threads).iterations]
    while len(courses) < MOST_SOLVES and sum(course[-1].seconds for course in courses) < ENOUGH_S:
        courses.append(solved(start, config, config.solver.threads).iterations)
    seconds = np.median([[record.seconds for record in course] for course in courses], axis=0)
    return {"cost": [record.cost for record in courses[0]], "seconds": seconds.tolist()}


def solved(start: Problem, config: Config, threads: int) -> Solution:
    """The solution of a whole run. Raises KeyboardInterrupt where Ctrl-C ended it."""
    options = config.solver.model_copy(update={"threads": threads})
    solution = solve(start, rotation=config.rotation, loss=config.loss, options=options, bounds=config.camera.bounds)
    if solution.status is Status.INTERRUPTED:
        raise KeyboardInterrupt
    return solution

"""Solvers, and the one entry to them; how to add one stands in `ba.solve.backends`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ba.engine.parallel import blas_threads
from ba.errors import UserError
from ba.model.camera import CAMERAS
from ba.model.loss import make_loss
from ba.model.problem import Problem
from ba.model.residual import Residuals, as_state, project
from ba.model.rotation import ROTATIONS, so3
from ba.model.variables import Variables, make_variables
from ba.prepare.conditioning import condition
from ba.solve import arguments, endings
from ba.solve.backends import SOLVERS, without_bounds
from ba.solve.objective import History, Objective, ObserverError, SolveResult
from ba.solve.result import Observer, Solution, Status, ignore

if TYPE_CHECKING:
    from ba.model.options import Loss
    from ba.solve.backends import Bounds
    from ba.solve.options import Solver

LARGEST = 1e150


def solve(
    problem: Problem,
    *,
    rotation: str = "so3_left",
    loss: Loss | str = "linear",
    options: Solver | Mapping[str, Any] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    observer: Observer = ignore,
) -> Solution:
    """Move the free numbers of `problem` to where the cost is least.

    rotation: a name of `ba.model.rotation.ROTATIONS`; loss: a name of `ba.model.loss.LOSSES`, at a scale of 1 px, or a
    `ba.Loss`; options: a `ba.Solver`, or its keys as a dictionary, None for the defaults; bounds: lowest and highest
    value of intrinsics by parameter name; observer: called with each accepted step, may return True to stop there, and
    what it raises comes out of here. Raises UserError, before the first step, for what cannot be solved as asked,
    KeyboardInterrupt where that comes before there is a state to return. A solver that gets stuck returns with status
    `failed`.
    """
    bounds = {} if bounds is None else bounds
    rotation, loss, options = arguments.settings(rotation, loss, options)
    arguments.check(problem, loss, options, bounds, observer)
    _check_rotations(problem, rotation)
    raised: Exception
    try:
        with blas_threads(1):
            return _solve(problem, rotation, loss, options, bounds, observer)
    except ObserverError as carried:
        raised = carried.error
    raise raised  # outside of the `except`, so that it comes out as it was raised


def _solve(
    problem: Problem,
    rotation: str,
    loss: Loss,
    options: Solver,
    bounds: Mapping[str, tuple[float, float]],
    observer: Observer,
) -> Solution:
    conditioned = condition(problem)
    variables = make_variables(conditioned.problem, ROTATIONS[rotation])
    residuals = Residuals(conditioned.problem, options.threads)
    objective = Objective(residuals, make_loss(loss.name, loss.scale))
    history = History(observer, options.max_seconds)
    _check_start(objective, conditioned.problem, problem)
    if variables.layout.size == 0 or options.max_iterations == 0:
        result = _evaluated(objective, variables, history)
    else:
        backend, limits = SOLVERS[options.backend], _bounds(variables, bounds)
        if not backend.can.bounds and np.isfinite(np.concatenate(limits)).any():
            raise UserError(without_bounds(options.backend))
        result = backend.solve(variables, objective, options, limits, history)
    if not history.records:  # interrupted before there was anything to keep
        raise KeyboardInterrupt
    return Solution(
        problem=conditioned.restored(result.variables.problem),
        status=result.status,
        message=result.message,
        iterations=tuple(history.records),
        initial_cost=history.records[0].cost,
        final_cost=history.records[-1].cost,
        solve_seconds=history.seconds,
        constraint=result.variables.constraint(),
        solver_details={"free_numbers": variables.layout.size, "threads": residuals.threads, **result.solver_details},
    )


def _evaluated(objective: Objective, variables: Variables, history: History) -> SolveResult:
    """The start as it is, where no step can or may be taken."""
    linearization = objective.residuals.linearize(variables, variables.start)
    gradient = objective.gradient(linearization)
    try:
        history.accept(objective.cost(linearization.residuals), 0.0, float(np.abs(gradient).max(initial=0.0)))
    except endings.Stopped as stop:
        return SolveResult(variables, *stop.ending)
    if variables.layout.size == 0:
        return SolveResult(variables, Status.CONVERGED, "nothing is free")
    return SolveResult(variables, *endings.OUT_OF_ITERATIONS)


def _check_rotations(problem: Problem, rotation: str) -> None:
    distance = np.where(problem.free.rotations, so3.orthonormality(problem.rotations), 0.0)
    if ROTATIONS[rotation].stays_rotation and distance.max(initial=0.0) > so3.OFF_SO3:
        image = int(np.argmax(distance))
        raise UserError(
            f"problem.rotations[{image}]: {distance[image]:.2g} from SO(3); `{rotation}` needs rotations, and "
            "ba.model.rotation.so3.nearest gives the nearest"
        )


def _check_start(objective: Objective, start: Problem, problem: Problem) -> None:
    numbers = start.rotations, start.translations, start.intrinsics, start.points
    if max(np.abs(array).max(initial=0.0) for array in numbers) > LARGEST:
        raise UserError(f"a number of the start is beyond {LARGEST:g}: its square overflows")
    if not np.isfinite(objective.cost(objective.residuals.stacked(as_state(start)))):
        in_pixels = np.nan_to_num(np.abs(project(problem).pixels - problem.pixels), nan=np.inf)
        worst = int(np.argmax(in_pixels.max(axis=1)))
        raise UserError(
            f"the cost is not finite at the start; the largest residual is that of observation {worst}, "
            f"image {problem.image_of_obs[worst]}, point {problem.point_of_obs[worst]}"
        )


def _bounds(variables: Variables, limits: Mapping[str, tuple[float, float]]) -> Bounds:
    """(size,) lowest and highest x. Raises UserError for unknown names and a start outside."""
    low, high = np.full(variables.layout.size, -np.inf), np.full(variables.layout.size, np.inf)
    problem, names = variables.problem, set[str]()
    for camera, model in enumerate(problem.camera_models):
        for j, name in enumerate(CAMERAS[model].parameters):
            names.add(name)
            column = variables.layout.camera_columns[camera, j]
            if name not in limits or column < 0:
                continue
            low[column], high[column] = limits[name]
            value = problem.intrinsics[camera, j]
            if not low[column] <= value <= high[column]:
                raise UserError(
                    f"camera.bounds.{name}: camera {camera} starts at {value:g}, outside {list(limits[name])}; "
                    "bounds that hold the start are right"
                )
    for name in sorted(set(limits) - names):
        raise UserError(f"camera.bounds.{name}: no such parameter here; right are {', '.join(sorted(names))}")
    return low, high


__all__ = ["SOLVERS", "solve"]

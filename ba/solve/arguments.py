"""What `ba.solve` and its like are asked from Python, checked and answered as a configuration file is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ba.config import reading as configfile
from ba.config.keys import Loss, Solver, refuse_together
from ba.errors import UserError
from ba.model.problem import Problem
from ba.system.words import shown

PLACE = "ba.solve"


def settings(
    rotation: Any,
    loss: Any,
    options: Any = Solver(),  # noqa: B008 (frozen)
    place: str = PLACE,
) -> tuple[str, Loss, Solver]:
    """Rotation, loss and options as solvers take them. Raises UserError for a name that is not in its registry, a
    key or a value that a configuration would not take either. place: what messages begin with."""
    loss = {"name": loss} if isinstance(loss, str) else loss
    for name, value, kind in (("loss", loss, Loss), ("options", options, Solver)):
        if not isinstance(value, kind | Mapping):
            right = "the name of a loss, or a ba.Loss" if kind is Loss else "a ba.Solver, or its keys as a dictionary"
            raise UserError(f"{place}: {name}: {shown(value)} found, {right} expected")
    values = {"data": {"scene": {}}, "rotation": rotation, "loss": loss, "solver": options}
    config = configfile.from_python(values, place)
    return config.rotation, config.loss, config.solver


def check(problem: Any, loss: Loss, options: Solver, bounds: Any, observer: Any) -> None:
    """Raise UserError for arguments of a wrong kind, and for what the solver of `options` does not have."""
    if not isinstance(problem, Problem):
        raise UserError(f"{PLACE}: problem: {shown(problem)} found, a ba.Problem expected; ba.load reads one")
    if not callable(observer):
        raise UserError(f"{PLACE}: observer: {shown(observer)} found, a function of an iteration expected")
    if not (isinstance(bounds, Mapping) and all(_is_range(limits) for limits in bounds.values())):
        raise UserError(f"{PLACE}: bounds: not names with (lowest, highest), as in {{'f': (500.0, 600.0)}}")
    try:
        refuse_together(options, loss, bounded=bool(bounds))
    except ValueError as error:
        raise UserError(f"{PLACE}: {error}") from None


def _is_range(limits: Any) -> bool:
    try:
        low, high = limits
        return bool(low < high)
    except (TypeError, ValueError):
        return False

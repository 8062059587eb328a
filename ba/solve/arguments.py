"""What `ba.solve` and its like are asked from Python, checked and answered as a configuration file is.

The configuration's code, and pydantic with it, is imported when something is asked, not with the mathematics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ba.errors import UserError
from ba.model.problem import Problem
from ba.solve.backends import refusals
from ba.system.words import shown

if TYPE_CHECKING:
    from ba.model.options import Loss
    from ba.solve.options import Solver

PLACE = "ba.solve"


def settings(rotation: Any, loss: Any, options: Any = None, place: str = PLACE) -> tuple[str, Loss, Solver]:
    """Rotation, loss and options as solvers take them; None for the default options. Raises UserError for a name that
    is not in its registry, a key or a value that a configuration would not take either. place: what messages begin
    with."""
    from ba.config import reading
    from ba.model.options import Loss
    from ba.solve.options import Settings, Solver

    loss = {"name": loss} if isinstance(loss, str) else loss
    options = Solver() if options is None else options
    for name, value, kind in (("loss", loss, Loss), ("options", options, Solver)):
        if not isinstance(value, kind | Mapping):
            right = "the name of a loss, or a ba.Loss" if kind is Loss else "a ba.Solver, or its keys as a dictionary"
            raise UserError(f"{place}: {name}: {shown(value)} found, {right} expected")
    asked = reading.from_python(Settings, {"rotation": rotation, "loss": loss, "solver": options}, place)
    return asked.rotation, asked.loss, asked.solver


def check(problem: Any, loss: Loss, options: Solver, bounds: Any, observer: Any) -> None:
    """Raise UserError for arguments of a wrong kind, and for what the solver of `options` cannot do."""
    if not isinstance(problem, Problem):
        raise UserError(f"{PLACE}: problem: {shown(problem)} found, a ba.Problem expected; ba.load reads one")
    if not callable(observer):
        raise UserError(f"{PLACE}: observer: {shown(observer)} found, a function of an iteration expected")
    if not (isinstance(bounds, Mapping) and all(_is_range(limits) for limits in bounds.values())):
        raise UserError(f"{PLACE}: bounds: not names with (lowest, highest), as in {{'f': (500.0, 600.0)}}")
    for message in refusals(options.backend, options.method, loss.name, bounded=bool(bounds)):
        raise UserError(f"{PLACE}: {message}")


def _is_range(limits: Any) -> bool:
    try:
        low, high = limits
        return bool(low < high)
    except (TypeError, ValueError):
        return False

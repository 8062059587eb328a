"""What each backend is, and what it can; its code is imported when it solves.

To add a backend: write one file with `solve(variables, objective, options, bounds, history) -> SolveResult` and add one
line to `SOLVERS`. It minimizes `objective` from `variables.start`, sets `history.theta`, calls `history.accept` at the
start and after each accepted step, catches KeyboardInterrupt, and returns its best state. Keys of `solver` that it
alone has are a `Section` in a file of their own, NAME_options.py, since code is imported when it solves and keys with
every configuration; the line names it. What it holds beside the Jacobian's blocks it may tell by a function
`memory(sizes, options)`, as in `ba.analyse.memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from ba.model.arrays import Array

if TYPE_CHECKING:
    from ba.config.section import Section
    from ba.model.variables import Variables
    from ba.solve.objective import History, Objective, SolveResult
    from ba.solve.options import Solver

    Bounds = tuple[Array, Array]
    Solve = Callable[[Variables, Objective, Solver, Bounds, History], SolveResult]


@dataclass(frozen=True)
class Can:
    """What a backend or one of its methods can do.

    bounds: keep intrinsics within bounds; losses: those that it minimizes, by name; None for every loss.
    """

    bounds: bool = True
    losses: tuple[str, ...] | None = None

    def takes(self, loss: str) -> bool:
        return self.losses is None or loss in self.losses


@dataclass(frozen=True)
class Backend:
    """module: where its `solve` stands; section: the class of its own keys, `module:CLASS`, if it has any.

    can: what it can do, with any of its methods; methods: what each value of `solver.method` can, where it has those;
    with_bounds: the settings under which it keeps bounds.
    """

    module: str
    section: str | None = None
    can: Can = Can()
    methods: Mapping[str, Can] = field(default_factory=dict)
    with_bounds: str = ""

    @property
    def solve(self) -> Solve:
        found: Solve = import_module(self.module).solve
        return found

    @property
    def keys(self) -> type[Section] | None:
        """The class that `section` names."""
        if self.section is None:
            return None
        module, _, name = self.section.partition(":")
        found: type[Section] = getattr(import_module(module), name)
        return found


SOLVERS: dict[str, Backend] = {
    "scipy": Backend(
        "ba.solve.scipy_backend",
        section="ba.solve.options:Scipy",
        methods={"trf": Can(), "dogbox": Can(), "lm": Can(bounds=False, losses=("linear",))},
        with_bounds="solver.preconditioner none",
    ),
    "schur": Backend("ba.solve.schur", section="ba.solve.options:Schur", can=Can(bounds=False)),
}


def refusals(backend: str, method: str, loss: str, *, bounded: bool) -> Iterator[str]:
    """What the backend, or a method of any backend, cannot do of what is asked: each begins with the key and a colon.

    Bounds of numbers that do not move bind nobody, so whether a backend can keep them is found when it solves.
    """
    for entry in SOLVERS.values():
        if method in entry.methods:
            yield from _lacks("solver.method", entry.methods, method, loss, bounded=bounded)
    backends = {name: entry.can for name, entry in SOLVERS.items()}
    if backend in backends:
        yield from _lacks("solver.backend", backends, backend, loss, bounded=False)


def _lacks(key: str, among: Mapping[str, Can], name: str, loss: str, *, bounded: bool) -> Iterator[str]:
    def better(is_right: Callable[[Can], bool]) -> str:
        return f"set {key} to {' or '.join(other for other, can in among.items() if is_right(can))}"

    can = among[name]
    if bounded and not can.bounds:
        yield f"camera.bounds: {name} knows none; {better(lambda other: other.bounds)}"
    if not can.takes(loss):
        only = " or ".join(can.losses or ())
        yield f"loss.name: {name} knows no {loss}, only {only}; {better(lambda other: other.takes(loss))}"


def without_bounds(backend: str) -> str:
    """What to say where a backend is to keep bounds that it cannot."""
    able = [
        f"{name}, with {entry.with_bounds}," if entry.with_bounds else name
        for name, entry in SOLVERS.items()
        if entry.can.bounds
    ]
    return f"camera.bounds: solver.backend {backend} has none; {' or '.join(able)} has"

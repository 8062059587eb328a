"""The runs of one problem, the first without a step, each with one step more: so every state on the way is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracle.reading import Folder, Scene, read_folder, read_scene
from tests.oracle.starting import in_frame, solver_frame, start_of


@dataclass(frozen=True, eq=False)
class Case:
    """folders: of runs that differ in solver.max_iterations = 0, 1, 2, ...; the last is the run that is looked at.

    checked: what `ba check` said of it, if it was asked.
    """

    name: str
    folders: Sequence[Folder]
    checked: str | None = None

    @property
    def last(self) -> Folder:
        return self.folders[-1]

    @property
    def config(self) -> dict[str, Any]:
        return self.last.config

    @property
    def rotation(self) -> str:
        return str(self.config["rotation"])

    @cached_property
    def truth(self) -> Scene | None:
        """The ground truth of a generated scene."""
        path = self.last.path / "truth.npz"
        return read_scene(path) if self.config["data"]["scene"] else None

    @cached_property
    def loaded(self) -> Scene:
        if self.truth is not None:
            return self.truth
        return read_scene(self.last.path / self.config["data"]["path"])

    @cached_property
    def start(self) -> Scene:
        return start_of(self.loaded, self.config)

    @cached_property
    def states(self) -> list[Scene]:
        """The start, and the solutions of the runs with a step and more."""
        return [self.start, *(self._solution(folder) for folder in self.folders[1:])]

    def _solution(self, folder: Folder) -> Scene:
        found = read_scene(folder.solution)
        numbers = {name: getattr(found, name) for name in ("R", "t", "intrinsics", "points")}
        return replace(self.start, **numbers)

    @property
    def end(self) -> Scene:
        return self.states[-1]

    @cached_property
    def framed(self) -> list[Scene]:
        """The states in the frame in which the solver works."""
        frame = solver_frame(self.start)
        return [in_frame(state, frame) for state in self.states]

    @cached_property
    def residuals(self) -> dict[str, Any]:
        with np.load(self.last.path / "residuals.npz") as file:
            return dict(file)


def read_case(name: str, folders: Sequence[Path], check: Path | None = None) -> Case:
    """check: the folder that `ba check --out` wrote."""
    text = None if check is None else (check / "check.txt").read_text()
    return Case(name, [read_folder(folder) for folder in folders], text)

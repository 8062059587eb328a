"""The pipeline: load, perturb, select what is free, solve, write the run folder (see `ba.show.products`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ba import io
from ba.analyse import memory
from ba.config import reading
from ba.errors import SolverError, UserError
from ba.io import synthetic
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.options import Config
from ba.options import load as load_config
from ba.prepare.noise import perturb
from ba.prepare.select import select, with_rotations
from ba.show import products
from ba.show.runfolder import staged
from ba.show.staging import SOLUTION
from ba.show.summary import before
from ba.solve import solve
from ba.solve.result import Observer, Solution, Status, ignore
from ba.system import interrupt
from ba.system.words import counted


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """A finished run. `summary` is what summary.json holds; `notes` are things to tell the user."""

    summary: dict[str, Any]
    folder: Path
    notes: tuple[str, ...]
    solution: Solution

    def __repr__(self) -> str:
        return f"Result({str(self.folder)!r}, {counted(len(self.notes), 'note')}, {self.solution!r})"


def run(
    config: Config | Path | str, out: Path | None = None, observer: Observer = ignore, overwrite: bool = False
) -> Result:
    """Carry out a configuration, given as a Config or as the path of a YAML file, and write its run folder.

    out: the run folder, instead of `output.dir`; overwrite: an earlier run there may be replaced. Raises UserError for
    what the user can mend, before anything is written; SolverError where the solver failed, and SystemRefusal where
    the system would not write something, after writing what there is; KeyboardInterrupt for a signal that could end
    nothing any more, after writing everything.
    """
    began = products.Began()
    config = config if isinstance(config, Config) else load_config(config)
    reading.check_names(config)
    path = config.data.path
    name = "synthetic" if path is None else path.name.split(".")[0]
    with staged(out or config.output.dir, name, [] if path is None else [path], overwrite) as folder:
        loaded, start = load_start(config)
        memory.check(start, config)
        facts = before(config, start)
        solution = solve(
            start,
            rotation=config.rotation,
            loss=config.loss,
            options=config.solver,
            bounds=config.camera.bounds,
            observer=folder.logging(observer),
        )
        with interrupt.uninterrupted(said=f"the result stands in {folder.target}"):
            summary, notes = products.save(folder, config, loaded, start, facts, solution, began)
            published = folder.publish()
    if solution.status is Status.FAILED:
        raise SolverError(f"{solution.message}; what there is stands in {published}")
    return Result(summary, published, tuple(notes), solution)


def load_start(config: Config) -> tuple[Problem, Problem]:
    """The problem as loaded or generated, and the start: what is free selected, and perturbed.

    Matrices that are no rotations, as `matrix9` leaves them, are replaced by the nearest rotations, unless the
    configuration asks for `matrix9` again.
    """
    data = config.data
    loaded = synthetic.generate(data.scene) if data.scene is not None else io.load(str(data.path), data.format)
    if ROTATIONS[config.rotation].stays_rotation:
        loaded = with_rotations(loaded)
    selected = select(loaded, config.camera, config.fix, config.gauge)
    return loaded, perturb(selected, config.noise, config.seed)


def open_scene(path: Path) -> tuple[Problem | None, Problem]:
    """Start and solution of a run folder, or None and the problem of a data file or of a folder of data."""
    if not path.is_dir() or io.known_format(path):
        return None, io.load(path)
    solutions = [file for file in sorted(path.glob(f"{SOLUTION}.*")) if file.suffix != ".ply"]
    if not solutions or not (path / "config.yaml").is_file():
        raise UserError(f"{path}: not a run folder, which holds config.yaml and {SOLUTION}.*; `ba run` writes one")
    config = load_config(path / "config.yaml")
    return load_start(config)[1], io.load(solutions[0])

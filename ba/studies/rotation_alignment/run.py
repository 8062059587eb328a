"""Run a rotation alignment and write its folder.

config.yaml         the effective configuration
summary.json        the closed form, the rows of both tables, notes
iterations.jsonl    a line for each accepted step of each parameterization
results.csv         a row for each parameterization and residual;  starts.csv: and for each angle of the starts
aligned.ply         p2 turned by the best rotation found
view.png            both sets before and after
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ba.config import reading
from ba.errors import UserError
from ba.io.ply import write_vertices
from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array
from ba.show.products import Began, drawn, write_summary
from ba.show.runfolder import RunFolder, staged
from ba.studies.rotation_alignment import config as configuration
from ba.studies.rotation_alignment import data, lab, picture
from ba.studies.rotation_alignment.config import RotationAlignment
from ba.studies.rotation_alignment.problem import PointSets, angle_between, closed_form, cost
from ba.studies.rotation_alignment.solve import Course
from ba.system import files, interrupt
from ba.system.reading import read_text
from ba.system.words import printable

PRODUCTS = ("config.yaml", "summary.json", "iterations.jsonl", "results.csv", "starts.csv", "aligned.ply", "view.png")
LOGGED = "iteration", "cost", "gradient_norm", "step_norm", "evaluations"
STOPPED = "stopped early: what was not done yet is missing"


@dataclass(frozen=True, eq=False)
class Result:
    """rows: each parameterization from the start; starts: from far away; closed_form and rotation: (3, 3)."""

    rows: Sequence[lab.Row]
    starts: Sequence[lab.StartRow]
    closed_form: Array
    rotation: Array
    summary: dict[str, Any]
    notes: Sequence[str]
    folder: Path


def run(config: RotationAlignment | Path | str, out: Path | None = None, overwrite: bool = False) -> Result:
    """Carry out a configuration and write its run folder, `out` or `output.dir`.

    overwrite: an earlier run there may be replaced. Ctrl-C keeps the parameterizations that are done. Raises like
    `ba.pipeline.run`.
    """
    began = Began()
    config = config if isinstance(config, RotationAlignment) else configuration.load(config)
    reading.check_names(config)
    inputs = [path for path in (config.data.p1, config.data.p2) if path is not None]
    with staged(out or config.output.dir, "rotation-alignment", inputs, overwrite) as folder:
        study = Study(config, data.load_sets(config.data))
        study.carry_out()
        with interrupt.uninterrupted(said=f"the result stands in {folder.target}"):
            result = _save(folder, study, began)
            return replace(result, folder=folder.publish())


@dataclass(eq=False)
class Study:
    """What a configuration asks for, and what is done of it. start and best, the closed form: (3, 3)."""

    config: RotationAlignment
    sets: PointSets
    solved: list[tuple[lab.Row, Course]] = field(default_factory=list)
    starts: list[lab.StartRow] = field(default_factory=list)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.start, self.best = so3.exp(np.array(self.config.start)), closed_form(self.sets)

    @property
    def rows(self) -> list[lab.Row]:
        return [row for row, _ in self.solved]

    def carry_out(self) -> None:
        """Solve what is asked for, until Ctrl-C once something is there."""
        try:
            self._carry_out()
        except KeyboardInterrupt:
            if not self.solved:
                raise
            self.stopped = True

    def _carry_out(self) -> None:
        config, about = self.config, (self.sets, self.best)
        pairs = [(rotation, residual) for residual in config.residuals for rotation in config.rotations]
        for pair in pairs:
            interrupt.check()
            self.solved.append(lab.align(*about, *pair, self.start, config.solver))
        for pair in pairs if config.starts.count else ():
            interrupt.check()
            self.starts += lab.from_afar(*about, pair, config.starts, config.solver)


def _save(folder: RunFolder, study: Study, began: Began) -> Result:
    rows, sets = study.rows, study.sets
    found = so3.nearest(min(study.solved, key=lambda pair: pair[0].to_closed_form)[1].R[-1])
    notes = [*_notes(rows), *([STOPPED] if study.stopped else [])]
    summary = _summary(study, found)
    write_summary(summary, notes, began, folder)
    texts = {
        "config.yaml": reading.dump(study.config),
        "iterations.jsonl": "".join(_lines(study)),
        "results.csv": _csv(rows),
        "starts.csv": _csv(study.starts),
    }
    for name, text in texts.items():
        with folder.keeping(name):
            if text:
                files.write_bytes(folder.path / name, text.encode())
    with folder.keeping("aligned.ply"):
        write_vertices(folder.path / "aligned.ply", sets.p2 @ found.T, picture.TURNED)
    if study.config.output.picture:
        with folder.keeping("view.png"):
            png = folder.path / "view.png"
            notes += drawn(lambda: picture.write(sets, study.start, found, png), study.stopped)
    write_summary(summary, notes, began, folder)
    return Result(rows, study.starts, study.best, found, summary, notes, folder.target)


def command(path: Path, overrides: Sequence[str], out: Path | None, stream: TextIO | None, overwrite: bool) -> None:
    """`ba run` of such a configuration: run it and print its tables to the stream, if there is one."""
    from ba.studies.rotation_alignment import table

    result = run(configuration.load(path, overrides), out, overwrite)
    if stream is not None:
        table.write(result, stream)


def show(folder: Path, png: Path | None) -> None:
    """`ba view` of a run folder: both sets before and after in a window, or in a picture. Raises UserError."""
    config = configuration.load(folder / "config.yaml")
    sets, start = data.load_sets(config.data), so3.exp(np.array(config.start))
    try:
        end = so3.exp(np.array(json.loads(read_text(folder / "summary.json"))["axis_angle"]))
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder / 'summary.json'}: not the summary of a rotation alignment; run it again") from error
    if png is None:
        picture.show(sets, start, end)
    elif failure := picture.write(sets, start, end, png):
        raise UserError(failure)
    else:
        print(printable(png))


def _summary(study: Study, found: Array) -> dict[str, Any]:
    statuses, best = {row.status for row in study.rows}, study.best
    status = statuses.pop() if len(statuses) == 1 else "mixed"
    truth = study.sets.truth
    return {
        "kind": "rotation_alignment",
        "status": "interrupted" if study.stopped else status,
        "num_points": len(study.sets.p2),
        "closed_form": {
            "cost": cost(study.sets, best),
            "axis_angle": so3.log(best).tolist(),
            "to_truth": None if truth is None else float(angle_between(best, truth)),
        },
        "axis_angle": so3.log(found).tolist(),
        "results": [asdict(row) for row in study.rows],
        "starts": [asdict(row) | {"median_steps": row.median_steps if row.reached else None} for row in study.starts],
    }


def _notes(rows: Sequence[lab.Row]) -> Iterator[str]:
    off = dict.fromkeys(row.rotation for row in rows if row.distance_from_so3 > so3.OFF_SO3)
    for name in off:
        yield (
            f"`{name}` left SO(3): its cost is not comparable with that of rotations, and its angle is that of the "
            "nearest rotation"
        )
    for row in rows:
        if row.status != "converged":
            yield f"`{row.rotation}`, {row.residual}: {row.message}"


def _lines(study: Study) -> Iterator[str]:
    for row, course in study.solved:
        isotropy, apart = course.isotropy.tolist(), angle_between(course.R, study.best).tolist()
        for step, even, angle in zip(course.steps, isotropy, apart, strict=True):
            record = {"rotation": row.rotation, "residual": row.residual, "isotropy": even, "to_closed_form": angle}
            yield json.dumps(record | {key: getattr(step, key) for key in LOGGED}) + "\n"


def _csv(rows: Sequence[lab.Row] | Sequence[lab.StartRow]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([*map(asdict, rows[:1]), *(asdict(row).values() for row in rows)])
    return text.getvalue()

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
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ba.config import reading
from ba.errors import UserError
from ba.model.rotation import so3
from ba.model.rotation.parameterization import Array
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
UNDRAWN = "no picture: stopped early; `ba view FOLDER --screenshot PNG` draws it"


@dataclass(frozen=True, eq=False)
class Result:
    """rows: each parameterization from the start; starts: from far away; closed_form and rotation: (3, 3)."""

    rows: tuple[lab.Row, ...]
    starts: tuple[lab.StartRow, ...]
    closed_form: Array
    rotation: Array
    summary: dict[str, Any]
    notes: tuple[str, ...]
    folder: Path


def run(config: RotationAlignment | Path | str, out: Path | None = None, overwrite: bool = False) -> Result:
    """Carry out a configuration and write its run folder, `out` or `output.dir`.

    overwrite: an earlier run there may be replaced. Ctrl-C keeps the parameterizations that are done. Raises like
    `ba.pipeline.run`.
    """
    began = time.perf_counter()
    config = config if isinstance(config, RotationAlignment) else configuration.load(config)
    reading.check_names(config)
    inputs = [path for path in (config.data.p1, config.data.p2) if path is not None]
    with staged(out or config.output.dir, "rotation-alignment", inputs, overwrite) as folder:
        sets = data.load_sets(config.data)
        best = closed_form(sets)
        start = so3.exp(np.array(config.start))
        work = _Work()
        try:
            work.do(config, sets, best, start)
        except KeyboardInterrupt:
            if not work.solved:
                raise
            work.stopped = True
        with interrupt.uninterrupted(said=f"the result stands in {folder.target}"):
            result = _save(folder, config, sets, start, best, work, began)
            return replace(result, folder=folder.publish())


@dataclass(eq=False)
class _Work:
    """What is done of a configuration."""

    solved: list[tuple[lab.Row, Course]] = field(default_factory=list)
    starts: list[lab.StartRow] = field(default_factory=list)
    stopped: bool = False

    def do(self, config: RotationAlignment, sets: PointSets, best: Array, start: Array) -> None:
        pairs = [(rotation, residual) for residual in config.residuals for rotation in config.rotations]
        for pair in pairs:
            interrupt.check()
            self.solved.append(lab.align(sets, best, *pair, start, config.solver))
        for pair in pairs:
            interrupt.check()
            self.starts.extend(_starts(sets, best, pair, config))


def _save(
    folder: RunFolder,
    config: RotationAlignment,
    sets: PointSets,
    start: Array,
    best: Array,
    work: _Work,
    began: float,
) -> Result:
    rows, starts = tuple(row for row, _ in work.solved), tuple(work.starts)
    found = so3.nearest(min(work.solved, key=lambda pair: pair[0].to_closed_form)[1].R[-1])
    notes = [*_notes(rows), *([STOPPED] if work.stopped else [])]
    summary = _summary(sets, best, found, rows, starts) | ({"status": "interrupted"} if work.stopped else {})
    _write_summary(folder, summary, notes, began)
    products: dict[str, Callable[[], bytes]] = {
        "config.yaml": lambda: reading.dump(config).encode(),
        "iterations.jsonl": lambda: "".join(_lines(work.solved, best)).encode(),
        "results.csv": lambda: _csv(rows),
        **({"starts.csv": lambda: _csv(starts)} if starts else {}),
    }
    for name, content in products.items():
        with folder.keeping(name):
            files.write_bytes(folder.path / name, content())
    with folder.keeping("aligned.ply"):
        data.write_ply(folder.path / "aligned.ply", sets.p2 @ found.T)
    if config.output.picture:
        with folder.keeping("view.png"):
            notes += _drawn(sets, start, found, folder.path / "view.png", work.stopped or interrupt.pending())
    _write_summary(folder, summary, notes, began)
    return Result(rows, starts, best, found, summary, tuple(notes), folder.target)


def _drawn(sets: PointSets, start: Array, found: Array, png: Path, stopped: bool) -> list[str]:
    """Draw the picture unless the run was stopped; a note where there is none."""
    try:
        with interrupt.allowed():
            failure = UNDRAWN if stopped else picture.write(sets, start, found, png)
    except KeyboardInterrupt:
        failure = UNDRAWN
    return [failure] if failure else []


def _write_summary(folder: RunFolder, summary: dict[str, Any], notes: Sequence[str], began: float) -> None:
    summary |= {"notes": list(notes), "total_seconds": time.perf_counter() - began}
    with folder.keeping("summary.json"):
        files.write_bytes(folder.path / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())


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


def _starts(sets: PointSets, best: Array, pair: tuple[str, str], config: RotationAlignment) -> Iterator[lab.StartRow]:
    starts = config.starts
    if starts.count:
        yield from lab.from_afar(sets, best, pair, starts.angles_deg, starts.count, starts.seed, config.solver)


def _summary(
    sets: PointSets, best: Array, found: Array, rows: Sequence[lab.Row], starts: Sequence[lab.StartRow]
) -> dict[str, Any]:
    statuses = {row.status for row in rows}
    return {
        "kind": "rotation_alignment",
        "status": statuses.pop() if len(statuses) == 1 else "mixed",
        "num_points": len(sets.p2),
        "closed_form": {
            "cost": float(cost(sets, best[None])[0]),
            "axis_angle": so3.log(best).tolist(),
            "to_truth": None if sets.truth is None else float(angle_between(best, sets.truth)),
        },
        "axis_angle": so3.log(found).tolist(),
        "results": [asdict(row) for row in rows],
        "starts": [asdict(row) | {"median_steps": row.median_steps if row.reached else None} for row in starts],
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


def _lines(solved: Sequence[tuple[lab.Row, Course]], best: Array) -> Iterator[str]:
    for row, course in solved:
        isotropy, apart = course.isotropy.tolist(), angle_between(course.R, best).tolist()
        for step, even, angle in zip(course.steps, isotropy, apart, strict=True):
            record = {"rotation": row.rotation, "residual": row.residual, "isotropy": even, "to_closed_form": angle}
            yield json.dumps(record | {key: getattr(step, key) for key in LOGGED}) + "\n"


def _csv(rows: Sequence[lab.Row] | Sequence[lab.StartRow]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()

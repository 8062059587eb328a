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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from ba import files
from ba.errors import UserError
from ba.rotation import so3
from ba.rotation.parameterization import Array
from ba.rotation_alignment import config as configuration
from ba.rotation_alignment import data, lab, picture
from ba.rotation_alignment.config import RotationAlignment
from ba.rotation_alignment.problem import PointSets, angle_between, closed_form, cost
from ba.rotation_alignment.solve import Course
from ba.words import printable

PRODUCTS = ("config.yaml", "summary.json", "iterations.jsonl", "results.csv", "starts.csv", "aligned.ply", "view.png")
OFF_SO3 = 1e-6


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


def run(config: RotationAlignment | Path | str, out: Path | None = None) -> Result:
    """Carry out a configuration and write its run folder, `out` or `output.dir`. Raises UserError."""
    began = time.perf_counter()
    config = config if isinstance(config, RotationAlignment) else configuration.load(config)
    configuration.check_names(config)
    sets = data.load_sets(config.data)
    best = closed_form(sets)
    folder = _make_folder(config, out)
    start = so3.exp(np.array(config.start))
    pairs = [(rotation, residual) for residual in config.residuals for rotation in config.rotations]
    solved = [lab.align(sets, best, *pair, start, config.max_iterations) for pair in pairs]
    rows = tuple(row for row, _ in solved)
    starts = tuple(start_row for pair in pairs for start_row in _starts(sets, best, pair, config))
    found = so3.nearest(min(solved, key=lambda pair: pair[0].to_closed_form)[1].end.R)
    notes = list(_notes(rows))
    if config.output.picture and (failure := picture.write(sets, start, found, folder / "view.png")):
        notes.append(failure)
    summary = _summary(sets, best, found, rows, starts) | {
        "notes": notes,
        "total_seconds": time.perf_counter() - began,
    }
    with files.uninterrupted():
        files.write_bytes(folder / "config.yaml", configuration.dump(config).encode())
        files.write_bytes(folder / "iterations.jsonl", "".join(_lines(solved, best)).encode())
        files.write_bytes(folder / "results.csv", _csv(rows))
        if starts:
            files.write_bytes(folder / "starts.csv", _csv(starts))
        data.write_ply(folder / "aligned.ply", sets.p2 @ found.T)
        files.write_bytes(folder / "summary.json", (json.dumps(summary, indent=2) + "\n").encode())
    return Result(rows, starts, best, found, summary, tuple(notes), folder)


def command(path: Path, overrides: Sequence[str], out: Path | None, stream: TextIO | None) -> None:
    """`ba run` of such a configuration: run it and print its tables to the stream, if there is one."""
    from ba.rotation_alignment import table

    result = run(configuration.load(path, overrides), out)
    if stream is not None:
        table.write(result, stream)


def show(folder: Path, png: Path | None) -> None:
    """`ba view` of a run folder: both sets before and after in a window, or in a picture. Raises UserError."""
    config = configuration.load(folder / "config.yaml")
    sets, start = data.load_sets(config.data), so3.exp(np.array(config.start))
    try:
        end = so3.exp(np.array(json.loads(files.read_text(folder / "summary.json"))["axis_angle"]))
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
        yield from lab.from_afar(sets, best, pair, starts.angles_deg, starts.count, starts.seed, config.max_iterations)


def _make_folder(config: RotationAlignment, out: Path | None) -> Path:
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = (out or config.output.dir or Path("runs") / f"rotation-alignment-{stamp}").absolute()
    for given in (config.data.p1, config.data.p2):
        if given is not None and given.resolve() in {(folder / name).resolve() for name in PRODUCTS}:
            raise UserError(f"{folder}: the run would replace its own input, {given.name}; --out DIR names another")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in PRODUCTS:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be the run folder ({error.strerror}); --out DIR names another") from None
    return folder


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
    off = dict.fromkeys(row.rotation for row in rows if row.distance_from_so3 > OFF_SO3)
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
        for step in course.steps:
            record: dict[str, Any] = {"rotation": row.rotation, "residual": row.residual} | step._asdict()
            record["to_closed_form"] = float(angle_between(record.pop("R"), best))
            yield json.dumps(record) + "\n"


def _csv(rows: Sequence[lab.Row] | Sequence[lab.StartRow]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(asdict(rows[0])), lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue().encode()

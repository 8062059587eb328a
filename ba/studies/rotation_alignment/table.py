"""What `ba run` prints of a rotation alignment: one table of parameterizations, one of starts far away."""

from __future__ import annotations

import math
from io import StringIO
from typing import TYPE_CHECKING, TextIO

from ba.system.words import counted, printable

if TYPE_CHECKING:
    from ba.studies.rotation_alignment.run import Result

HEADER = f"{'rotation':18} {'residual':8} {'steps':>5} {'evals':>5} {'cost':>16} {'angle, rad':>11} {'|RtR-I|':>8}"


def write(result: Result, stream: TextIO) -> None:
    text = StringIO()
    closed = result.summary["closed_form"]
    truth = "" if closed["to_truth"] is None else f", {closed['to_truth']:.2e} rad from the truth"
    points = counted(result.summary["num_points"], "point")
    print(f"{points}; closed form: cost {closed['cost']:.10g}{truth}", file=text)
    print("angle: between the rotation that was found and that of the closed form\n", file=text)
    print(HEADER, file=text)
    for row in result.rows:
        marks = "" if row.status == "converged" else f"\n{'':18} {row.status}"
        print(
            f"{row.rotation:18} {row.residual:8} {row.iterations:5d} {row.evaluations:5d} {row.final_cost:16.10g} "
            f"{row.to_closed_form:11.2e} {row.distance_from_so3:8.1e}{marks}",
            file=text,
        )
    if result.starts:
        _write_starts(result, text)
    print(f"\nwritten to {printable(result.folder)}", file=text)
    for note in result.notes:
        print(f"note: {printable(note)}", file=text)
    print(text.getvalue(), end="", file=stream, flush=True)


def _write_starts(result: Result, text: StringIO) -> None:
    angles = list(dict.fromkeys(row.degrees for row in result.starts))
    of = result.starts[0].of
    head = ("rotation", "residual", *(f"{angle:g} deg" for angle in angles))
    print(f"\n% of {of} starts at each angle from the optimum that reach it, and median steps", file=text)
    cells: dict[tuple[str, str], list[str]] = {}
    for row in result.starts:
        steps = "-" if math.isnan(row.median_steps) else f"{row.median_steps:g}"
        cells.setdefault((row.rotation, row.residual), []).append(f"{100.0 * row.reached / of:.0f}, {steps}")
    lines = [head, *((*names, *line) for names, line in cells.items())]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        left = " ".join(cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True))
        right = "".join(f" {cell:>{width}}" for cell, width in zip(line[2:], widths[2:], strict=True))
        print(left + right, file=text)

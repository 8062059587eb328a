"""What a comparison prints: a table for each dataset, the conclusions, and the progress on the way."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ba.show.terminal import Live, composed
from ba.studies.comparison.profiles import SHARES, grouped
from ba.studies.comparison.results import Summary
from ba.system.words import printable

SHOWN = (1e-4, 1e-6)
ARRIVALS = 2 * len(SHOWN) + 1
"""Columns that say how runs arrive; the others say where."""

CAPTION = (
    "Medians over seeds of steps and seconds until the cost is within 1e-4 and 1e-6 of the best of the same dataset "
    "and seed; - never. failed: never within 1e-4. free: numbers that may move; open: their directions that change no "
    "projection. from SO(3): largest |RᵀR − I|. from best, from truth: of points, after alignment, over their extent."
)


class Progress(Live):
    """Shows what is being done, as a bar on a terminal and else as a line for each kind; used in a `with` block.

    The bar is drawn between runs only: a thread that redraws it would take time from the run that is timed.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream, redrawn=False)
        self._what = ""

    def __call__(self, what: str, done: int, of: int) -> None:
        self.report(description=what, completed=done, total=of, detail=f"{done}/{of}")
        if self.bar is None and self.stream is not None and what != self._what:
            print(f"{what}: {done} of {of} are there", file=self.stream, flush=True)
        self._what = what


def print_summary(rows: Sequence[Summary], conclusions: Iterable[str], folder: Path, stream: TextIO) -> None:
    """Print a table for each dataset, the conclusions, and where everything is."""
    with composed(stream, width=None if stream.isatty() else 150) as console:
        for dataset, group in grouped(rows, lambda row: row.dataset).items():
            for table in _tables(dataset, group, console):
                console.print(table)
            for row in group:
                if row.flags:
                    console.print(f"  {printable(row.label)} is not ranked: {'; '.join(row.flags)}", style="yellow")
            console.print()
        console.print(CAPTION, style="dim")
        for sentence in conclusions:
            console.print(f"- {printable(sentence)}")
        console.print(Text.assemble("written to ", (printable(folder), "bold")), soft_wrap=True)


def _tables(dataset: str, rows: Sequence[Summary], console: Console) -> Iterator[Table]:
    """One table, or where the console is too narrow for it two, for rich would cut digits off the numbers."""
    label, *columns = _columns(rows)
    wide = _table(dataset, [label, *columns])
    unbounded = console.options.update(max_width=10_000)
    if console.measure(wide, options=unbounded).maximum <= console.width:
        yield wide
    else:
        yield _table(dataset, [label, *columns[:ARRIVALS]])
        yield _table("", [label, *columns[ARRIVALS:]])


def _table(title: str, columns: Sequence[tuple[str, list[str]]]) -> Table:
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left", title_style="bold")
    table.title = printable(title) or None
    for index, (heading, _) in enumerate(columns):
        table.add_column(heading, justify="right" if index else "left", no_wrap=index > 0)
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _columns(rows: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """A heading and a cell for each row."""
    columns = [("", [printable(row.label) for row in rows])]
    for share in SHOWN:
        index = SHARES.index(share)
        columns.append((f"steps\n{share:.0e}", [_number(row.steps[index], "g") for row in rows]))
        columns.append((f"s\n{share:.0e}", [_number(row.seconds[index], ".3f") for row in rows]))
    columns += [
        ("failed", [f"{row.failures} of {row.of}" if not row.unranked else "-" for row in rows]),
        ("from\nSO(3)", [f"{row.distance_from_so3:.1e}" for row in rows]),
        ("condition", [_number(row.condition, ".1e") for row in rows]),
        ("free", [f"{row.free_numbers:,}" for row in rows]),
        ("open", [str(row.free_directions) for row in rows]),
        ("from\nbest", [_number(row.difference, ".1e") for row in rows]),
    ]
    if any(math.isfinite(row.truth_error) for row in rows):
        columns.append(("from\ntruth", [_number(row.truth_error, ".1e") for row in rows]))
    return columns


def _number(value: float, style: str) -> str:
    return format(value, style) if math.isfinite(value) else "-"

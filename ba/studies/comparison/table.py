"""What a comparison prints: a table for each dataset, the conclusions, and the progress on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from ba.show.progress import is_live
from ba.studies.comparison.profiles import SHARES
from ba.studies.comparison.results import Summary
from ba.system.words import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.table import Table

SHOWN = (1e-4, 1e-6)
ARRIVALS = 2 * len(SHOWN) + 1
"""Columns that say how runs arrive; the others say where."""

CAPTION = (
    "Medians over seeds of steps and seconds until the cost is within 1e-4 and 1e-6 of the best of the same dataset "
    "and seed; - never. failed: never within 1e-4. free: numbers that may move; open: their directions that change no "
    "projection. from SO(3): largest |RᵀR − I|. from best, from truth: of points, after alignment, over their extent."
)


class Progress:
    """Shows what is being done, as a bar on a terminal and else as a line for each kind; use it in a `with` block."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream, self._what = stream, ""
        self._bar: Bar | None = None

    def __enter__(self) -> Self:
        if self._stream is not None and is_live(self._stream):
            self._bar = _bar(self._stream)
            self._bar.start()
            self._bar.add_task("preparing", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, what: str, done: int, of: int) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], description=what, completed=done, total=of, refresh=True)
        elif self._stream is not None and what != self._what:
            print(f"{what}: {done} of {of} are there", file=self._stream, flush=True)
        self._what = what


def _bar(stream: TextIO) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn()
    # Drawn between runs only: a thread that redraws would take time from the one that is timed.
    return Bar(*columns, console=Console(file=stream), transient=True, auto_refresh=False)


def print_summary(rows: Sequence[Summary], conclusions: Iterable[str], folder: Path, stream: TextIO) -> None:
    """Print a table for each dataset, the conclusions, and where everything is."""
    from rich.console import Console
    from rich.text import Text

    # Composed first, because rich ends the process where the reader of a pipe has left.
    text = StringIO()
    console = Console(file=text, force_terminal=stream.isatty(), highlight=False, markup=False, width=_width(stream))
    for dataset in dict.fromkeys(row.dataset for row in rows):
        group = [row for row in rows if row.dataset == dataset]
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
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()), file=stream, flush=True)


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else 150


def _tables(dataset: str, rows: Sequence[Summary], console: Console) -> Iterator[Table]:
    """One table, or where the console is too narrow for it two, for rich would cut digits off the numbers."""
    label, *columns = _columns(rows)
    whole = _table(dataset, [label, *columns])
    unbounded = console.options.update(max_width=10_000)
    if console.measure(whole, options=unbounded).maximum <= console.width:
        yield whole
    else:
        yield _table(dataset, [label, *columns[:ARRIVALS]])
        yield _table("", [label, *columns[ARRIVALS:]])


def _table(title: str, columns: Sequence[tuple[str, list[str]]]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(
        title=printable(title) or None, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for index, (heading, _) in enumerate(columns):
        table.add_column(heading, justify="right" if index else "left", no_wrap=index > 0)
    for row in zip(*(cells for _, cells in columns), strict=True):
        table.add_row(*row)
    return table


def _columns(rows: Sequence[Summary]) -> list[tuple[str, list[str]]]:
    """A heading and a cell for each row."""
    arrivals = [f"{what}\n{share:.0e}" for share in SHOWN for what in ("steps", "s")]
    heads = ["", *arrivals, "failed", "from\nSO(3)", "condition", "free", "open", "from\nbest", "from\ntruth"]
    if not any(math.isfinite(row.truth_error) for row in rows):
        heads.pop()
    cells = [list(column) for column in zip(*map(_cells, rows), strict=True)]
    return list(zip(heads, cells, strict=False))


def _cells(row: Summary) -> list[str]:
    arrivals = [
        cell
        for share in SHOWN
        for cell in (_number(row.steps[SHARES.index(share)], "g"), _number(row.seconds[SHARES.index(share)], ".3f"))
    ]
    return [
        printable(row.label),
        *arrivals,
        f"{row.failures} of {row.of}" if not row.unranked else "-",
        f"{row.distance_from_so3:.1e}",
        _number(row.condition, ".1e"),
        f"{row.free_numbers:,}",
        str(row.free_directions),
        _number(row.difference, ".1e"),
        _number(row.truth_error, ".1e"),
    ]


def _number(value: float, style: str) -> str:
    return format(value, style) if math.isfinite(value) else "-"

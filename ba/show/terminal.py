"""All that rich does for the commands: a bar that is redrawn on a terminal, and text composed before it is printed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar


def is_live(stream: TextIO) -> bool:
    """Whether lines on the stream can be redrawn."""
    return stream.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


@contextmanager
def composed(stream: TextIO, **options: Any) -> Iterator[Console]:
    """A console whose text is printed to the stream when the block ends; options: those of rich's Console.

    It is composed first, because rich ends the process where the reader of a pipe has left.
    """
    from rich.console import Console

    text = StringIO()
    yield Console(file=text, force_terminal=stream.isatty(), highlight=False, markup=False, **options)
    print("\n".join(line.rstrip() for line in text.getvalue().splitlines()), file=stream, flush=True)


class Live:
    """Shows how far something is: on a terminal by a bar below the lines, `bar`, which is None elsewhere.

    It is used in a `with` block. redrawn: by a thread that goes on while nothing is reported, or by reports alone.
    """

    def __init__(self, stream: TextIO | None, redrawn: bool = True) -> None:
        self.stream, self._redrawn = stream, redrawn
        self.bar: Bar | None = None

    def __enter__(self) -> Self:
        if self.stream is not None and is_live(self.stream):
            from rich.console import Console
            from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
            from rich.progress import Progress as Bar

            texts = TextColumn("{task.description}"), TextColumn("{task.fields[detail]}")
            columns = SpinnerColumn(), texts[0], BarColumn(bar_width=24), TimeElapsedColumn(), texts[1]
            console = Console(file=self.stream)
            self.bar = Bar(*columns, console=console, transient=True, refresh_per_second=8, auto_refresh=self._redrawn)
            self.bar.start()
            self.bar.add_task("preparing", total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def report(self, **state: Any) -> None:
        """Show a state: its description, a detail, and how much is `completed` of a `total`."""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], refresh=not self._redrawn, **state)

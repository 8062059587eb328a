"""What a run prints: a line an iteration while it solves, in the columns that Ceres prints, and a summary at the end.

On a terminal a bar below the lines shows the time that is left at most, if all iterations are needed.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from ba.show.rows import TRUTH_TITLE, fit_rows, inlier_limit, inlier_share, truth_rows
from ba.show.terminal import Live, composed
from ba.system.words import counted, printable

if TYPE_CHECKING:
    from rich.table import Table

    from ba.solve.result import Iteration

HEADER = "iter           cost     change  |gradient|    |step|  evals    iter_s   total_s"


def row(record: "Iteration", seconds_before: float) -> str:
    """One iteration in the columns of HEADER. A positive change is a decrease; times are in seconds."""
    return (
        f"{record.iteration:4d}  {record.cost:13.7e}  {record.cost_change:9.2e}  {record.gradient_norm:10.2e}"
        f"  {record.step_norm:8.2e}  {record.evaluations:5d}  {record.seconds - seconds_before:8.3f}"
        f"  {record.seconds:8.3f}"
    )


class Progress(Live):
    """An observer that prints iterations to a stream, or nothing where it is None; it is used in a `with` block."""

    def __init__(self, max_iterations: int, stream: TextIO | None) -> None:
        super().__init__(stream)
        self._max_iterations = max_iterations
        self._seconds: float | None = None

    def __call__(self, record: "Iteration") -> None:
        if self._seconds is None:
            self._print(HEADER)
        self._print(row(record, self._seconds or 0.0))
        self._seconds = record.seconds
        done, most = record.iteration, self._max_iterations
        what, left = f"iteration {done} of at most {most}", time_left(record, most)
        self.report(description=what, completed=done, total=max(most, done), detail=left)

    def _print(self, line: str) -> None:
        if self.bar is not None:
            self.bar.console.print(line, highlight=False, markup=False, soft_wrap=True)
        elif self.stream is not None:
            try:
                print(line, file=self.stream, flush=True)
            except BrokenPipeError:
                # The reader has seen enough; the run goes on to write its folder.
                self.stream = None


def time_left(record: "Iteration", max_iterations: int) -> str:
    """How long the run still takes if it needs all its iterations, at the mean pace so far."""
    if record.iteration == 0:
        return ""
    seconds = (max_iterations - record.iteration) * record.seconds / record.iteration
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    return f"at most {minutes}:{rest:02d} left"


def print_summary(summary: Mapping[str, Any], folder: Path, notes: tuple[str, ...], stream: TextIO) -> None:
    """Print how a run ended, from its `summary.json`, where its folder is, and what else there is to know."""
    from rich.padding import Padding
    from rich.text import Text

    style = "bold green" if summary["status"] == "converged" else "bold yellow"
    with composed(stream, soft_wrap=True) as console:
        console.print()
        console.print(Text.assemble((str(summary["status"]), style), f": {printable(summary['message'])}"))
        console.print(Padding(_table(summary), (1, 2), expand=False), soft_wrap=False)
        for line in _sentences(summary):
            console.print(f"  {line}")
        console.print(Text.assemble("  written to ", (printable(folder), "bold")))
        for note in notes:
            console.print(Text.assemble(("  note: ", "yellow"), printable(note)))


def _table(summary: Mapping[str, Any]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 3, 0, 0))
    for justify in ("left", "right", "right"):
        table.add_column(justify=justify)
    table.add_row("", Text("start", "dim"), Text("end", "dim"))
    for row in fit_rows(summary):
        digits = ".9g" if row.label.startswith("cost") else ".4g"
        table.add_row(row.label, format(row.start, digits), Text(format(row.end, digits), "bold"))
    if truth := truth_rows(summary):
        table.add_row()
        table.add_row(Text(TRUTH_TITLE, "dim"))
    for row in truth:
        table.add_row(row.label, f"{row.start:.4g}", Text(f"{row.end:.4g}", "bold"))
    return table


def _sentences(summary: Mapping[str, Any]) -> Iterator[str]:
    if (share := inlier_share(summary)) is not None:
        count = counted(summary["num_inliers"], "observation")
        yield f"inliers: {count} ({share}), off by at most {inlier_limit(summary)} at the end"
    yield ", ".join(counted(summary[f"num_{what}s"], what) for what in ("image", "camera", "point", "observation"))
    compiling = f"{seconds:.2f} s compiling kernels, " if (seconds := summary.get("compile_seconds", 0.0)) else ""
    pace = f"{summary['solve_seconds']:.2f} s solving, {compiling}{summary['total_seconds']:.2f} s in all"
    yield f"{counted(summary['iterations'], 'iteration')}, {pace}"

"""What a run prints keeps its columns, reaches a file line by line, and is never worth a run."""

import contextlib
import io
import math
import os
import re
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ba.show.progress import HEADER, Progress, row, time_left
from ba.show.terminal import is_live
from ba.solve.result import Iteration
from tests.support.summaries import SUMMARY, printed

COLUMNS = [match.span() for match in re.finditer(r"\S+", HEADER)]


def record(iteration: int, seconds: float = 0.5) -> Iteration:
    return Iteration(
        iteration=iteration,
        cost=1000.0 / (iteration + 1),
        cost_change=0.0 if iteration == 0 else 500.0,
        step_norm=0.1,
        gradient_norm=1e3,
        evaluations=iteration + 1,
        seconds=seconds * iteration,
    )


@given(
    iteration=st.integers(0, 9999),
    cost=st.floats(0, 1e99),
    change=st.floats(-1e99, 1e99),
    norm=st.floats(0, 1e99),
    evaluations=st.integers(0, 99999),
    seconds=st.floats(0, 9999),
)
def test_numbers_stand_under_their_headings(
    iteration: int, cost: float, change: float, norm: float, evaluations: int, seconds: float
) -> None:
    cost, change, norm = (0.0 if abs(number) < 1e-98 else number for number in (cost, change, norm))
    line = row(Iteration(iteration, cost, change, norm, norm, evaluations, seconds), 0.0)
    ends = [match.end() for match in re.finditer(r"\S+", line)]
    assert ends == [end for _, end in COLUMNS]


def test_lines_fit_a_terminal_of_eighty_columns() -> None:
    assert len(HEADER) == len(row(record(1), 0.0)) < 80


def test_a_stream_that_is_no_terminal_gets_a_heading_and_one_line_an_iteration_at_once() -> None:
    stream = io.StringIO()
    with Progress(10, stream) as progress:
        for iteration in range(3):
            progress(record(iteration))
            assert stream.getvalue().count("\n") == iteration + 2
    lines = stream.getvalue().splitlines()
    assert lines == [HEADER, row(record(0), 0.0), row(record(1), 0.0), row(record(2), 0.5)]


def test_nothing_is_printed_where_nothing_is_wanted(capfd: pytest.CaptureFixture[str]) -> None:
    with Progress(10, None) as progress:
        progress(record(0))
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_leaves_does_not_end_the_run() -> None:
    read, write = os.pipe()
    stream = os.fdopen(write, "w")
    with Progress(10, stream) as progress:
        progress(record(0))
        os.close(read)
        progress(record(1))
        progress(record(2))
    with contextlib.suppress(BrokenPipeError):
        stream.close()


def read_all(controller: int, pieces: list[bytes]) -> None:
    """Take what a terminal is sent until its other end closes, which the system reports as an error."""
    with contextlib.suppress(OSError):
        while True:
            pieces.append(os.read(controller, 4096))
    os.close(controller)


def test_a_terminal_shows_the_same_lines_above_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    controller, terminal = os.openpty()
    pieces: list[bytes] = []
    reader = threading.Thread(target=read_all, args=(controller, pieces))
    reader.start()
    with os.fdopen(terminal, "w") as stream, Progress(10, stream) as progress:
        assert is_live(stream)
        for iteration in range(3):
            progress(record(iteration))
    reader.join()
    shown = b"".join(pieces).decode()
    assert HEADER in shown
    assert row(record(2), 0.5) in shown
    assert "\x1b[?25h" in shown, "the cursor is shown again"


def test_a_dumb_terminal_is_not_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    controller, terminal = os.openpty()
    with os.fdopen(terminal, "w") as stream:
        assert not is_live(stream)
    os.close(controller)


@pytest.mark.parametrize(
    ("iteration", "most", "left"),
    [(0, 100, ""), (1, 100, "at most 0:50 left"), (50, 400, "at most 2:55 left"), (9, 5, "at most 0:00 left")],
)
def test_the_time_left_is_that_of_all_iterations(iteration: int, most: int, left: str) -> None:
    assert time_left(record(iteration), most) == left


def test_the_summary_says_everything_in_aligned_plain_lines() -> None:
    text = printed(SUMMARY, notes=("3 points are held fixed",))
    for part in (
        "converged: relative",
        "4185659.52",
        "18033.9035",
        "0.6564",
        "0.3641",
        "16 images, 1 camera, 22,106 points",
    ):
        assert part in text
    for part in ("83,718 observations", "7 iterations, 2.35 s solving, 5.02 s in all", "runs/a", "note: 3 points"):
        assert part in text
    assert "\x1b" not in text
    ends = {
        line.rstrip()[-1] and len(line.rstrip()) for line in text.splitlines() if "cost" in line[:10] or "error" in line
    }
    assert len(ends) == 1


def test_the_summary_shows_names_as_they_are() -> None:
    folder = "runs/[bold]a[/bold] " + "long/" * 40 + "end"
    assert f"written to {folder}" in printed(SUMMARY, folder)


def test_the_summary_shows_numbers_that_do_not_exist() -> None:
    assert "nan" in printed(SUMMARY | {"final_median_px": math.nan})

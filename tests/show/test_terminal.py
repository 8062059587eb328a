"""What the terminal says of a run: each number under its heading, the time of each line, and the time left."""

import io
import re
from pathlib import Path

import pytest

from ba.show.progress import HEADER, Progress, print_summary, row, time_left
from ba.solve.result import Iteration
from tests.support.summaries import ITERATIONS, summary

ONE = Iteration(
    iteration=7, cost=1.5e3, cost_change=2.5e2, step_norm=3.5e-1, gradient_norm=4.5e1, evaluations=12, seconds=9.25
)


def under_headings(line: str) -> dict[str, float]:
    ends = {match.group(): match.end() for match in re.finditer(r"\S+", HEADER)}
    numbers = {match.end(): float(match.group()) for match in re.finditer(r"\S+", line)}
    return {name: numbers[end] for name, end in ends.items()}


def test_every_number_stands_under_its_heading() -> None:
    assert under_headings(row(ONE, 9.0)) == {
        "iter": 7, "cost": 1.5e3, "change": 2.5e2, "|gradient|": 4.5e1, "|step|": 3.5e-1, "evals": 12,
        "iter_s": 0.25, "total_s": 9.25,
    }  # fmt: skip


def test_the_time_of_a_line_is_that_since_the_line_before() -> None:
    stream = io.StringIO()
    with Progress(5, stream) as progress:
        for record in ITERATIONS:
            progress(record)
    lines = [under_headings(line) for line in stream.getvalue().splitlines()[1:]]
    assert [line["iter_s"] for line in lines] == [0.5, 0.75, 1.5]
    assert [line["total_s"] for line in lines] == [0.5, 1.25, 2.75]


@pytest.mark.parametrize(("iteration", "most", "left"), [(5, 20, "0:30"), (10, 40, "1:00"), (1, 61, "2:00")])
def test_the_time_left_is_the_pace_times_what_remains(iteration: int, most: int, left: str) -> None:
    record = Iteration(iteration, 1.0, 0.0, 0.0, 0.0, 1, 2.0 * iteration)
    assert time_left(record, most) == f"at most {left} left"


def test_the_summary_has_start_and_end_of_every_row() -> None:
    stream = io.StringIO()
    print_summary(summary(), Path("runs/a"), (), stream)
    lines = stream.getvalue().splitlines()
    for label, start, end in (
        ("cost under huber", "101.5", "108.75"),
        ("RMS reprojection error, px", "116", "123.2"),
        ("median reprojection error, px", "130.5", "137.8"),
        ("RMS of inliers (90.0 %), px", "145", "152.2"),
        ("median of inliers (90.0 %), px", "159.5", "166.8"),
        ("RMS weighted by the loss, sigmas", "174", "181.2"),
        ("RMS of whitened errors, sigmas", "188.5", "195.8"),
        ("largest rotation error, degrees", "1.25", "1.5"),
        ("RMS point error, world units", "4.25", "4.5"),
    ):
        (line,) = [line for line in lines if line.strip().startswith(label)]
        assert line.split()[-2:] == [start, end]
    assert any("1 iteration, 0.12 s solving, 9.50 s in all" in line for line in lines)
    assert any("1 image, 2 cameras, 3,456 points, 1,000 observations" in line for line in lines)

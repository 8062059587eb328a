"""The native Ceres of the benchmark: its printed lines are understood, and a program that prints them takes part."""

import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from ba.errors import SolverError
from scripts.benchmarks.contenders import native
from scripts.benchmarks.contenders.native import Line, costs, parse
from scripts.benchmarks.contest import Task, cost, faults
from tests.support.scenes import random_problem

HEADER = "iter      cost      cost_change  |gradient|   |step|    tr_ratio  tr_radius  ls_iter  iter_time  total_time"
START = "   0  4.185660e+06    0.00e+00    1.71e+08   0.00e+00   0.00e+00  1.00e+04        0    6.69e-02    1.64e-01"
STEP = "   1  1.980615e+05    3.99e+06    5.34e+06   2.41e+03   9.85e-01  3.00e+04        1    1.20e-01    2.84e-01"
REFUSED = "   2  9.980615e+05   -8.00e+05    5.34e+06   2.41e+03  -9.85e-01  1.50e+04        1    1.20e-01    3.84e-01"


def test_the_start_and_accepted_steps_are_lines_and_nothing_else() -> None:
    assert parse(START) == Line(4.18566e6, 0.0, 0.164)
    assert parse(STEP) == Line(198061.5, 3.99e6, 0.284)
    assert [parse(text) for text in (HEADER, REFUSED, "", "Solver Summary (v 2.2.0)", "1 2 3")] == [None] * 5


def printed(true: list[float]) -> list[Line]:
    changes = [0.0, *(a - b for a, b in pairwise(true))]
    return [
        Line(float(f"{value:.6e}"), float(f"{change:.2e}"), float(at))
        for at, (value, change) in enumerate(zip(true, changes, strict=True))
    ]


def test_costs_are_finer_than_the_printed_digits_where_the_changes_are() -> None:
    true = np.array([850912.46068, 20000.111, 13345.678, *(13344.24 + 0.05 * 0.7**k for k in range(30))])
    lines = printed(true.tolist())
    ours, digits = np.array(costs(lines)) - true, np.array([line.cost for line in lines]) - true
    assert np.abs(ours / true).max() < 5e-7
    assert np.abs(ours[5:]).max() < 0.3 * np.abs(digits[5:]).max()


SCRIPT = """#!{python}
import sys
flags = dict(word[2:].split("=") for word in sys.argv[1:])
assert open(flags["input"]).read(9).split(), "a BAL file"
start, threads = {start!r}, flags["num_threads"]
row = "{{:4d}}  {{:.6e}}  {{:.2e}}  1e0  1e0  {{:.2e}}  1e4  1  1e-2  {{:.2e}}"
print(row.format(0, start, 0, 0, 0.1))
if flags["num_iterations"] != "0":
    print(row.format(1, 0.5 * start, 0.5 * start, 1.0, 0.2))
    print(row.format(2, 0.9 * start, -0.4 * start, -1.0, 0.3), flush=True)
    print(row.format(3, 0.5 * start, 1e-12 * start, 1.0, 0.4), flush=True)
    print(row.format(4, 0.4 * start, 0.1 * start, 1.0, 0.5), flush=True)
print("Solver Summary (v 2.2.0-made-up)")
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Prints what bundle_adjuster would of the problem of seed 0."""
    start = cost(random_problem(np.random.default_rng(0), models=("bal",) * 4))
    path = tmp_path / "bundle_adjuster"
    path.write_text(SCRIPT.format(python=sys.executable, start=start))
    path.chmod(0o755)
    return path


def test_a_program_that_prints_as_ceres_does_takes_part_until_a_step_gains_too_little(program: Path) -> None:
    problem = random_problem(np.random.default_rng(0), models=("bal",) * 4)
    outcome = native.solve(problem, Task("ceres-native", "", 2, ceres_binary=str(program), ceres_built="by hand"))
    assert [seconds for seconds, _ in outcome.curve] == [0.1, 0.2, 0.4]
    assert outcome.curve[1][1] == pytest.approx(0.5 * cost(problem), rel=1e-6)
    assert outcome.settings == {"linear_solver": "dense_schur", "ceres": "2.2.0-made-up", "built": "by hand"}
    assert faults(problem, outcome) == []
    seconds, first = outcome.curve[0]
    assert "starts at" in faults(problem, replace(outcome, curve=[(seconds, 1.001 * first), *outcome.curve[1:]]))[0]


def test_another_program_is_named() -> None:
    problem = random_problem(np.random.default_rng(0), models=("bal",) * 4)
    with pytest.raises(SolverError, match="/bin/true: is no bundle_adjuster of Ceres"):
        native.solve(problem, Task("ceres-native", "", 2, ceres_binary="/bin/true"))


def test_points_that_no_image_sees_are_left_out_of_its_file() -> None:
    problem = random_problem(np.random.default_rng(3), ("bal",) * 3, n_points=12)
    kept = problem.point_of_obs != 5
    problem = problem.take(kept)
    written = native.without_unseen_points(problem)
    assert written.num_points == 11
    np.testing.assert_array_equal(written.points[written.point_of_obs], problem.points[problem.point_of_obs])
    assert cost(written) == cost(problem)

"""Every number of a rotation alignment is what a second program computes: the closed form, errors, steps, rows."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import yaml

from ba.studies.rotation_alignment.run import run
from tests.oracle import alignment
from tests.oracle.alignment import ARRAYS, ITERATION, SUMMARY, Alignment, read_alignment, row_of
from tests.oracle.known import AGREEMENT, Known, known
from tests.oracle.rotating import exp
from tests.oracle.summary import flat

MOST_STEPS = 12
GENERATED = {"generated": {"points": 50, "seed": 3, "axis_angle": [0.7, -0.4, 1.1], "sigma": 0.05}}
CASES: dict[str, dict[str, Any]] = {
    "generated": {"data": GENERATED, "rotation": "so3_left", "residual": "vector"},
    "norms": {"data": GENERATED, "rotation": "so3_right", "residual": "norm"},
    "files": {"rotation": "axis_angle", "residual": "vector", "start": [0.2, 0.1, -0.3]},
    "half angles": {"data": GENERATED, "rotation": "unit_quaternion", "residual": "vector"},
    "Rodrigues": {"data": GENERATED, "rotation": "cayley", "residual": "norm", "start": [0.5, 0.0, 0.0]},
}


@pytest.fixture(scope="module")
def case_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Alignment]:
    def make(name: str) -> Alignment:
        folder, left = tmp_path_factory.mktemp("alignment"), []
        rng = np.random.default_rng(5)
        p2 = rng.normal(size=(30, 3)) + 2.0
        p1 = p2 @ exp(np.array([[0.1, 0.9, -0.5]]))[0].T + rng.normal(scale=0.1, size=p2.shape)
        np.save(folder / "p1.npy", p1)
        np.savetxt(folder / "p2.csv", p2, "%.17g", ",", header="x,y,z", comments="")
        files = {"data": {"p1": str(folder / "p1.npy"), "p2": str(folder / "p2.csv")}}
        for steps in range(MOST_STEPS + 1):
            path = folder / f"{steps}.yaml"
            config = {"kind": "rotation_alignment", "solver": {"max_iterations": steps}, "output": {"picture": False}}
            path.write_text(yaml.safe_dump(config | files | CASES[name]))
            run(path, folder / f"run-{steps}")
            left.append(folder / f"run-{steps}")
            if len((left[-1] / "iterations.jsonl").read_text().splitlines()) <= steps:
                left[-2:] = left[-1:]
                break
        return read_alignment(name, left)

    return cache(make)


def wrong(place: str, found: Any, right: Any) -> list[str]:
    right = known(right)
    if isinstance(right, Known) and right.difference(found) <= AGREEMENT:
        return []
    return [f"{place}: {found!r}, not {right}"]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("key", SUMMARY)
def test_the_summary_is_computed_anew(case_of: Callable[[str], Alignment], name: str, key: str) -> None:
    case = case_of(name)
    assert not wrong(key, dict(flat(case.last.summary))[key], SUMMARY[key](case))


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("field", ITERATION)
def test_every_step_is_computed_anew(case_of: Callable[[str], Alignment], name: str, field: str) -> None:
    case = case_of(name)
    lines = case.last.iterations
    assert len(lines) == len(case.states) > 3
    for step, line in enumerate(lines):
        assert not wrong(f"step {step}", line[field], ITERATION[field](case, step))


@pytest.mark.parametrize("name", CASES)
def test_the_row_of_a_parameterization_is_computed_anew(case_of: Callable[[str], Alignment], name: str) -> None:
    case = case_of(name)
    (row,), (line,) = case.last.summary["results"], alignment.results_csv(case)
    assert not [text for key, right in row_of(case).items() for text in wrong(key, row[key], right)]
    assert set(row) == set(row_of(case)) | set(alignment.ROW_NOT_COMPUTED)
    assert line == {key: "" if value is None else str(value) for key, value in row.items()}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("array", ARRAYS)
def test_arrays_are_computed_anew(case_of: Callable[[str], Alignment], name: str, array: str) -> None:
    found, right = ARRAYS[array](case_of(name))
    assert np.abs(found - right).max() <= 1e-14 * max(np.abs(right).max(), 1.0)


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_without_an_oracle(case_of: Callable[[str], Alignment], name: str) -> None:
    case = case_of(name)
    assert {key for key, _ in flat(case.last.summary)} == set(SUMMARY) | set(alignment.SUMMARY_NOT_COMPUTED)
    assert all(set(line) == set(ITERATION) for line in case.last.iterations)

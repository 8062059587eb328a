"""What `ba compare` writes is what a second program computes from runs alike, and from its own table of results."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import ba
from tests.oracle import comparison
from tests.oracle.case import read_case
from tests.oracle.comparison import RESULTS, SUMMARY, Comparison, compared, of_results, of_summary, read_csv
from tests.oracle.known import AGREEMENT

ROTATIONS = ["so3_left", "axis_angle", "unit_quaternion", "quaternion", "matrix9"]
SEEDS = [0, 1, 2]
STOP = {"max_iterations": 8, "ftol": 1e-12}
BASE: dict[str, Any] = {
    "solver": {"backend": "schur", "threads": 1},
    "noise": {"rotation_deg": 1.0, "points": 0.1},
    "loss": {"name": "huber", "scale": 1.0},
}
DATA = {"scene": {"images": 5, "points": 40, "camera": "bal", "outliers": 0.02}}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    folder = tmp_path_factory.mktemp("compare")
    whole = {
        "base": BASE,
        "datasets": {"ring": {"data": DATA}},
        "vary": {"rotation": ROTATIONS},
        "seeds": SEEDS,
        "stop": STOP,
    }
    (folder / "compare.yaml").write_text(yaml.safe_dump(whole))
    with pytest.MonkeyPatch.context() as patch:
        # Stress starts take seconds, and none of their numbers is in a table that is looked at here.
        patch.setattr("ba.studies.rotation_alignment.stress.run", lambda rotations: ())
        ba.compare(folder / "compare.yaml", out=folder / "out", workers=1)
    cases = [_alone(folder, rotation, seed) for seed in SEEDS for rotation in ROTATIONS]
    return Comparison(folder / "out", cases)


def _alone(folder: Path, rotation: str, seed: int) -> Any:
    """The same run by itself, with its first state and its last."""
    left = []
    for steps in (0, STOP["max_iterations"]):
        solver = BASE["solver"] | STOP | {"xtol": 0.0, "gtol": 0.0, "max_iterations": steps}
        config = BASE | {"data": DATA, "rotation": rotation, "seed": seed, "solver": solver}
        path = folder / f"{rotation}-{seed}-{steps}.yaml"
        path.write_text(yaml.safe_dump(config | {"output": {"picture": False, "report": False}}))
        ba.run(path, out=path.with_suffix(""))
        left.append(path.with_suffix(""))
    return read_case(f"{rotation}, seed {seed}", left)


@pytest.mark.parametrize("column", RESULTS)
def test_a_row_of_results_is_what_a_run_alone_gives(found: Comparison, column: str) -> None:
    wrong = [cell for cell in of_results(found, column) if not compared(*cell[1:]) <= AGREEMENT]
    assert not wrong


@pytest.mark.parametrize("column", SUMMARY)
def test_the_summary_follows_from_the_results(found: Comparison, column: str) -> None:
    summary = read_csv(found.folder / "summary.csv")
    wrong = [cell for cell in of_summary(summary, found.rows, column) if not compared(*cell[1:]) <= AGREEMENT]
    assert not wrong


def test_no_column_is_without_an_oracle(found: Comparison) -> None:
    assert set(found.rows[0]) == set(RESULTS) | set(comparison.RESULTS_NOT_COMPUTED)
    assert set(read_csv(found.folder / "summary.csv")[0]) == set(SUMMARY)


def test_the_seeds_tell_a_median_from_the_first_the_mean_and_the_least(found: Comparison) -> None:
    """A wrong statistic of condition, steps and distance would be seen."""
    for column in ("condition", "distance_from_so3", "truth_error", "seconds_to_1e-06"):
        groups = [comparison.numbers(group, column) for group in comparison.groups(found.rows).values()]
        assert any(len(set(group)) == len(SEEDS) for group in groups), column

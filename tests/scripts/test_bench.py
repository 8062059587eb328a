"""The benchmark's command line, its arithmetic on runs that are made up, and that its check of a run can fail."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba import io
from scripts.benchmarks import race
from scripts.benchmarks.contenders import CONTENDERS, NATIVE, ours
from scripts.benchmarks.contest import NEGATED_U, TURNED, Task, behind, cost, faults, load
from scripts.benchmarks.picture import draw
from scripts.benchmarks.table import arrival, cold_lines, lowest_cost, medians, remarks, table
from tests import ROOT
from tests.support.scenes import random_problem


def made_up(scale: float, fault: str = "") -> dict[str, Any]:
    return {
        "curve": [[0.0, 100.0], [1.0 * scale, 2.0], [2.0 * scale, 1.00005], [4.0 * scale, 1.0]],
        "build_seconds": 0.5,
        "peak_mb": 10.0,
        "settings": {"ordering": "METIS"},
        "phases": {"jacobian_seconds": 0.25},
        "versions": {"peer": "1.2"},
        "faults": [fault] if fault else [],
    }


@pytest.mark.parametrize("name", [name for name in CONTENDERS if name != NATIVE])
def test_every_contender_can_be_chosen_and_has_a_module(name: str) -> None:
    assert race.parse(["--only", name]).only == [name]
    assert (ROOT / "scripts" / "benchmarks" / "contenders" / f"{CONTENDERS[name].module}.py").is_file()


def test_the_slow_are_left_out_unless_asked_for() -> None:
    slow = {name for name, entry in CONTENDERS.items() if entry.slow}
    assert slow
    assert not slow & set(race.parse([]).only)
    assert slow <= set(race.parse(["--slow"]).only)


def test_the_files_of_the_default_exist_and_have_a_known_lowest_cost() -> None:
    files = race.parse([]).files
    assert all(file.is_file() for file in files)
    assert {race.stem(file) for file in files} == set(race.LOWEST)


def test_the_native_ceres_takes_part_where_its_program_is_named() -> None:
    assert NATIVE not in race.parse([]).only
    assert NATIVE in race.parse(["--ceres-binary", "/bin/sh"]).only


@pytest.mark.parametrize(
    "wrong",
    [
        ["--only", NATIVE],
        ["--ceres-binary", "no-program"],
        ["--only", "cerse"],
        ["--repeats", "0"],
        ["--threads", "-1"],
        ["--limit", "x"],
        ["no.txt"],
    ],
)
def test_a_wrong_argument_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        race.parse(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def test_arrival_is_the_first_time_at_the_cost() -> None:
    curve = made_up(1.0)["curve"]
    assert [arrival(curve, cost) for cost in (2.0, 1.5, 0.5)] == [1.0, 2.0, float("inf")]


def test_table_has_medians_spreads_and_ratios_to_the_first() -> None:
    runs = {"ours": [made_up(scale) for scale in (1.0, 1.5, 0.5)], "peer": [made_up(3.0)]}
    _, ours, peer = table(runs, 1.0).splitlines()
    assert ours.split()[1:7] == ["2.000", "2.000", "1.0x", "4.000", "4.000", "1.0x"]
    assert peer.split()[1:7] == ["6.000", "0.000", "3.0x", "12.000", "0.000", "3.0x"]


def test_table_says_who_never_arrives() -> None:
    assert table({"ours": [made_up(1.0)]}, 0.5).splitlines()[1].split()[1:4] == ["never"] * 3


def test_the_lowest_cost_is_not_taken_from_a_run_with_a_fault() -> None:
    wrong = made_up(1.0, fault="another problem") | {"curve": [[0.0, 0.1]]}
    assert lowest_cost({"ours": [made_up(1.0)], "peer": [wrong]}, None) == 1.0
    assert lowest_cost({"ours": [made_up(1.0)]}, 0.9) == 0.9


def test_remarks_name_settings_phases_versions_and_faults() -> None:
    said = "\n".join(remarks({"peer": [made_up(1.0, fault="starts elsewhere")]}))
    assert all(part in said for part in ("ordering METIS", "jacobian 0.250 s", "peer 1.2", "starts elsewhere"))


def test_cold_times_are_related_to_the_first() -> None:
    assert "3.0x" in cold_lines({"ours": [1.0, 2.0, 1.0], "peer": [3.0]})[1]


def test_a_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    draw({"ours": [made_up(1.0)], "peer": [made_up(3.0)]}, 1.0, "made up", tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_a_camera_turned_half_round_sees_what_lies_behind_with_u_negated() -> None:
    problem = random_problem(np.random.default_rng(0), models=("bal",))
    flipped = replace(
        problem,
        rotations=TURNED @ problem.rotations,
        translations=problem.translations @ TURNED,
        pixels=problem.pixels * NEGATED_U,
    )
    assert not behind(problem).any()
    assert behind(flipped).all()
    assert cost(flipped) == pytest.approx(cost(problem), rel=1e-12)


def test_what_starts_behind_its_camera_is_left_out_in_front(tmp_path: Path) -> None:
    problem = random_problem(np.random.default_rng(0), models=("bal",))
    hidden = np.arange(problem.num_images) == 0
    rotations, translations = problem.rotations.copy(), problem.translations.copy()
    rotations[hidden], translations[hidden] = TURNED @ rotations[hidden], translations[hidden] @ TURNED
    io.save(replace(problem, rotations=rotations, translations=translations), tmp_path / "turned.npz")
    whole, cut = load(tmp_path / "turned.npz"), load(tmp_path / "turned.npz", in_front=True)
    assert behind(whole).any()
    assert not behind(cut).any()
    assert 0 < cut.num_observations < whole.num_observations


def test_gtsam_is_left_out_where_it_has_no_residual(capsys: pytest.CaptureFixture[str]) -> None:
    dubrovnik, ladybug = race.FILES
    asked = ["--only", "ba-schur,gtsam"]
    assert race.able(dubrovnik, race.parse(asked)) == ["ba-schur", "gtsam"]
    assert race.able(ladybug, race.parse(asked)) == ["ba-schur"]
    assert "31 observations" in capsys.readouterr().out
    assert race.able(ladybug, race.parse([*asked, "--in-front"])) == ["ba-schur", "gtsam"]


def test_medians_are_those_of_the_runs_and_none_where_one_never_arrives() -> None:
    found = medians([made_up(scale) for scale in (1.0, 1.5, 0.5)], 1.0)
    assert found["seconds"] == {"0.0001": 2.0, "1e-05": 4.0, "1e-06": 4.0}
    assert (found["runs"], found["steps"]) == (3, 3)
    assert medians([made_up(1.0)], 0.5)["seconds"]["0.0001"] is None


def test_a_run_of_another_problem_has_faults() -> None:
    problem = random_problem(np.random.default_rng(0), models=("bal",))
    outcome = ours.solve(problem, Task("ba-schur", "", 1), backend="schur")
    assert faults(problem, outcome) == []
    (seconds, first), *rest = outcome.curve
    assert "starts at" in faults(problem, replace(outcome, curve=[(seconds, first * (1.0 + 1e-9)), *rest]))[0]
    elsewhere = replace(outcome.problem, points=outcome.problem.points + np.array([1e-3, 0.0, 0.0]))
    assert "of a state that costs" in faults(problem, replace(outcome, problem=elsewhere))[0]

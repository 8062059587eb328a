"""A run leaves a complete folder that says what happened and runs again to the same bits."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba import io, pipeline
from ba.cli import main
from ba.config import reading
from ba.errors import SolverError, UserError
from ba.model.problem import Problem
from ba.model.residual import project
from ba.model.rotation import ROTATIONS
from ba.options import Config
from ba.show import products
from ba.solve.reduced import factor
from ba.solve.result import Iteration
from tests import ROOT

CUT = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
FILES = {"config.yaml", "summary.json", "iterations.jsonl", "solution.ply", "residuals.npz", "report.html"}
KEYS = [
    "status",
    "message",
    "initial_cost",
    "final_cost",
    "initial_rms_px",
    "final_rms_px",
    "final_median_px",
    "iterations",
    "solve_seconds",
    "total_seconds",
    "num_images",
    "num_cameras",
    "num_points",
    "num_observations",
    "rotation",
    "solver",
    "versions",
    "data_sha256",
    "seed",
]


def configured(**keys: Any) -> Config:
    """The three-image cut without a picture; keys are sections or values of the configuration."""
    return Config.model_validate(
        {"data": {"path": CUT}, "output": {"picture": False}, "solver": {"max_iterations": 20}} | keys
    )


SCENE = {"scene": {"kind": "ring", "images": 6, "points": 60, "seed": 3}}


def test_a_run_folder_is_complete_and_true(tmp_path: Path) -> None:
    result = pipeline.run(configured(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"solution.txt"}
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == result.summary
    assert set(KEYS) <= set(summary)
    assert (summary["num_images"], summary["num_points"], summary["num_observations"]) == (3, 7, 19)

    solved = io.load(tmp_path / "solution.txt")
    residuals = project(solved).pixels - solved.pixels
    norms = np.linalg.norm(residuals, axis=1)
    assert summary["final_cost"] == pytest.approx(0.5 * np.sum(norms**2), rel=1e-9)
    assert summary["final_rms_px"] == pytest.approx(np.sqrt(np.mean(norms**2)), rel=1e-9)
    assert summary["final_median_px"] == pytest.approx(np.median(norms), rel=1e-9)
    with np.load(tmp_path / "residuals.npz") as stored:
        assert np.allclose(stored["end"], residuals, atol=1e-8)

    lines = [json.loads(line) for line in (tmp_path / "iterations.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == list(range(summary["iterations"] + 1))
    assert lines[0]["cost"] == summary["initial_cost"]
    assert lines[-1]["cost"] == summary["final_cost"]


@pytest.mark.parametrize("data", [{"path": CUT}, SCENE], ids=["file", "scene"])
def test_the_effective_configuration_runs_again_to_the_same_bits(tmp_path: Path, data: dict[str, Any]) -> None:
    noise = {"rotation_deg": 0.1, "position": 0.01, "points": 0.01, "intrinsics": 0.001}
    first = pipeline.run(configured(data=data, noise=noise, seed=5, loss={"name": "huber"}), tmp_path / "first")
    again = pipeline.run(tmp_path / "first" / "config.yaml", tmp_path / "again")
    solution = next(path for path in (tmp_path / "first").glob("solution.*") if path.suffix != ".ply").name
    assert (tmp_path / "first" / solution).read_bytes() == (tmp_path / "again" / solution).read_bytes()
    assert first.summary["final_cost"] == again.summary["final_cost"]
    assert (tmp_path / "first" / "config.yaml").read_text() == (tmp_path / "again" / "config.yaml").read_text()


def test_an_end_that_nothing_aligns_is_a_note_and_loses_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Problem) -> dict[str, float]:
        raise UserError("alignment: all points lie on a line")

    monkeypatch.setattr("ba.model.similarity.compare_to_truth", refuse)
    config = Config.model_validate({"data": {"scene": {"images": 4, "points": 24}}, "output": {"picture": False}})
    result = pipeline.run(config, tmp_path / "run")
    assert "alignment: all points lie on a line" in result.notes
    assert "truth" not in json.loads((tmp_path / "run" / "summary.json").read_text())


def test_a_generated_scene_is_compared_with_its_truth(tmp_path: Path) -> None:
    noise = {"rotation_deg": 0.5, "position": 0.02, "points": 0.02}
    config = configured(data=SCENE, noise=noise, camera={"refine": "none"}, solver={"max_iterations": 100})
    summary = pipeline.run(config, tmp_path).summary
    start, end = summary["truth"]["start"], summary["truth"]["end"]
    for key in ("rotation_error_median_deg", "position_error_rms_world_units", "point_error_rms_world_units"):
        assert end[key] < start[key] / 3.0
    assert np.array_equal(io.load(tmp_path / "truth.npz").points, pipeline.load_start(config)[0].points)


def test_seed_and_data_show_in_the_digest(tmp_path: Path) -> None:
    other = {"scene": SCENE["scene"] | {"seed": 4}}
    digests = {
        pipeline.run(configured(data=data, solver={"max_iterations": 0}), tmp_path / str(i)).summary["data_sha256"]
        for i, data in enumerate((SCENE, other, {"path": CUT}))
    }
    assert len(digests) == 3


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_every_rotation_leaves_a_readable_solution(tmp_path: Path, rotation: str) -> None:
    result = pipeline.run(configured(rotation=rotation, data=SCENE), tmp_path)
    before, after = pipeline.open_scene(tmp_path)
    assert before is not None
    assert np.array_equal(after.points, result.solution.problem.points)
    assert any("SO(3)" in note for note in result.notes) == (not ROTATIONS[rotation].stays_rotation)


def test_what_bal_cannot_hold_is_kept_in_full(tmp_path: Path) -> None:
    result = pipeline.run(configured(rotation="matrix9"), tmp_path)
    assert (tmp_path / "solution.npz").is_file()
    assert not (tmp_path / "solution.txt").exists()
    assert any("solution.npz" in note for note in result.notes)
    assert np.array_equal(io.load(tmp_path / "solution.npz").rotations, result.solution.problem.rotations)


def test_fixed_cameras_come_back_digit_for_digit(tmp_path: Path) -> None:
    pipeline.run(configured(fix={"poses": [0, 2], "cameras": "all"}), tmp_path)
    before, after = CUT.read_text().split(), (tmp_path / "solution.txt").read_text().split()
    first = 3 + 4 * 19
    for image in (0, 2):
        numbers = slice(first + 9 * image, first + 9 * image + 9)
        assert [float(word) for word in before[numbers]] == [float(word) for word in after[numbers]]


def test_unconstrained_points_are_told_and_held(tmp_path: Path) -> None:
    lonely = tmp_path / "lonely.txt"
    words = CUT.read_text().split()
    words[:3] = ["3", "8", "20"]
    words[3 + 4 * 19 : 3 + 4 * 19] = ["0", "7", "1.0", "2.0"]
    lonely.write_text("\n".join([*words, "1.0", "2.0", "-30.0"]))
    result = pipeline.run(configured(data={"path": lonely}), tmp_path / "run")
    assert result.summary["points_seen_fewer_than_twice"] == 1
    assert result.notes[0].startswith("1 point is seen fewer than twice and was held fixed")
    assert result.solution.problem.points[7].tolist() == [1.0, 2.0, -30.0]


def test_interruption_writes_the_best_state(tmp_path: Path) -> None:
    def interrupt(record: Iteration) -> None:
        if record.iteration == 3:
            raise KeyboardInterrupt

    summary = pipeline.run(configured(), tmp_path, interrupt).summary
    assert summary["status"] == "interrupted"
    assert summary["iterations"] == 3
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"solution.txt"}


def test_a_failing_solver_writes_what_there_is_and_exits_with_3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> None:
        raise SolverError("the reduced camera system is singular at this damping")

    monkeypatch.setattr(factor, "factorize", fail)
    config = tmp_path / "config.yaml"
    config.write_text(reading.dump(configured()))
    assert main(["run", str(config), "--out", str(tmp_path / "run")]) == 3
    assert "singular" in capsys.readouterr().err
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["status"] == "failed"
    assert (tmp_path / "run" / "solution.txt").is_file()


def test_a_folder_that_cannot_be_is_refused_before_the_solve(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be the run folder"):
        pipeline.run(configured(), tmp_path / "file" / "run")


def test_only_run_folders_and_data_open(tmp_path: Path, dubrovnik_cut: Problem) -> None:
    with pytest.raises(UserError, match="not a run folder"):
        pipeline.open_scene(tmp_path)
    before, after = pipeline.open_scene(CUT)
    assert before is None
    assert np.array_equal(after.points, dubrovnik_cut.points)


def test_the_picture_is_drawn_or_its_absence_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def draw(before: Problem, after: Problem, png: Path) -> None:
        assert before.num_images == after.num_images
        png.write_bytes((ROOT / "tests" / "pixel.png").read_bytes())

    monkeypatch.setattr("ba.show.view.screenshot", draw)
    notes = pipeline.run(configured(output={"picture": True}), tmp_path).notes
    assert not any("picture" in note for note in notes)
    assert (tmp_path / "view.png").is_file()
    monkeypatch.setattr("ba.show.view.screenshot", lambda *_: "no picture: install it by this command")
    result = pipeline.run(configured(output={"picture": True}), tmp_path, overwrite=True)
    assert result.notes == (*notes, "no picture: install it by this command")


def test_ctrl_c_in_the_picture_costs_only_the_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ba.show.view.screenshot", stop)
    result = pipeline.run(configured(output={"picture": True}), tmp_path)
    assert result.notes[-1] == products.UNDRAWN
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"solution.txt"}


def test_a_refused_run_leaves_the_last_one_whole(tmp_path: Path) -> None:
    pipeline.run(configured(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(UserError, match="bounds"):
        pipeline.run(configured(camera={"bounds": {"f": (0.0, 1.0)}}), tmp_path, overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_run_replaces_what_the_last_one_left_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.run(configured(rotation="matrix9"), tmp_path)
    (tmp_path / "solution.md").write_text("mine")
    (tmp_path / "view.png").write_bytes(b"old")
    monkeypatch.setattr("ba.show.view.screenshot", lambda *_: "no picture: no driver")
    pipeline.run(configured(output={"picture": True}), tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.iterdir()} == FILES | {"solution.txt", "solution.md"}
    assert "data:image" not in (tmp_path / "report.html").read_text()


def test_a_run_does_not_eat_its_input(tmp_path: Path) -> None:
    (tmp_path / "solution.txt").write_bytes(CUT.read_bytes())
    with pytest.raises(UserError, match="replace its own input"):
        pipeline.run(configured(data={"path": tmp_path / "solution.txt"}), tmp_path)


def test_what_one_run_fixes_the_next_may_move(tmp_path: Path) -> None:
    pipeline.run(configured(data=SCENE, fix={"poses": "all"}, camera={"refine": "none"}), tmp_path / "first")
    again = configured(data={"path": tmp_path / "first" / "solution.npz"})
    assert pipeline.run(again, tmp_path / "again").summary["free_numbers"] == 6 * 11 + 60 * 3


def test_what_matrix9_leaves_is_made_a_rotation_again(tmp_path: Path) -> None:
    pipeline.run(configured(data=SCENE, rotation="matrix9"), tmp_path / "first")
    again = configured(data={"path": tmp_path / "first" / "solution.npz"}, rotation="quaternion")
    summary = pipeline.run(again, tmp_path / "again").summary
    with np.load(tmp_path / "again" / "residuals.npz") as stored:
        assert summary["initial_cost"] == pytest.approx(0.5 * np.sum(stored["start"] ** 2), rel=1e-9)
    assert summary["distance_from_so3"] < 1e-12

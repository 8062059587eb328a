"""A comparison is fair: the same starts, the same stopping rule, and nothing ranked that was not minimized alike."""

import ast
import csv
import dataclasses
import math
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ba
from ba import io, pipeline
from ba.analyse.free_directions import directions_and_condition, eigenvalues
from ba.cli import main
from ba.errors import UserError
from ba.model.options import Loss
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS, so3
from ba.model.variables import make_variables
from ba.options import Config
from ba.pipeline import load_start
from ba.prepare.conditioning import condition
from ba.solve import solve
from ba.studies.comparison import Findings, config, execute, program, results, table
from ba.studies.comparison import runs as planned
from ba.studies.comparison.conclusions import conclude
from ba.studies.comparison.outcome import Outcome
from ba.studies.comparison.profiles import SHARES
from tests import ROOT

SHIPPED = ROOT / "configs" / "compare-rotations.yaml"
SMALL = """
base: {solver: {backend: schur, threads: 1}, noise: {rotation_deg: 0.5, points: 0.02}}
datasets:
  ring: {data: {scene: {images: 5, points: 40, camera: bal}}}
vary:
  rotation: [so3_left, quaternion, matrix9]
seeds: [0, 1]
"""


KINDS = ("so3_left", "quaternion", "matrix9")
"""Minimal, redundant, and off SO(3)."""


def written(folder: Path, text: str = SMALL) -> Path:
    path = folder / "small.yaml"
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> Findings:
    folder = tmp_path_factory.mktemp("compare")
    return ba.compare(written(folder), out=folder / "out", workers=1)


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def unstressed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stress scenes take seconds and are tested where they are made."""
    monkeypatch.setattr("ba.studies.rotation_alignment.stress.run", lambda rotations: ())


def test_every_combination_has_an_outcome(findings: Findings) -> None:
    rotations = config.load(SHIPPED).comparison.vary["rotation"]
    assert len({(o.dataset, o.seed, o.label) for o in findings.outcomes}) == len(findings.outcomes) == 2 * 3
    assert len(rotations) >= 10
    assert "matrix9" in rotations


def test_every_run_of_a_seed_begins_at_the_same_cost(findings: Findings) -> None:
    for seed in (0, 1):
        first = [o.cost[0] for o in findings.outcomes if o.seed == seed]
        assert np.ptp(first) <= 1e-12 * first[0]
    assert len({o.cost[0] for o in findings.outcomes}) > 1


def test_nine_free_numbers_are_never_ranked(findings: Findings) -> None:
    for outcome in findings.outcomes:
        assert bool(outcome.flags) == (outcome.label == "matrix9")
    off = [o for o in findings.outcomes if o.label == "matrix9"]
    assert all("lower cost off SO(3)" in o.flags and o.distance_from_so3 > so3.OFF_SO3 for o in off)
    assert all(row.unranked == row.of for row in findings.summaries if row.label == "matrix9")


def test_rotations_agree_after_alignment_and_one_of_them_is_the_best(findings: Findings) -> None:
    agreeing = [o.difference for o in findings.outcomes if not o.flags]
    assert max(agreeing) < 1e-6
    assert min(agreeing) == 0.0
    assert all(math.isnan(o.difference) for o in findings.outcomes if o.flags)


def test_ends_are_compared_with_the_truth_of_a_scene(findings: Findings) -> None:
    assert all(0.0 < o.truth_error < 0.1 for o in findings.outcomes if not o.flags)


def test_three_sentences_follow(findings: Findings) -> None:
    speed, failures, ends = findings.conclusions
    assert all(sentence.endswith(".") for sentence in findings.conclusions)
    assert "4 runs" in failures
    assert "matrix9 left SO(3)" in ends
    assert "matrix9" not in speed


def test_tables_hold_a_row_an_outcome_and_a_row_a_label(findings: Findings) -> None:
    from pyarrow import parquet

    for name, rows in (("results", findings.outcomes), ("summary", findings.summaries)):
        with (findings.folder / f"{name}.csv").open() as file:
            lines = list(csv.DictReader(file))
        typed = parquet.read_table(findings.folder / f"{name}.parquet").to_pylist()
        assert [row["label"] for row in lines] == [row["label"] for row in typed] == [row.label for row in rows]
        assert all(f"steps_to_{share:.0e}" in typed[0] for share in SHARES)
    courses = parquet.read_table(findings.folder / "results.parquet").to_pylist()
    assert [tuple(row["cost"]) for row in courses] == [o.cost for o in findings.outcomes]


@pytest.mark.usefixtures("unstressed")
def test_a_second_call_repeats_nothing(findings: Findings, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("done again")

    for name in ("measure", "timed", "load_start"):
        monkeypatch.setattr(execute, name, refuse)
    again = ba.compare(findings.folder.parent / "small.yaml", out=findings.folder, workers=1)
    assert repr(again.outcomes) == repr(findings.outcomes)


@pytest.mark.usefixtures("unstressed")
def test_ctrl_c_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, out, real = written(tmp_path), tmp_path / "out", execute.measure
    calls: list[Path] = []

    def interrupted(start: Path, run: Config) -> Any:
        calls.append(start)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(start, run)

    monkeypatch.setattr(execute, "measure", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ba.compare(path, ["seeds=[0]"], out, workers=1)
    assert len(list((out / "runs").glob("*.json"))) == 2
    ba.compare(path, ["seeds=[0]"], out, workers=1)
    assert len(calls) == 4


@pytest.mark.usefixtures("unstressed")
def test_processes_give_what_one_alone_gives(findings: Findings, tmp_path: Path) -> None:
    path = findings.folder.parent / "small.yaml"
    there = ba.compare(path, ["seeds=[0]", "vary.rotation=[so3_left,quaternion]"], tmp_path / "out", workers=2)
    alone = [o for o in findings.outcomes if o.seed == 0 and not o.flags]
    assert [o.cost for o in there.outcomes] == [o.cost for o in alone]


def test_starts_are_saved_bit_for_bit(findings: Findings) -> None:
    run = planned.make_runs(config.load(findings.folder.parent / "small.yaml"))[0]
    _, start = load_start(run.config)
    saved = io.load(execute.path_of(execute.START, run.start, findings.folder))
    for name in ("rotations", "translations", "points", "intrinsics", "pixels"):
        np.testing.assert_array_equal(getattr(saved, name), getattr(start, name))


@pytest.mark.parametrize(
    ("axis", "apart"),
    [
        ("loss.name: [linear, huber]", True),
        ("gauge: [free, two_cameras]", True),
        ("camera.refine: [all, none]", True),
        ("noise: [{points: 0.1}, {points: 0.2}]", True),
        ("solver.backend: [scipy, schur]", False),
        ("solver.linear: [dense, sparse]", False),
    ],
)
def test_what_changes_the_problem_splits_groups(tmp_path: Path, axis: str, apart: bool) -> None:
    runs = planned.make_runs(config.load(written(tmp_path, SMALL.replace("seeds:", f"  {axis}\nseeds:"))))
    assert len({run.start.group for run in runs}) == (2 if apart else 1)
    assert len({run.label for run in runs}) == (3 if apart else 6)
    assert len({run.key for run in runs}) == len(runs) == 12


@pytest.mark.parametrize("gauge", ["free", "two_cameras", "three_points"])
@pytest.mark.parametrize(
    ("scene", "refine"),
    [({"camera": "bal"}, "all"), ({"camera": "bal"}, "none"), ({}, "all"), ({"shared_camera": True}, "all")],
)
def test_free_directions_are_the_zero_eigenvalues(scene: dict[str, Any], refine: str, gauge: str) -> None:
    run = Config.model_validate(
        {
            "data": {"scene": {"images": 5, "points": 40, **scene}},
            "solver": {"backend": "schur", "threads": 1, "max_iterations": 20},
            "camera": {"refine": refine},
            "gauge": gauge,
        }
    )
    _, start = load_start(run)
    for name in ROTATIONS if (scene, refine, gauge) == ({"camera": "bal"}, "all", "free") else KINDS:
        end = solve(start, rotation=name, options=run.solver).problem
        conditioned = condition(end).problem
        variables = make_variables(conditioned, ROTATIONS[name])
        residuals = Residuals(conditioned, 1)
        values = eigenvalues(variables, residuals, residuals.linearize(variables, variables.start))
        zeros = int((values < 1e-11).sum())
        directions, number = directions_and_condition(end, ROTATIONS[name], Loss())
        assert directions == zeros, name
        assert 1.0 <= number < 1e11


def outcome(label: str, cost: tuple[float, ...], **other: Any) -> Outcome:
    return Outcome(
        **{
            "dataset": "d",
            "seed": 0,
            "label": label,
            "settings": {},
            "status": "converged",
            "message": "",
            "cost": cost,
            "seconds": tuple(float(step) for step in range(len(cost))),
            "free_numbers": 9,
            "free_directions": 7,
            "condition": 1.0,
            "distance_from_so3": 0.0,
            "difference": 0.0,
            "truth_error": math.nan,
            "flags": (),
            **other,
        }
    )


def test_conclusions_name_the_quickest_and_those_who_fail() -> None:
    found = [outcome("quick", (9.0, 1.0)), outcome("slow", (9.0, 5.0, 1.0)), outcome("stuck", (9.0, 2.0))]
    speed, failures, ends = conclude(found, results.summaries(found))
    assert "quick is quickest with 1 step in 1 s, 0 of the 1 others that arrive take at most 1.2 times as long" in speed
    assert "slow takes 2 times as long with 2 steps in 2 s" in speed
    assert "1 of 3 runs" in failures
    assert "stuck on d (1 of 1)" in failures
    assert "all 3 runs end within 1e-06 of SO(3)" in ends


def test_conclusions_say_so_where_nothing_may_be_ranked() -> None:
    found = [outcome("off", (9.0, 1.0), flags=("lower cost off SO(3)",), distance_from_so3=0.1)]
    speed, failures, ends = conclude(found, results.summaries(found))
    assert "none of 1 arrives" in speed
    assert failures == "No run may be ranked."
    assert "off left SO(3)" in ends


def test_distance_is_nothing_between_similar_points_and_ignores_the_remote() -> None:
    points = np.random.default_rng(0).normal(size=(50, 3))
    moved = 3.0 * points[:, [1, 2, 0]] + 5.0
    moved[0] = 1e6
    assert results.distance(moved, points) < 1e-14
    assert 0.005 < results.distance(points + 0.01 * np.random.default_rng(1).normal(size=points.shape), points) < 0.02


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("sedes: [0]", "small.yaml, line 8: sedes: no such key; did you mean seeds?"),
        ("seeds: []", "line 8: seeds: "),
        ("seeds: 3", "line 8: seeds: 3 found, a list, each a whole number"),
        ("stop: {ftol: small}", 'line 8: stop.ftol: "small" found, a number >= 0'),
        ("stop: {gtol: 1}", "line 8: stop.gtol: no such key"),
    ],
)
def test_a_wrong_key_is_told_by_line(tmp_path: Path, line: str, expected: str) -> None:
    text = SMALL.replace("seeds: [0, 1]\n", "") if line.startswith("seeds") else SMALL
    number = 7 if line.startswith("seeds") else 8
    with pytest.raises(UserError) as caught:
        config.load(written(tmp_path, text + line + "\n"))
    assert expected.replace("line 8", f"line {number}") in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("quaternion", "quaternoin", 'line 6: rotation: "quaternoin" is not known'),
        ("rotation:", "rotatoin:", "line 6: vary.rotatoin: rotatoin: no such key; did you mean rotation?"),
        ("quaternion", "so3_left", "line 6: vary.rotation[1]: so3_left is given twice"),
        ("backend: schur", "backend: shur", 'line 2: solver.backend: "shur" is not known'),
        ("threads: 1", "ftol: 1", "line 2: base.solver.ftol: solver.ftol is not to be set here; all runs stop"),
        ("rotation: [", "seed: [1,", "line 6: vary.seed[0]: seed is not to be set here; seeds is right"),
        ("images: 5", "images: x", 'line 4: data.scene.images: "x" found'),
        ("data: {scene", "dota: {scene", "line 4: data: missing, a section"),
        ("[so3_left, quaternion, matrix9]", "so3_left", 'line 6: vary.rotation: "so3_left" found, a list'),
    ],
)
def test_a_wrong_run_is_told_by_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        planned.make_runs(config.load(written(tmp_path, SMALL.replace(old, new, 1))))
    assert expected in str(caught.value)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_refused_run_is_named(tmp_path: Path, workers: int) -> None:
    text = SMALL.replace("base: {", "base: {camera: {bounds: {f: [1, 9999]}}, ")
    with pytest.raises(UserError, match=r"^ring, so3_left: camera\.bounds: solver\.backend schur has none"):
        ba.compare(written(tmp_path, text), ["vary.rotation=[so3_left]", "seeds=[0,1]"], tmp_path / "out", workers)


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seeds", "not KEY=VALUE"),
        ("seed=1", "--set seed=1: seed: no such key; did you mean seeds?"),
        ("vary.rotation=[x]", '--set vary.rotation=[x]: rotation: "x" is not known'),
        ("base.solver.backend=x", '--set base.solver.backend=x: solver.backend: "x" is not known'),
    ],
)
def test_a_wrong_override_is_told(tmp_path: Path, override: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        planned.make_runs(config.load(written(tmp_path), [override]))
    assert expected in str(caught.value)


@pytest.mark.usefixtures("unstressed")
def test_the_command_prints_table_and_conclusions(
    findings: Findings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = findings.folder.parent / "small.yaml"
    assert main(["compare", str(path), "--out", str(findings.folder)]) == 0
    printed = capsys.readouterr().out
    assert "quaternion" in printed
    assert "not ranked" in printed
    assert str(findings.folder) in printed
    assert main(["compare", str(tmp_path / "none.yaml")]) == 2


def test_a_terminal_shows_a_bar_and_a_file_a_line_for_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for stream in (Terminal(), StringIO()):
        with table.Progress(stream) as tick:
            for done in range(3):
                tick("runs", done, 3)
        lines = stream.getvalue().splitlines()
        assert ("runs: 0 of 3 are there" in lines) != stream.isatty()
        assert stream.isatty() or len(lines) == 1


def test_what_decides_how_a_run_ends_is_found_from_imports() -> None:
    """A run is measured, and its start is made by `load_start`, from these modules and no other of the program."""
    found = set(program.sources())
    for name in (
        "model/similarity.py",
        "solve/levenberg_marquardt.py",
        "solve/preconditioned.py",
        "solve/reduced/kernels.py",
        "studies/comparison/measure.py",
    ):
        assert program.PACKAGE / name in found
    for name in pipeline.load_start.__code__.co_names:
        used = pipeline.load_start.__globals__.get(name)
        module = getattr(used, "__module__", None) or getattr(used, "__name__", "")
        path = program.path_of(module)
        assert path is None or path in found or path == Path(pipeline.__file__), name
    assert program.PACKAGE / "show" / "report.py" not in found


def test_every_source_of_the_measuring_process_is_found() -> None:
    code = "import sys, ba.studies.comparison.measure\nprint(*(n for n in sys.modules if n.startswith('ba.')))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split()) - {"ba.studies.comparison"}
    assert len(loaded) > 40
    paths = {path for name in loaded if (path := program.path_of(name)) is not None}
    with_code = {path for path in paths if len(ast.parse(path.read_text()).body) > 1}  # others are a docstring alone
    assert with_code <= set(program.sources())


def test_another_program_or_setting_is_another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = config.load(written(tmp_path))
    keys = {run.key for run in planned.make_runs(source)}
    stop = source.comparison.stop.model_copy(update={"ftol": 1e-3})
    changed = dataclasses.replace(source, comparison=source.comparison.model_copy(update={"stop": stop}))
    assert not keys & {run.key for run in planned.make_runs(changed)}
    monkeypatch.setattr(planned, "_program", lambda: "another")
    assert not keys & {run.key for run in planned.make_runs(source)}

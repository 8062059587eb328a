"""The scaling benchmark's command line, its arithmetic on made-up numbers, and a tiny scene from end to end."""

import json
import sys
from dataclasses import replace
from itertools import accumulate
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ba import io, pipeline
from ba.io.scenes import LAYOUTS
from ba.options import Config
from ba.show.staging import staging_of
from ba.solve.result import Iteration
from scripts.benchmarks import growth, interrupted, scaling, scene
from scripts.benchmarks.contest import cost

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)


def made_up(asked: int, step_seconds: float, peak_mb: float) -> dict[str, Any]:
    return {
        "asked": asked,
        "observations": asked - 7,
        "images": 10,
        "points": 100,
        "free_numbers": 390,
        "steps": 5,
        "evaluations": 6,
        "step_seconds": step_seconds,
        "first_step_seconds": 2.0,
        "near_seconds": None,
        "solve_seconds": 9.0,
        "peak_mb": peak_mb,
        "bytes_per_observation": 600.0,
        "above_floor": 1e-4,
        "scatter": 2e-4,
        "linear_solver": "sparse",
        "status": "converged",
    }


def logged(steps: list[tuple[int, float]]) -> list[Iteration]:
    """Iterations of which each step took so many evaluations and seconds."""
    totals = accumulate([(0, 0.0), *steps], lambda a, b: (a[0] + b[0], a[1] + b[1]))
    return [Iteration(i, 1.0, 0.0, 0.0, 0.0, trials, seconds) for i, (trials, seconds) in enumerate(totals)]


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> scene.Task:
    """A stored scene of a few images."""
    made = scene.Task("street", 3000, str(tmp_path_factory.mktemp("scenes")), threads=1, ftol=1e-6)
    scene.make(made)
    return made


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_kind_can_be_chosen(kind: str) -> None:
    assert scaling.parse(["--kind", kind]).kind == kind


def test_sizes_are_numbers_of_observations_in_any_notation_and_order() -> None:
    assert scaling.parse(["--sizes", "3e5,10000,1e4"]).sizes == (10_000, 300_000)


@pytest.mark.parametrize(
    "wrong",
    [
        ["--sizes", "1e4,many"], ["--sizes", "10"], ["--sizes", "1e9"], ["--sizes", "2000.5"], ["--sizes", "nan"],
        ["--threads", "0"], ["--kind", "road"], ["--twice", "--interrupt", "1"], ["--interrupt", "soon"],
        ["--interrupt", "-1"],
    ],
)  # fmt: skip
def test_a_wrong_argument_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        scaling.parse(wrong)
    assert ended.value.code == 2
    assert wrong[0] in capsys.readouterr().err


@pytest.mark.parametrize("power", [0.5, 1.0, 1.3])
def test_the_power_is_recovered_exactly(power: float) -> None:
    slope, intercept = growth.fit(SIZES, [3.0 * size**power for size in SIZES])
    assert slope == pytest.approx(power, rel=1e-12)
    assert np.exp(intercept) == pytest.approx(3.0, rel=1e-9)


def test_sizes_below_the_first_that_counts_do_not_bend_the_line() -> None:
    runs = [made_up(size, 1e-7 * (size - 7), 1e-3 * sqrt(size - 7)) for size in SIZES]
    assert runs[0]["asked"] < growth.FIT_FROM
    lines = growth.fits([made_up(SIZES[0], 99.0, 1e9), *runs[1:]])
    assert (lines["step_seconds"][0], lines["peak_mb"][0]) == pytest.approx((1.0, 0.5), rel=1e-9)
    assert "^1.000" in growth.conclusion(lines)


def test_one_size_makes_no_line() -> None:
    assert growth.fits([made_up(10_000, 1.0, 1.0), made_up(100_000, 1.0, 1.0)]) == {}
    assert "two sizes" in growth.conclusion({})


def test_a_row_stands_under_its_header() -> None:
    row = growth.row(made_up(100_000, 0.125, 300.0))
    assert row.index("sparse") == growth.HEADER.index("solver")
    assert all(part in row for part in ("99,993", "0.125", "never", "1.00e-04"))


def test_a_picture_is_drawn_with_and_without_lines(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    runs = [made_up(size, 1e-7 * size, 100.0 + 1e-3 * size) for size in SIZES]
    for lines in ({}, growth.fits(runs)):
        growth.draw(runs, lines, "made up", tmp_path / "scaling.png")
        assert (tmp_path / "scaling.png").read_bytes().startswith(b"\x89PNG")


def test_a_step_with_rejected_trials_does_not_count_unless_all_have_some() -> None:
    assert scene.step_seconds(logged([(1, 1.0), (1, 2.0), (1, 3.0), (4, 90.0), (2, 80.0)])) == pytest.approx(2.0)
    assert scene.step_seconds(logged([(2, 4.0), (3, 6.0)])) == pytest.approx(5.0)
    assert np.isnan(scene.step_seconds(logged([])))


def test_a_linear_problem_ends_at_the_noise_floor_within_its_scatter() -> None:
    """Projecting the noise off a subspace of f - 7 dimensions leaves the floor, as often as its scatter says."""
    rng, n, free = np.random.default_rng(0), 200, 107
    basis, _ = np.linalg.qr(rng.standard_normal((2 * n, free - scene.GAUGE)))
    noise = scene.SIGMA * rng.standard_normal((2 * n, 2000))
    noise -= basis @ (basis.T @ noise)
    costs = 0.5 * np.sum(noise**2, axis=0)
    floor, scatter = scene.noise_floor(n, free), scene.scatter(n, free)
    assert costs.mean() == pytest.approx(floor, rel=4.0 * scatter / sqrt(len(costs)))
    assert costs.std() / floor == pytest.approx(scatter, rel=0.1)


def test_the_stored_scene_is_the_truth_and_the_run_starts_off_it(task: scene.Task) -> None:
    truth, start = pipeline.load_start(Config.model_validate(task.settings))
    n = truth.num_observations
    assert n == pytest.approx(task.asked, rel=0.05)
    assert cost(truth) == pytest.approx(scene.SIGMA**2 * n, rel=5.0 / sqrt(n))
    assert cost(start) > 10.0 * cost(truth)


def test_another_scene_has_another_name(task: scene.Task) -> None:
    others = [replace(task, kind="city"), replace(task, asked=4000)]
    assert len({task.path, *(other.path for other in others)}) == 3
    assert replace(task, ftol=1e-3, threads=2).path == task.path


def test_a_solve_ends_at_the_noise_floor_and_twice_at_the_same_bits(task: scene.Task) -> None:
    first, second = scene.measure(task), scene.measure(task)
    assert first["faults"] == []
    assert abs(first["above_floor"]) < 5.0 * first["scatter"]
    assert first["final_cost"] < first["true_cost"]
    assert first["digest"] == second["digest"]
    assert growth.row(json.loads(json.dumps(first)))


def test_the_digest_sees_the_last_bit_of_any_number(task: scene.Task) -> None:
    truth = io.load(task.path)
    for name in ("rotations", "translations", "intrinsics", "points"):
        array = getattr(truth, name).copy()
        array.flat[-1] = np.nextafter(array.flat[-1], np.inf)
        assert scene.digest(replace(truth, **{name: array})) != scene.digest(truth)


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------

PRETENDER = """
import sys, time
log = open(sys.argv[1] + "/iterations.jsonl", "w")
for line in range(int(sys.argv[2])):
    print(line, file=log, flush=True)
try:
    time.sleep(float(sys.argv[3]))
except KeyboardInterrupt:
    sys.exit(5)
"""


def pretend(folder: Path, lines: int, seconds: float) -> tuple[float, int]:
    staging_of(folder).mkdir()
    command = [sys.executable, "-c", PRETENDER, str(staging_of(folder)), str(lines), str(seconds)]
    return interrupted.interrupt(command, folder, 0.0, 20.0)


def test_ctrl_c_comes_after_the_steps_and_its_answer_is_told(tmp_path: Path) -> None:
    seconds, status = pretend(tmp_path, interrupted.FIRST_STEPS + 1, 60.0)
    assert status == 5
    assert seconds < 20.0


@pytest.mark.parametrize("lines", [0, interrupted.FIRST_STEPS])
def test_a_run_that_ends_before_its_steps_is_no_measurement(tmp_path: Path, lines: int) -> None:
    with pytest.raises(interrupted.Unfit, match="before"):
        pretend(tmp_path, lines, 0.0)


def stop(iteration: Iteration) -> None:
    if iteration.iteration == 2:
        raise KeyboardInterrupt


def test_the_run_that_is_interrupted_is_one_of_the_program(
    task: scene.Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def at_the_second_step(command: list[str], folder: Path, after: float, limit: float) -> tuple[float, int]:
        program, verb, config, out, there = command
        assert (Path(program).name, verb, out, there, after) == ("ba", "run", "--out", str(folder), 0.25)
        pipeline.run(Path(config), folder, stop)
        return interrupted.PATIENCE + 1.0, 130

    monkeypatch.setattr(interrupted, "interrupt", at_the_second_step)
    (tmp_path / "scenes").symlink_to(task.path.parent)
    arguments = ["--sizes", str(task.asked), "--threads", "1", "--interrupt", "0.25", "--out", str(tmp_path)]
    assert scaling.main(arguments) == 1
    said = capsys.readouterr().out
    assert "after 2 steps" in said
    assert said.count("wrong:") == 1


def test_a_folder_that_is_not_what_it_says_is_found_out(task: scene.Task, tmp_path: Path) -> None:
    config = Config.model_validate(task.settings | {"output": {"picture": False, "report": False}})
    pipeline.run(config, tmp_path, stop)
    summary, wrong = interrupted.left(tmp_path)
    assert (summary["iterations"], wrong) == (2, [])

    lines = (tmp_path / "iterations.jsonl").read_text().splitlines()
    (tmp_path / "iterations.jsonl").write_text("\n".join(lines[:-1]))
    (tmp_path / "summary.json").write_text(json.dumps(summary | {"status": "converged"}))
    assert len(interrupted.left(tmp_path)[1]) == 2
    (tmp_path / "solution.npz").unlink()
    assert "not a whole run folder" in interrupted.left(tmp_path)[1][0]


def test_a_late_or_failed_end_is_a_fault() -> None:
    assert interrupted.late(interrupted.PATIENCE, 130) == []
    assert len(interrupted.late(interrupted.PATIENCE + 0.1, 0)) == 2

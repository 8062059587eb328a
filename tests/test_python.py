"""From Python: one import, the command line's messages, short texts for large things."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ba
from ba.config.yamltext import write
from ba.model.problem import Problem
from tests import ROOT
from tests.support.bad_configs import BAD_CONFIGS, BadConfig

DATA = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
TINY: dict[str, Any] = {
    "data": {"scene": {"images": 4, "points": 24}},
    "noise": {"points": 0.01},
    "output": {"picture": False, "report": False},
}
LONGEST = 200


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(call: Any, *arguments: Any, **keywords: Any) -> str:
    with pytest.raises(ba.UserError) as caught:
        call(*arguments, **keywords)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_loss_is_given_by_name_or_as_a_section(scene: Problem) -> None:
    first = ba.solve(scene, loss="huber")
    second = ba.solve(scene, loss=ba.Loss(name="huber", scale=1.0))
    assert first.final_cost == second.final_cost != ba.solve(scene).final_cost


def test_options_are_given_as_a_section_or_a_dictionary(scene: Problem) -> None:
    options = {"backend": "schur", "max_iterations": np.int64(2)}
    first, second = (
        ba.solve(scene, options=options),
        ba.solve(scene, options=ba.Solver(**options | {"max_iterations": 2})),
    )
    assert first.solver_details["linear_solver"] == "dense"
    assert first.final_cost == second.final_cost


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "loss": ({"loss": "hubert"}, 'ba.solve: loss.name: "hubert" is not known (.*); did you mean huber?'),
    "loss in a section": ({"loss": ba.Loss(name="hubert")}, "loss.name: .* did you mean huber?"),
    "loss of a kind": ({"loss": 3}, "loss: 3 found, the name of a loss, or a ba.Loss expected"),
    "scale": ({"loss": {"name": "huber", "scale": -1.0}}, "loss.scale: -1.0 found, a number > 0 expected"),
    "rotation": ({"rotation": "so3"}, 'rotation: "so3" is not known (.*); did you mean so3_left? There are: '),
    "rotation of a kind": ({"rotation": None}, "rotation: null found, a name expected"),
    "rotation as an object": ({"rotation": object()}, "a value of type object found"),
    "backend": ({"options": ba.Solver(backend="shcur")}, "solver.backend: .* did you mean schur?"),
    "linear solver": ({"options": {"linear": "spares"}}, "solver.linear: .* did you mean sparse?"),
    "option": ({"options": {"maxiter": 3}}, "solver.maxiter: no such key; did you mean solver.max_iterations?"),
    "options of a kind": ({"options": "schur"}, 'options: "schur" found, a ba.Solver, or its keys'),
    "seconds": ({"options": {"max_seconds": 0}}, "solver.max_seconds: 0 found, a number > 0, or null expected"),
    "bounds": ({"bounds": {"f": 3.0}}, "bounds: not names with (lowest, highest)"),
    "observer": ({"observer": 3}, "observer: 3 found, a function"),
    "lm with a loss": ({"loss": "huber", "options": {"method": "lm"}}, "loss.name: lm knows no huber"),
    "lm with bounds": ({"bounds": {"f": (1, 2)}, "options": {"method": "lm"}}, "camera.bounds: lm knows none"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_argument_is_answered_like_a_wrong_configuration(name: str, scene: Problem) -> None:

    arguments, expected = WRONG[name]
    pattern = ".*".join(re.escape(part) for part in expected.split(".*"))
    assert re.search(pattern, said(ba.solve, scene, **arguments))


def test_a_path_is_no_problem() -> None:
    assert 'problem: "scene.txt" found, a ba.Problem expected' in said(ba.solve, "scene.txt")


def test_names_are_as_well_known_elsewhere(scene: Problem) -> None:
    assert "did you mean so3_left?" in said(ba.make_optimum, scene, rotation="so3")
    assert "did you mean huber?" in said(ba.refine, scene, loss="hubert")


def test_a_run_takes_a_path_and_overrides(folder: Path) -> None:
    (folder / "tiny.yaml").write_text(write(TINY))
    result = ba.run("tiny.yaml", ["solver.max_iterations=1"], out="here")
    assert result.summary["iterations"] == 1
    assert result.folder.resolve() == (folder / "here").resolve()
    assert ba.run("tiny.yaml", overrides=["solver.max_iterations=2"], out="there").summary["iterations"] == 2


def test_a_run_takes_a_dictionary_with_sections_and_paths(folder: Path) -> None:
    result = ba.run(TINY | {"solver": ba.Solver(max_iterations=1), "seed": np.int64(3)}, out=Path("here"))
    assert (result.summary["iterations"], result.summary["seed"]) == (1, 3)
    result = ba.run({"data": {"path": DATA}, "output": TINY["output"]}, ["solver.max_iterations=0"], "there")
    assert result.summary["num_observations"] == 19


def test_a_run_takes_a_config_with_overrides(folder: Path) -> None:
    config = ba.Config.model_validate(TINY)
    assert ba.run(config, ["solver.method=dogbox", "solver.max_iterations=1"], "here").summary["solver"] == (
        "scipy dogbox, preconditioner none"
    )


def test_a_run_of_another_kind_is_carried_out(folder: Path) -> None:
    (folder / "alignment.yaml").write_text("kind: rotation_alignment\noutput: {picture: false}\n")
    assert ba.run("alignment.yaml", ["rotation=so3_left"], "here").summary["status"] == "converged"


@pytest.mark.parametrize("bad", [bad for bad in BAD_CONFIGS if bad.file == "bad.yaml"], ids=lambda bad: bad.name)
def test_a_run_answers_as_the_command_line_does(bad: BadConfig, folder: Path) -> None:
    Path(bad.file).write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    assert bad.expected in said(ba.run, bad.file, list(bad.overrides))
    assert [path.name for path in folder.iterdir()] == ["bad.yaml"]


def test_a_run_says_what_it_takes(folder: Path) -> None:
    assert "3 found, the path of a file, a dictionary or a ba.Config expected" in said(ba.run, 3)
    assert "out=DIR names the run folder" in said(ba.run, TINY, "runs/a")
    assert "KEY=VALUE as text expected" in said(ba.run, TINY, [3])
    assert "solver.maxiter: no such key" in said(ba.run, TINY | {"solver": {"maxiter": 3}})
    assert "a value of type object found" in said(ba.run, {"data": object()})


def test_an_observer_stops_a_run_whose_folder_is_written(folder: Path) -> None:
    result = ba.run(TINY, out="here", observer=lambda record: record.iteration == 1)
    assert result.summary["status"] == "interrupted"
    assert (folder / "here" / "summary.json").is_file()


def test_large_things_have_short_texts(folder: Path) -> None:
    problem = ba.generate(ba.Scene(images=50, points=4000))
    solution = ba.solve(problem, options={"max_iterations": 1})
    result = ba.run(TINY, out="here")
    assert "50 images, 50 cameras, 4,000 points" in repr(problem)
    assert "max_iterations after 1 step, cost" in repr(solution)
    assert "here" in repr(result)
    for thing in (problem, problem.free, solution, result):
        assert len(repr(thing)) < LONGEST
        assert "\n" not in repr(thing)


def test_a_problem_is_saved_and_loaded(folder: Path) -> None:
    problem = ba.load(DATA)
    ba.save(problem, "copy.npz")
    assert np.array_equal(ba.load("copy.npz").points, problem.points)


@pytest.mark.parametrize("name", ["check", "solve"])
def test_a_public_name_is_no_module(name: str) -> None:
    code = f"import ba.{name}, ba\nfrom ba.pipeline import run\nassert callable(ba.{name}), ba.{name}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_imported_for_type_checkers_too() -> None:
    text = Path(ba.__file__).read_text()
    for name in ba.__all__:
        assert name == "__version__" or f" {name}\n" in text or f"{name}," in text, name

"""A folder full of modules that must not be imported: every command is run in it, and none of them is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ba.system import safepath
from tests.support.hostile import AT_START, INSTALLED, STANDARD, found, hostile

CONSOLE = (str(Path(sys.executable).with_name("ba")),)
MODULE = (sys.executable, "-m", "ba")


COMMANDS: dict[str, list[str]] = {
    "run": ["run", "run.yaml", "--out", "run"],
    "view": ["view", "scene.txt", "--screenshot", "view.png"],
    "compare": ["compare", "compare.yaml", "--out", "compared"],
    "check": ["check", "scene.txt", "--out", "checked"],
    "rotation alignment": ["run", "alignment.yaml", "--out", "aligned"],
}
LEFT = ["run/view.png", "view.png", "compared/report.html", "checked/pattern.png", "aligned/view.png"]


def run(place: Path, command: list[str], start: tuple[str, ...], python_path: str | None = None) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    if python_path is not None:
        environment["PYTHONPATH"] = python_path
    done = subprocess.run(
        [*start, *command], cwd=place, env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize(
    "command", [pytest.param(name, marks=() if name == "run" else pytest.mark.slow) for name in COMMANDS]
)
def test_no_command_runs_code_from_the_working_folder(command: str, tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, f"{INSTALLED} {STANDARD} {AT_START}")
    run(place, COMMANDS[command], CONSOLE)
    assert found(marks) == {}
    assert [left for left in LEFT if (place / left).is_file()] == [LEFT[list(COMMANDS).index(command)]]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "compare"])
def test_nor_does_the_package_that_is_run_as_a_module(command: str, tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, f"{INSTALLED} {STANDARD}")
    run(place, COMMANDS[command], MODULE)
    assert found(marks) == {}


@pytest.mark.slow
@pytest.mark.parametrize("command", ["run", "compare"])
def test_nor_with_an_empty_entry_in_the_path_of_modules(command: str, tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, INSTALLED)
    run(place, COMMANDS[command], CONSOLE, f"{os.pathsep}.{os.pathsep}")
    assert found(marks) == {}


def test_the_modules_do_leave_marks(tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, "numpy scipy")
    subprocess.run([sys.executable, "-c", "import numpy, scipy"], cwd=place, check=True)
    assert found(marks).keys() == {"numpy", "scipy"}


def test_the_folder_of_the_package_comes_last_and_any_other_working_folder_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = str(Path(safepath.__file__).parents[2])
    monkeypatch.setattr(sys, "path", ["", str(tmp_path), ours, "relative", sys.prefix])
    monkeypatch.chdir(tmp_path)
    assert safepath.environment()["PYTHONPATH"].split(os.pathsep) == [ours, sys.prefix]
    monkeypatch.chdir(ours)
    safepath.forget_working_folder()
    assert sys.path == [str(tmp_path), sys.prefix, ours]


def test_processes_of_multiprocessing_find_the_package_and_nothing_else(tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, "numpy multiprocessing pickle runpy")
    code = (
        "import sys; from ba.system import safepath; safepath.forget_working_folder()\n"
        "import multiprocessing, os\n"
        "from ba.model.loss import LOSSES\n"
        "with safepath.SafeChildren():\n"
        "    pool = multiprocessing.get_context('spawn').Pool(1)\n"
        "    assert pool.apply(os.getcwd) == os.getcwd()\n"
        "    pool.terminate()\n"
        "assert 'PYTHONSAFEPATH' not in os.environ\n"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    subprocess.run([sys.executable, "-P", "-c", code], cwd=place, env=environment, check=True)
    assert found(marks) == {}

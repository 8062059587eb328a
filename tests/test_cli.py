"""The command line ends with the exit code of what happened, and says a mistake in one line."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import ba
from ba import cli, pipeline
from ba.errors import SolverError, SystemRefusal, UserError
from ba.show import view
from tests import ROOT
from tests.support.bad_configs import BAD_CONFIGS, BadConfig
from tests.support.bad_files import BAD_FILES, BadFile

TINY = "data: {scene: {images: 4, points: 24}}\nnoise: {points: 0.01}\noutput: {picture: false, report: false}\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A configuration in the working folder that solves in no time."""
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(TINY)
    return "tiny.yaml"


def raising(error: BaseException) -> Callable[..., Any]:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_a_run_prints_its_iterations_and_summary_and_writes_its_folder(tiny: str, capsys: Capture) -> None:
    assert cli.main(["run", tiny, "--out", "here", "--set", "solver.max_iterations=5"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.startswith("iter ")
    assert "4 images, 4 cameras, 24 points" in out
    assert "max_iterations: 5" in Path("here", "config.yaml").read_text()


def test_a_quiet_run_prints_nothing(tiny: str, capfd: Capture) -> None:
    assert cli.main(["run", tiny, "--quiet", "--out", "here"]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (UserError("no such thing"), 2, "ba: error: no such thing\n"),
        (SolverError("no step"), 3, "ba: error: no step\n"),
        (SystemRefusal("disk full"), 4, "ba: error: disk full\n"),
        (OSError(28, "No space left on device", "a.txt"), 4, "ba: error: a.txt: No space left on device\n"),
        (MemoryError(), 4, "ba: error: memory is short; a smaller problem, or fewer threads, need less\n"),
        (KeyboardInterrupt("the result stands in here"), 130, "ba: ended by Ctrl-C: the result stands in here\n"),
    ],
)
def test_the_exit_code_tells_what_happened(
    error: BaseException, code: int, said: str, tiny: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "run", raising(error))
    assert cli.main(["run", tiny]) == code
    assert capsys.readouterr().err == said


def test_a_bug_shows_where_it_is(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "run", raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        cli.main(["run", tiny])


@pytest.mark.parametrize(
    "arguments", [[], ["rum"], ["run"], ["run", "a", "b"], ["run", "a", "--se", "x"], ["view", "--what"], ["--bad"]]
)
def test_a_wrong_argument_is_answered_in_one_line(arguments: list[str], capsys: Capture) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ba: error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize("bad", BAD_CONFIGS, ids=lambda bad: bad.name)
def test_a_wrong_configuration_ends_with_code_2_and_its_message(
    bad: BadConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(bad.file).write_bytes(bad.text if isinstance(bad.text, bytes) else bad.text.encode())
    arguments = [part for override in bad.overrides for part in ("--set", override)]
    assert cli.main(["run", bad.file, *arguments]) == 2
    assert bad.expected in capsys.readouterr().err


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_wrong_data_file_ends_with_code_2_and_leaves_no_folder(
    bad: BadFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    path = bad.write(tmp_path / "data")
    Path("config.yaml").write_text(f"data: {{path: {path}}}\n")
    assert cli.main(["run", "config.yaml", "--out", "here"]) == 2
    assert bad.expected in capsys.readouterr().err
    assert not Path("here").exists()


def test_the_view_shows_the_end_and_the_start_if_that_is_wanted(tiny: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cli.main(["run", tiny, "--quiet", "--out", "here"]) == 0
    calls: list[Any] = []
    monkeypatch.setattr(view, "show", lambda before, after: calls.append((before, after)))
    monkeypatch.setattr(view, "screenshot", lambda *_, show_before: calls.append(show_before))
    assert cli.main(["view", "here"]) == 0
    assert calls[0][1].num_images == 4
    assert cli.main(["view", "here", "--screenshot", "a.png"]) == 0
    assert cli.main(["view", "here", "--screenshot", "a.png", "--before"]) == 0
    assert calls[1:] == [False, True]


def test_a_picture_that_cannot_be_drawn_says_why(tiny: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(pipeline, "open_scene", lambda _: (None, None))
    monkeypatch.setattr(view, "screenshot", lambda *_, show_before: "no picture: no driver")
    assert cli.main(["view", "here", "--screenshot", "a.png"]) == 2
    assert capsys.readouterr().err == "ba: error: no picture: no driver\n"
    assert cli.main(["view", "here", "--before"]) == 2
    assert "here: holds no start to show" in capsys.readouterr().err


def test_a_reader_that_leaves_does_not_end_a_run(tiny: str) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "ba", "run", tiny, "--out", "here"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    os.close(write)
    assert (run.returncode, run.stderr) == (0, "")
    assert Path("here", "summary.json").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["view", "--help"], ["--version"]])
def test_help_is_printed_and_is_no_error(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 0
    assert "ba" in capsys.readouterr().out


def test_help_is_light() -> None:
    code = "import sys, ba.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: print('loaded:', *sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    loaded = run.stdout.rsplit("loaded:", 1)[1].split()
    assert not {"numpy", "pydantic", "yaml", "rich", "numba", "open3d"}.intersection(loaded)


def test_every_public_name_exists() -> None:
    for name in ba.__all__:
        assert getattr(ba, name) is not None
    assert set(ba.__all__) <= set(dir(ba))
    with pytest.raises(AttributeError, match=r"module 'ba' has no attribute 'slove'; it has .*solve"):
        _ = ba.slove


def test_the_version_is_that_of_the_project() -> None:
    assert ba.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

"""A format that is a folder of several files is read, run, viewed, checked, replaced and told apart as a file is."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ba import cli, io, pipeline
from ba.errors import UserError
from ba.io import npz
from ba.model.problem import Problem
from ba.show import runfolder, staging
from ba.system import files, reading
from tests import ROOT

DATA = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
FILES = "problem.npz", "kind.txt"
QUICK = ["--set", "output.picture=false", "--set", "output.report=false", "--set", "solver.max_iterations=1", "--quiet"]


def read(path: Path) -> Problem:
    if reading.read_text(path / "kind.txt") != "toy":
        raise UserError(f"{path / 'kind.txt'}: not toy")
    return replace(npz.read(path / "problem.npz"), source={"format": "toy"})


def write(problem: Problem, path: Path) -> None:
    with files.replacing_folder(path, FILES) as folder:
        npz.write(problem, folder / "problem.npz")
        (folder / "kind.txt").write_text("toy")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one of data, `scene`, of a format that is registered for the test."""
    monkeypatch.setitem(io.FORMATS, "toy", io.Format(read, write, (".toy",), FILES))
    monkeypatch.setitem(io.READERS, "toy", read)
    monkeypatch.setitem(io.WRITERS, "toy", write)
    for module in (staging, runfolder):
        monkeypatch.setattr(module, "PRODUCTS", (*staging.PRODUCTS, "solution.toy"))
    monkeypatch.setitem(staging.FOLDERS, "solution.toy", FILES)
    monkeypatch.chdir(tmp_path)
    io.save(io.load(DATA), tmp_path / "scene", "toy")
    return tmp_path


def test_a_folder_is_known_by_its_files_or_its_suffix(folder: Path) -> None:
    assert io.known_format("scene") == io.guess_format("later.toy") == "toy"
    assert io.known_format("later") is None
    (folder / "later.toy").write_text("a file")
    (folder / "other.txt").mkdir()
    assert io.known_format("other.txt") is None
    (folder / "other.txt" / "kind.txt").write_text("toy")
    assert io.known_format("other.txt") is None
    for path, reason in (("other.txt", "is a folder, a file"), ("nowhere.toy", "no such file")):
        with pytest.raises(UserError, match=reason):
            io.load(path)
    with pytest.raises(UserError, match=r"later\.toy: is a file, a folder is expected"):
        io.load("later.toy")


def test_a_folder_runs_and_the_solution_is_one_too(folder: Path) -> None:
    assert io.is_data("scene")
    assert not io.is_data(folder)
    assert cli.main(["run", "scene", "--out", "here", *QUICK]) == 0
    assert sorted(path.name for path in (folder / "here" / "solution.toy").iterdir()) == sorted(FILES)
    before, after = pipeline.open_scene(Path("here"))
    assert before is not None
    assert np.array_equal(before.points, io.load("scene").points)
    assert not np.array_equal(after.points, before.points)
    assert pipeline.open_scene(Path("scene"))[0] is None
    assert cli.main(["check", "scene", "--states", "0"]) == 0
    assert cli.main(["run", "here/solution.toy", "--out", "next", *QUICK]) == 0
    assert cli.main(["run", "here/config.yaml", "--out", "again", *QUICK]) == 0


def test_a_run_does_not_replace_the_folder_that_it_reads(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["run", "scene", "--out", "here", *QUICK]) == 0
    assert cli.main(["run", "here/solution.toy", "--out", "here", "--overwrite", *QUICK]) == 2
    assert "replace its own input, solution.toy" in capsys.readouterr().err
    assert cli.main(["run", "scene", "--out", "scene", *QUICK]) == 2


@pytest.mark.parametrize("swaps", [True, False])
def test_an_earlier_solution_is_replaced_and_what_else_lies_in_it_is_kept(
    swaps: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not swaps:
        monkeypatch.setattr(staging, "exchange", lambda *_: False)
    for _ in range(2):
        assert cli.main(["run", "scene", "--out", "here", "--overwrite", *QUICK]) == 0
        (folder / "here" / "solution.toy" / "mine.txt").write_text("mine")
    assert cli.main(["run", str(DATA), "--out", "here", "--overwrite", *QUICK]) == 0
    assert [(folder / "here" / name).read_text() for name in ("mine.txt", "mine-2.txt")] == ["mine", "mine"]
    assert not (folder / "here" / "solution.toy").exists()
    assert sorted(path.name for path in folder.iterdir()) == ["here", "scene"]


def test_what_a_killed_run_left_is_cleared(folder: Path) -> None:
    left = folder / ".here.ba-running"
    for name in ("solution.toy", ".01234567-solution.toy"):
        (left / name).mkdir(parents=True)
        (left / name / "kind.txt").write_text("to")
    assert cli.main(["run", "scene", "--out", "here", *QUICK]) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["here", "scene"]


def test_the_digest_is_of_the_files_of_the_format(folder: Path) -> None:
    first = io.digest("scene")
    (folder / "scene" / "photograph.jpg").write_bytes(b"\xff")
    assert io.digest("scene") == io.digest("scene", "toy") == first
    (folder / "scene" / "kind.txt").write_text("boy")
    assert io.digest("scene") != first
    assert io.digest(DATA) == reading.sha256(DATA)


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def fill(path: Path, text: str, fail: bool = False) -> None:
    with files.replacing_folder(path, ("a", "b")) as folder:
        (folder / "a").write_text(text)
        if fail:
            raise KeyboardInterrupt
        (folder / "b").write_text(text)


def exchanging(*_: Path) -> bool:
    return False


@pytest.mark.parametrize("exchange", [None, exchanging])
def test_a_folder_is_replaced_whole(
    exchange: Callable[..., bool] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if exchange:
        monkeypatch.setattr(files, "exchange", exchange)
    fill(tmp_path / "x", "one")
    fill(tmp_path / "x", "two")
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "x", "three", fail=True)
    assert contents(tmp_path) == {"x/a": "two", "x/b": "two"}
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_holds_more_is_not_replaced(tmp_path: Path) -> None:
    fill(tmp_path / "x", "one")
    (tmp_path / "x" / "c").write_text("mine")
    for path, reason in (("x", "holds c too"), ("x/c", "is a file"), ("y/x", "y does not exist")):
        with pytest.raises(UserError, match=reason):
            fill(tmp_path / path, "two")
    assert contents(tmp_path) == {"x/a": "one", "x/b": "one", "x/c": "mine"}


def test_what_a_killed_process_left_of_a_folder_goes(tmp_path: Path) -> None:
    (tmp_path / ".01234567-x").mkdir()
    (tmp_path / ".01234567-x" / "a").write_text("half")
    fill(tmp_path / "x", "one")
    assert contents(tmp_path) == {"x/a": "one", "x/b": "one"}

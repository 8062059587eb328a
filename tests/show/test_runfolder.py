"""A run's folder is the whole earlier result or the whole new one, and nobody's files are lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ba import pipeline
from ba.cli import main
from ba.errors import UserError
from ba.options import load
from ba.show import runfolder, staging
from ba.show.runfolder import RunFolder, staged
from ba.show.staging import staging_of
from ba.solve.result import Iteration

TINY = "data: {scene: {images: 4, points: 24}}\nnoise: {points: 0.01}\noutput: {picture: false, report: false}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def written(folder: Path, text: str, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(text)
    return folder


def finish(folder: RunFolder, text: str = "new") -> Path:
    written(folder.path, text, "summary.json")
    return folder.publish()


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_runs_of_the_same_second_have_folders_of_their_own() -> None:
    with staged(None, "x") as first, staged(None, "x") as second:
        places = [finish(first), finish(second)]
        with staged(None, "x") as third:
            places.append(finish(third))
    assert len(set(places)) == 3
    assert sorted(Path("runs").iterdir()) == sorted(places)


def test_three_processes_that_start_at_once_leave_three_results() -> None:
    Path("tiny.yaml").write_text(TINY)
    command = [sys.executable, "-m", "ba", "run", "tiny.yaml", "--quiet"]
    environment = os.environ | {"PYTHONPATH": str(Path(runfolder.__file__).parents[2])}
    runs = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len([path for path in Path("runs").iterdir() if (path / "summary.json").exists()]) == 3


def test_a_folder_that_is_being_written_is_refused_to_others() -> None:
    with (
        staged(Path("a"), "x") as first,
        pytest.raises(UserError, match="another run is writing there"),
        staged(Path("a"), "x"),
    ):
        pass
    with staged(Path("a"), "x") as again:
        finish(again)
    assert first.published is None


def test_nothing_is_seen_before_the_end_and_nothing_left_of_what_is_refused() -> None:
    with pytest.raises(UserError, match="mistake"), staged(Path("deep/er/a"), "x") as folder:  # noqa: PT012
        written(folder.path, "half", "iterations.jsonl")
        assert not Path("deep/er/a").exists()
        raise UserError("mistake")
    assert list(Path().iterdir()) == []


def test_a_finished_run_goes_only_where_that_is_said() -> None:
    written(Path("a"), "old", "summary.json", "solution.npz")
    with pytest.raises(UserError, match=r"a: holds a finished run; --overwrite"), staged(Path("a"), "x"):
        pass
    assert contents(Path("a")) == {"summary.json": "old", "solution.npz": "old"}
    with staged(Path("a"), "x", overwrite=True) as folder:
        finish(folder)
    assert contents(Path("a")) == {"summary.json": "new"}
    assert list(Path().iterdir()) == [Path("a")]


@pytest.mark.parametrize("can_exchange", [True, False])
def test_files_of_the_user_survive(can_exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not can_exchange:
        monkeypatch.setattr(staging, "exchange", lambda first, second: False)
    written(Path("a"), "old", "summary.json", "solution.npz", "mine.png", ".0123abcd-view.png")
    written(Path("a/notes"), "mine", "one.txt")
    with staged(Path("a"), "x", overwrite=True) as folder:
        finish(folder)
    assert contents(Path("a")) == {"summary.json": "new", "mine.png": "old", "notes/one.txt": "mine"}
    assert list(Path().iterdir()) == [Path("a")]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_that_holds_other_files_only_is_refused(overwrite: bool) -> None:
    written(Path("a"), "mine", "config.yaml", "scene.txt")
    with pytest.raises(UserError, match="a: holds files and no run"), staged(Path("a"), "x", overwrite=overwrite):
        pass
    assert contents(Path("a")) == {"config.yaml": "mine", "scene.txt": "mine"}


@pytest.mark.parametrize("place", [".", "..", "/"])
def test_the_working_folder_and_what_holds_it_are_refused(place: str) -> None:
    with pytest.raises(UserError, match="is the working folder or holds it"), staged(Path(place), "x", overwrite=True):
        pass


def test_what_killed_runs_left_goes_at_the_next_start_and_nothing_else() -> None:
    written(staging_of(Path("a")), "half", "iterations.jsonl", ".0123abcd-solution.npz")
    written(staging_of(Path("b")), "half", "summary.json")
    written(Path(".hidden"), "mine", "summary.json")
    with staged(Path("c"), "x") as alive, staged(Path("d"), "x") as folder:
        assert {path.name for path in Path().iterdir()} == {".hidden", alive.path.name, folder.path.name}


def test_a_run_that_was_killed_in_the_swap_is_finished_by_the_next() -> None:
    written(Path("a"), "new", "summary.json")
    written(staging_of(Path("a")), "old", "summary.json", "solution.npz", "mine.png")  # exchanged, not handed over
    written(Path(".b.ba-aside"), "old", "summary.json", "mine.png")  # put aside, the new one not yet in its place
    written(staging_of(Path("b")), "new", "summary.json")
    with staged(Path("c"), "x"):
        assert contents(Path("a")) == {"summary.json": "new", "mine.png": "old"}
        assert contents(Path("b")) == {"summary.json": "old", "mine.png": "old"}
    assert sorted(path.name for path in Path().iterdir()) == ["a", "b"]


def test_the_lock_is_that_of_the_folder_that_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening and locking a folder, who had it may put it in its place."""
    real, moved = staging.lock, []

    def late(handle: int) -> bool | None:
        if not moved:
            moved.append(staging_of(Path("a")).rename("moved"))
        return real(handle)

    monkeypatch.setattr(staging, "lock", late)
    with staged(Path("a"), "x") as folder:
        assert staging.is_at(folder.path, folder.handle)
        finish(folder)
    assert contents(Path("a")) == {"summary.json": "new"}


def test_what_was_saved_is_kept_whatever_comes_after() -> None:
    written(Path("a"), "old", "summary.json")
    with pytest.raises(ZeroDivisionError), staged(Path("a"), "x", overwrite=True) as folder:  # noqa: PT012
        written(folder.path, "new", "summary.json", "solution.npz")
        raise ZeroDivisionError
    assert contents(Path("a")) == {"summary.json": "old"}
    assert contents(Path("a-2")) == {"summary.json": "new", "solution.npz": "new"}


def test_a_link_to_a_folder_stays_one() -> None:
    written(Path("disk/a"), "old", "summary.json")
    Path("link").symlink_to("disk/a")
    with staged(Path("link"), "x", overwrite=True) as folder:
        finish(folder)
    assert Path("link").is_symlink()
    assert contents(Path("disk/a")) == {"summary.json": "new"}


def test_the_command_line_overwrites_where_it_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path("tiny.yaml").write_text(TINY)
    arguments = ["run", "tiny.yaml", "--quiet", "--out", "a"]
    assert [main(arguments), main(arguments), main([*arguments, "--overwrite"])] == [0, 2, 0]
    assert "holds a finished run" in capsys.readouterr().err


@pytest.mark.parametrize("steps", [0, 2])
def test_a_signal_in_the_middle_of_a_line_leaves_a_whole_log(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver keeps a step before it tells of it, so that the step is in the result."""
    Path("tiny.yaml").write_text(TINY)
    configuration, write = load("tiny.yaml"), runfolder._line

    def line(iteration: Iteration) -> str:
        if iteration.iteration == steps and not heard:
            heard.append(iteration)
            raise KeyboardInterrupt
        return write(iteration)

    heard: list[Iteration] = []
    monkeypatch.setattr(runfolder, "_line", line)
    result = pipeline.run(configuration, out=Path("run"))
    assert result.summary["status"] == "interrupted"
    costs = [json.loads(text)["cost"] for text in (Path("run") / "iterations.jsonl").read_text().splitlines()]
    assert len(costs) == steps + 1
    assert costs[-1] == result.summary["final_cost"]

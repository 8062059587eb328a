"""The n-th write, sync, rename, new folder or allocation of a run is refused, for every n that the run reaches.

Whatever it was, the folder holds the whole old or the whole new result, one line tells, and nothing is left behind.
"""

import builtins
import errno
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from ba.cli import main
from ba.show import staging
from ba.show.runfolder import staged

TINY = """
data: {scene: {images: 4, points: 24}}
noise: {points: 0.01}
solver: {backend: schur, threads: 1, max_iterations: 3}
output: {picture: false}
"""
WHOLE = {
    "config.yaml", "summary.json", "iterations.jsonl", "solution.npz", "solution.ply", "truth.npz", "residuals.npz",
    "report.html",
}  # fmt: skip
MINE = "mine.txt"
Capture = pytest.CaptureFixture[str]


class Countdown:
    """Raises `error` when it is called for the n-th time. `is_over`: whether it has."""

    def __init__(self, n: int, error: Callable[[], BaseException]) -> None:
        self.left, self.error = n, error

    def __call__(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise self.error()

    @property
    def is_over(self) -> bool:
        return self.left <= 0


class Disk(io.FileIO):
    """A file below its buffer, where a write is one of the system's."""

    count: Countdown

    def write(self, content: Any) -> int:
        self.count()
        return super().write(content)


def full() -> OSError:
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def counted(count: Countdown, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        count()
        return function(*arguments, **options)

    return call


def opening(count: Countdown, real: Callable[..., Any]) -> Callable[..., Any]:
    """`open`, of whose files every write that reaches the system is counted."""

    def call(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if not set("wax+") & set(mode):
            return real(file, mode, *arguments, **options)
        raw = Disk(file, mode.replace("b", "").replace("t", ""))
        raw.count = count
        buffer = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffer if "b" in mode else io.TextIOWrapper(buffer)

    return call


def patch(monkeypatch: pytest.MonkeyPatch, kind: str, n: int) -> Countdown:
    """Refuse the n-th of what is done in a run; `turns` renames where the system cannot exchange two folders."""
    count = Countdown(n, MemoryError if kind == "allocation" else full)
    places: dict[str, list[tuple[Any, str]]] = {
        "sync": [(os, "fsync")],
        "rename": [(os, "rename"), (os, "replace"), (staging, "exchange")],
        "turns": [(os, "rename"), (os, "replace")],
        "folder": [(os, "mkdir")],
        "removal": [(os, "unlink"), (os, "rmdir")],
        "allocation": [(np, "concatenate"), (np, "savez"), (json, "dumps")],
    }
    for module, name in places.get(kind, []):
        monkeypatch.setattr(module, name, counted(count, getattr(module, name)))
    if kind != "sync":
        monkeypatch.setattr(os, "fsync", lambda _: None)  # it takes most of the time
    if kind == "turns":
        monkeypatch.setattr(staging, "exchange", lambda first, second: False)
    if kind == "write":
        for module in (io, builtins):
            monkeypatch.setattr(module, "open", opening(count, open))
    return count


@contextmanager
def refusing(kind: str, n: int) -> Iterator[Countdown]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield patch(monkeypatch, kind, n)


def seed_of_whole(folder: Path) -> int:
    """The seed of the run whose products these are, all of them."""
    assert {path.name for path in folder.iterdir()} - {MINE} == WHOLE
    summary = json.loads((folder / "summary.json").read_text())
    costs = [json.loads(line)["cost"] for line in (folder / "iterations.jsonl").read_text().splitlines()]
    assert costs[-1] == summary["final_cost"]
    assert yaml.safe_load((folder / "config.yaml").read_text())["seed"] == summary["seed"]
    with np.load(folder / "residuals.npz") as stored:
        assert 0.5 * (stored["end"] ** 2).sum() == pytest.approx(summary["final_cost"], rel=1e-9)
    assert "</html>" in (folder / "report.html").read_text()
    return int(summary["seed"])


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A result of seed 0."""
    place = tmp_path_factory.mktemp("earlier")
    (place / "tiny.yaml").write_text(TINY)
    assert main(["run", str(place / "tiny.yaml"), "--quiet", "--out", str(place / "result")]) == 0
    (place / "result" / MINE).write_text("mine")
    return place


KINDS = ("write", "sync", "rename", "turns", "folder", "removal", "allocation")


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_earlier_result_is_replaced_whole_or_not_at_all(
    kind: str, earlier: Path, tmp_path: Path, capsys: Capture
) -> None:
    place, found = tmp_path / "runs" / "result", set[int]()
    for n in range(1, 1000):
        shutil.copytree(earlier / "result", place)
        with refusing(kind, n) as count:
            code = run(earlier, place, seed=1)
        said = capsys.readouterr().err
        if not count.is_over:
            break
        assert code in (0, 4)
        assert said.count("\n") == (code == 4)
        with staged(place, "next", overwrite=True):
            pass
        found.add(seed_of_whole(place))
        assert (place / MINE).read_text() == "mine"
        beside = [path for path in place.parent.iterdir() if path != place]
        assert all(str(path) in said and (path / "summary.json").is_file() for path in beside)
        shutil.rmtree(place.parent)
    assert n > 1
    assert (code, said) == (0, "")
    assert found <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_could_be_written_is_kept_and_told(kind: str, earlier: Path, tmp_path: Path, capsys: Capture) -> None:
    place, kept = tmp_path / "runs" / "result", 0
    for n in range(1, 1000):
        with refusing(kind, n) as count:
            code = run(earlier, place, seed=1)
        said = capsys.readouterr().err
        if not count.is_over:
            break
        assert code in (0, 4)
        assert said.count("\n") == (code == 4)
        left = list(place.parent.iterdir()) if place.parent.exists() else []
        for folder in left:
            if not folder.name.startswith("."):
                kept += 1
                assert json.loads((folder / "summary.json").read_text())["seed"] == 1
                assert code == 0 or f"stands in {folder}" in said
        with staged(place.with_name("other"), "next"):
            pass
        if place.parent.exists():
            assert not [path for path in place.parent.iterdir() if path.name.startswith(".")]
            shutil.rmtree(place.parent)
    assert n > 1
    assert kept or kind == "folder"
    assert seed_of_whole(place) == 1


def run(earlier: Path, place: Path, seed: int) -> int:
    return main(
        ["run", str(earlier / "tiny.yaml"), "--quiet", "--overwrite", "--out", str(place), "--set", f"seed={seed}"]
    )

"""A run takes a data file in the place of a configuration, and a configuration from standard input or a pipe."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ba import cli, io
from ba.config import source
from ba.errors import UserError
from ba.system.files import COMPRESSORS
from tests import ROOT

DATA = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"
CONFIG = "data: {path: x.txt}\nsolver: {max_iterations: 1}\noutput: {picture: false, report: false}\n"
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with x.txt, a problem."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.txt").write_bytes(DATA.read_bytes())
    return tmp_path


def ba(command: str, text: str | bytes = "") -> "subprocess.CompletedProcess[bytes]":
    """A shell command in which `ba` is ours, with `text` for its standard input."""
    script = f'ba() {{ "{sys.executable}" -m ba "$@"; }}\n{command}'
    given = text.encode() if isinstance(text, str) else text
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(["bash", "-c", script], input=given, capture_output=True, env=environment, check=False)


QUICK = ["--set", "output.picture=false", "--set", "output.report=false", "--set", "solver.max_iterations=1", "--quiet"]


NAMES = [
    f"y{suffix}{compression}"
    for entry in io.FORMATS.values()
    for suffix in (entry.suffixes if entry.read else ())
    for compression in ("", *([] if entry.files else COMPRESSORS))
]


@pytest.mark.parametrize("name", NAMES)
def test_a_data_file_is_a_configuration_with_only_its_path(name: str, folder: Path) -> None:
    io.save(io.load(DATA), folder / name)
    assert cli.main(["run", name, "--out", "here", *QUICK]) == 0
    assert f"path: {folder.resolve() / name}" in Path("here", "config.yaml").read_text()


def test_a_configuration_may_have_the_name_of_a_data_file(folder: Path) -> None:
    (folder / "config.txt").write_text(f"# mine\n{CONFIG}")
    assert not io.is_data("config.txt")
    assert cli.main(["run", "config.txt", "--out", "here", "--quiet"]) == 0


def test_a_comparison_of_data_says_what_is_right(folder: Path, capsys: Capture) -> None:
    assert cli.main(["compare", "x.txt"]) == 2
    said = capsys.readouterr().err
    assert "x.txt: is a data file, a comparison is expected" in said
    assert "`ba run x.txt` solves the data once" in said


@pytest.mark.parametrize(
    "command",
    ["ba run - --out here", "ba run /dev/stdin --out here", "ba run <(cat) --out here", "cat | ba run - --out here"],
)
def test_a_configuration_comes_from_a_pipe(command: str, folder: Path) -> None:
    done = ba(command, CONFIG)
    assert (done.returncode, done.stderr) == (0, b"")
    assert f"path: {folder.resolve() / 'x.txt'}" in Path("here", "config.yaml").read_text()


def test_standard_input_may_be_a_file(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "config.yaml").write_text(CONFIG)
    done = ba("ba run - --out here --quiet < deep/config.yaml")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("solver: {maxiter: 3}\ndata: {path: x.txt}\n", "standard input, line 1: solver.maxiter: no such key"),
        ("", "standard input: is empty"),
        ("# " + "x" * 1_100_000, "standard input: larger than 1 MB"),
        ("kind: alignment", "standard input, line 1: kind: "),
        (b"data: \xff\n", "standard input, line 1: byte 0xff is not UTF-8 text"),
        ("data: {path: nowhere.txt}\n", "standard input, line 1: data.path: "),
    ],
)
def test_what_is_wrong_in_it_is_named(text: str | bytes, expected: str, folder: Path) -> None:
    done = ba("ba run -", text)
    assert done.returncode == 2
    assert expected in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_an_endless_input_is_given_up_and_a_closed_one_named(folder: Path) -> None:
    assert b"larger than 1 MB" in ba("yes '# x' | ba run -").stderr
    done = ba("ba run - <&-")
    assert done.returncode == 2
    assert b"standard input: is closed" in done.stderr


def test_relative_paths_start_where_the_configuration_lies(folder: Path) -> None:
    assert source.folder_of("deep/config.yaml") == Path("deep")
    for name in ("-", "/dev/stdin", "/dev/fd/63"):
        assert source.folder_of(name) == folder
    with pytest.raises(UserError, match="no such file"):
        source.text_of("-x")

"""Every command of scripts/ starts a module that is there and imports nothing from the folder where it is called."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from scripts.benchmarks import BENCHMARKS, __main__
from tests import ROOT
from tests.support.hostile import AT_START, INSTALLED, STANDARD, found, hostile

SETUP = (ROOT / "scripts" / "setup").read_text()


def modules() -> Iterator[str]:
    """What the commands of scripts/ start."""
    for path in (ROOT / "scripts").iterdir():
        if path.is_file() and not path.suffix:
            yield from re.findall(r"^program (\w+)", path.read_text(), re.MULTILINE)


@pytest.mark.parametrize("module", list(modules()))
def test_what_a_command_starts_is_there(module: str) -> None:
    assert find_spec(f"scripts.{module}") is not None


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_there_and_told(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, what = BENCHMARKS[name]
    assert callable(import_module(f"scripts.benchmarks.{module}").main)
    for arguments in ([], ["--list"]):
        assert __main__.main(arguments) == 0
        assert re.search(rf"^{name} +{re.escape(what)}$", capsys.readouterr().out, re.MULTILINE)


def test_another_benchmark_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert __main__.main(["nothing"]) == 2
    assert capsys.readouterr().err.startswith("scripts/bench: 'nothing' is no benchmark; right are race, ")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["benchmarks --list", "fuzz --reader bal --inputs 20", "mutants --list"])
def test_no_command_runs_code_from_the_working_folder(command: str, tmp_path: Path, marks: Path) -> None:
    place = hostile(tmp_path, marks, f"{INSTALLED} {STANDARD} {AT_START} ba scripts tests")
    program = re.search(r"^program\(\) \{.*?^\}", SETUP, re.MULTILINE | re.DOTALL)
    assert program is not None
    lines = [f"root={shlex.quote(str(ROOT))}", f"venv={shlex.quote(sys.prefix)}", program[0], f"program {command}"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert found(marks) == {}

"""What the README tells its readers to type works as typed."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests import ROOT

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """Every command but the one that runs these tests."""
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line and line != "scripts/test"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the repository, so that what commands write does not land in it."""
    folder = tmp_path_factory.mktemp("readme")
    for name in (".venv", "configs", "datasets"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "scripts").mkdir()
    run = folder / "scripts" / "run"
    run.write_text(f'#!/bin/bash\nexec {shlex.quote(str(ROOT / "scripts" / "run"))} "$@"\n')
    run.chmod(0o755)
    return folder


def test_the_first_screen_has_both_commands() -> None:
    assert blocks("bash")[0].split("\n")[:2] == ["scripts/run configs/quickstart.yaml", "scripts/test"]


@pytest.mark.parametrize("command", commands())
def test_command_works(command: str, place: Path) -> None:
    done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("code", blocks("python"))
def test_python_works(
    code: str, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(place)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_link_leads_somewhere(link: str) -> None:
    assert os.path.exists(ROOT / link)

"""A standard output that is full or closed ends no run, and is told by exit code 4; a reader may leave."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

TINY = "data: {scene: {images: 4, points: 24}}\nnoise: {points: 0.01}\noutput: {picture: false, report: false}\n"


@pytest.mark.parametrize(
    ("redirection", "code", "said"),
    [
        (">/dev/full", 4, "what was to be printed could not be written: No space left on device\n"),
        (">&-", 4, "what was to be printed could not be written: it is closed\n"),
        ("--quiet >&-", 0, ""),
        (">/dev/full 2>&-", 4, ""),
        ("| head -1 >/dev/null; exit ${PIPESTATUS[0]}", 0, ""),
    ],
)
def test_the_folder_is_written_and_the_refusal_told(redirection: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(TINY)
    command = f"{sys.executable} -m ba run tiny.yaml --out here {redirection}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == code
    assert done.stderr.endswith(said)
    assert done.stderr.count("\n") == (1 if said else 0)
    assert (tmp_path / "here" / "summary.json").exists()


def test_help_into_a_full_disk_is_told() -> None:
    command = f"{sys.executable} -m ba --help >/dev/full"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=environment, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)

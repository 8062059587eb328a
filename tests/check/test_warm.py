import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

DATA = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"


def _python(cache: Path, *arguments: str) -> set[str]:
    """The compiled kernels in `cache` after running `python ARGUMENTS`."""
    subprocess.run([sys.executable, *arguments], env=os.environ | {"NUMBA_CACHE_DIR": str(cache)}, check=True)
    return {path.name for path in cache.rglob("*.nbc")}


@pytest.mark.slow
def test_the_first_run_after_warming_compiles_nothing(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(f"data:\n  path: {DATA}\noutput:\n  picture: false\n")
    warmed = _python(tmp_path / "cache", "-m", "ba.check.warm")
    assert warmed
    for name, settings in {
        "scipy": [],
        "dense": ["solver.backend=schur"],
        "sparse": ["solver.backend=schur", "solver.linear=sparse"],
        "cg": ["solver.backend=schur", "solver.linear=cg"],
        "power": ["solver.backend=schur", "solver.linear=cg", "solver.cg_preconditioner=power"],
    }.items():
        chosen = [word for setting in settings for word in ("--set", setting)]
        run = ("-m", "ba", "run", str(config), "--out", str(tmp_path / name), *chosen)
        assert _python(tmp_path / "cache", *run) == warmed, name

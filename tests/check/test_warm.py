import os
import subprocess
import sys
from pathlib import Path

import pytest

from ba.model.camera import CAMERAS
from tests import ROOT

DATA = ROOT / "datasets" / "dubrovnik-3-7-pre.txt"

PROJECTED = """
import numpy as np
from ba.model.camera import CAMERAS

for name, model in CAMERAS.items():
    params, uv, domain = model.sample(np.random.default_rng(0)), np.empty((1, 2)), np.empty(1, np.uint8)
    none = np.empty((0, 2, 3)), np.empty((0, 2, len(params)))
    model.project(params[None], np.zeros(1, np.int32), np.array([[0.1, 0.2, 1.0]]), uv, *none, domain)
    print(name, uv.tolist(), f"{sum(model.project.stats.cache_misses.values())} compiled")
"""


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


@pytest.mark.slow
def test_each_camera_model_keeps_a_kernel_of_its_own(tmp_path: Path) -> None:
    """All models run one loop: a second process finds each one's, not another's, and compiles nothing."""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", PROJECTED]
    first, second = (subprocess.check_output(command, env=environment, text=True).splitlines() for _ in range(2))
    assert [line.rpartition("]] ")[2] for line in first] == ["1 compiled"] * len(CAMERAS)
    assert second == [line.replace("1 compiled", "0 compiled") for line in first]

"""Starting is quick because heavy packages are imported by what needs them, and only then."""

import subprocess
import sys

import pytest

HEAVY = {"numba", "open3d", "plotly", "rich", "scipy.optimize"}
ROOMS = ("ba.engine", "ba.model", "ba.io", "ba.prepare", "ba.solve", "ba.analyse")
STARTS = {
    "import ba": "import ba",
    "ba --help": "import ba.cli, contextlib\nwith contextlib.suppress(SystemExit): ba.cli.main(['--help'])",
}


@pytest.mark.parametrize("start", STARTS)
def test_starting_imports_nothing_heavy(start: str) -> None:
    code = f"{STARTS[start]}\nimport sys\nprint('loaded:', *sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.rsplit("loaded:", 1)[1].split()
    assert "ba" in loaded
    assert not HEAVY.intersection(loaded)


def test_mathematics_is_imported_without_the_configuration() -> None:
    """Modules of the model, of solving and of their like name options in annotations alone."""
    code = f"""
import importlib, pkgutil, sys
for room in {ROOMS}:
    for module in pkgutil.walk_packages(importlib.import_module(room).__path__, room + "."):
        if not module.name.endswith((".options", "_options")):
            importlib.import_module(module.name)
print("loaded:", *sys.modules)"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.rsplit("loaded:", 1)[1].split()
    assert {"ba.model.rotation.so3", "ba.solve.schur", "ba.prepare.select", "ba.analyse.hessian"} <= set(loaded)
    assert "pydantic" not in loaded


def test_a_backend_is_imported_where_it_solves() -> None:
    code = """
import sys
import ba
problem = ba.generate(ba.Scene(images=4, points=24))
ba.solve(problem, options={"backend": "schur", "max_iterations": 1})
print("loaded:", *sys.modules)"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = run.stdout.rsplit("loaded:", 1)[1].split()
    assert "ba.solve.schur" in loaded
    assert not {"ba.solve.scipy_backend", "ba.solve.preconditioned", "scipy.optimize"}.intersection(loaded)


def test_a_compiled_kernel_is_loaded_without_what_compiles() -> None:
    code = """
import sys
import ba
from ba.engine import kernelcache
ba.solve(ba.generate(ba.Scene(images=4, points=24)), options={"backend": "schur", "max_iterations": 1})
print("loaded:", kernelcache.compile_seconds(), *sys.modules)"""
    for _ in range(2):
        run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *loaded = run.stdout.rsplit("loaded:", 1)[1].split()
    assert float(seconds) == 0.0
    assert "numba" in loaded
    assert not {"numba.np.linalg", "numba.cpython.setobj"}.intersection(loaded)

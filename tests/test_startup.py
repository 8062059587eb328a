"""Starting is quick because heavy packages are imported by what needs them, and only then."""

import subprocess
import sys

import pytest

HEAVY = {"numba", "open3d", "plotly", "rich", "scipy.optimize"}
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

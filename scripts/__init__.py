"""The programs behind the commands of this folder, one module or package each, started as `python -m scripts.NAME`."""

import os
import sys
from pathlib import Path

from ba.system import safepath

ROOT = Path(__file__).resolve().parents[1]


def environment() -> dict[str, str]:
    """Of a process that imports this package wherever it works, and nothing from its working folder."""
    path = safepath.environment()["PYTHONPATH"]
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), path])}


def python(module: str, *arguments: object) -> list[str]:
    """The command that runs a module of this package; it needs `environment`."""
    return [sys.executable, "-m", f"scripts.{module}", *map(str, arguments)]

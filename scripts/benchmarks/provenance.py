"""Where a figure comes from: what a benchmark measured, as a small JSON file in `results/`, with what it depends on.

    {"taken": {"command", "date", "machine", "versions"}, "results": {...}}

`claims` holds the text of README and docstrings to these files. A benchmark writes one where it is told `--json PATH`.
"""

import json
import os
import platform
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ba.system.files import replacing
from scripts import ROOT

RESULTS = Path(__file__).with_name("results")
PACKAGES = ("ba", "numba", "numpy", "scipy")


def machine() -> dict[str, Any]:
    """Processor, cores, memory in GB, the load at this moment, operating system, Python."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(int((_field("/proc/meminfo", "MemTotal") or "0 kB").split()[0]) / 1e6, 1),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _field(path: str, name: str) -> str | None:
    """What the first line `name: value` of a file says; None where there is none."""
    lines = Path(path).read_text().splitlines() if Path(path).exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def keep(path: Path, command: str, results: Any, packages: Iterable[str] = PACKAGES) -> None:
    """Write what a command measured, in one piece or not at all."""
    taken = {
        "command": without_places(command),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": {package: found for package in packages if (found := _version(package))},
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"taken": taken, "results": results}, indent=1) + "\n")


def without_places(command: str) -> str:
    """A command without where this checkout, and what stands outside of it, happen to lie."""
    relative = command.replace(f"{ROOT}{os.sep}", "")
    return re.sub(r"(?<![\w.])/(?:[^/\s']+/)+", "", relative)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def kept(name: str) -> dict[str, Any]:
    """The file `results/NAME.json`."""
    return dict(json.loads((RESULTS / f"{name}.json").read_text()))


def provisional() -> list[tuple[str, str]]:
    """The files of results that say of themselves that they do not come from a run of their benchmark, and why."""
    taken = ((path.stem, kept(path.stem)["taken"]) for path in sorted(RESULTS.glob("*.json")))
    return [(name, str(about["provisional"])) for name, about in taken if "provisional" in about]

"""No code is taken from the working folder: it holds data, and anybody may have put a file beside them.

Python looks for modules in the working folder first under `python -m` and `python -c`, and wherever PYTHONPATH has an
empty entry: a numpy.py beside a scene would be run in place of numpy. The commands take the folder out of `sys.path`
before they import anything, and tell the processes they start not to put it in
(https://docs.python.org/3/using/cmdline.html#envvar-PYTHONSAFEPATH). Where the package itself was imported from there,
as in a checkout, the folder comes last instead, so that it cannot stand in for a module that is installed.

This module imports only what Python has loaded by itself. What Python imports before it, nobody can hold back.
"""

import os
import sys


def forget_working_folder() -> None:
    """Imports of this process no longer look into the working folder first, or at all."""
    sys.path[:] = _safe(sys.path)


def environment() -> dict[str, str]:
    """The environment of a Python process that imports what this one imports, and nothing from the working folder."""
    return os.environ | {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(_safe(sys.path))}


class SafeChildren:
    """Within the block, processes that others start, such as those of multiprocessing, get `environment()`."""

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ.update(environment())

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)


def _safe(entries: list[str]) -> list[str]:
    here, ours = os.path.realpath(os.curdir), os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
    kept = [entry for entry in entries if os.path.isabs(entry) and os.path.realpath(entry) != here]
    return [*kept, ours] if ours == here else kept

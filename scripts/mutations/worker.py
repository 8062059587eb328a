"""Runs pytest again and again in one tree, each time in a child that finds the heavy packages imported already.

Started by `mutations.tree` in a copy of the tree, from which everything is imported.
A request is a line of JSON: `tests`, `limit` in seconds, `output`, a file for what pytest prints, and `take_over`, the
name of a folder of compiled kernels and the modules whose kernels are not to be taken over from it. The answer is a
line: pytest's exit status, or -1 where it did not end in time, with all that it started.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import shutil
import signal
import sys
import time
import traceback
from types import FrameType
from typing import Any

import pytest

HEAVY = (
    "_pytest.assertion.rewrite", "_pytest.fixtures", "_pytest.python", "hypothesis", "numba", "numba.np.arrayobj",
    "numba.core.typing.npydecl", "numba.np.linalg", "numpy", "PIL.Image", "pydantic", "rich.console", "rich.table",
    "scipy.linalg.lapack", "scipy.optimize", "scipy.sparse.csgraph", "scipy.sparse.linalg", "scipy.spatial.transform",
    "scipy.stats", "threadpoolctl", "yaml",
)  # fmt: skip

ALWAYS = ("-x", "-q", "-p", "no:cacheprovider")
IGNORED = "PytestAssertRewriteWarning", "PytestUnraisableExceptionWarning"
"""Of plugins that are imported already, whose own assertions will not be explained; and of what a test that failed left
open, which would end pytest with an internal error in place of the failure."""


def take_over(folder: str, without: list[str]) -> None:
    """Put compiled kernels where the kernels as they now are will look for theirs."""
    from ba.engine import jit

    new = jit.cache_folder()
    old = new.with_name(folder)
    if new != old and old.is_dir():
        shutil.copytree(old, new, dirs_exist_ok=True)
        for module in without:
            for compiled in new.rglob(f"{module}.*"):
                compiled.unlink()


def run(request: dict[str, Any]) -> int:
    """In the child: never comes back."""
    status: int = pytest.ExitCode.INTERNAL_ERROR
    try:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        sys.stdin = open(os.devnull)  # noqa: SIM115 (for as long as the process lives)
        output = os.open(request["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        if request.get("take_over"):
            take_over(*request["take_over"])
        ignored = [part for name in IGNORED for part in ("-W", f"ignore::pytest.{name}")]
        status = int(pytest.main([*ALWAYS, *ignored, *request["tests"]]))
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def waited(child: int, limit: float) -> int:
    """The child's exit status, -1 where it was killed after `limit` seconds."""
    end = time.monotonic() + limit
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else int(pytest.ExitCode.TESTS_FAILED)
        if time.monotonic() > end:
            kill(child)
            os.waitpid(child, 0)
            return -1
        time.sleep(0.02)


def kill(child: int) -> None:
    """The child and what it started."""
    for send in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            send(child, signal.SIGKILL)


def serve() -> None:
    child = 0

    def stop(number: int, frame: FrameType | None) -> None:
        if child:
            kill(child)
        os._exit(0)

    for name in HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # what imports left behind is not collected, with warnings that are errors, in the middle of a test
    signal.signal(signal.SIGTERM, stop)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            run(request)
        status = waited(child, request["limit"])
        child = 0
        print(status, flush=True)


if __name__ == "__main__":
    serve()

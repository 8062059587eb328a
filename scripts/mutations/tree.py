"""A private copy of the tree in which mutations are applied, one at a time, and tests run.

Every copy has its own cache of compiled kernels. A mutation of a file with kernels changes the key of that cache
(`ba.engine.jit`); the kernels of all other files are then taken over, so that only those of the file, for numba
compares its time and size, and of the files that import it are compiled anew. Tests run in children of a process that
has imported the heavy packages (`worker`), which takes half of the time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.mutations.listed import Mutation

WORKER = Path(__file__).with_name("worker.py")

LEFT_OUT = (".*", "__pycache__", "build", "runs", "shared", "*.egg-info")
MARKS = "@kernel", "@inlined", "@formula", "@intrinsic"


@dataclass
class Tree:
    """A private copy of the tree with a cache of compiled kernels of its own, and a process that runs its tests."""

    root: Path
    cache: Path
    worker: subprocess.Popen[str] | None = None
    compiled: str = ""
    """The folder of the cache for the kernels without any mutation."""

    def start(self) -> None:
        """Compile the kernels and start the worker. Raises ValueError where they do not compile."""
        environment = os.environ | {
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NUMBA_CACHE_DIR": str(self.cache),
            "CI": "1",  # hypothesis draws the same examples each time
            "OPENBLAS_NUM_THREADS": "1",  # the matrices of tests are small
        }
        common: dict[str, Any] = {"cwd": self.root, "env": environment, "text": True, "start_new_session": True}
        common |= {"stdout": subprocess.PIPE}
        if (self.root / "ba" / "check" / "warm.py").is_file():
            self.worker = subprocess.Popen([sys.executable, "-m", "ba.check.warm"], stderr=subprocess.PIPE, **common)
            _, said = self.worker.communicate()
            if self.worker.returncode:
                raise ValueError(f"the kernels do not compile:\n{said}")
            (self.compiled,) = (path.name for path in self.cache.iterdir() if path.is_dir())
        self.worker = subprocess.Popen([sys.executable, "-P", str(WORKER)], stdin=subprocess.PIPE, **common)

    def pytest(self, tests: Sequence[str], limit: float, changed: Path | None = None) -> tuple[int, str]:
        """Exit status and output of the tests; -1 where they did not end within `limit` seconds.

        changed: the file of this tree that is mutated.
        """
        assert self.worker is not None
        assert self.worker.stdin is not None
        assert self.worker.stdout is not None
        output = self.cache.with_name("output.txt")
        request: dict[str, Any] = {"tests": list(tests), "limit": limit, "output": str(output)}
        if changed is not None and self.compiled and _has_kernels(changed.read_text()):
            request["take_over"] = [self.compiled, sorted(_importers(self.root / "ba", changed))]
        self.worker.stdin.write(json.dumps(request) + "\n")
        self.worker.stdin.flush()
        answer = self.worker.stdout.readline()
        if not answer:
            raise OSError("the worker has ended")
        return int(answer), output.read_text(errors="replace") if output.is_file() else ""

    @contextlib.contextmanager
    def mutated(self, mutation: Mutation) -> Iterator[Path]:
        """The tree with the mutation applied; yields the file. Raises ValueError where it does not apply."""
        path = self.root / mutation.file
        text, times = path.read_text(), path.stat()
        path.write_text(mutation.applied(text))
        try:
            yield path
        finally:
            path.write_text(text)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            for folder in self.cache.iterdir():
                if folder.name != self.compiled and self.compiled:
                    shutil.rmtree(folder, ignore_errors=True)

    def stop(self) -> None:
        """End the worker and what it started."""
        if self.worker is None:
            return
        self.worker.terminate()
        self.worker.wait()
        for pipe in (self.worker.stdin, self.worker.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def _has_kernels(text: str) -> bool:
    return any(mark in text for mark in MARKS)


def _importers(package: Path, path: Path) -> set[str]:
    """Names of the modules with kernels that import the changed one, directly or through another."""
    sources = {source: source.read_text() for source in package.rglob("*.py")}
    kernels = {source: text for source, text in sources.items() if _has_kernels(text)}
    reached, names = {path}, {path.stem}
    while True:
        more = {
            source
            for source, text in kernels.items()
            if source not in reached and any(_imports(text, name) for name in names)
        }
        if not more:
            return {source.stem for source in reached} - {path.stem}
        reached |= more
        names |= {source.stem for source in more}


def _imports(text: str, name: str) -> bool:
    lines = [line for line in text.splitlines() if line.startswith(("import ", "from "))]
    return any(name in line.replace(".", " ").replace(",", " ").split() for line in lines)


def make_tree(source: Path, folder: Path) -> Tree:
    """A copy of `source` in `folder`, files with their times."""
    tree = Tree(folder / "tree", folder / "cache")
    shutil.copytree(source, tree.root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    tree.cache.mkdir()
    return tree

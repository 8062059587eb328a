"""Mutation testing: do the tests notice when the program is a little wrong?

    scripts/mutants                         every mutation of scripts/mutations, on two copies of the tree
    scripts/mutants --only summary,alignment-slope --jobs 1

A mutation replaces one piece of text of one file (`scripts/mutations/AREA.yaml`), and names the tests that concern it.
It is applied in a private copy of the tree, never here, and counts as killed when one of those tests fails or does not
end in time. A survivor is a wrong program that the tests take for the right one: it wants a test, or, where it differs
in nothing that can be observed, the reason under `accepted`. Ends with 1 where a mutation survives unaccepted, where
one does not apply any more, or where the tests already fail without any mutation.

Every copy has its own cache of compiled kernels. A mutation of a file with kernels changes the key of that cache
(`ba.jit`); the kernels of all other files are then taken over, so that only those of the file, for numba compares its
time and size, and of the files that import it are compiled anew. Tests run in children of a process that has imported
the heavy packages (`mutants_worker.py`), which takes half of the time.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
LISTS = ROOT / "scripts" / "mutations"
WORKER = ROOT / "scripts" / "mutants_worker.py"

MOST_OF_BASELINE = 3600.0
"""Seconds that all the tests may take without any mutation."""

MOST_ACCEPTED = 0.03
"""Share of the mutations that may be accepted as survivors."""

KEYS = {"id", "file", "old", "new", "tests", "accepted"}
LEFT_OUT = (".*", "__pycache__", "build", "runs", "shared", "*.egg-info")
MARKS = "@kernel", "@inlined", "@intrinsic"

KILLED, SURVIVED, TIMEOUT, ACCEPTED, STALE = "killed", "survived", "timeout", "accepted", "does not apply"


@dataclass(frozen=True)
class Mutation:
    """In `file`, `old`, which stands there exactly once, becomes `new`. accepted: why no test can notice."""

    id: str
    area: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    accepted: str = ""

    def applied(self, text: str) -> str:
        """The file's text with the mutation. Raises ValueError where it does not apply."""
        found = text.count(self.old)
        if found != 1:
            raise ValueError(f"the old text stands {found} times in {self.file}, once is right")
        changed = text.replace(self.old, self.new)
        if changed == text:
            raise ValueError("the new text is the old one")
        ast.parse(changed)
        return changed


@dataclass(frozen=True)
class Outcome:
    """How a mutation fared. by: the first test that failed, or what is wrong with the mutation."""

    id: str
    area: str
    outcome: str
    by: str
    seconds: float


def load(folder: Path = LISTS) -> list[Mutation]:
    """Every mutation of the lists. Raises ValueError for an entry that is not well-formed and for an id that is not
    unique."""
    found: list[Mutation] = []
    for path in sorted(folder.glob("*.yaml")):
        content = yaml.safe_load(path.read_text())
        for entry in content["mutations"]:
            surplus = set(entry) - KEYS
            if surplus or not {"id", "old", "new"} <= set(entry):
                raise ValueError(f"{path.name}: {entry.get('id', entry)}: {sorted(entry)}; {sorted(KEYS)} are right")
            found.append(
                Mutation(
                    id=entry["id"],
                    area=path.stem,
                    file=entry.get("file", content.get("file", "")),
                    old=entry["old"],
                    new=entry["new"],
                    tests=tuple(entry.get("tests", content.get("tests", ()))),
                    accepted=entry.get("accepted", ""),
                )
            )
    twice = [name for name, count in Counter(mutation.id for mutation in found).items() if count > 1]
    if twice:
        raise ValueError(f"mutations: {twice[0]} is the id of two")
    return found


def chosen(mutations: Sequence[Mutation], only: Sequence[str]) -> list[Mutation]:
    """Those whose id or area is named, or all. Raises ValueError for a name that is neither."""
    for name in only:
        if not any(name in (mutation.id, mutation.area) for mutation in mutations):
            areas = ", ".join(dict.fromkeys(mutation.area for mutation in mutations))
            raise ValueError(f"--only: {name!r} is no id and no area; areas are {areas}")
    return [m for m in mutations if not only or m.id in only or m.area in only]


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
        }
        common: dict[str, Any] = {"cwd": self.root, "env": environment, "text": True}
        if (self.root / "ba" / "warm.py").is_file():
            warmed = subprocess.run([sys.executable, "-m", "ba.warm"], capture_output=True, **common)
            if warmed.returncode:
                raise ValueError(f"the kernels do not compile:\n{warmed.stderr}")
            (self.compiled,) = (path.name for path in self.cache.iterdir() if path.is_dir())
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True}
        self.worker = subprocess.Popen([sys.executable, str(WORKER)], **common, **pipes)

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


def try_out(tree: Tree, mutation: Mutation, limit: float) -> Outcome:
    """What becomes of the mutation in that tree."""
    began = time.perf_counter()

    def ended(outcome: str, by: str) -> Outcome:
        return Outcome(mutation.id, mutation.area, outcome, by, round(time.perf_counter() - began, 2))

    try:
        with tree.mutated(mutation) as path:
            status, output = tree.pytest(mutation.tests, limit, path)
    except (OSError, ValueError, SyntaxError) as error:
        return ended(STALE, str(error))
    if status == -1:
        return ended(TIMEOUT, f"not at an end after {limit:g} s")
    if status in (1, 2):
        return ended(KILLED, _first_failure(output))
    if status == 0:
        return ended(ACCEPTED, mutation.accepted) if mutation.accepted else ended(SURVIVED, "")
    return ended(STALE, f"pytest ended with {status}: {output.strip()[-300:]}")


def _first_failure(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return lines[0].split(" - ")[0].split(" ", 1)[1] if lines else "collection"


def baseline(trees: Sequence[Tree], mutations: Sequence[Mutation]) -> str:
    """Make the trees ready, and run every test that is named without any mutation; what fails, or nothing."""
    tests = list(dict.fromkeys(test for mutation in mutations for test in mutation.tests))
    shares = [tests[place :: len(trees)] for place in range(len(trees))]

    def prepare(tree: Tree, share: Sequence[str]) -> str:
        tree.start()
        status, output = tree.pytest(share, MOST_OF_BASELINE) if share else (0, "")
        return f"pytest ended with {status}\n{output}" if status else ""

    with ThreadPoolExecutor(len(trees)) as pool:
        return "".join(pool.map(prepare, trees, shares))


def run(mutations: Sequence[Mutation], jobs: int, limit: float) -> list[Outcome]:
    """The outcome of each mutation, in order. Raises ValueError where the tests fail without any."""
    folder = Path(tempfile.mkdtemp(prefix="ba-mutants-"))
    trees: list[Tree] = []
    try:
        trees += [make_tree(ROOT, folder / str(number)) for number in range(jobs)]
        say(f"compiling, and running the tests of {len(mutations)} mutations without any ...")
        failed = baseline(trees, mutations)
        if failed:
            raise ValueError(f"the tests fail without any mutation:\n{failed}")
        return _tried(trees, mutations, limit)
    finally:
        for tree in trees:
            tree.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _tried(trees: Sequence[Tree], mutations: Sequence[Mutation], limit: float) -> list[Outcome]:
    idle: queue.Queue[Tree] = queue.Queue()
    for tree in trees:
        idle.put(tree)

    def work(mutation: Mutation) -> Outcome:
        tree = idle.get()
        try:
            return try_out(tree, mutation, limit)
        finally:
            idle.put(tree)

    with ThreadPoolExecutor(len(trees)) as pool:
        waiting = [pool.submit(work, mutation) for mutation in mutations]
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                found = future.result()
                place = f"{done:4d} of {len(mutations)}"
                say(f"{place}  {found.outcome:<14} {found.seconds:6.1f} s  {found.id:<44} {found.by}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for tree in trees:
                tree.stop()
            raise
    return [future.result() for future in waiting]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Counts by area, every mutation that was not killed with its reason, and the time it took."""
    names = (KILLED, TIMEOUT, ACCEPTED, SURVIVED, STALE)
    lines = [f"{'area':<22}{'mutants':>8}" + "".join(f"{name:>15}" for name in names)]
    areas = [*dict.fromkeys(outcome.area for outcome in outcomes), "all"]
    for area in areas:
        counts = Counter(outcome.outcome for outcome in outcomes if area in (outcome.area, "all"))
        lines.append(f"{area:<22}{counts.total():>8}" + "".join(f"{counts[name]:>15}" for name in names))
    lines += [f"{o.outcome}: {o.id}: {o.by}" for o in outcomes if o.outcome != KILLED]
    return "\n".join([*lines, f"{seconds:.0f} s"])


def is_good(outcomes: Sequence[Outcome]) -> bool:
    """Whether all are killed but for the few that are accepted."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    return not counts[SURVIVED] and not counts[STALE] and counts[ACCEPTED] <= max(1.0, MOST_ACCEPTED * len(outcomes))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutants", description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", metavar="ID|AREA,...", help="these mutations or areas alone")
    parser.add_argument("--jobs", type=int, default=2, help="copies of the tree that are worked on side by side")
    parser.add_argument("--limit", type=float, default=300.0, help="seconds after which a mutation counts as killed")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "mutants.json", help="where the outcomes go")
    parser.add_argument("--list", action="store_true", help="print the mutations and end")
    options = parser.parse_args(arguments)
    if options.jobs < 1 or not options.limit > 0.0:
        parser.error("--jobs and --limit are positive")
    return options


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, _stop)
    began = time.perf_counter()
    try:
        mutations = chosen(load(), [name for name in options.only.split(",") if name])
        if options.list:
            print("\n".join(f"{m.area:<22}{m.id:<46}{m.file}" for m in mutations))
            return 0
        outcomes = run(mutations, options.jobs, options.limit)
    except ValueError as error:
        print(f"scripts/mutants: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("scripts/mutants: stopped", file=sys.stderr)
        return 130
    seconds = time.perf_counter() - began
    found: dict[str, Any] = {
        "mutations": len(outcomes),
        "counts": dict(Counter(outcome.outcome for outcome in outcomes)),
        "seconds": round(seconds, 1),
        "jobs": options.jobs,
        "outcomes": [asdict(outcome) for outcome in outcomes],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(found, indent=1) + "\n")
    print(table(outcomes, seconds))
    return 0 if is_good(outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Mutation testing: do the tests notice when the program is a little wrong?

    scripts/mutants                         every mutation of scripts/mutations, on two copies of the tree
    scripts/mutants --only summary,alignment-slope --jobs 1

A mutation replaces one piece of text of one file (`scripts/mutations/AREA.yaml`), and names the tests that concern it.
It is applied in a private copy of the tree, never here, and counts as killed when one of those tests fails or does not
end in time. A survivor is a wrong program that the tests take for the right one: it wants a test, or, where it differs
in nothing that can be observed, the reason under `accepted`. Ends with 1 where a mutation survives unaccepted, or does
not apply any more, and with 2 where the tests already fail without any mutation.
"""

from __future__ import annotations

import argparse
import json
import queue
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from scripts import ROOT
from scripts.mutations.listed import Mutation, chosen, load
from scripts.mutations.tree import Tree, make_tree

MOST_OF_BASELINE = 3600.0
"""Seconds that all the tests may take without any mutation."""

MOST_ACCEPTED = 0.03
"""Share of the mutations that may be accepted as survivors."""

KILLED, SURVIVED, TIMEOUT, ACCEPTED, STALE = "killed", "survived", "timeout", "accepted", "does not apply"


@dataclass(frozen=True)
class Outcome:
    """How a mutation fared. by: the first test that failed, or what is wrong with the mutation."""

    id: str
    area: str
    outcome: str
    by: str
    seconds: float


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

    with ThreadPoolExecutor(len(trees)) as pool, _stopped(trees):
        return "".join(pool.map(prepare, trees, shares))


@contextmanager
def _stopped(trees: Sequence[Tree]) -> Iterator[None]:
    """Where something goes wrong, Ctrl-C too, trees are stopped before threads are waited for."""
    try:
        yield
    except BaseException:
        for tree in trees:
            tree.stop()
        raise


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

    with ThreadPoolExecutor(len(trees)) as pool, _stopped(trees):
        waiting = [pool.submit(work, mutation) for mutation in mutations]
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                found = future.result()
                place = f"{done:4d} of {len(mutations)}"
                say(f"{place}  {found.outcome:<14} {found.seconds:6.1f} s  {found.id:<44} {found.by}")
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
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

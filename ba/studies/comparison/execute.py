"""Carrying out a plan: first every run in parallel processes, for its result; then each alone, for its time.

    starts/KEY.npz     the state of a start, bit for bit; truth-KEY.npz the scene it was made from
    runs/KEY.json      how a run ended, and KEY.npy its points
    timings/KEY.json   cost and seconds of its steps, with nothing else running

Each file is written as soon as its content is computed, under a key of all that determines it, and what a file holds
already is not computed again. Ctrl-C loses only the runs that are at work.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ba import io
from ba.errors import UserError
from ba.pipeline import load_start
from ba.studies.comparison.measure import measure, timed
from ba.studies.comparison.outcome import Ending
from ba.studies.comparison.profiles import grouped
from ba.studies.comparison.runs import Run, Start
from ba.system import children, files, interrupt, safepath

Tick = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""

FOLDERS = ("starts", "runs", "timings")

START, TRUTH = "starts/{}.npz", "starts/truth-{}.npz"
ENDING, POINTS, TIMING = "runs/{}.json", "runs/{}.npy", "timings/{}.json"
DAMAGE = (UserError, OSError, EOFError, ValueError, KeyError, TypeError)
"""What readers raise on a file that was cut or overwritten."""

REFERENCE = "so3_left"
"""Starts are made of rotations whatever is varied: nine free numbers begin where the others do."""


def execute(runs: Sequence[Run], folder: Path, workers: int, tick: Tick) -> tuple[str, ...]:
    """Do what is not done yet, and return what was done again because it was damaged, a sentence each.

    workers: processes at a time, for results; 1 works without any.
    """
    for name in (".", *FOLDERS):
        (folder / name).mkdir(parents=True, exist_ok=True)
        files.remove_stale(folder / name)
    damaged: list[str] = []
    _make_starts(runs, folder, tick, damaged)
    _find_results(runs, folder, workers, tick, damaged)
    _take_timings(runs, folder, tick, damaged)
    return tuple(damaged)


def path_of(kind: str, of: Start | Run, folder: Path) -> Path:
    """Where a kind of file is kept of a start or run; a TRUTH is kept of starts that are generated scenes."""
    return folder / kind.format(of.key)


def read(kind: str, of: Start | Run, folder: Path) -> Any:
    """What is kept in a file. Raises one of DAMAGE where the file does not hold all of it.

    A Problem for START and TRUTH, the fields of an `Ending`, points (n_points, 3), or `cost` and `seconds` of each step
    for TIMING.
    """
    path = path_of(kind, of, folder)
    if kind in (START, TRUTH):
        return io.load(path)
    if kind == POINTS:
        return np.asarray(np.load(path, allow_pickle=False)).reshape(-1, 3)
    content = json.loads(path.read_text())
    if kind == ENDING:
        Ending(**content)
    elif len(content["cost"]) != len(content["seconds"]):
        raise ValueError("costs and seconds of different length")
    return content


def _are_kept(kinds: Sequence[str], of: Start | Run, folder: Path, damaged: list[str]) -> bool:
    """Whether all files of these kinds are there and whole; where one is not whole, `damaged` grows by a line."""
    for kind in kinds:
        path = path_of(kind, of, folder)
        if not path.exists():
            return False
        try:
            read(kind, of, folder)
        except DAMAGE as error:
            reason = " ".join(str(error).removeprefix(f"{path}: ").split())
            damaged.append(f"{path}: damaged, so done again ({reason})")
            return False
    return True


def _make_starts(runs: Sequence[Run], folder: Path, tick: Tick, damaged: list[str]) -> None:
    starts = list({run.start.key: run.start for run in runs}.values())
    for done, start in enumerate(starts):
        interrupt.check()
        tick("starts", done, len(starts))
        kinds = [START] if start.config.data.scene is None else [START, TRUTH]
        if _are_kept(kinds, start, folder, damaged):
            continue
        with _named(start.group):
            loaded, problem = load_start(start.config.model_copy(update={"rotation": REFERENCE}))
        with interrupt.uninterrupted():
            for kind, saved in zip(kinds, (problem, loaded), strict=False):
                io.save(saved, path_of(kind, start, folder))


def _find_results(runs: Sequence[Run], folder: Path, workers: int, tick: Tick, damaged: list[str]) -> None:
    missing = [run for run in runs if not _are_kept([ENDING, POINTS], run, folder, damaged)]
    measured = _measured(missing, folder, min(workers, len(missing)))
    for done, (run, (ending, points)) in enumerate(measured, len(runs) - len(missing) + 1):
        with interrupt.uninterrupted():
            with files.replacing(path_of(POINTS, run, folder)) as temporary:
                np.save(temporary, points, allow_pickle=False)
            _write(path_of(ENDING, run, folder), ending)
        interrupt.check()
        tick(f"runs, {workers} at a time", done, len(runs))


def _measured(runs: Sequence[Run], folder: Path, workers: int) -> Iterator[tuple[Run, Any]]:
    """Each run with what `measure` gives, in the order in which they end."""
    if workers <= 1:
        for run in runs:
            with _named(run.start.group, run.label):
                measured = measure(path_of(START, run.start, folder), run.config)
            yield run, measured
        return
    with safepath.SafeChildren(), _pool(workers) as pool:
        futures = {pool.submit(measure, path_of(START, run.start, folder), run.config): run for run in runs}
        for future in as_completed(futures):
            run = futures[future]
            with _named(run.start.group, run.label):
                measured = future.result()
            yield run, measured


@contextmanager
def _named(*names: str) -> Iterator[None]:
    """A refusal says which run it is about."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{', '.join(names)}: {error}") from error


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that a Ctrl-C ends at once, wherever it is heard. Fresh ones, for forked ones may not use threads."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, context, initializer=_end_quietly, initargs=(os.getpid(),))
    others = set(multiprocessing.active_children())
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - others:
            process.terminate()
        raise
    finally:
        pool.shutdown()


def _end_quietly(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    children.end_with_parent(parent)


def _take_timings(runs: Sequence[Run], folder: Path, tick: Tick, damaged: list[str]) -> None:
    missing = [run for run in runs if not _are_kept([TIMING], run, folder, damaged)]
    done = len(runs) - len(missing)
    for group in grouped(missing, lambda run: run.start.key).values():
        problem = read(START, group[0].start, folder)
        # The order within a start is that of the keys, random and another for each seed, so that nothing is always
        # first, when caches are cold.
        for run in sorted(group, key=lambda run: run.key):
            interrupt.check()
            tick("timings, one alone", done, len(runs))
            _warm(run, problem)
            _write(path_of(TIMING, run, folder), timed(problem, run.config))
            done += 1
    tick("timings, one alone", len(runs), len(runs))


def _warm(run: Run, problem: Any) -> None:
    """One step that is thrown away, so that no timing pays for loading kernels."""
    options = run.config.solver.model_copy(update={"max_iterations": 1})
    timed(problem, run.config.model_copy(update={"solver": options}))


def _write(path: Path, content: dict[str, Any]) -> None:
    files.write_bytes(path, (json.dumps(content) + "\n").encode())


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

"""Carrying out a plan: first every run in parallel processes, for its result; then each alone, for its time.

    starts/KEY.npz     the state of a start, bit for bit; truth-KEY.npz the scene it was made from
    runs/KEY.json      how a run ended, and KEY.npy its points
    timings/KEY.json   cost and seconds of its steps, with nothing else running

Each is written as soon as it is known, under a key of all that determines it: what is there, and whole, is not done
again. Ctrl-C loses the runs at work.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba import io
from ba.errors import UserError
from ba.pipeline import load_start
from ba.studies.comparison.measure import measure, timed
from ba.studies.comparison.outcome import Ending
from ba.studies.comparison.runs import Run, Start
from ba.system import children, files, interrupt, safepath

Tick = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""

FOLDERS = ("starts", "runs", "timings")

REFERENCE = "so3_left"
"""Starts are made of rotations whatever is varied: nine free numbers begin where the others do."""


def execute(runs: Sequence[Run], folder: Path, workers: int, tick: Tick) -> tuple[str, ...]:
    """Do what is not done yet, and return what was done again because it was damaged, a sentence each.

    workers: processes at a time, for results; 1 works without any.
    """
    for name in FOLDERS:
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in (".", *FOLDERS):
        files.remove_stale(folder / name)
    damaged: list[str] = []
    _make_starts(runs, folder, tick, damaged)
    _find_results(runs, folder, workers, tick, damaged)
    _take_timings(runs, folder, tick, damaged)
    return tuple(damaged)


DAMAGE = (UserError, OSError, EOFError, ValueError, KeyError, TypeError)
"""What readers raise on a file that was cut or overwritten."""


def _is_kept(path: Path, read: Callable[[], Any], damaged: list[str]) -> bool:
    """Whether a file is there, and what `read` makes of it raises nothing; if that does, `damaged` grows by a line."""
    if not path.exists():
        return False
    try:
        read()
    except DAMAGE as error:
        reason = " ".join(str(error).removeprefix(f"{path}: ").split())
        damaged.append(f"{path}: damaged, so done again ({reason})")
        return False
    return True


def start_path(start: Start, folder: Path) -> Path:
    return folder / "starts" / f"{start.key}.npz"


def truth_path(start: Start, folder: Path) -> Path:
    """Where the ground truth is, if the start is of a generated scene."""
    return folder / "starts" / f"truth-{start.key}.npz"


def result_of(run: Run, folder: Path) -> dict[str, Any]:
    """The fields of a `Ending`. Raises TypeError or ValueError where the file holds none."""
    found: dict[str, Any] = json.loads((folder / "runs" / f"{run.key}.json").read_text())
    Ending(**found)
    return found


def points_of(run: Run, folder: Path) -> NDArray[np.float64]:
    """(n_points, 3). Raises ValueError, EOFError or OSError where the file does not hold all of them."""
    return np.asarray(np.load(_points_path(run, folder), allow_pickle=False)).reshape(-1, 3)


def _points_path(run: Run, folder: Path) -> Path:
    return folder / "runs" / f"{run.key}.npy"


def timing_of(run: Run, folder: Path) -> dict[str, list[float]]:
    """`cost` and `seconds` of each step. Raises KeyError or ValueError where the file does not hold both."""
    found: dict[str, list[float]] = json.loads((folder / "timings" / f"{run.key}.json").read_text())
    if len(found["cost"]) != len(found["seconds"]):
        raise ValueError("costs and seconds of different length")
    return found


def _make_starts(runs: Sequence[Run], folder: Path, tick: Tick, damaged: list[str]) -> None:
    starts = list({run.start.key: run.start for run in runs}.values())
    for done, start in enumerate(starts):
        interrupt.check()
        tick("starts", done, len(starts))
        paths = [start_path(start, folder)]
        if start.config.data.scene is not None:
            paths.append(truth_path(start, folder))
        if all(_is_kept(path, partial(io.load, path), damaged) for path in paths):
            continue
        with _named(start.group):
            loaded, problem = load_start(start.config.model_copy(update={"rotation": REFERENCE}))
        with interrupt.uninterrupted():
            if start.config.data.scene is not None:
                io.save(loaded, truth_path(start, folder))
            io.save(problem, start_path(start, folder))


def _find_results(runs: Sequence[Run], folder: Path, workers: int, tick: Tick, damaged: list[str]) -> None:
    missing = [run for run in runs if not _has_result(run, folder, damaged)]
    done = len(runs) - len(missing)
    for run, (ending, points) in _measured(missing, folder, min(workers, len(missing))):
        with interrupt.uninterrupted():
            with files.replacing(_points_path(run, folder)) as temporary:
                np.save(temporary, points, allow_pickle=False)
            _write(folder / "runs" / f"{run.key}.json", ending)
        interrupt.check()
        done += 1
        tick(f"runs, {workers} at a time", done, len(runs))


def _has_result(run: Run, folder: Path, damaged: list[str]) -> bool:
    return _is_kept(folder / "runs" / f"{run.key}.json", partial(result_of, run, folder), damaged) and _is_kept(
        _points_path(run, folder), partial(points_of, run, folder), damaged
    )


def _measured(runs: Sequence[Run], folder: Path, workers: int) -> Iterator[tuple[Run, Any]]:
    """Each run with what `measure` gives, in the order in which they end."""
    if workers <= 1:
        for run in runs:
            with _named(run.start.group, run.label):
                measured = measure(start_path(run.start, folder), run.config)
            yield run, measured
        return
    with safepath.SafeChildren(), _pool(workers) as pool:
        futures = {pool.submit(measure, start_path(run.start, folder), run.config): run for run in runs}
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
    paths = {run.key: folder / "timings" / f"{run.key}.json" for run in runs}
    missing = [run for run in runs if not _is_kept(paths[run.key], partial(timing_of, run, folder), damaged)]
    # Within a start by chance, and by another for each seed: nothing is always first, when caches are cold.
    order = {key: place for place, key in enumerate(dict.fromkeys(run.start.key for run in runs))}
    missing.sort(key=lambda run: (order[run.start.key], run.key))
    loaded: tuple[str, Any] = "", None
    for done, run in enumerate(missing, len(runs) - len(missing)):
        interrupt.check()
        tick("timings, one alone", done, len(runs))
        if loaded[0] != run.start.key:
            loaded = run.start.key, io.load(start_path(run.start, folder))
        _warm(run, loaded[1])
        _write(paths[run.key], timed(loaded[1], run.config))
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

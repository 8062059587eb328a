"""Carrying out a plan: first every run in parallel processes, for its result; then each alone, for its time.

    starts/KEY.npz     the state of a start, bit for bit; truth-KEY.npz the scene it was made from
    runs/KEY.json      how a run ended, and KEY.npy its points
    timings/KEY.json   cost and seconds of its steps, with nothing else running

Each is written as soon as it is known, under a key of all that determines it: what is there, and whole, is not done
again. Ctrl-C loses the runs at work.
"""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


DAMAGE = (UserError, OSError, EOFError, ValueError, KeyError, TypeError)
"""What readers raise on a file that was cut or overwritten."""


def _are_kept(readers: Mapping[Path, Callable[[Path], Any]], damaged: list[str]) -> bool:
    """Whether every file is there, and its reader raises nothing; where that does, `damaged` grows by a line."""
    for path, read in readers.items():
        if not path.exists():
            return False
        try:
            read(path)
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


def ending_path(run: Run, folder: Path) -> Path:
    return folder / "runs" / f"{run.key}.json"


def points_path(run: Run, folder: Path) -> Path:
    return folder / "runs" / f"{run.key}.npy"


def timing_path(run: Run, folder: Path) -> Path:
    return folder / "timings" / f"{run.key}.json"


def read_ending(path: Path) -> dict[str, Any]:
    """The fields of an `Ending`. Raises TypeError or ValueError where the file holds none."""
    ending: dict[str, Any] = json.loads(path.read_text())
    Ending(**ending)
    return ending


def read_points(path: Path) -> NDArray[np.float64]:
    """(n_points, 3). Raises ValueError, EOFError or OSError where the file does not hold all of them."""
    return np.asarray(np.load(path, allow_pickle=False)).reshape(-1, 3)


def read_timing(path: Path) -> dict[str, list[float]]:
    """`cost` and `seconds` of each step. Raises KeyError or ValueError where the file does not hold both."""
    timing: dict[str, list[float]] = json.loads(path.read_text())
    if len(timing["cost"]) != len(timing["seconds"]):
        raise ValueError("costs and seconds of different length")
    return timing


def _make_starts(runs: Sequence[Run], folder: Path, tick: Tick, damaged: list[str]) -> None:
    starts = list({run.start.key: run.start for run in runs}.values())
    for done, start in enumerate(starts):
        interrupt.check()
        tick("starts", done, len(starts))
        paths = [start_path(start, folder)]
        if start.config.data.scene is not None:
            paths.append(truth_path(start, folder))
        if _are_kept(dict.fromkeys(paths, io.load), damaged):
            continue
        with _named(start.group):
            loaded, problem = load_start(start.config.model_copy(update={"rotation": REFERENCE}))
        with interrupt.uninterrupted():
            for path, saved in zip(paths, (problem, loaded), strict=False):
                io.save(saved, path)


def _find_results(runs: Sequence[Run], folder: Path, workers: int, tick: Tick, damaged: list[str]) -> None:
    missing = [
        run
        for run in runs
        if not _are_kept({ending_path(run, folder): read_ending, points_path(run, folder): read_points}, damaged)
    ]
    measured = _measured(missing, folder, min(workers, len(missing)))
    for done, (run, (ending, points)) in enumerate(measured, len(runs) - len(missing) + 1):
        with interrupt.uninterrupted():
            with files.replacing(points_path(run, folder)) as temporary:
                np.save(temporary, points, allow_pickle=False)
            _write(ending_path(run, folder), ending)
        interrupt.check()
        tick(f"runs, {workers} at a time", done, len(runs))


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
    missing = [run for run in runs if not _are_kept({timing_path(run, folder): read_timing}, damaged)]
    done = len(runs) - len(missing)
    for group in grouped(missing, lambda run: run.start.key).values():
        problem = io.load(start_path(group[0].start, folder))
        # The order within a start is that of the keys, random and another for each seed, so that nothing is always
        # first, when caches are cold.
        for run in sorted(group, key=lambda run: run.key):
            interrupt.check()
            tick("timings, one alone", done, len(runs))
            _warm(run, problem)
            _write(timing_path(run, folder), timed(problem, run.config))
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

"""A run's folder: written under a hidden name beside its place, and put there whole when the run has ended.

    with staged(out, "dubrovnik-16", inputs=(), overwrite=False) as folder:     .NAME.ba-running, locked
        solution = solve(..., observer=folder.logging(observer))                iterations.jsonl, as it happens
        with interrupt.uninterrupted():
            with folder.keeping("report.html"):                                 what the system refuses is remembered
                write(folder.path / "report.html")
            place = folder.publish()                                            fsync, then one swap; NAME

Until `publish` nothing has happened to NAME, and a block that ends without it leaves nothing. At every moment NAME is
the whole earlier result or the whole new one. A killed run leaves its hidden folder; whether that is in use its lock
tells, and the next run beside it removes it (see `ba.show.staging`).
"""

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from ba.errors import SystemRefusal, UserError
from ba.show import staging
from ba.show.staging import LOG, MARK, PRODUCTS, numbered, staging_of
from ba.solve.result import Iteration, Observer
from ba.system import files, interrupt, reading
from ba.system.locks import is_at

RUNS = Path("runs")


@dataclass(eq=False)
class RunFolder:
    """A run's folder while it is written, at `path`; `target` is its place as the user names it.

    handle: holds the lock; refusals: what the system would not do; published: where it was put.
    """

    path: Path
    target: Path
    overwrite: bool
    handle: int
    refusals: list[str] = field(default_factory=list)
    published: Path | None = None
    _log_refused: bool = False
    _lines: int = 0

    def logging(self, observer: Observer) -> Observer:
        """An observer that writes each iteration as a line before it passes it on. A full disk does not end a solve."""

        def log(iteration: Iteration) -> bool | None:
            if not self._log_refused:
                try:
                    with (self.path / LOG).open("a") as file:
                        file.write(_line(iteration))
                    self._lines += 1
                except OSError:
                    self._log_refused = True
            interrupt.check()
            return observer(iteration)

        return log

    def complete_log(self, iterations: Sequence[Iteration]) -> None:
        """Write the log anew where a line is missing: it was refused, and there may be room by now, or a signal came
        before it was written."""
        if self._lines != len(iterations):
            with self.keeping(LOG):
                files.write_bytes(self.path / LOG, "".join(map(_line, iterations)).encode())

    @contextmanager
    def keeping(self, name: str) -> Iterator[None]:
        """What the system refuses within the block is kept for `publish` to tell; the run goes on."""
        try:
            with reading.reported(self.path / name, "written"):
                yield
        except (SystemRefusal, UserError, MemoryError) as error:
            self.refusals.append(f"{name}: {memory_is_short(error)}" if isinstance(error, MemoryError) else str(error))

    def publish(self) -> Path:
        """Put the folder in its place, and return that.

        Raises SystemRefusal, once that is done, where something could not be written. What is no whole result, or
        cannot take the place of an earlier one, goes beside it.
        """
        if not (self.path / MARK).is_file():
            raise SystemRefusal(self.shown("; ".join(self.refusals)))
        with self.keeping(LOG):  # every other file was on the disk before it got its name (`ba.system.files`)
            if (self.path / LOG).is_file():
                files.sync(self.path / LOG)
        with self.keeping(""):
            files.sync(self.path)
        self.published = self._put_in_place()
        if self.refusals:
            until = " until the next run begins" if self.published == self.path else ""
            raise SystemRefusal(
                f"{self.shown('; '.join(self.refusals))}; what could be written stands in {self.published}{until}"
            )
        return self.published

    def shown(self, text: str) -> str:
        """A text in which files of this folder have their final names."""
        return text.replace(str(self.path), str(self.target))

    def _put_in_place(self) -> Path:
        beside = numbered(self.target)
        first = next(beside) if _holds_run(self.target) and (self.refusals or not self.overwrite) else self.target
        for place in (first, next(beside)):
            with self.keeping(place.name), reading.reported(place, "put in place"):
                staging.put(self.path, Path(os.path.realpath(place)))
            if not is_at(self.path, self.handle):  # It is in its place, even if what stood there could not be removed.
                return place
        return self.path


@contextmanager
def staged(out: Path | None, name: str, inputs: Sequence[Path] = (), overwrite: bool = False) -> Iterator[RunFolder]:
    """A folder for a run that ends at `out`, or, where that is None, at runs/NAME-TIME, a name of its own.

    inputs: files that the run reads, and so may not replace. Raises UserError where `out` cannot be a run's folder,
    holds a run and `overwrite` does not say that it may go, or is being written by another run; SystemRefusal where
    the system refuses a folder.
    """
    made: list[Path] = []
    with reading.reported(out or RUNS, "the run folder"):
        folder = _named(name, made) if out is None else _claimed(out, inputs, overwrite, made)
    try:
        staging.sweep(folder.path.parent)
        yield folder
    except KeyboardInterrupt as stop:
        if folder.published is None:
            stop.args = ("before there was a result",)
        raise
    finally:
        with interrupt.uninterrupted():
            _leave(folder, made)


def memory_is_short(error: MemoryError) -> str:
    """A MemoryError in words."""
    return f"memory is short{f' ({error})' if str(error) else ''}"


def _leave(folder: RunFolder, made: list[Path]) -> None:
    """Put in place what was saved, whatever ended the run after that; else leave nothing."""
    if folder.published is None and (folder.path / MARK).is_file():
        folder.overwrite = False
        with suppress(SystemRefusal):  # What ended the run is told, and comes first.
            folder.publish()
    if folder.published is None:
        staging.remove(folder.path, folder.handle)
        staging.unmake(made)
    else:
        os.close(folder.handle)


def _named(name: str, made: list[Path]) -> RunFolder:
    """The first of NAME-TIME, NAME-TIME-2, ... that neither exists nor is being written."""
    base = RUNS / f"{name}-{datetime.now():%Y%m%d-%H%M%S}"
    for target in itertools.chain([base], numbered(base)):
        if os.path.lexists(target) or (handle := staging.claim(staging_of(target), made)) is None:
            continue
        if not os.path.lexists(target):  # put there since
            return RunFolder(staging_of(target), target, False, handle)
        staging.remove(staging_of(target), handle)
    raise AssertionError("there is always a next number")


def _claimed(target: Path, inputs: Sequence[Path], overwrite: bool, made: list[Path]) -> RunFolder:
    _check_place(target, inputs)
    path = staging_of(target)
    handle = staging.claim(path, made)
    if handle is None:
        raise UserError(f"{target}: another run is writing there; wait for it, or --out DIR names another folder")
    try:
        staging.recover(path)
        _check_content(target, overwrite)
    except BaseException:
        staging.remove(path, handle)
        staging.unmake(made)
        raise
    return RunFolder(path, target, overwrite, handle)


def _check_place(target: Path, inputs: Sequence[Path]) -> None:
    """Raise UserError where a folder cannot be put at `target`."""
    real = Path(os.path.realpath(target))
    for path in inputs:
        if path.resolve() in {(real / name).resolve() for name in PRODUCTS}:
            raise UserError(f"{target}: the run would replace its own input, {path.name}; --out DIR names another")
    if Path.cwd().resolve().is_relative_to(real):
        raise UserError(f"{target}: is the working folder or holds it; --out DIR names another, as in --out runs/first")
    nearest = next(path for path in (real, *real.parents) if os.path.lexists(path))
    if not nearest.is_dir():
        raise UserError(f"{target}: cannot be the run folder, {nearest} is a file; --out DIR names another")
    if os.path.ismount(real):
        raise UserError(f"{target}: a disk is mounted there, which cannot be replaced; --out {target / 'run'} is right")


def _check_content(target: Path, overwrite: bool) -> None:
    """Raise UserError where what is in the folder may not be replaced."""
    if _holds_run(target):
        if not overwrite:
            raise UserError(
                f"{target}: holds a finished run; --overwrite (from Python overwrite=True) replaces it, --out DIR "
                "names another folder"
            )
    elif target.is_dir() and any(target.iterdir()):
        raise UserError(f"{target}: holds files and no run; --out DIR names an empty folder, or one that is not there")


def _holds_run(folder: Path) -> bool:
    return (folder / MARK).is_file()


def _line(iteration: Iteration) -> str:
    return json.dumps(asdict(iteration)) + "\n"

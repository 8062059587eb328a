"""Hidden folders beside the place where a run's folder ends: claimed, put in place, and cleared after a killed run.

    .NAME.ba-running    what a run writes until it has ended; while it lives it holds its lock
    .NAME.ba-aside      the earlier folder, where the system cannot exchange two, until the new one has its name

Only what a run writes (PRODUCTS) is ever removed. Whatever else is in an earlier run's folder, or in a product that is
a folder, is moved to the folder in its place; where a process was killed before that, the next one does it.
"""

import errno
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ba import io
from ba.system import files
from ba.system.locks import is_at, lock, locked_if_stale
from ba.system.swap import exchange

MARK = "summary.json"
"""The first product that is saved, so the one that tells a run's folder."""
SOLUTION = "solution"
LOG = "iterations.jsonl"
PRODUCTS = (
    MARK,
    "config.yaml",
    LOG,
    *(f"{SOLUTION}{suffix}" for entry in io.FORMATS.values() for suffix in entry.suffixes),
    "truth.npz",
    "residuals.npz",
    "report.html",
    "view.png",
    *("results.csv", "starts.csv", "aligned.ply"),
)
"""All that a run of any kind may write."""
FOLDERS = {f"{SOLUTION}{suffix}": entry.files for entry in io.FORMATS.values() for suffix in entry.suffixes}
"""The files of each product that is a folder."""

RUNNING, ASIDE = ".ba-running", ".ba-aside"


def staging_of(target: Path) -> Path:
    """Where a run writes until it has ended and its folder is at `target`."""
    return _hidden(Path(os.path.realpath(target)), RUNNING)


def claim(path: Path, made: list[Path]) -> int | None:
    """A handle of the hidden folder `path`, made if it is missing, and locked; None where another process holds it.

    made: grows by the folders above that had to be made. Raises OSError.
    """
    while True:
        made += _make_parents(path.parent)
        is_new = True
        try:
            path.mkdir()
        except FileExistsError:
            is_new = False
        except FileNotFoundError:  # a refused run has removed the folder above, which it had made
            continue
        try:
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except FileNotFoundError:  # put in its place, or removed, by who had it
            continue
        locked = lock(handle)
        refused = locked is False or (locked is None and not is_new)
        if not refused and is_at(path, handle):
            return handle
        os.close(handle)
        if refused:
            return None


def remove(path: Path, handle: int) -> None:
    """Remove a hidden folder and let go of its lock; what the system refuses is left to the next run."""
    try:
        with suppress(OSError):
            _empty(path, PRODUCTS)
            path.rmdir()
    finally:
        os.close(handle)


def unmake(made: list[Path]) -> None:
    """Remove the folders that `claim` made, unless others use them by now."""
    for path in reversed(made):
        with suppress(OSError):
            path.rmdir()


def put(path: Path, place: Path) -> None:
    """Swap a hidden folder into its place, where an earlier run's may stand. Raises OSError."""
    try:
        os.rename(path, place)  # where nothing is, or an empty folder
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _replace(path, place)
    files.sync(place.parent)


def _replace(path: Path, place: Path) -> None:
    shutil.copymode(place, path)
    old = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        lock(old)  # else another run takes it for left as soon as it has the hidden name
        left = path if exchange(path, place) else _change_by_turns(path, place)
        files.sync(place.parent)
        _dissolve(left, place)
    finally:
        os.close(old)


def _change_by_turns(path: Path, place: Path) -> Path:
    """Rename the folder in `place` aside, and `path` to `place`; returns where the first is now."""
    aside = _hidden(place, ASIDE)
    os.rename(place, aside)
    try:
        os.rename(path, place)
    except OSError:
        os.rename(aside, place)
        raise
    return aside


def recover(path: Path) -> None:
    """Finish what a killed run began in the hidden folder `path`, which is locked by us, and in its place. OSError."""
    name = path.name[1:]
    if name.endswith(ASIDE):
        place = path.with_name(name.removesuffix(ASIDE))
        if os.path.lexists(place):
            _dissolve(path, place)
        else:
            os.rename(path, place)
        return
    place = path.with_name(name.removesuffix(RUNNING))
    aside = _hidden(place, ASIDE)
    if (handle := locked_if_stale(aside)) is not None:
        try:
            recover(aside)
        finally:
            os.close(handle)
    _hand_over(path, place, PRODUCTS)
    _empty(path, PRODUCTS)


def _dissolve(old: Path, place: Path) -> None:
    """Remove an earlier folder; what no run wrote goes from it to the folder in its place."""
    _hand_over(old, place, PRODUCTS)
    _empty(old, PRODUCTS)
    old.rmdir()


def sweep(parent: Path) -> None:
    """Finish what killed runs left in a folder, unless the system refuses: no reason for another run to fail."""
    with suppress(OSError):
        for path in [Path(entry.path) for entry in os.scandir(parent) if entry.name.startswith(".")]:
            if path.name.endswith((RUNNING, ASIDE)) and (handle := locked_if_stale(path)) is not None:
                with suppress(OSError):
                    recover(path)
                remove(path, handle)


def numbered(path: Path) -> Iterator[Path]:
    """NAME-2, NAME-3, ..., each beside `path`, as far as they are free."""
    candidates = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return (candidate for candidate in candidates if not os.path.lexists(candidate))


def _hand_over(old: Path, place: Path, ours: Sequence[str]) -> None:
    """Move what no run wrote from an earlier folder to the one in its place, under a free name if its own is taken."""
    for entry in list(os.scandir(old)):
        if _is_ours(entry.name, ours):
            if _is_folder(entry):
                _hand_over(Path(entry.path), place, FOLDERS[entry.name])
        else:
            place.mkdir(exist_ok=True)
            to = place / entry.name
            os.rename(entry.path, next(numbered(to)) if os.path.lexists(to) else to)


def _empty(folder: Path, ours: Sequence[str]) -> None:
    """Remove what a run writes from a folder."""
    for entry in list(os.scandir(folder)):
        if not _is_ours(entry.name, ours):
            continue
        if _is_folder(entry):
            _empty(Path(entry.path), FOLDERS[entry.name])
            os.rmdir(entry.path)
        elif _is_temporary(entry.name):
            files.remove(Path(entry.path))
        else:
            os.unlink(entry.path)


def _is_ours(name: str, ours: Sequence[str]) -> bool:
    return name in ours or _is_temporary(name)


def _is_temporary(name: str) -> bool:
    return files.TEMPORARY.fullmatch(name) is not None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a product that is a folder."""
    return bool(FOLDERS.get(entry.name)) and entry.is_dir(follow_symlinks=False)


def _make_parents(folder: Path) -> list[Path]:
    missing = list(itertools.takewhile(lambda path: not path.exists(), (folder, *folder.parents)))
    folder.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _hidden(place: Path, end: str) -> Path:
    return place.with_name(f".{place.name}{end}")

"""Files replaced whole: nothing half-written is ever seen under a final name. Reading them is `ba.system.reading`.

Compression goes by suffix (.bz2, .gz, .xz). What can be wrong with a path that is written is found here, one message
each, so that formats only speak of their content.
"""

import bz2
import gzip
import lzma
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from ba.errors import UserError
from ba.system.locks import is_at, lock, locked_if_stale
from ba.system.reading import kind_of, reported
from ba.system.swap import exchange

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.compress,
    ".gz": partial(gzip.compress, compresslevel=6, mtime=0),
    ".xz": partial(lzma.compress, preset=1),
}
TEMPORARY = re.compile(r"\.[0-9a-f]{8}-(?P<name>.+)")
"""Names of files that are being written, and of what is left of them where a process was killed."""


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffixes, that takes its place when the block ends well.

    On any error, Ctrl-C included, the temporary file is removed and what stood at `path` stays; what a killed process
    left of such a file goes at the next call. The content is on the disk before it takes the place. Raises UserError
    where the folder is missing or `path` is not a plain file, SystemRefusal where the system refuses (permission, disk
    full).
    """
    with reported(path, "written"):
        target = _replaceable(Path(path))
        remove_stale(target.parent, target.name)
        temporary, handle = _temporary(target)
        try:
            yield temporary
            sync(temporary)
            os.replace(temporary, target)
        finally:
            os.close(handle)
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path | str, names: Sequence[str]) -> Iterator[Path]:
    """An empty temporary folder beside `path` that takes its place when the block ends well, as `replacing` does.

    names: the files that the block writes. A folder that stands at `path` may hold no others. Where the system cannot
    exchange two folders in one step, the files are replaced one after the other.
    """
    target = _replaceable_folder(Path(path), names)
    with reported(path, "written"):
        remove_stale(target.parent, target.name)
        temporary, handle = _temporary(target, _new_folder)
    try:
        with reported(path, "written"):
            yield temporary
            for name in names:
                sync(temporary / name)
            sync(temporary)
            if not target.exists():
                os.rename(temporary, target)
            elif not exchange(temporary, target):
                for name in names:
                    os.replace(temporary / name, target / name)
            sync(target.parent)
    finally:
        os.close(handle)
        remove(temporary)


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)


def _new_folder(path: Path) -> int:
    while True:
        path.mkdir()
        with suppress(FileNotFoundError):  # taken for a left one before it was opened
            return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _temporary(target: Path, make: Callable[[Path], int] = _new_file) -> tuple[Path, int]:
    """What `make` makes and opens beside `target`, and a handle that locks it, so that nobody takes it for a left
    one."""
    while True:
        path = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
        handle = make(path)
        try:
            lock(handle)
            if is_at(path, handle):
                return path, handle
        except BaseException:
            os.close(handle)
            remove(path)
            raise
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_stale(folder: Path, name: str | None = None) -> None:
    """Remove temporary files and folders that killed processes left of `name`, or of any name, in a folder."""
    for entry in os.listdir(folder):
        match = TEMPORARY.fullmatch(entry)
        if match and name in (None, match["name"]) and (handle := locked_if_stale(folder / entry)) is not None:
            try:
                remove(folder / entry)
            finally:
                os.close(handle)


def sync(path: Path) -> None:
    """What was written to a file, or into a folder, is on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file by `content`, compressed by suffix. Raises UserError like `replacing`."""
    suffix = Path(path).suffix
    with replacing(path) as temporary:
        temporary.write_bytes(COMPRESSORS[suffix](content) if suffix in COMPRESSORS else content)


def _replaceable(path: Path) -> Path:
    """The file behind `path`, links followed, if a plain file may be put there."""
    target = path.resolve()
    if target.exists() and (kind := kind_of(target.stat())):
        raise UserError(f"{path}: is {kind}, the name of a plain file is expected")
    if not target.parent.is_dir():
        raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    return target


def _replaceable_folder(path: Path, names: Sequence[str]) -> Path:
    """The folder behind `path`, links followed, if one of these files may be put there."""
    with reported(path, "written"):
        target = path.resolve()
        if target.exists() and not target.is_dir():
            raise UserError(f"{path}: is a file, the name of a folder is expected")
        if not target.parent.is_dir():
            raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
        others = sorted(set(os.listdir(target)) - {*names}) if target.exists() else []
        if others:
            raise UserError(f"{path}: holds {others[0]} too, which would be lost; the name of another folder is right")
    return target

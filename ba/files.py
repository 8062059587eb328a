"""Files replaced whole: nothing half-written is ever seen under a final name. Reading them is `ba.reading`.

Compression goes by suffix (.bz2, .gz, .xz). What can be wrong with a path is found here and nowhere else, one message
each, so that formats only speak of their content.
"""

import bz2
import gzip
import lzma
import os
import secrets
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ba.errors import UserError
from ba.reading import DECOMPRESSORS, existing_file, read_bytes, read_text, sha256

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.compress,
    ".gz": partial(gzip.compress, compresslevel=6, mtime=0),
    ".xz": partial(lzma.compress, preset=1),
}


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffixes, that takes its place when the block ends well.

    On any error, Ctrl-C included, the temporary file is removed and what stood at `path` stays. Raises UserError where
    the folder is missing, `path` is not a plain file, or the system refuses (permission, disk full).
    """
    target = _replaceable(Path(path))
    temporary = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
    try:
        with _reported(path, "written"):
            yield temporary
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file by `content`, compressed by suffix. Raises UserError like `replacing`."""
    suffix = Path(path).suffix
    with replacing(path) as temporary:
        temporary.write_bytes(COMPRESSORS[suffix](content) if suffix in COMPRESSORS else content)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C is not heard until the block is done, so that files that belong together are all written."""
    if threading.current_thread() is not threading.main_thread():  # which alone hears it
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _reported(path: Path | str, action: str) -> Iterator[None]:
    """The system's refusals as one message that names the path."""
    try:
        yield
    except PermissionError as error:
        raise UserError(
            f"{path}: cannot be {action}, permission denied; check the owner and mode of it and of its folder"
        ) from error
    except OSError as error:
        raise UserError(f"{path}: cannot be {action}: {error.strerror or error}") from error


def _replaceable(path: Path) -> Path:
    """The file behind `path`, links followed, if a plain file may be put there."""
    with _reported(path, "written"):
        target = path.resolve()
        if target.is_dir():
            raise UserError(f"{path}: is a folder, the name of a file is expected")
        if target.exists() and not target.is_file():
            raise UserError(f"{path}: is a device or a pipe, the name of a plain file is expected")
        if not target.parent.is_dir():
            raise UserError(f"{path}: the folder {path.parent} does not exist; create it first")
    return target


__all__ = [
    "COMPRESSORS",
    "DECOMPRESSORS",
    "existing_file",
    "read_bytes",
    "read_text",
    "replacing",
    "sha256",
    "uninterrupted",
    "write_bytes",
]

"""Files read whole and replaced whole: nothing half-written is ever seen under a final name.

Compression goes by suffix (.bz2, .gz, .xz). What can be wrong with a path is found here and nowhere else, one message
each, so that formats only speak of their content.
"""

import bz2
import difflib
import gzip
import hashlib
import lzma
import os
import secrets
import signal
import stat
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ba.errors import UserError

DECOMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.decompress,
    ".gz": gzip.decompress,
    ".xz": lzma.decompress,
}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    ".bz2": bz2.compress,
    ".gz": partial(gzip.compress, compresslevel=6, mtime=0),
    ".xz": partial(lzma.compress, preset=1),
}
CORRUPT = (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError)


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


def existing_file(path: Path | str) -> Path:
    """`path` as a Path. Raises UserError where nothing is there (with the closest name that is) or it is a folder."""
    path = Path(path)
    with _reported(path, "read"):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):
            raise UserError(f"{path}: no such file{_suggestion(path)}") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder, a file is expected")
    return path


def read_bytes(path: Path | str) -> bytes:
    """The content, decompressed by suffix. Raises UserError where it cannot be read, is empty or corrupt."""
    path = existing_file(path)
    with _reported(path, "read"):
        content = path.read_bytes()
    if content and path.suffix in DECOMPRESSORS:
        try:
            content = DECOMPRESSORS[path.suffix](content)
        except CORRUPT as error:
            raise UserError(
                f"{path}: not a whole {path.suffix} archive ({error}); fetch or compress it again"
            ) from error
    if not content:
        raise UserError(f"{path}: the file is empty")
    return content


def read_text(path: Path | str) -> str:
    """The content as UTF-8 text, decompressed by suffix. Raises UserError like `read_bytes`, and for binary content."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8 text; a text file is expected"
        ) from error


def write_bytes(path: Path | str, content: bytes) -> None:
    """Replace the file by `content`, compressed by suffix. Raises UserError like `replacing`."""
    suffix = Path(path).suffix
    with replacing(path) as temporary:
        temporary.write_bytes(COMPRESSORS[suffix](content) if suffix in COMPRESSORS else content)


def sha256(path: Path | str) -> str:
    """Hexadecimal digest of a file's bytes as they lie on the disk, or of a folder's relative names and digests."""
    path = Path(path)
    with _reported(path, "read"):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            lines = "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
            return hashlib.sha256(lines.encode()).hexdigest()
        with existing_file(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


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


def _suggestion(path: Path) -> str:
    if path.is_symlink():
        return f"; it is a link to {path.readlink()}, which does not exist"
    if not path.parent.is_dir():
        return f", nor is there a folder {path.parent}"
    names = [entry.name for entry in path.parent.iterdir()]
    closest = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(closest[0])}?" if closest else ""

"""Files read whole and replaced whole: nothing half-written is ever seen under a final name.

Compression goes by suffix (.bz2, .gz, .xz). What can be wrong with a path is found here and nowhere else, one message
each, so that formats only speak of their content.
"""

import bz2
import difflib
import errno
import gzip
import hashlib
import lzma
import os
import re
import secrets
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from ba.errors import SystemRefusal, UserError
from ba.locks import is_at, lock, locked_if_stale

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
TEMPORARY = re.compile(r"\.[0-9a-f]{8}-(?P<name>.+)")
"""Names of files that are being written, and of what is left of them where a process was killed."""
MISPLACED = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system answers where a path is not what it should be: that is for the user to mend."""
SHORT = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What it answers where it cannot even read."""
CORRUPT = (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffixes, that takes its place when the block ends well.

    On any error, Ctrl-C included, the temporary file is removed and what stood at `path` stays; what a killed process
    left of such a file goes at the next call. The content is on the disk before it takes the place. Raises UserError
    where the folder is missing or `path` is not a plain file, SystemRefusal where the system refuses (permission, disk
    full).
    """
    target = _replaceable(Path(path))
    with reported(path, "written"):
        remove_stale(target.parent, target.name)
        temporary, handle = _temporary(target)
    try:
        with reported(path, "written"):
            yield temporary
            sync(temporary)
            os.replace(temporary, target)
    finally:
        os.close(handle)
        temporary.unlink(missing_ok=True)


def _temporary(target: Path) -> tuple[Path, int]:
    """An empty file beside `target`, and a handle that locks it, so that nobody takes it for a left one."""
    while True:
        path = target.with_name(f".{secrets.token_hex(4)}-{target.name}")
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            lock(handle)
            if is_at(path, handle):
                return path, handle
        except BaseException:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        os.close(handle)


def remove_stale(folder: Path, name: str | None = None) -> None:
    """Remove temporary files that killed processes left of `name`, or of any file, in a folder."""
    with os.scandir(folder) as entries:
        found = [entry.path for entry in entries if (match := TEMPORARY.fullmatch(entry.name))
                 and name in (None, match["name"])]  # fmt: skip
    for path in found:
        handle = locked_if_stale(Path(path))
        if handle is not None:
            try:
                os.unlink(path)
            finally:
                os.close(handle)


def sync(path: Path) -> None:
    """What was written to a file, or into a folder, is on the disk when this returns."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def existing_file(path: Path | str) -> Path:
    """`path` as a Path. Raises UserError where nothing is there (with the closest name that is) or it is a folder."""
    path = Path(path)
    with reported(path, "read"):
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
    with reported(path, "read"):
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
    with reported(path, "read"):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.is_file())
            lines = "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
            return hashlib.sha256(lines.encode()).hexdigest()
        with existing_file(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def reported(path: Path | str, action: str) -> Iterator[None]:
    """The system's refusals as one message that names the path. action: `read`, `written` or the like.

    Raises UserError where something is wrong with the path, or it may not be read; SystemRefusal for all else.
    """
    try:
        yield
    except PermissionError as error:
        refusal = UserError if action == "read" else SystemRefusal
        raise refusal(
            f"{path}: cannot be {action}, permission denied; check the owner and mode of it and of its folder"
        ) from error
    except OSError as error:
        mendable = error.errno in MISPLACED or (action == "read" and error.errno not in SHORT)
        refusal = UserError if mendable else SystemRefusal
        raise refusal(f"{path}: cannot be {action}: {error.strerror or error}") from error


def _replaceable(path: Path) -> Path:
    """The file behind `path`, links followed, if a plain file may be put there."""
    with reported(path, "written"):
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

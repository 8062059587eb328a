"""Files read whole, and never more than a file of its kind can hold.

What can be wrong with a path is found here and nowhere else, one message each, so that formats only speak of their
content. A file is opened without waiting and what it is, is asked of the open descriptor: nothing can be put in its
place in between, and a pipe or a device that never ends is refused at once. Compression goes by suffix (.bz2, .gz,
.xz) and is undone piece by piece, so that a small archive cannot fill the memory.
"""

import bz2
import codecs
import difflib
import errno
import hashlib
import lzma
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BufferedReader
from pathlib import Path
from typing import Any

from ba.errors import SystemRefusal, UserError
from ba.system import limits
from ba.system.words import in_bytes

MAX_CONFIGURATION = 1_000_000
"""Bytes of the largest configuration; the longest list of anything in one is far shorter."""
MAX_RATIO = 100
"""Numbers as text shrink to a tenth at most, and arrays less: what shrank to a hundredth is made to fill a memory."""
ALWAYS_UNPACKED = 1 << 24
"""Bytes that any archive may yield, whatever its own size: a few kB of zeros are harmless."""
DICTIONARY = 1 << 27
"""Bytes that the decoder of .xz may ask for; the strongest preset of xz, -9, asks for half of it."""
PIECE = 1 << 10
"""Bytes unpacked at a time. The worst, 45 bytes of bzip2, become 900 kB, so that a piece stays below 21 MB."""

DECOMPRESSORS: dict[str, Callable[[], Any]] = {
    ".bz2": bz2.BZ2Decompressor,
    ".gz": partial(zlib.decompressobj, 16 + zlib.MAX_WBITS),
    ".xz": partial(lzma.LZMADecompressor, memlimit=DICTIONARY),
}
TOOLS = {".bz2": "bzip2", ".gz": "gzip", ".xz": "xz"}
MISPLACED = (errno.ENOENT, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)
"""What the system answers where a path is not what it should be: that is for the user to mend."""
SHORT = (errno.EIO, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""What it answers where it cannot even read."""
CORRUPT = (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError)

OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
KINDS = {"d": "a folder", "p": "a pipe", "c": "a device", "b": "a device", "s": "a socket"}
"""By the letter that `ls -l` has for them."""


def existing_file(path: Path | str, piped: bool = False) -> Path:
    """`path` as a Path. Raises UserError where nothing is there (with the closest name that is), or no plain file.

    piped: whether it may also be a pipe or a device.
    """
    path = Path(path)
    with reported(path, "read"):
        _check_kind(path, _status(path), piped)
    return path


def existing_folder(path: Path | str) -> Path:
    """`path` as a Path. Raises UserError where nothing is there (with the closest name that is), or no folder."""
    path = Path(path)
    with reported(path, "read"):
        status = _status(path)
    if not stat.S_ISDIR(status.st_mode):
        raise UserError(f"{path}: is a file, a folder is expected")
    return path


@contextmanager
def opened(path: Path | str, piped: bool = False) -> Iterator[BufferedReader]:
    """The bytes of a plain file, or also of a pipe or device if `piped`. Raises UserError like `existing_file`."""
    path = existing_file(path, piped)
    with reported(path, "read"), open(os.open(path, OPEN), "rb") as file:
        _check_kind(path, os.fstat(file.fileno()), piped)
        if piped and file.isatty():
            raise UserError(f"{path}: is a terminal, a file or a pipe is expected")
        os.set_blocking(file.fileno(), True)  # opening must not wait for a writer, reading must
        yield file


def read_bytes(path: Path | str) -> bytes:
    """The content, decompressed by suffix.

    Raises UserError where it cannot be read, is empty or corrupt, or is or becomes larger than can be meant.
    """
    path = Path(path)
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if path.suffix in DECOMPRESSORS:
            content = _unpacked(path, file, min(max(MAX_RATIO * size, ALWAYS_UNPACKED), _half_the_memory()))
        elif size > _half_the_memory():
            raise UserError(f"{path}: {in_bytes(size)}, more than half of this machine's memory; a part of it is right")
        else:
            content = file.read(size)
    return _not_empty(path, content)


def read_text(path: Path | str) -> str:
    """The content as UTF-8 text, decompressed by suffix. Raises UserError like `read_bytes`, and for binary content."""
    return _text(path, read_bytes(path))


def read_configuration(path: Path | str) -> str:
    """The text of a configuration, which may also come through a pipe or from /dev/stdin.

    Raises UserError like `read_text`, and where there is more than a configuration can be.
    """
    path = Path(path)
    with opened(path, piped=True) as file:
        if path.suffix in DECOMPRESSORS:
            content = _unpacked(path, file, MAX_CONFIGURATION)
        else:
            content = file.read(MAX_CONFIGURATION + 1)
    return configuration_text(path, content)


def configuration_text(name: Path | str, content: bytes) -> str:
    """The text in the content of a configuration. name: what messages begin with."""
    if len(content) > MAX_CONFIGURATION:
        raise UserError(f"{name}: larger than {MAX_CONFIGURATION // 1_000_000} MB, too large for a configuration")
    return _text(name, _not_empty(name, content))


def lines(text: str) -> Iterator[tuple[int, str]]:
    """Number, from 1, and text of each line; unlike `splitlines`, only at line feeds."""
    return enumerate(text.split("\n"), 1)


def number(word: str) -> float:
    """The number that a word writes in any language. Raises ValueError for others, Python's own 1_000 included."""
    return float(word.replace("_", "?"))


def sha256(path: Path | str, names: Sequence[str] = ()) -> str:
    """Hexadecimal digest of a file's bytes as they lie on the disk, or of a folder's relative names and digests.

    names: the files of a folder that count, all of them if not given.
    """
    path = Path(path)
    if path.is_dir():
        found = [path / name for name in names] if names else path.rglob("*")
        files = sorted(file for file in found if file.is_file())
        listing = "".join(f"{sha256(file)}  {file.relative_to(path).as_posix()}\n" for file in files)
        return hashlib.sha256(listing.encode()).hexdigest()
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(path: Path, file: BufferedReader, limit: int) -> bytes:
    """What the archive holds: its streams one after the other, at most `limit` bytes in all."""
    parts, size = [], 0
    stream: Any = None
    try:
        for piece in iter(partial(file.read, PIECE), b""):
            while piece := piece if stream and not stream.eof else piece.lstrip(b"\0"):  # zeros may stand between
                if stream is None or stream.eof:
                    stream = DECOMPRESSORS[path.suffix]()
                parts.append(stream.decompress(piece))
                size += len(parts[-1])
                piece = stream.unused_data
            if size > limit:
                sizes = f"{in_bytes(os.fstat(file.fileno()).st_size)} that unpack to more than {in_bytes(limit)}"
                tool = f"{TOOLS[path.suffix]} --decompress --keep {path.name}"
                right = f"which is too large to be what is expected here; if it is, unpack it first: {tool}"
                raise UserError(f"{path}: {sizes}, {right}")
        if stream is not None and not stream.eof:
            raise EOFError("it ends before its end is marked")
    except CORRUPT as error:
        raise UserError(f"{path}: not a whole {path.suffix} archive ({error}); fetch or compress it again") from error
    return b"".join(parts)


def _half_the_memory() -> int:
    """Bytes; what is read is held at least twice, as it lies in the file and as numbers."""
    most = limits.most_in_memory()
    return 1 << 34 if most is None else most // 2


def _not_empty(path: Path | str, content: bytes) -> bytes:
    if not content:
        raise UserError(f"{path}: is empty")
    return content


def _text(path: Path | str, content: bytes) -> str:
    try:
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        line, byte = content.count(b"\n", 0, error.start) + 1, f"byte 0x{error.object[error.start]:02x}"
        raise UserError(f"{path}, line {line}: {byte} is not UTF-8 text; a text file is expected") from error


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise UserError(f"{path}: no such file{_suggestion(path)}") from None


def kind_of(status: os.stat_result) -> str | None:
    """What stands there in words, None for a plain file."""
    letter = stat.filemode(status.st_mode)[0]
    return None if letter == "-" else KINDS.get(letter, "no plain file")


def _check_kind(path: Path, status: os.stat_result, piped: bool) -> None:
    kind = kind_of(status)
    if kind and not (piped and (stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode))):
        raise UserError(f"{path}: is {kind}, a file is expected")


def _suggestion(path: Path) -> str:
    if path.is_symlink():
        return f"; it is a link to {path.readlink()}, which does not exist"
    if not path.parent.is_dir():
        return f", nor is there a folder {path.parent}"
    names = [entry.name for entry in path.parent.iterdir()]
    closest = difflib.get_close_matches(path.name, names, n=1)
    return f"; did you mean {path.with_name(closest[0])}?" if closest else ""


@contextmanager
def reported(path: Path | str, action: str) -> Iterator[None]:
    """The system's refusals as one message that names the path. action: `read`, `written` or the like.

    Raises UserError where something is wrong with the path, or it may not be read; SystemRefusal for all else.
    """
    try:
        yield
    except OSError as error:
        mendable = error.errno in MISPLACED or (action == "read" and error.errno not in SHORT)
        refusal = UserError if mendable else SystemRefusal
        reason = f": {error.strerror or error}"
        if isinstance(error, PermissionError):
            reason = ", permission denied; check the owner and mode of it and of its folder"
        raise refusal(f"{path}: cannot be {action}{reason}") from error

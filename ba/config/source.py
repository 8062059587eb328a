"""Where a configuration comes from: a file, standard input or another open pipe, or a data file in its place.

Only text becomes data here, and no value is checked, so that what only looks into a file need not import pydantic.
"""

import os
import re
import stat
import sys
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from ba.config.yamltext import Key, dotted, parse
from ba.errors import UserError
from ba.system.files import COMPRESSORS
from ba.system.reading import MAX_CONFIGURATION, read_configuration
from ba.system.words import shown

SHORTEST = "data: {path: FILE}"

STANDARD_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})
OPEN_FILE = re.compile(r"/(?:dev|proc/self)/fd/([0-9]{1,9})")
"""What a shell puts in the place of `<(command)`: an open pipe by its number."""
BEGINNING = re.compile(rb"(?:\xef\xbb\xbf|\s|#[^\n]*\n|---[^\n]*\n)*['\"A-Za-z_{]")
"""How a YAML file of keys begins; data files that are text begin with a number."""


class Location(NamedTuple):
    """Where a key stands, in words (a file and line, or an override), and the folder where its relative paths start."""

    name: str
    folder: Path


Locations = dict[Key, Location]


def read(path: Path | str) -> tuple[dict[str, Any], Locations]:
    """The data of a file or of standard input (`-`), and the place of every key in it. Raises UserError where it is no
    YAML of keys."""
    path, name, folder = Path(path), name_of(path), folder_of(path)
    try:
        data, lines = parse(text_of(path), name)
        if data is None:
            raise UserError(f"{name}: no key is given; the shortest configuration is `{SHORTEST}`")
        if not isinstance(data, dict):
            raise UserError(f"{name}: {shown(data)} found, lines `key: value` expected, at least `{SHORTEST}`")
    except UserError as error:
        if path.suffix in (".yaml", ".yml") or not path.is_file():
            raise
        hint = f"a .yaml file with only `data: {{path: {path.name}}}` is a complete configuration"
        raise UserError(f"{error}; if this is a data file: {hint}") from error
    locations = {key: Location(f"{name}, line {line}", folder) for key, line in lines.items()}
    return data, locations | {(): Location(name, folder)}


def fault(locations: Locations, key: Key, message: str) -> UserError:
    """What to raise for a key, with its place."""
    return UserError(f"{location_of(locations, key).name}: {dotted(key)}: {message}")


def location_of(locations: Locations, key: Key) -> Location:
    """The place of a key, or of the nearest section around it."""
    while key not in locations:
        key = key[:-1]
    return locations[key]


def name_of(path: Path | str) -> str:
    """What messages call it."""
    return "standard input" if str(path) in STANDARD_INPUT else str(path)


def folder_of(path: Path | str) -> Path:
    """Where its relative paths start: its own folder, or the working folder of what is no file."""
    return Path.cwd() if _descriptor(path) is not None else Path(path).parent


def text_of(path: Path | str) -> str:
    """The text. Raises UserError where it cannot be read, is empty, longer than MAX_CONFIGURATION, or no UTF-8 text."""
    descriptor = _descriptor(path)
    if descriptor is not None:
        return _piped(descriptor, name_of(path))
    return read_configuration(path)


def is_data(path: Path | str) -> bool:
    """Whether it is data: a file whose name is that of a format that can be read, and that does not begin as YAML does,
    or a folder of such a format."""
    path = Path(path)
    if _descriptor(path) is not None or not (path.is_file() or path.is_dir()):
        return False
    io = import_module("ba.io")
    if io.known_format(path) not in io.READERS:
        return False
    if path.is_dir():
        return True
    with path.open("rb") as file:
        head = file.read(4096)
    return path.suffix in COMPRESSORS or b"\0" in head or not BEGINNING.match(head)


def _descriptor(path: Path | str) -> int | None:
    """The number of the open file that the path stands for, None for a file by name."""
    if str(path) in STANDARD_INPUT:
        return 0
    found = OPEN_FILE.fullmatch(str(path))
    return int(found[1]) if found else None


def _piped(descriptor: int, name: str) -> str:
    try:
        if descriptor == 0 and sys.stdin is None:
            raise UserError(f"{name}: is closed; give a configuration, as in `ba run - < config.yaml`")
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise UserError(f"{name}: is a folder, a configuration is expected")
        status = os.fstat(descriptor)
        content = _read_once(descriptor, status.st_dev, status.st_ino)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_CONFIGURATION:
        raise _too_large(name)
    if not content.strip():
        raise UserError(f"{name}: is empty, a configuration is expected")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8 text; a configuration is expected") from error


@cache
def _read_once(descriptor: int, device: int, inode: int) -> bytes:
    """At most one byte more than is allowed. A pipe can be read only once, and its kind is asked before its keys."""
    pieces, missing = [], MAX_CONFIGURATION + 1
    while missing > 0 and (piece := os.read(descriptor, missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def _too_large(name: str) -> UserError:
    return UserError(f"{name}: larger than {MAX_CONFIGURATION // 1_000_000} MB, too large for a configuration")

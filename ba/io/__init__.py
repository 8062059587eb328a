"""File formats: one file each, which converts to the conventions of `ba.model.problem` when it reads and back when it
writes.

To add a format: write one file with `read(path) -> Problem` and / or `write(problem, path)` (raising UserError that
names file, line and reason; writing through `ba.system.files`), and add one line to `FORMATS`. Tests and configuration
walk the registries.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ba.errors import UserError
from ba.io import bal, npz, ply
from ba.model.problem import Problem
from ba.system.files import COMPRESSORS
from ba.system.reading import existing_file


@dataclass(frozen=True)
class Format:
    """How to read and write a format (None: cannot), and the suffixes by which it is known, compression left out."""

    read: Callable[[Path], Problem] | None
    write: Callable[[Problem, Path], None] | None
    suffixes: tuple[str, ...]


FORMATS: dict[str, Format] = {
    "bal": Format(bal.read, bal.write, (".txt",)),
    "ply": Format(None, ply.write, (".ply",)),
    "synthetic": Format(npz.read, npz.write, (".npz",)),
}
READERS = {name: entry.read for name, entry in FORMATS.items() if entry.read}
WRITERS = {name: entry.write for name, entry in FORMATS.items() if entry.write}


YAML_START = re.compile(rb"(?:\xef\xbb\xbf|\s|#[^\n]*\n|---[^\n]*\n)*['\"A-Za-z_{]")
"""How a YAML file of keys begins; data files that are text begin with a number."""


def is_data(path: Path | str) -> bool:
    """Whether it is a data file: its name is that of a format that can be read, and it does not begin as YAML does."""
    path = Path(path)
    if not path.is_file() or _format_of(path) not in READERS:
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return path.suffix in COMPRESSORS or b"\0" in head or not YAML_START.match(head)


def _format_of(path: Path) -> str | None:
    suffix = (path.with_suffix("") if path.suffix in COMPRESSORS else path).suffix
    return next((name for name, entry in FORMATS.items() if suffix in entry.suffixes), None)


def guess_format(path: Path | str) -> str:
    """The name of the format that has this path's suffix. Raises UserError where none has."""
    name = _format_of(Path(path))
    if name is not None:
        return name
    suffixes = ", ".join(f"{name} ({' '.join(entry.suffixes)})" for name, entry in FORMATS.items())
    raise UserError(f"{path}: the name does not tell the format; rename it or set data.format to one of: {suffixes}")


def load(path: Path | str, format: str | None = None) -> Problem:
    """Read a problem. `format` is a name of READERS, guessed if not given. Raises UserError for whatever is wrong."""
    path = existing_file(path)
    format = format or guess_format(path)
    if format not in READERS:
        raise UserError(
            f"{path}: the format {format!r} cannot be read; set data.format to one of: {', '.join(READERS)}"
        )
    return READERS[format](path)


def save(problem: Problem, path: Path | str, format: str | None = None) -> None:
    """Write a problem. `format` is a name of WRITERS, guessed if not given. Raises UserError for whatever is wrong."""
    path = Path(path)
    format = format or guess_format(path)
    if format not in WRITERS:
        raise UserError(f"{path}: the format {format!r} cannot be written; write one of: {', '.join(WRITERS)}")
    WRITERS[format](problem, path)


__all__ = ["FORMATS", "READERS", "WRITERS", "Format", "guess_format", "is_data", "load", "save"]

"""File formats: one file each, which converts to the conventions of `ba.model.problem` when it reads and back when it
writes.

To add a format: write one file with `read(path) -> Problem` and / or `write(problem, path)` (raising UserError that
names file, line and reason; writing through `ba.system.files`), and add one line to `FORMATS`. Tests and configuration
walk the registries. A format that is a folder of several files names them in its line and writes through
`ba.system.files.replacing_folder`; runs, views and checks take it as they take a file.
"""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ba.errors import UserError
from ba.io import bal, npz, ply
from ba.model.problem import Problem
from ba.system.files import COMPRESSORS
from ba.system.reading import existing_file, existing_folder, sha256


@dataclass(frozen=True)
class Format:
    """How to read and write a format (None: cannot), and how it is known.

    suffixes: of its names, compression left out; what a run writes has the first. files: empty for a format that is one
    file; else the format is a folder, and a folder that holds all of these is of the format, whatever its name.
    """

    read: Callable[[Path], Problem] | None
    write: Callable[[Problem, Path], None] | None
    suffixes: tuple[str, ...]
    files: tuple[str, ...] = ()


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
    """Whether it is data: a file whose name is that of a format that can be read, and that does not begin as YAML does,
    or a folder of such a format."""
    path = Path(path)
    if not (path.is_file() or path.is_dir()) or known_format(path) not in READERS:
        return False
    if path.is_dir():
        return True
    with path.open("rb") as file:
        head = file.read(4096)
    return path.suffix in COMPRESSORS or b"\0" in head or not YAML_START.match(head)


def known_format(path: Path | str) -> str | None:
    """The name of the format that has this path's suffix, or of which a folder there holds the files; or None."""
    path = Path(path)
    plain = (path.with_suffix("") if path.suffix in COMPRESSORS else path).suffix
    is_folder = os.path.isdir(path)
    for name, entry in FORMATS.items():
        suffix = path.suffix if entry.files else plain
        if suffix in entry.suffixes and (entry.files or not is_folder):
            return name
    for name, entry in FORMATS.items():
        if is_folder and entry.files and all(os.path.isfile(path / file) for file in entry.files):
            return name
    return None


def guess_format(path: Path | str) -> str:
    """As `known_format`. Raises UserError where there is none."""
    name = known_format(path)
    if name is not None:
        return name
    suffixes = ", ".join(f"{name} ({' '.join(entry.suffixes)})" for name, entry in FORMATS.items())
    raise UserError(f"{path}: the name does not tell the format; rename it or set data.format to one of: {suffixes}")


def load(path: Path | str, format: str | None = None) -> Problem:
    """Read a problem. `format` is a name of READERS, guessed if not given. Raises UserError for whatever is wrong."""
    path = Path(path)
    (existing_folder if _files_of(path, format) else existing_file)(path)
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


def digest(path: Path | str, format: str | None = None) -> str:
    """SHA-256 of a file, or of the files that make up a folder's format: what else lies beside them does not matter."""
    return sha256(path, _files_of(path, format))


def _files_of(path: Path | str, format: str | None) -> tuple[str, ...]:
    """The files of a format that is a folder, by its name or by the path; none for all else."""
    entry = FORMATS.get(format or known_format(path) or "")
    return entry.files if entry else ()

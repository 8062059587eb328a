"""Stanford polygon files: a result to look at, and point sets from anywhere.

Written are points in their colours, then camera centres in green, as vertices: binary little-endian, double coordinates
(world frame and units; float would lose geographic ones), 8-bit colours. A comment in the header says how many of each.

Read are the vertices' x, y and z, without trust in the header: every size is held to the bytes that are there before
anything is made of it.

    ply
    format ascii 1.0                     or binary_little_endian, binary_big_endian
    comment and obj_info lines
    element NAME COUNT                   an element after the other, as the body has them
    property TYPE NAME                   of each row, in order
    property list TYPE TYPE NAME         a count, and so many numbers
    end_header

In ascii each row is a line. What stands before the vertices is stepped over, what stands after them is not looked at.
Greg Turk, The PLY Polygon File Format (1994).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.errors import UserError
from ba.model.problem import Problem
from ba.system.files import write_bytes
from ba.system.reading import number, read_bytes

CAMERA_COLOR = (0, 255, 0)
POINT_COLOR = (160, 160, 160)
VERTEX = np.dtype([("position", "<f8", 3), ("color", "u1", 3)])
PROPERTIES = ("double x", "double y", "double z", "uchar red", "uchar green", "uchar blue")
"""Of each vertex that is written, as VERTEX has them."""

ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}
TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4",
    "int64": "i8", "uint64": "u8", "float": "f4", "double": "f8", "float32": "f4", "float64": "f8",
}  # fmt: skip
COORDINATES = ("x", "y", "z")
FIRST_LINE = re.compile(rb"ply(?:(\r)(?!\n)|\r?\n)")
MAX_PROPERTIES = 1000
"""Of all elements together; a Gaussian splat has 62."""


def write(problem: Problem, path: Path) -> None:
    """Write points and camera centres; points without colours are grey. Raises UserError like `ba.system.files`."""
    points, images = problem.num_points, problem.num_images
    colors = np.empty((points + images, 3), np.uint8)
    colors[:points] = POINT_COLOR if problem.colors is None else problem.colors
    colors[points:] = CAMERA_COLOR
    positions = np.concatenate([problem.points, problem.centers])
    write_vertices(path, positions, colors, f"comment {points} points, then {images} camera centres\n")


def write_vertices(path: Path, positions: Any, colors: Any, comment: str = "") -> None:
    """Write positions (n, 3) in colours (n, 3) or (3,), 8 bit; comment: whole lines of the header."""
    vertices = np.empty(len(positions), VERTEX)
    vertices["position"], vertices["color"] = positions, colors
    elements = "\nproperty ".join([f"element vertex {len(vertices)}", *PROPERTIES])
    header = f"ply\nformat binary_little_endian 1.0\n{comment}{elements}\nend_header\n"
    write_bytes(path, header.encode("ascii") + vertices.tobytes())


@dataclass
class Property:
    """count: the type of a list's length, or nothing for a single number."""

    name: str
    type: str
    count: str = ""


@dataclass
class Element:
    name: str
    rows: int
    properties: list[Property] = field(default_factory=list)

    @property
    def has_lists(self) -> bool:
        return any(entry.count for entry in self.properties)


@dataclass
class Header:
    """order: of bytes, nothing for ascii; body: where it begins in the file; lines: how many the header has."""

    order: str
    elements: list[Element]
    body: int
    lines: int


def read_vertices(path: Path) -> NDArray[np.float64]:
    """(n, 3) x, y and z of the vertices. Raises UserError with the file, its line or byte, and what is wrong."""
    content = read_bytes(path)
    header = _header(path, content)
    names = [element.name for element in header.elements]
    if names.count("vertex") != 1:
        raise UserError(f"{path}: the header has {names.count('vertex')} `element vertex COUNT`, one is right")
    index = names.index("vertex")
    _check_vertices(path, header.elements[index])
    return (_binary if header.order else _ascii)(path, content, header, index)


def _header(path: Path, content: bytes) -> Header:
    first = FIRST_LINE.match(content)
    if not first:
        raise UserError(f"{path}, line 1: {ascii(content[:20])[1:]} found, `ply` is the first line of a PLY file")
    newline = first[1] or b"\n"
    end = re.compile(rb"%s[ \t]*end_header[ \t\r]*?(?:%s|\Z)" % (newline, newline)).search(content)
    if not end:
        raise UserError(f"{path}: the header does not end; the line `end_header` is missing, the file may be cut short")
    order: str | None = None
    elements: list[Element] = []
    lines = content[: end.end()].decode("latin-1").rstrip().split(newline.decode())
    for line, text in enumerate(lines[1:], 2):
        words, place = text.split(maxsplit=6), f"{path}, line {line}"
        match words:
            case [] | ["comment" | "obj_info", *_]:
                continue
            case ["end_header"] if order is not None:
                break
            case ["format", name, "1.0"] if name in ORDERS and order is None:
                order = ORDERS[name]
            case ["element", name, count] if count.isascii() and count.isdigit() and len(count) < 19:
                elements.append(Element(name, int(count)))
            case ["property", *kind] if elements:
                elements[-1].properties.append(_property(place, kind))
            case _:
                raise UserError(f"{place}: {text.strip()[:60]!a} is no line of a PLY header that fits here")
    if sum(len(element.properties) for element in elements) > MAX_PROPERTIES:
        raise UserError(f"{path}: more than {MAX_PROPERTIES} properties; a set of points has x, y and z")
    return Header(order or "", elements, end.end(), len(lines))


def _property(place: str, words: list[str]) -> Property:
    match words:
        case [kind, name] if kind in TYPES:
            return Property(name, TYPES[kind])
        case ["list", count, kind, name] if kind in TYPES and TYPES.get(count, "f")[0] in "iu":
            return Property(name, TYPES[kind], TYPES[count])
    shown = ascii(" ".join(words)[:60])
    raise UserError(f"{place}: property {shown} is of no known type; there are: {', '.join(TYPES)}, and lists of them")


def _check_vertices(path: Path, vertices: Element) -> None:
    names = [entry.name for entry in vertices.properties]
    if vertices.has_lists:
        raise UserError(f"{path}: its vertices have lists; vertices of single numbers are read, among them x, y and z")
    for name in COORDINATES:
        if names.count(name) != 1:
            right = "one each of x, y, z is right"
            raise UserError(f"{path}: its vertices have {names.count(name)} properties {name}; {right}")


def _binary(path: Path, content: bytes, header: Header, index: int) -> NDArray[np.float64]:
    """index: of the vertices among the elements."""
    start, vertices = header.body, header.elements[index]
    for element in header.elements[:index]:
        start = _end_of(path, content, start, element, header.order)
    # Only coordinates need their names; others may repeat.
    names = [entry.name if entry.name in COORDINATES else f"_{i}" for i, entry in enumerate(vertices.properties)]
    kinds = [header.order + entry.type for entry in vertices.properties]
    row = np.dtype(list(zip(names, kinds, strict=True)))
    surplus = len(content) - start - vertices.rows * row.itemsize
    if surplus < 0:
        place = f"{path}, byte {len(content)}"
        raise _cut_short(place, max(len(content) - start, 0) // row.itemsize, vertices.rows)
    if surplus and index == len(header.elements) - 1:
        place = f"{path}, byte {len(content) - surplus}"
        raise UserError(f"{place}: {surplus:,} bytes follow the last of {vertices.rows:,} vertices")
    table = np.frombuffer(content, row, vertices.rows, start)
    with np.errstate(invalid="ignore"):  # NaN raises no warning here; callers that need finite points refuse it
        return np.stack([table[name].astype(np.float64) for name in COORDINATES], axis=1)


def _cut_short(place: str, complete: int, announced: int) -> UserError:
    return UserError(f"{place}: the file ends after {complete:,} of {announced:,} vertices; it is cut short")


def _end_of(path: Path, content: bytes, start: int, element: Element, order: str) -> int:
    """Where the element ends that begins at `start`."""
    steps = [
        (np.dtype(entry.count).itemsize if entry.count else 0, entry.count[:1] == "i", np.dtype(entry.type).itemsize)
        for entry in element.properties
    ]
    if not element.has_lists:
        return start + element.rows * sum(size for _, _, size in steps)
    byteorder: Any = "little" if order == "<" else "big"
    for _ in range(element.rows):
        for counted, signed, size in steps:
            length = int.from_bytes(content[start : start + counted], byteorder, signed=signed) if counted else 1
            end = start + counted + length * size
            if length < 0 or end > len(content):
                missing = f"a list of {element.name} has {length} entries, which are not there"
                raise UserError(f"{path}, byte {start + counted}: {missing}; the file is cut short or damaged")
            start = end
    return start


def _ascii(path: Path, content: bytes, header: Header, index: int) -> NDArray[np.float64]:
    """Rows are lines; empty lines are no rows. index: of the vertices among the elements."""
    vertices = header.elements[index]
    text = TextIOWrapper(BytesIO(content[header.body :]), "latin-1")
    rows = ((f"{path}, line {line}", row) for line, row in enumerate(text, header.lines + 1) if not row.isspace())
    first = min(sum(element.rows for element in header.elements[:index]), len(content))
    coordinates = _coordinates(islice(rows, first, first + vertices.rows), vertices)
    points = np.fromiter(coordinates, np.dtype((np.float64, 3)))
    if len(points) < vertices.rows:
        raise _cut_short(f"{path}, line {len(content.splitlines())}", len(points), vertices.rows)
    if index == len(header.elements) - 1 and (surplus := next(rows, None)):
        raise UserError(f"{surplus[0]}: more lines follow the last of {vertices.rows:,} vertices")
    return np.asarray(points, np.float64)


def _coordinates(rows: Iterable[tuple[str, str]], vertices: Element) -> Iterator[list[float]]:
    """x, y and z of each row of text, which comes with its place in the file."""
    names = [entry.name for entry in vertices.properties]
    columns = [names.index(name) for name in COORDINATES]
    for place, row in rows:
        words = row.split()
        if len(words) != len(names):
            raise UserError(f"{place}: {len(words)} numbers found, {len(names)} for each vertex are announced")
        try:
            yield [number(words[column]) for column in columns]
        except ValueError:
            raise UserError(f"{place}: {row.strip()[:60]!a} found, {len(names)} numbers expected") from None

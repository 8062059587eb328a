"""Arrays as `numpy.save` writes them, read without trust: its header is held to its bytes before an array is made.

    \\x93NUMPY  major minor  length of the header (2 bytes, from version 2 on 4)  header  numbers

The header is a Python dictionary, {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }, and numpy reads it by
evaluating it. Here only the three entries that plain numbers and texts need are understood; others have no use in a
file of ours. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import math
import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.errors import UserError

MAGIC = b"\x93NUMPY"
VALUE = r"""['"][^'"]*['"]|True|False|\([\dL,\s]*\)"""
ENTRY = re.compile(rf"""\s*['"](?P<key>\w+)['"]\s*:\s*(?P<value>{VALUE})\s*(,|$)""", re.ASCII)
TYPE = re.compile(r"[<>|=]?([fiu][1248]|f16|b1|U\d{1,9})")
MAX_HEADER = 10_000
"""Characters; numpy's own limit."""
MAX_DIMENSIONS = 32
LAST_CHARACTER = 0x10FFFF
SURROGATES = (0xD800, 0xDFFF)


def parse(where: str, content: bytes) -> NDArray[Any]:
    """The array in the bytes of a .npy file, in this machine's byte order and C order, a copy of its own.

    where: what a message begins with. Raises UserError for what is no such file, for arrays of other things than
    numbers, truth values and text, and for a header that asks for more or less than is there.
    """
    header, start = _header(where, content)
    kind, shape, columns_first = _described(where, header)
    expected, found = math.prod(shape) * kind.itemsize, len(content) - start
    if expected != found:
        raise UserError(f"{where}: an array of {kind} and shape {shape} has {expected:,} bytes; {found:,} are there")
    if max(shape, default=0) > len(content):  # beside a 0, where any size is nothing
        raise UserError(f"{where}: an array of shape {shape}, which holds nothing; the shape is wrong")
    array = np.frombuffer(content, kind, offset=start) if expected else np.empty(0, kind)
    array = array.reshape(shape[::-1]).T if columns_first else array.reshape(shape)
    _check_values(where, array)
    return np.array(array, kind.newbyteorder("="), order="C")


def _header(where: str, content: bytes) -> tuple[str, int]:
    """The dictionary as text, and where the numbers begin."""
    major = content[6] if content.startswith(MAGIC) and len(content) >= 10 else 0
    if major not in (1, 2, 3):
        raise UserError(f"{where}: not an array as numpy.save writes it; its first bytes are others")
    start = 10 if major == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    if length > MAX_HEADER or start + length > len(content):
        raise UserError(f"{where}: not an array as numpy.save writes it; a header of {length:,} bytes is announced")
    return content[start : start + length].decode("utf-8", "replace"), start + length


def _described(where: str, header: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Type, shape, and whether columns stand one after the other instead of rows."""
    text = header.strip()
    entries: dict[str, str] = {}
    position, end = 1, len(text) - 1
    while position < end and (entry := ENTRY.match(text, position, end)):
        entries[entry["key"]] = entry["value"]
        position = entry.end()
    whole = text[:1] == "{" and text[-1:] == "}" and not text[position:end].strip()
    if not whole or entries.keys() != {"descr", "fortran_order", "shape"}:
        shown = ascii(text if len(text) <= 100 else text[:100] + "...")
        raise UserError(f"{where}: the header {shown} does not describe an array of numbers")
    sizes = [int(size.rstrip("L")) for size in re.split(r"[\s,]+", entries["shape"].strip("()")) if size.strip("L")]
    if len(sizes) > MAX_DIMENSIONS:
        raise UserError(f"{where}: an array of {len(sizes)} dimensions; {MAX_DIMENSIONS} are the most")
    return _type(where, entries["descr"][1:-1]), tuple(sizes), entries["fortran_order"] == "True"


def _type(where: str, name: str) -> np.dtype[Any]:
    if not TYPE.fullmatch(name) or name.lstrip("<>|=") in ("f1", "U0"):
        raise UserError(f"{where}: elements of type {name[:40]!r} found; real numbers, truth values or text are right")
    return np.dtype(name)


def _check_values(where: str, array: NDArray[Any]) -> None:
    """Bytes that are no truth value and no character would go on as something that Python does not know."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise UserError(f"{where}: a truth value is neither 0 nor 1; the array is damaged")
    if array.dtype.kind == "U" and array.size:
        codes = np.frombuffer(array.tobytes(), np.dtype(np.uint32).newbyteorder(array.dtype.byteorder))
        low, high = SURROGATES
        if ((codes > LAST_CHARACTER) | ((codes >= low) & (codes <= high))).any():
            raise UserError(f"{where}: a text holds what is no character; the array is damaged")

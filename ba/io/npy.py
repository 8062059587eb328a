"""Arrays as `numpy.save` writes them, read without trust: its header is held to its bytes before an array is made.

    \\x93NUMPY  major minor  length of the header (2 bytes, from version 2 on 4)  header  numbers

The header is a Python dictionary, {'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }. Files of ours hold plain
numbers and texts alone, so other types are refused.
https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import ast
import math
import re
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.errors import UserError

MAGIC = b"\x93NUMPY"
TYPE = re.compile(r"[<>|=]?([fiu][248]|[iu]1|f16|b1|U[1-9]\d{0,8})")
MAX_HEADER = 10_000
"""Characters; numpy's own limit, below which `ast.literal_eval` fails without a crash."""


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
    try:
        view: NDArray[Any] = np.ndarray(shape, kind, content, start, order="F" if columns_first else "C")
    except (ValueError, OverflowError) as error:
        raise UserError(f"{where}: an array of shape {shape}: {error}") from error
    array = np.array(view, kind.newbyteorder("="), order="C")
    _check_values(where, array)
    return array


def _header(where: str, content: bytes) -> tuple[str, int]:
    """The dictionary as text, and where the numbers begin."""
    major = content[6] if content.startswith(MAGIC) and len(content) >= 10 else 0
    if major not in (1, 2, 3):
        raise UserError(f"{where}: not an array as numpy.save writes it; its first bytes are others")
    start = 10 if major == 1 else 12
    length = int.from_bytes(content[8:start], "little")
    if length > MAX_HEADER or start + length > len(content):
        raise UserError(f"{where}: not an array as numpy.save writes it; a header of {length:,} bytes is announced")
    return content[start : start + length].decode("utf-8", "replace").strip(), start + length


def _described(where: str, header: str) -> tuple[np.dtype[Any], tuple[int, ...], bool]:
    """Type, shape, and whether columns stand one after the other instead of rows."""
    try:
        entries = ast.literal_eval(header)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        entries = None
    match entries:
        case {"descr": str(name), "fortran_order": bool(columns_first), "shape": tuple(shape)} if len(
            entries
        ) == 3 and all(type(size) is int and size >= 0 for size in shape):
            if not TYPE.fullmatch(name):
                right = "real numbers, truth values or text are right"
                raise UserError(f"{where}: elements of type {name[:40]!r} found; {right}")
            return np.dtype(name), shape, columns_first
    shown = ascii(header if len(header) <= 100 else header[:100] + "...")
    raise UserError(f"{where}: the header {shown} does not describe an array of numbers")


def _check_values(where: str, array: NDArray[Any]) -> None:
    """Refuse bytes that are no truth value and no character: Python has nothing that they could stand for."""
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise UserError(f"{where}: a truth value is neither 0 nor 1; the array is damaged")
    if array.dtype.kind == "U":
        try:
            array.tobytes().decode(f"utf-32-{sys.byteorder[0]}e")
        except UnicodeDecodeError:
            raise UserError(f"{where}: a text holds what is no character; the array is damaged") from None

"""Arrays as `numpy.save` writes them, read without trust: the header is held to its bytes before an array is made, and
nothing but numbers, truth values and text is read.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
"""

import io
import math
import sys
import warnings
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from ba.errors import UserError
from ba.system.words import printable

FAULTS = (ArithmeticError, LookupError, MemoryError, RuntimeError, SyntaxError, TypeError, ValueError, TokenError)
"""What numpy raises on headers that are damaged or made to do harm; it evaluates literals alone, of 10,000 characters
at most."""


def parse(where: str, content: bytes) -> NDArray[Any]:
    """The array in the bytes of a .npy file, in this machine's byte order and C order, a copy of its own.

    where: what a message begins with. Raises UserError for what is no such file, for arrays of other things than
    numbers, truth values and text, and for a header that asks for more or less than is there.
    """
    file = io.BytesIO(content)
    try:
        with warnings.catch_warnings(action="ignore"):
            first = npy_format.read_magic(file) == (1, 0)
            read_header = npy_format.read_array_header_1_0 if first else npy_format.read_array_header_2_0
            shape, columns_first, kind = read_header(file)
        expected, found = math.prod(shape) * kind.itemsize, len(content) - file.tell()
        if kind.kind not in "fiubU" or kind.itemsize == 0:
            right = "real numbers, truth values or text are right"
            raise UserError(f"{where}: elements of type {kind.str!r} found; {right}")
        if expected != found:
            sizes = f"{expected:,} bytes; {found:,} are there"
            raise UserError(f"{where}: an array of {kind} and shape {shape} has {sizes}")
        view: NDArray[Any] = np.ndarray(shape, kind, content, file.tell(), order="F" if columns_first else "C")
    except FAULTS as error:
        raise UserError(f"{where}: not an array as numpy.save writes it; {printable(str(error)[:100])}") from error
    array = np.array(view, kind.newbyteorder("="), order="C")
    if array.dtype.kind == "b" and (array.view(np.uint8) > 1).any():
        raise UserError(f"{where}: a truth value is neither 0 nor 1; the array is damaged")
    if array.dtype.kind == "U":
        try:
            array.tobytes().decode(f"utf-32-{sys.byteorder[0]}e")
        except UnicodeDecodeError:
            raise UserError(f"{where}: a text holds what is no character; the array is damaged") from None
    return array

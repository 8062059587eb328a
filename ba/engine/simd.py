"""T += Y^T X and T -= Y^T X for small blocks, with rows of T and all of X in vector registers.

LLVM's own vectorizer cannot: it must assume that T overlaps X, and reloads X for each row. On rows of nine numbers that
is 52 ns for T -= Y^T X of three rows each, against 20 ns here. Python's version of each function is what it means, and
what runs where compilation is switched off; `overload` puts vector instructions in its place.
"""

from collections.abc import Iterator
from itertools import product
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

WIDEST = 4
"""Numbers of a vector: the machine's own width, since LLVM splits wider ones badly (48 ns)."""

ROWS = HELD = 3
"""Rows of X, and vectors of each, that are held at a time: nine leave room for the rest in 16 registers."""


def lanes(width: int) -> tuple[int, ...]:
    """A tuple of this length: how a width reaches the compiler, which knows a tuple's length and no array's."""
    return (0,) * width


def add_outer(T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any) -> None:
    """T[:h, :w] += Y^T X for the first rows of Y (.., h) and X (.., w).

    T, Y and X are read as rows of w, h and w numbers that follow each other in memory, whatever their shapes; Y and X
    may also be views of some columns of a wider array. rows, height, width: tuples of `lanes`, or literals.
    """
    T = _rows(T, height, width)
    T += _rows(Y, rows, height).T @ _rows(X, rows, width)


def subtract_outer(T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any) -> None:
    """T[:h, :w] -= Y^T X, as `add_outer`."""
    T = _rows(T, height, width)
    T -= _rows(Y, rows, height).T @ _rows(X, rows, width)


def add_square(T: Any, X: Any, rows: Any, width: Any) -> None:
    """T[:w, :w] += X^T X on and below the diagonal; what stands above it is not defined. Otherwise as `add_outer`."""
    add_outer(T, X, X, rows, width, width)


def subtract_square(T: Any, X: Any, rows: Any, width: Any) -> None:
    """T[:w, :w] -= X^T X, as `add_square`."""
    subtract_outer(T, X, X, rows, width, width)


def _rows(array: Any, rows: Any, width: Any) -> Any:
    """A view of (rows, width) numbers."""
    high, wide = (extent if isinstance(extent, int) else len(extent) for extent in (rows, width))
    if array.flags.c_contiguous:
        return array.reshape(-1)[: high * wide].reshape(high, wide)
    return array[:high, :wide]


def _sizes(*extents: Any) -> tuple[int, ...]:
    return tuple(getattr(kind, "literal_value", None) or len(kind) for kind in extents)


def _outer_product(sign: int) -> Any:
    def implementation(T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any) -> Any:
        number, high, wide = _sizes(rows, height, width)
        return lambda T, Y, X, rows, height, width: _outer(T, Y, X, number, high, wide, sign, 0)

    return implementation


def _square(sign: int) -> Any:
    def implementation(T: Any, X: Any, rows: Any, width: Any) -> Any:
        number, wide = _sizes(rows, width)
        return lambda T, X, rows, width: _outer(T, X, X, number, wide, wide, sign, 1)

    return implementation


# Inlined, because a call passes 33 numbers: 39 ns with one, 20 ns without.
for function, compiled in (
    (add_outer, _outer_product(1)),
    (subtract_outer, _outer_product(-1)),
    (add_square, _square(1)),
    (subtract_square, _square(-1)),
):
    overload(function, {"forceinline": True}, strict=False, prefer_literal=True)(compiled)


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _outer(
    typing: Any, T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any, sign: Any, lower: Any
) -> Any:  # fmt: skip
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, high, wide = rows.literal_value, height.literal_value, width.literal_value
        t, y, x = (
            _Rows(context, builder, kind, value, size)
            for kind, value, size in zip(signature.args[:3], arguments[:3], (wide, high, wide), strict=True)
        )
        _emit(builder, t, y, x, number, high, negative=sign.literal_value < 0, lower=bool(lower.literal_value))
        return context.get_dummy_value()

    return types.void(T, Y, X, rows, height, width, sign, lower), generate


class _Rows:
    """An array as rows of `size` numbers: apart by its own stride where it is a view of a wider one."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any, size: int) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.builder, self.data, self.size = builder, array.data, size
        self.stride = None
        if kind.layout == "A" and kind.ndim == 2:
            self.stride = builder.sdiv(builder.extract_value(array.strides, 0), array.itemsize)

    def pointer(self, row: int, first: int, piece: int) -> Any:
        index = ir.Constant(ir.IntType(64), first if self.stride else row * self.size + first)
        if self.stride and row:
            offset = self.builder.mul(self.stride, ir.Constant(ir.IntType(64), row))
            index = self.builder.add(offset, index)
        return self.builder.bitcast(self.builder.gep(self.data, [index]), _type(piece).as_pointer())

    def load(self, row: int, first: int, piece: int) -> Any:
        value = self.builder.load(self.pointer(row, first, piece))
        value.align = 8
        return value

    def store(self, value: Any, row: int, first: int, piece: int) -> None:
        self.builder.store(value, self.pointer(row, first, piece)).align = 8


def _emit(
    builder: Any, T: _Rows, Y: _Rows, X: _Rows, rows: int, height: int, *, negative: bool, lower: bool
) -> None:  # fmt: skip
    pieces = list(_pieces(X.size))
    for low, begin in product(range(0, rows, ROWS), range(0, len(pieces), HELD)):
        some, group = range(low, min(low + ROWS, rows)), pieces[begin : begin + HELD]
        held = {(d, first): X.load(d, first, piece) for d in some for first, piece in group}
        for j in range(height):
            factors = [Y.load(d, j, 1) for d in some]
            if negative:
                factors = [builder.fneg(factor) for factor in factors]
            for first, piece in group:
                if lower and first > j:
                    continue
                total = T.load(j, first, piece)
                for d, factor in zip(some, factors, strict=True):
                    total = _multiply_add(builder, _spread(builder, factor, piece), held[d, first], total)
                T.store(total, j, first, piece)


def _pieces(size: int) -> Iterator[tuple[int, int]]:
    """Starts and lengths of the vectors that a row of `size` numbers is cut into."""
    first, piece = 0, WIDEST
    while first < size:
        while piece > size - first:
            piece //= 2
        yield first, piece
        first += piece


def _type(piece: int) -> Any:
    return ir.DoubleType() if piece == 1 else ir.VectorType(ir.DoubleType(), piece)


def _spread(builder: Any, factor: Any, piece: int) -> Any:
    if piece == 1:
        return factor
    empty = ir.Constant(_type(piece), ir.Undefined)
    vector = builder.insert_element(empty, factor, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(vector, empty, ir.Constant(ir.VectorType(ir.IntType(32), piece), [0] * piece))


def _multiply_add(builder: Any, a: Any, b: Any, c: Any) -> Any:
    name = "llvm.fmuladd.f64" if a.type == ir.DoubleType() else f"llvm.fmuladd.v{a.type.count}f64"
    kind = ir.FunctionType(a.type, [a.type] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])

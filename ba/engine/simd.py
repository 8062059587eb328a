"""T += Y^T X and T -= Y^T X for small blocks, with T's rows and all of X in vector registers.

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
    """T[:h, :w] += Y^T X for the first rows of Y (.., h) and X (.., w), all C-contiguous, T's rows w apart.

    rows, height, width: tuples of `lanes`, or literals.
    """
    T[: _size(height)] += Y[: _size(rows)].T @ X[: _size(rows)]


def subtract_outer(T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any) -> None:
    """T[:h, :w] -= Y^T X, as `add_outer`."""
    T[: _size(height)] -= Y[: _size(rows)].T @ X[: _size(rows)]


def _size(extent: Any) -> int:
    return extent if isinstance(extent, int) else len(extent)


def _compiled(sign: int) -> Any:
    def implementation(T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any) -> Any:
        sizes = tuple(getattr(kind, "literal_value", None) or len(kind) for kind in (rows, height, width))
        number, high, wide = sizes
        return lambda T, Y, X, rows, height, width: _outer(T, Y, X, number, high, wide, sign)

    return implementation


# Inlined, because a call passes 33 numbers: 39 ns with one, 20 ns without.
overload(add_outer, {"forceinline": True}, strict=False, prefer_literal=True)(_compiled(1))
overload(subtract_outer, {"forceinline": True}, strict=False, prefer_literal=True)(_compiled(-1))


@intrinsic(prefer_literal=True)  # type: ignore[untyped-decorator]
def _outer(typing: Any, T: Any, Y: Any, X: Any, rows: Any, height: Any, width: Any, sign: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        block, left, right = (
            context.make_array(kind)(context, builder, value).data
            for kind, value in zip(signature.args[:3], arguments[:3], strict=True)
        )
        sizes = rows.literal_value, height.literal_value, width.literal_value
        _emit(builder, block, left, right, *sizes, negative=sign.literal_value < 0)
        return context.get_dummy_value()

    return types.void(T, Y, X, rows, height, width, sign), generate


def _emit(
    builder: Any, block: Any, left: Any, right: Any, rows: int, height: int, width: int, *, negative: bool
) -> None:
    pieces = list(_pieces(width))
    for low, begin in product(range(0, rows, ROWS), range(0, len(pieces), HELD)):
        some, group = range(low, min(low + ROWS, rows)), pieces[begin : begin + HELD]
        held = {(d, first): _load(builder, right, d * width + first, piece) for d in some for first, piece in group}
        for j in range(height):
            factors = [_load(builder, left, d * height + j, 1) for d in some]
            if negative:
                factors = [builder.fneg(factor) for factor in factors]
            for first, piece in group:
                total = _load(builder, block, j * width + first, piece)
                for d, factor in zip(some, factors, strict=True):
                    total = _multiply_add(builder, _spread(builder, factor, piece), held[d, first], total)
                _store(builder, total, block, j * width + first, piece)


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


def _pointer(builder: Any, base: Any, offset: int, piece: int) -> Any:
    place = builder.gep(base, [ir.Constant(ir.IntType(64), offset)])
    return builder.bitcast(place, _type(piece).as_pointer())


def _load(builder: Any, base: Any, offset: int, piece: int) -> Any:
    value = builder.load(_pointer(builder, base, offset, piece))
    value.align = 8
    return value


def _store(builder: Any, value: Any, base: Any, offset: int, piece: int) -> None:
    builder.store(value, _pointer(builder, base, offset, piece)).align = 8


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

"""Automatic differentiation by operator overloading, to second order: the program's forward code runs on these numbers.

A jet is f, its gradient along m directions, its slope along one direction v, and the gradient of that slope: one
evaluation of the cost on jets whose m directions are the unit vectors gives H v whole (hyper-dual numbers: Fike and
Alonso, "The development of hyper-dual numbers for exact second-derivative calculations", 2011). numpy's functions find
`sin`, `sqrt` and the like as methods of the entries of object arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

ZERO = np.zeros(1)


class Jet:
    __slots__ = ("along", "gradient", "mixed", "value")

    def __init__(self, value: float, gradient: np.ndarray, along: float, mixed: np.ndarray) -> None:
        self.value, self.gradient, self.along, self.mixed = value, gradient, along, mixed

    def chain(self, value: float, first: float, second: float) -> Jet:
        """f(self) for f with that value and those derivatives."""
        mixed = first * self.mixed + (second * self.along) * self.gradient
        return Jet(value, first * self.gradient, first * self.along, mixed)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Jet):
            return self.chain(self.value + other, 1.0, 0.0)
        return Jet(
            self.value + other.value,
            self.gradient + other.gradient,
            self.along + other.along,
            self.mixed + other.mixed,
        )

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, Jet):
            return self.chain(self.value * other, other, 0.0)
        a, b = self.value, other.value
        mixed = a * other.mixed + b * self.mixed + self.along * other.gradient + other.along * self.gradient
        along = a * other.along + b * self.along
        return Jet(a * b, a * other.gradient + b * self.gradient, along, mixed)

    def __pow__(self, power: float) -> Jet:
        a = self.value
        return self.chain(a**power, power * a ** (power - 1), power * (power - 1) * a ** (power - 2))

    def reciprocal(self) -> Jet:
        a = 1.0 / self.value
        return self.chain(a, -a * a, 2.0 * a**3)

    def sqrt(self) -> Jet:
        root = math.sqrt(self.value)
        return self.chain(root, 0.5 / root, -0.25 / root**3) if root else self.chain(0.0, 0.0, 0.0)

    def sin(self) -> Jet:
        s, c = math.sin(self.value), math.cos(self.value)
        return self.chain(s, c, -s)

    def cos(self) -> Jet:
        s, c = math.sin(self.value), math.cos(self.value)
        return self.chain(c, -s, -c)

    def tan(self) -> Jet:
        return self.sin() / self.cos()

    def exp(self) -> Jet:
        e = math.exp(self.value)
        return self.chain(e, e, e)

    def log(self) -> Jet:
        return self.chain(math.log(self.value), 1.0 / self.value, -1.0 / self.value**2)

    def arctan(self) -> Jet:
        first = 1.0 / (1.0 + self.value**2)
        return self.chain(math.atan(self.value), first, -2.0 * self.value * first**2)

    def __abs__(self) -> Jet:
        return self if self.value >= 0.0 else -self

    @property
    def real(self) -> Jet:
        return self

    def conjugate(self) -> Jet:
        return self

    def __radd__(self, other: Any) -> Any:
        return self + other

    def __rmul__(self, other: Any) -> Any:
        return self * other

    def __neg__(self) -> Any:
        return self * -1.0

    def __pos__(self) -> Jet:
        return self

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return -self + other

    def __truediv__(self, other: Any) -> Any:
        return self * (other.reciprocal() if isinstance(other, Jet) else 1.0 / other)

    def __rtruediv__(self, other: Any) -> Any:
        return self.reciprocal() * other

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < _value(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= _value(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > _value(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= _value(other))

    def __eq__(self, other: object) -> bool:
        return bool(self.value == _value(other))

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return self.value != 0.0


def _value(number: Any) -> Any:
    return number.value if isinstance(number, Jet) else number


def variables(x: np.ndarray, v: np.ndarray) -> np.ndarray:
    """(n,) object array of the independent variables: directions are the unit vectors, and v."""
    zero, jets = np.zeros(len(x)), np.empty(len(x), object)
    for j, (value, unit) in enumerate(zip(x, np.eye(len(x)), strict=True)):
        jets[j] = Jet(float(value), unit, float(v[j]), zero)
    return jets


def where(condition: Any, yes: Any, no: Any, numpy_where: Callable[..., Any] = np.where) -> Any:
    """np.where, whose constants become jets beside jets: a float has no method `sin`."""
    chosen = numpy_where(condition, yes, no)
    if chosen.dtype != object:
        return chosen
    lifted = [entry if isinstance(entry, Jet) else Jet(float(entry), ZERO, 0.0, ZERO) for entry in chosen.flat]
    out = np.empty(len(lifted), object)
    out[:] = lifted
    return out.reshape(chosen.shape)


def interpreted(kernel: Any) -> Callable[..., Any]:
    """A compiled kernel, and the kernels it calls, as the Python they were written in."""
    function = getattr(kernel, "py_func", kernel)  # plain already where compilation is off
    names = function.__globals__
    called = {name: names[name] for name in function.__code__.co_names if hasattr(names.get(name), "py_func")}
    names = names | {name: interpreted(value) for name, value in called.items()}
    return FunctionType(function.__code__, names, function.__name__, function.__defaults__)

"""Vector instructions come to what the Python that they stand for says."""

from typing import Any

import numpy as np
import pytest

from ba.engine import simd
from ba.engine.jit import kernel


@kernel
def compiled(T: Any, Y: Any, X: Any, low: Any, square: Any, width: Any) -> None:
    simd.add_outer(T[0], Y, X, 2, width, width)
    simd.subtract_outer(T[1], low, X, 3, 1, width)
    simd.subtract_outer(T[2], square, X, width, width, width)


@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 9, 13, 15])
def test_compiled_outer_products_are_those_of_numpy(width: int) -> None:
    rng = np.random.default_rng(width)
    shapes = (3, width, width), (3, width), (max(3, width), width), (3, 1), (width, width)
    T, Y, X, low, square = (rng.normal(size=shape) for shape in shapes)
    right = T.copy()
    compiled(T, Y, X, low, square, simd.lanes(width))
    simd.add_outer(right[0], Y, X, 2, simd.lanes(width), simd.lanes(width))
    simd.subtract_outer(right[1], low, X, 3, 1, simd.lanes(width))
    simd.subtract_outer(right[2], square, X, *3 * (simd.lanes(width),))
    assert np.allclose(T, right, rtol=1e-13, atol=1e-13)

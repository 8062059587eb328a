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


@kernel
def compiled_views(T: Any, A: Any, first: Any, narrow: Any, wide: Any) -> None:
    low, high = A[:, :first], A[:, first:]
    simd.add_outer(T[5:], high, low, 2, wide, narrow)
    simd.add_square(T[200:], low, 2, narrow)
    simd.subtract_square(T[400:], high, 2, wide)


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


@pytest.mark.parametrize(("narrow", "wide"), [(6, 8), (6, 0), (9, 2), (1, 5), (7, 7)])
def test_columns_of_a_wider_array_and_blocks_of_a_flat_one_are_read_where_they_stand(narrow: int, wide: int) -> None:
    rng = np.random.default_rng(narrow)
    T, A = rng.normal(size=600), rng.normal(size=(2, narrow + wide))
    low, high = A[:, :narrow], A[:, narrow:]
    before = T.copy()
    compiled_views(T, A, narrow, simd.lanes(narrow), simd.lanes(wide))
    assert np.allclose(T[5:][: narrow * wide], before[5:][: narrow * wide] + (high.T @ low).ravel(), atol=1e-13)
    for at, X, sign in ((200, low, 1.0), (400, high, -1.0)):
        size = X.shape[1]
        found, was = (np.tril(of[at : at + size**2].reshape(size, size)) for of in (T, before))
        assert np.allclose(found, was + sign * np.tril(X.T @ X), atol=1e-13)
        assert np.array_equal(T[at + size**2 : at + 200], before[at + size**2 : at + 200])
    views = before.copy()
    simd.add_outer(views[5:], high, low, 2, simd.lanes(wide), simd.lanes(narrow))
    simd.add_square(views[200:], low, 2, simd.lanes(narrow))
    assert np.allclose(views[5:200], T[5:200], atol=1e-13)

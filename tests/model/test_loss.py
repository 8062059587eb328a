"""Losses agree with their definition and with their own derivatives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ba.model.loss import LOSSES, scaled

everywhere = pytest.mark.parametrize("name", LOSSES)
norms = st.floats(0.0, 1e6)
scales = st.floats(1e-3, 1e3)

DEFINITIONS = {
    "linear": lambda z: z,
    "huber": lambda z: z if z <= 1.0 else 2.0 * np.sqrt(z) - 1.0,
    "soft_l1": lambda z: 2.0 * (np.sqrt(1.0 + z) - 1.0),
    "cauchy": lambda z: np.log(1.0 + z),
    "arctan": np.arctan,
}


@pytest.mark.parametrize("name", DEFINITIONS)
@given(norm=norms, scale=scales)
def test_value_is_that_of_the_definition(name: str, norm: float, scale: float) -> None:
    value = scaled(LOSSES[name], scale)(np.array([norm**2]))[0][0]
    right = scale**2 * DEFINITIONS[name](norm**2 / scale**2)
    assert value == pytest.approx(right, rel=1e-9, abs=1e-12 * scale**2)


@everywhere
@given(norm=st.floats(1e-2, 1e3), scale=st.floats(0.1, 10.0))
def test_derivatives_are_those_of_the_value(name: str, norm: float, scale: float) -> None:
    loss = scaled(LOSSES[name], scale)
    s, h = norm**2, 1e-5 * (norm**2 + scale**2)
    if abs(s / scale**2 - 1.0) < 1e-3:  # the second derivative of huber jumps there
        return
    low, middle, high = (tuple(float(part[0]) for part in loss(np.array([at]))) for at in (s - h, s, s + h))
    assert (high[0] - low[0]) / (2.0 * h) == pytest.approx(middle[1], rel=1e-6, abs=1e-12)
    assert (high[1] - low[1]) / (2.0 * h) == pytest.approx(middle[2], rel=1e-6, abs=1e-9 * abs(middle[1]) / scale**2)


@everywhere
@given(norm=st.floats(0.0, 1e150))
def test_no_loss_exceeds_the_square_or_ever_falls(name: str, norm: float) -> None:
    value, first, second = (float(part[0]) for part in LOSSES[name](np.array([norm**2])))
    assert 0.0 <= value <= norm**2 * (1.0 + 1e-15)
    assert first >= 0.0 >= second
    assert np.isfinite([value, first, second]).all()


@everywhere
def test_small_residuals_count_in_full(name: str) -> None:
    value, first, _ = LOSSES[name](np.array([1e-20]))
    assert value[0] == pytest.approx(1e-20, rel=1e-10)
    assert first[0] == pytest.approx(1.0, rel=1e-10)

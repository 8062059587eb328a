"""Losses on a fine grid across their bends: values by their definitions, derivatives by differences."""

import numpy as np
import pytest

from ba.model.loss import LOSSES, scaled
from ba.model.residual import Residuals
from ba.solve.objective import Objective
from ba.solve.preconditioned import joint
from tests.support import textbook
from tests.support.scenes import random_problem

GRID = np.concatenate([np.linspace(0.0, 6.0, 601), np.geomspace(6.0, 1e6, 50)])


@pytest.mark.parametrize("scale", [0.3, 1.0, 7.0])
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_derivatives_are_those_of_the_definition(name: str, scale: float) -> None:
    s = GRID * scale**2
    value, first, second = scaled(LOSSES[name], scale)(s)
    assert value == pytest.approx(scale**2 * textbook.RHO[name](GRID), rel=1e-12, abs=1e-12)
    h = 1e-4 * np.maximum(s, scale**2)
    inside = (s > h) & (np.abs(GRID - 1.0) > 1e-3)  # huber bends at 1
    at = s[inside]
    ahead, behind = (scaled(LOSSES[name], scale)(at + sign * h[inside]) for sign in (1.0, -1.0))
    assert first[inside] == pytest.approx((ahead[0] - behind[0]) / (2.0 * h[inside]), rel=1e-6, abs=1e-7)
    assert second[inside] == pytest.approx((ahead[1] - behind[1]) / (2.0 * h[inside]), rel=1e-5, abs=1e-7 / scale**2)


@pytest.mark.parametrize("name", LOSSES)
def test_the_largest_numbers_overflow_nowhere(name: str) -> None:
    found = LOSSES[name](np.array([1e150, 1e200, 1e307]))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("name", LOSSES)
def test_scipys_cost_and_gradient_are_those_of_the_joint_loss(name: str) -> None:
    """scipy takes half the sum of rho over all numbers, and rho' times each of them for the gradient."""
    problem, loss = random_problem(np.random.default_rng(2), n_points=10), scaled(LOSSES[name], 1.5)
    r = np.random.default_rng(0).normal(size=(40, 2)) * 3.0
    rho = joint(Objective(Residuals(problem), loss))
    value, first, second = rho((r**2).ravel())
    s = np.sum(r**2, axis=1)
    assert 0.5 * value.sum() == pytest.approx(0.5 * loss(s)[0].sum(), rel=1e-12)
    assert first.reshape(-1, 2) * r == pytest.approx(loss(s)[1][:, None] * r, rel=1e-12)
    assert not second.any()

"""A backend that is added by one line is known wherever the others are: what it tells of itself is believed."""

import sys
from types import ModuleType

import numpy as np
import pytest

import ba
from ba.analyse import memory
from ba.config.section import Section
from ba.prepare.conditioning import condition
from ba.solve import SOLVERS, schur
from ba.solve.backends import Backend, Can, without_bounds
from ba.solve.options import Schur, Scipy, Solver
from tests.support.scenes import random_problem


class Own(Section):
    pieces: int = 3


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A backend `other` that is `schur` by another name."""
    module = ModuleType("added_backend")
    vars(module).update(solve=schur.solve, Own=Own)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(SOLVERS, "other", Backend(module.__name__, section=f"{module.__name__}:Own", can=Can()))
    return module


def sizes() -> memory.Sizes:
    return memory.measured(condition(random_problem(np.random.default_rng(1), ("bal",) * 4, n_points=30)).problem, 3)


def test_its_line_names_its_keys(added: ModuleType) -> None:
    assert [SOLVERS[name].keys for name in ("scipy", "schur", "other")] == [Scipy, Schur, Own]
    own = [entry.keys for name, entry in SOLVERS.items() if entry.keys and name != "other"]
    assert [base for base in Solver.__bases__ if base in own] == own[::-1]


def test_it_solves(added: ModuleType) -> None:
    scene = ba.generate(ba.Scene(images=4, points=24))
    ours, theirs = (ba.solve(scene, options={"backend": name}).final_cost for name in ("other", "schur"))
    assert ours == theirs


def test_memory_is_forecast_from_the_blocks_and_from_what_it_tells(added: ModuleType) -> None:
    options = Solver(backend="other")
    without = memory.forecast(sizes(), options)
    assert without["blocks r, A, B"] == memory.forecast(sizes(), Solver(backend="schur"))["blocks r, A, B"]
    vars(added)["memory"] = lambda of, options: {"pieces": 8 * of.points}
    assert memory.forecast(sizes(), options) == {**without, "pieces": 8 * 30}
    assert memory.chosen(sizes(), options) == "other"


def test_bounds_that_it_keeps_with_every_setting_are_said_to_be_kept(added: ModuleType) -> None:
    assert without_bounds("schur").endswith("scipy, with solver.preconditioner none, or other has")

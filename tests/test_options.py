"""What the registry of backends says is what the configuration has and what `ba.solve` does."""

from typing import get_args

import pytest

import ba
from ba.config import reading
from ba.errors import UserError
from ba.model.loss import LOSSES
from ba.model.problem import Problem
from ba.options import Config
from ba.solve import SOLVERS, options
from ba.solve.backends import Backend, Can

METHODS = [(name, method) for name, entry in SOLVERS.items() for method in entry.methods]
BOUNDS = {"f": (1.0, 1e6)}


@pytest.fixture(scope="module")
def scene() -> Problem:
    return ba.generate(ba.Scene(images=4, points=24, camera="bal"))


def asked(backend: str, **keys: object) -> dict[str, object]:
    return {"backend": backend, "preconditioner": "none", "max_iterations": 1, **keys}


def test_a_key_of_solver_belongs_to_one_backend_or_to_all() -> None:
    own = [entry.keys for entry in SOLVERS.values() if entry.keys]
    keys = [key for section in (options.Choice, *own, options.Limits) for key in section.model_fields]
    assert keys == list(options.Solver.model_fields)


@pytest.mark.parametrize("name", SOLVERS)
def test_the_methods_of_a_backend_are_those_of_its_key(name: str) -> None:
    entry = SOLVERS[name]
    section = entry.keys or options.Limits
    field = section.model_fields.get("method")
    assert list(entry.methods) == list(get_args(field.annotation) if field else ())


@pytest.mark.parametrize("name", SOLVERS)
def test_a_backend_keeps_bounds_or_says_which_does(name: str, scene: Problem) -> None:
    if SOLVERS[name].can.bounds:
        focal = ba.solve(scene, options=asked(name), bounds=BOUNDS).problem.intrinsics[:, 0]
        assert ((focal >= 1.0) & (focal <= 1e6)).all()
        return
    able = [other for other, entry in SOLVERS.items() if entry.can.bounds]
    with pytest.raises(UserError, match=rf"camera\.bounds: solver\.backend {name} has none; {able[0]}, with "):
        ba.solve(scene, options=asked(name), bounds=BOUNDS)


@pytest.mark.parametrize("name", SOLVERS)
def test_bounds_of_numbers_that_do_not_move_bind_no_backend(name: str, scene: Problem) -> None:
    held = ba.select(scene, ba.Camera(refine="none"), ba.Fix(), "free")
    solution = ba.solve(held, options=asked(name), bounds=BOUNDS)
    assert (solution.problem.intrinsics == scene.intrinsics).all()


@pytest.mark.parametrize(("backend", "method"), METHODS)
@pytest.mark.parametrize("loss", LOSSES)
def test_a_method_takes_the_losses_that_it_can(backend: str, method: str, loss: str, scene: Problem) -> None:
    entry = SOLVERS[backend]
    if entry.methods[method].takes(loss):
        assert ba.solve(scene, loss=loss, options=asked(backend, method=method)).iterations
        return
    with pytest.raises(UserError, match=rf"loss\.name: {method} knows no {loss}, only .*; set solver\.method to "):
        ba.solve(scene, loss=loss, options=asked(backend, method=method))


def test_a_backend_of_few_losses_is_answered_by_key_and_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOLVERS, "other", Backend("ba.solve.schur", can=Can(losses=("linear", "huber"))))
    values = {"data": {"scene": {}}, "solver": {"backend": "other"}, "loss": {"name": "cauchy"}}
    with pytest.raises(
        UserError, match=r"loss\.name: other knows no cauchy, only linear or huber; set solver.backend to"
    ):
        reading.from_python(Config, values, "here")
    assert reading.from_python(Config, values | {"loss": {"name": "huber"}}, "here").solver.backend == "other"


def test_keys_of_a_backend_that_is_not_chosen_are_accepted(scene: Problem) -> None:
    given = {"backend": "schur", "method": "dogbox", "max_iterations": 1}
    plain = ba.solve(scene, options={"backend": "schur", "max_iterations": 1})
    assert ba.solve(scene, options=given).final_cost == plain.final_cost

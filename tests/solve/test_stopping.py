"""An observer and the clock end a solve in every backend and method, and the state they leave stands in the history."""

from typing import Any

import numpy as np
import pytest

from ba.model.residual import Residuals, project
from ba.solve import objective, solve
from ba.solve.options import Solver
from ba.solve.result import Iteration, Status
from tests.support.solving import EXACT, WAYS, cost, perturbed

ALL = WAYS | {
    "schur_dense": Solver(backend="schur", linear="dense", **EXACT),
    "schur_sparse": Solver(backend="schur", linear="sparse", **EXACT),
    "schur_cg": Solver(backend="schur", linear="cg", **EXACT),
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(objective, "_solving_clock", clock)
    return clock


@pytest.mark.parametrize("answer", [True, np.True_])
@pytest.mark.parametrize("step", [0, 2])
@pytest.mark.parametrize("way", ALL)
def test_an_observer_that_returns_true_stops_and_its_state_is_kept(way: str, step: int, answer: Any) -> None:
    solution = solve(perturbed(), options=ALL[way], observer=lambda record: answer and record.iteration == step)
    assert solution.status is Status.INTERRUPTED
    assert "stopped by the observer" in solution.message
    assert solution.iterations[-1].iteration == step
    assert solution.final_cost == pytest.approx(cost(solution.problem), rel=1e-12)


@pytest.mark.parametrize("answer", [None, False, 1, "written"])
def test_no_other_answer_stops(answer: Any) -> None:
    assert solve(perturbed(), options=ALL["trf_schur"], observer=lambda _: answer).status is Status.CONVERGED


def test_an_observer_stops_a_solve_that_takes_no_step() -> None:
    solution = solve(perturbed(), options=Solver(max_iterations=0), observer=lambda _: True)
    assert solution.status is Status.INTERRUPTED


class Own(Exception):
    pass


@pytest.mark.parametrize("kind", [Own, StopIteration, "SolverError"])
@pytest.mark.parametrize("way", ALL)
def test_what_an_observer_raises_comes_out_as_it_was_raised(way: str, kind: Any) -> None:
    from ba.errors import SolverError

    error = SolverError("mine") if kind == "SolverError" else kind("mine")

    def observer(record: Iteration) -> None:
        if record.iteration == 1:
            raise error

    with pytest.raises(type(error)) as caught:
        solve(perturbed(), options=ALL[way], observer=observer)
    assert caught.value is error
    assert error.__context__ is None
    assert error.__cause__ is None


@pytest.mark.parametrize("way", ALL)
def test_the_solve_ends_at_the_first_step_after_its_time(way: str, clock: Clock) -> None:
    def observer(record: Iteration) -> None:
        clock.now = 10.0 * record.iteration

    options = ALL[way].model_copy(update={"max_seconds": 19.0})
    solution = solve(perturbed(), options=options, observer=observer)
    assert solution.status is Status.MAX_SECONDS
    assert [record.iteration for record in solution.iterations] == [0, 1, 2]
    assert solution.final_cost == pytest.approx(cost(solution.problem), rel=1e-12)


@pytest.mark.parametrize("way", ALL)
def test_without_a_limit_no_time_is_too_long(way: str, clock: Clock) -> None:
    def observer(_: Iteration) -> None:
        clock.now += 1e9

    assert solve(perturbed(), options=ALL[way], observer=observer).status is Status.CONVERGED


@pytest.mark.parametrize("way", ["lm", "schur_dense", "dogbox", "trf_none", "trf_schur"])
def test_a_search_that_lowers_nothing_ends_by_the_clock(
    way: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials, original = 0, Residuals.residual

    def residual(*arguments: Any) -> Any:
        nonlocal trials
        trials += 1
        clock.now += trials > 3
        r, depth = original(*arguments)
        return (10.0 * r if trials > 2 else r), depth

    monkeypatch.setattr(Residuals, "residual", residual)
    solution = solve(perturbed(), options=ALL[way].model_copy(update={"max_seconds": 0.5}))
    assert solution.status is Status.MAX_SECONDS
    assert trials == 4


@pytest.mark.parametrize("way", ["trf_schur", "schur_cg"])
def test_the_iterations_of_a_linear_solver_end_by_the_clock(
    way: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock moves with each look at it: a step in which nobody looks would be taken whole."""
    looks = 0
    original = objective.History.check_time

    def look(history: objective.History) -> None:
        nonlocal looks
        looks += 1
        clock.now += len(history.records) == 1
        original(history)

    monkeypatch.setattr(objective.History, "check_time", look)
    solution = solve(perturbed(), options=ALL[way].model_copy(update={"max_seconds": 2.5}))
    assert solution.status is Status.MAX_SECONDS
    assert len(solution.iterations) == 1
    assert looks == 3


def test_the_time_is_that_of_the_wall() -> None:
    """A limit that is over at once stops any solve before its first step."""
    for way in ALL.values():
        solution = solve(perturbed(), options=way.model_copy(update={"max_seconds": 1e-9}))
        assert solution.status is Status.MAX_SECONDS
        assert solution.final_cost == solution.initial_cost


def test_residuals_are_those_of_the_end() -> None:
    problem = perturbed()
    solution = solve(problem)
    expected = project(solution.problem).pixels - problem.pixels
    assert solution.residuals.shape == (problem.num_observations, 2)
    assert np.array_equal(solution.residuals, expected)
    assert 0.5 * float((solution.residuals**2).sum()) == pytest.approx(solution.final_cost, rel=1e-12)

"""Every number of an iteration is that of the states on either side of it, for every backend."""

from dataclasses import replace

import numpy as np
import pytest

from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import solve
from ba.solve.objective import History, Objective, is_short
from ba.solve.options import Solver
from ba.solve.result import Iteration, Solution
from ba.solve.schur import BundleSystem
from tests.support import textbook
from tests.support.solving import FREE, start

WAYS = {
    "schur, dense": {"backend": "schur", "linear": "dense"},
    "schur, cg": {"backend": "schur", "linear": "cg"},
    "scipy": {},
    "scipy, plain": {"preconditioner": "none"},
    "scipy, dogbox": {"method": "dogbox"},
    "scipy, lm": {"method": "lm"},
}
EVERY_WAY = pytest.mark.parametrize("way", WAYS)


def options(way: str, steps: int) -> Solver:
    return Solver(**WAYS[way], max_iterations=steps, ftol=1e-13, xtol=1e-14, gtol=1e-10, threads=1)


def states(problem: Problem, way: str, steps: int, loss: Loss | None = None) -> list[Solution]:
    """The solution after none, one, two ... steps."""
    return [solve(problem, options=options(way, k), loss=loss or Loss()) for k in range(steps + 1)]


@pytest.mark.parametrize("way", [way for way in WAYS if way != "scipy, lm"])  # which counts evaluations, not steps
@pytest.mark.parametrize("free", FREE)
def test_costs_changes_and_steps_are_those_of_the_states(free: str, way: str) -> None:
    problem, steps = start(free), 3
    ends = states(problem, way, steps)
    history, costs = ends[-1].iterations, [textbook.cost(end.problem) for end in ends]
    assert [record.iteration for record in history] == list(range(len(ends)))
    assert history[0].cost_change == history[0].step_norm == 0.0
    for k, record in enumerate(history):
        assert record.cost == pytest.approx(costs[k], rel=1e-9)
        if k == 0:
            continue
        assert record.cost_change == pytest.approx(costs[k - 1] - costs[k], rel=1e-6, abs=1e-9 * costs[0])
        assert record.cost_change > 0.0
        # Plain scipy stays in the charts of the start; the others centre theirs at each state.
        plain = way in ("scipy, plain", "scipy, dogbox")
        a, b = (ends[0].problem, ends[0].problem) if plain else (ends[k - 1].problem, ends[k].problem)
        step = textbook.step_between(a, ends[k].problem, problem.free)
        if plain:
            step = step - textbook.step_between(b, ends[k - 1].problem, problem.free)
        assert record.step_norm == pytest.approx(np.linalg.norm(step), rel=1e-6)


@EVERY_WAY
@pytest.mark.parametrize("free", FREE)
def test_the_gradient_norm_is_the_largest_component_over_everything_free(free: str, way: str) -> None:
    problem = start(free)
    found = solve(problem, options=options(way, 1)).iterations[0].gradient_norm
    assert found == pytest.approx(np.abs(textbook.gradient(problem)).max(), rel=1e-6)
    evaluated = solve(problem, options=options(way, 0)).iterations[0].gradient_norm
    assert evaluated == pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("way", ["schur, dense", "scipy", "scipy, plain"])
def test_the_gradient_norm_may_be_that_of_any_coordinate_of_a_point(way: str, axis: int, sign: float) -> None:
    """One point of a camera that looks along z from nearby, pulled along one axis: nothing else has a larger slope."""
    problem = start("points")
    points = problem.points.copy()
    points[:, axis] += sign * 0.3
    problem = replace(problem, pixels=textbook.pixels(replace(problem, points=points)))
    gradient = textbook.gradient(problem)
    found = solve(problem, options=options(way, 1)).iterations[0].gradient_norm
    assert found == pytest.approx(np.abs(gradient).max(), rel=1e-6)


@pytest.mark.parametrize("way", ["schur, dense", "scipy"])
def test_the_gradient_norm_under_a_loss_is_that_of_its_cost(way: str) -> None:
    problem = start()
    found = solve(problem, loss=Loss(name="cauchy", scale=2.0), options=options(way, 1)).iterations[0].gradient_norm
    assert found == pytest.approx(np.abs(textbook.gradient(problem, "cauchy", 2.0)).max(), rel=1e-6)


@EVERY_WAY
def test_evaluations_are_the_trials_of_the_residual(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, original = 0, Residuals.residual

    def counted(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Residuals, "residual", counted)
    seen: list[tuple[int, int]] = []
    # The first call is that of the check of the start.
    problem = perturb(start(seed=3), Noise(rotation_deg=25.0, position=1.0, points=1.5), 7)
    solve(problem, options=options(way, 30), observer=lambda record: seen.append((record.evaluations, calls - 1)))
    assert len(seen) > 4
    assert all(evaluations == made for evaluations, made in seen)
    if way != "scipy, lm":
        assert seen[-1][0] > len(seen), "no trial was rejected"


def test_the_observer_gets_every_record_and_the_solution_their_ends() -> None:
    for way in WAYS:
        seen: list[Iteration] = []
        solution = solve(start(), options=options(way, 4), observer=seen.append)
        assert tuple(seen) == solution.iterations
        assert solution.initial_cost == seen[0].cost
        assert solution.final_cost == seen[-1].cost < seen[0].cost


def test_a_log_numbers_steps_and_takes_changes_from_the_step_before() -> None:
    seen: list[Iteration] = []
    history = History(seen.append)
    assert history.steps == 0
    for cost, step_norm, gradient_norm in ((9.0, 0.0, 5.0), (4.0, 2.0, 3.0), (3.0, 1.0, 0.5)):
        history.accept(cost, step_norm, gradient_norm)
    assert [(r.iteration, r.cost, r.cost_change, r.step_norm, r.gradient_norm) for r in seen] == [
        (0, 9.0, 0.0, 0.0, 5.0),
        (1, 4.0, 5.0, 2.0, 3.0),
        (2, 3.0, 1.0, 1.0, 0.5),
    ]
    assert history.steps == 2


def test_a_step_is_short_where_every_number_moves_by_less_than_its_share() -> None:
    x = np.array([1e6, 1e-3, 0.0])
    assert is_short(np.array([9e2, 9e-4, 9e-4]), x, 1e-3)
    assert not is_short(np.array([2e3, 0.0, 0.0]), x, 1e-3)
    assert not is_short(np.array([0.0, 2e-3, 0.0]), x, 1e-3)
    assert not is_short(np.array([0.0, 0.0, 2e-3]), x, 1e-3)


def test_details_count_inner_iterations_over_all_steps() -> None:
    once, twice = (solve(start(), options=options("schur, cg", k)).solver_details["linear_iterations"] for k in (1, 2))
    assert twice > once > 1
    once, twice = (solve(start(), options=options("scipy", k)).solver_details["lsmr_products"] for k in (1, 2))
    assert twice > once > 1


def test_the_misfit_is_the_cost_as_a_share_of_that_of_no_projection_at_all() -> None:
    problem = condition(start()).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    system = BundleSystem(variables, Objective(Residuals(problem), None), options("schur, dense", 1), lambda: None)
    origin = 0.5 * float(np.sum(problem.pixels**2))
    assert system.misfit(3.0) == pytest.approx(3.0 / origin, rel=1e-12)

"""Step counts that docstrings quote, and the rules behind them: first damping, gain, forcing terms, trust radius."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from ba import io
from ba.errors import SolverError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import schur, solve
from ba.solve.levenberg_marquardt import Trial, minimize
from ba.solve.objective import History, Objective
from ba.solve.options import Solver
from ba.solve.preconditioned import Expansion, Region, Step
from ba.solve.reduced import NormalFactors
from ba.solve.result import ignore
from tests import ROOT
from tests.support.scenes import random_problem

DATASETS = ROOT / "datasets"

LOWEST = {"dubrovnik-16-22106-pre.txt.xz": 18033.9034788, "ladybug-49-7776-pre.txt.xz": 13344.24074}
STEPS = {"dubrovnik-16-22106-pre.txt.xz": (4, 5), "ladybug-49-7776-pre.txt.xz": (9, 20)}
"""To within 1e-4 and 1e-6 of the lowest cost, as `ba.solve.levenberg_marquardt` says."""


@pytest.mark.parametrize("name", STEPS)
def test_real_problems_take_the_steps_that_are_quoted(name: str) -> None:
    enough = LOWEST[name] * (1.0 + 1e-6)
    options = Solver(backend="schur", ftol=0.0, max_iterations=STEPS[name][1])
    costs = [record.cost for record in solve(io.load(DATASETS / name), options=options).iterations]
    arrivals = [
        next(k for k, cost in enumerate(costs) if cost <= LOWEST[name] * (1.0 + share)) for share in (1e-4, 1e-6)
    ]
    assert tuple(arrivals) == STEPS[name]
    assert costs[-1] <= enough


@dataclass
class Scripted:
    """A problem whose answers are written down: gain and predicted reduction of each trial, or None for no step."""

    script: Sequence[tuple[float, float] | None]
    share: float = 0.0
    cost: float = 1000.0
    dampings: list[float] = field(default_factory=list)
    noise: float = 0.0

    def misfit(self, cost: float) -> float:
        return self.share

    def linearize(self) -> tuple[float, float]:
        return self.cost, 1.0

    def solve(self, damping: float) -> Trial:
        self.dampings.append(damping)
        if len(self.dampings) > len(self.script):
            raise KeyboardInterrupt
        answer = self.script[len(self.dampings) - 1]
        if answer is None:
            raise SolverError("singular")
        gain, predicted = answer
        return Trial(self.cost - gain * predicted, predicted, 0.5, self.cost - gain * predicted)

    def accept(self, trial: Trial) -> None:
        self.cost = trial.state

    def record(self) -> None:
        pass

    def rounding(self, cost: float) -> float:
        return self.noise

    def is_short(self, trial: Trial, xtol: float) -> bool:
        return False


def dampings(script: Sequence[tuple[float, float] | None], share: float = 0.0) -> tuple[list[float], Any]:
    """The dampings that the loop tries, the last after the script has ended, and how it ended."""
    system, history = Scripted(script, share), History(ignore)
    ending, details = minimize(system, Solver(backend="schur", ftol=0.0), history)
    return system.dampings, (ending, details, history)


@pytest.mark.parametrize(
    ("share", "first"),
    [(0.0, 3e-5), (7e-4, 3e-5), (1.4e-3, 3e-5), (2e-3, 4e-5), (0.1, 2e-3), (0.4, 8e-3), (0.6, 1e-2), (9.0, 1e-2)],
)
def test_the_first_damping_is_a_fiftieth_of_the_misfit_within_bounds(share: float, first: float) -> None:
    assert dampings([], share)[0] == [pytest.approx(first, rel=1e-12)]


@pytest.mark.parametrize(
    ("gain", "factor"),
    [
        (1.5, 1 / 3),
        (1.0, 1 / 3),
        (0.9, 1 / 3),
        (0.8, 0.4),
        (0.6, 0.8),
        (0.5, 1.0),
        (0.25, 1.5),
        (0.01, 1.98),
        (0.002, 1.996),
    ],
)
def test_an_accepted_step_scales_the_damping_linearly_with_the_gain(gain: float, factor: float) -> None:
    first, second = dampings([(gain, 1.0)], 0.1)[0]
    assert second == pytest.approx(factor * first, rel=1e-9)


def test_rejected_steps_double_ever_faster_and_an_accepted_one_begins_anew() -> None:
    bad, good = (-1.0, 1.0), (0.5, 1.0)
    tried, (_, _, history) = dampings([bad, bad, bad, good, bad, None, bad, (0.0005, 1.0), good], 0.1)
    ratios = np.array(tried[1:]) / np.array(tried[:-1])
    assert ratios == pytest.approx([2.0, 4.0, 8.0, 1.0, 2.0, 4.0, 8.0, 16.0, 1.0])
    assert history.evaluations == 8, "the one that could not be solved was not evaluated"
    assert history.steps == 2


def test_the_damping_stays_within_its_bounds() -> None:
    good = [(1.0, 1e-3)] * 40
    tried, (_, details, _) = dampings(good)
    assert min(tried) == tried[-1] == pytest.approx(1e-16)
    assert details["damping"] == tried[-1]
    tried, (ending, _, _) = dampings([None] * 40)
    assert ending[1] == "singular"
    assert 1e12 < max(tried) <= 1e16


def test_a_step_that_promises_no_more_than_rounding_ends_the_solve() -> None:
    for gain, message in ((1.0, True), (-1.0, False)):
        system, history = Scripted([(gain, 1e-3)], noise=1e-2), History(ignore)
        ending, _ = minimize(system, Solver(backend="schur", ftol=0.0), history)
        assert ending[1] == "no step lowers the cost in float64 any more"
        assert (history.steps == 1) is message


def test_forcing_terms_follow_the_square_of_the_fall_of_the_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    taken: list[int] = []

    def spied(*chosen: Any) -> Any:
        def solve_reduced(reduced: Any, tolerance: float) -> Any:
            asked.append(tolerance)
            step, iterations = original(*chosen)(reduced, tolerance)
            taken.append(iterations)
            return step, iterations

        return solve_reduced

    original = schur.linear_solver
    monkeypatch.setattr(schur, "linear_solver", spied)
    start = perturb(generate(Scene(images=8, points=60)), Noise(rotation_deg=1.0, position=0.05, points=0.05), 1)
    solution = solve(start, options=Solver(backend="schur", linear="cg", ftol=1e-13, max_iterations=12, threads=1))
    slopes = [record.gradient_norm for record in solution.iterations]
    right = [0.1] + [min(max(0.9 * (b / a) ** 2, 1e-3), 0.1) for a, b in pairwise(slopes)]
    assert asked[0] == 0.1
    assert {round(np.log10(tolerance), 6) for tolerance in asked} <= {round(np.log10(value), 6) for value in right}
    assert min(asked) == pytest.approx(1e-3)
    assert solution.solver_details["linear_iterations"] == sum(taken) > max(taken)
    assert len({value for value in asked if 1.01e-3 < value < 0.099}) >= 1, "one between the bounds"


def step(gain: float, *trials: float, radius: float = 8.0) -> Step:
    return Step(np.zeros(3), 1.0, radius, list(trials), gain, 5)


def test_the_trust_radius_follows_scipys_rule_and_the_damping_goes_along() -> None:
    region = Region(1e-3, 8.0)
    for taken, damping, radius in (
        (step(0.5, 4.0), 1e-3, 8.0),  # fair: both stay
        (step(0.2, 4.0), 4e-3, 1.0),  # poor: a quarter of the step
        (step(0.1, 4.0), 4e-3, 1.0),
        (step(0.3, 4.0), 1e-3, 8.0),
        (step(0.7, 4.0), 1e-3, 8.0),
        (step(0.8, 4.0), 1e-4, 8.0),  # good: twice the step, if that is more
        (step(0.9, 7.0), 1e-4, 14.0),
        (step(0.5, 8.0, 2.0, 0.5), 1e-1, 0.5),  # two rejected: the radius is the last trial's
        (step(0.9, 8.0, 2.0), 1e-3, 4.0),
    ):
        found = region.after(taken)
        assert (found.damping, found.radius) == (pytest.approx(damping, rel=1e-9), pytest.approx(radius, rel=1e-9))


def test_the_damping_of_the_change_of_variables_begins_and_ends_where_it_is_told() -> None:
    region = Region()
    assert (region.damping, region.radius) == (1e-4, None)
    for _ in range(10):
        region = region.after(step(0.9, 1.0))
    assert region.damping == 1e-9
    for _ in range(40):
        region = region.after(step(0.1, 1.0))
    assert region.damping == 1e8


def test_the_first_trust_radius_lets_a_whole_gauss_newton_step_through() -> None:
    problem = condition(random_problem(np.random.default_rng(1), ("bal",) * 4, n_points=20)).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    objective = Objective(Residuals(problem), None)
    linearization = objective.residuals.linearize(variables, variables.start)
    here = Expansion(variables, objective, linearization, objective.gradient(linearization))
    change, region = here.change(NormalFactors(variables, objective.residuals), Region(), History(ignore))
    J, r = linearization.csr().toarray(), linearization.residual.ravel()
    H = J.T @ J
    H[np.diag_indices_from(H)] += 1e-4 * np.clip(np.diag(H), 1e-6, 1e32)
    promised = 0.5 * (J.T @ r) @ np.linalg.solve(H, J.T @ r)
    assert here.promised_reduction(change) == pytest.approx(promised, rel=1e-8)
    taken = here.step(change, region, History(ignore))
    assert taken is not None
    assert taken.trials[0] == pytest.approx(np.sqrt(2.0 * promised), rel=0.05)
    assert taken.radius == pytest.approx(2.0 * np.linalg.norm(r))
    moved = objective.residuals.residual(variables.at(variables.start + taken.displacement))[0]
    assert taken.cost == pytest.approx(0.5 * np.sum(moved**2), rel=1e-10)


def test_gauss_newton_steps_of_small_problems_are_few_and_their_number_is_known() -> None:
    """Regression of both default backends on generated scenes: more steps mean that a rule has been changed."""
    start = perturb(generate(Scene(images=8, points=60)), Noise(rotation_deg=1.0, position=0.05, points=0.05), 1)
    found = {
        backend: len(solve(start, options=Solver(backend=backend, ftol=1e-6, threads=1)).iterations) - 1
        for backend in ("schur", "scipy")
    }
    assert found == {"schur": 6, "scipy": 5}

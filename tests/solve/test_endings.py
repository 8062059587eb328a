"""A solve ends at the first step that meets a test, and with the reason of that test."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from ba.errors import UserError
from ba.model.problem import Problem
from ba.solve import solve
from ba.solve.options import Solver
from ba.solve.result import Solution, Status
from tests.support.solving import start

BACKENDS = pytest.mark.parametrize("backend", ["schur", "scipy"])
NEVER = {"ftol": 0.0, "xtol": 0.0, "gtol": 0.0}


def course(problem: Problem, backend: str, **tolerances: float) -> Solution:
    return solve(problem, options=Solver(backend=backend, **(NEVER | {"max_iterations": 8} | tolerances)))


def large(seed: int = 0) -> Problem:
    """With costs far from 1, so that a share is no number, and far from its minimum, so that shares differ."""
    problem = start("everything", seed)
    return replace(problem, pixels=problem.pixels + np.random.default_rng(1).normal(0.0, 5.0, problem.pixels.shape))


@BACKENDS
def test_ftol_is_a_share_of_the_cost_before_the_step(backend: str) -> None:
    log = course(large(), backend).iterations
    shares = [record.cost_change / before.cost for before, record in pairwise(log)]
    k = next(k for k in range(3, len(shares)) if shares[k] < min(shares[:k]))
    assert log[k].cost > 100.0, "a share of it is another number"
    found = course(large(), backend, ftol=1.0001 * shares[k])
    assert (found.status, found.message) == (Status.CONVERGED, "relative change of the cost below solver.ftol")
    assert len(found.iterations) - 1 == k + 1
    assert len(course(large(), backend, ftol=0.9999 * shares[k]).iterations) - 1 > k + 1


@BACKENDS
def test_gtol_is_the_largest_component_of_the_gradient(backend: str) -> None:
    slopes = [record.gradient_norm for record in course(large(), backend).iterations]
    k = next(k for k in range(1, len(slopes)) if slopes[k] < min(slopes[:k]))
    found = course(large(), backend, gtol=1.0001 * slopes[k])
    assert (found.status, found.message) == (Status.CONVERGED, "largest gradient component below solver.gtol")
    assert len(found.iterations) - 1 == k
    assert len(course(large(), backend, gtol=0.9999 * slopes[k]).iterations) - 1 > k


def share_of_itself(before: Problem, after: Problem) -> float:
    """The largest move of a number of a state, as a share of it or of 1."""
    moves = []
    for name in ("rotations", "translations", "intrinsics", "points"):
        a, b = getattr(before, name), getattr(after, name)
        moves.append((np.abs(b - a) / np.maximum(np.abs(a), 1.0)).max())
    return float(max(moves))


@pytest.mark.parametrize("free", ["everything", "points", "poses"])
def test_xtol_is_the_largest_move_of_any_number_as_a_share_of_it(free: str) -> None:
    problem = start(free)
    states = [course(problem, "schur", max_iterations=k).problem for k in range(5)]
    shares = [share_of_itself(a, b) for a, b in pairwise(states)]
    assert shares == sorted(shares, reverse=True)
    for k in (1, 2):
        found = course(problem, "schur", xtol=float(np.sqrt(shares[k] * shares[k - 1])))
        assert found.message == "no number moves by more than solver.xtol of itself"
        assert len(found.iterations) - 1 == k + 1


@pytest.mark.parametrize("way", [{"backend": "schur"}, {}, {"preconditioner": "none"}, {"method": "dogbox"}])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_as_many_steps_as_are_allowed_are_taken(way: dict[str, str], steps: int) -> None:
    found = solve(large(), options=Solver(**way, **NEVER, max_iterations=steps))
    assert len(found.iterations) == steps + 1
    assert (found.status, found.message) == (Status.MAX_ITERATIONS, "solver.max_iterations reached")


@BACKENDS
def test_without_tolerances_a_solve_ends_where_float64_does(backend: str) -> None:
    found = course(start(), backend, max_iterations=60)
    assert (found.status, found.message) == (Status.CONVERGED, "no step lowers the cost in float64 any more")
    again = course(found.problem, backend, max_iterations=60)
    assert again.final_cost == pytest.approx(found.final_cost, rel=1e-12)


@BACKENDS
def test_a_free_matrix_further_than_1e_6_from_so3_is_refused_and_a_fixed_one_is_not(backend: str) -> None:
    problem = start()

    def stretched(image: int, by: float) -> Problem:
        rotations = problem.rotations.copy()
        rotations[image] *= 1.0 + by
        return replace(problem, rotations=rotations)

    options = Solver(backend=backend, max_iterations=1)
    assert not problem.free.rotations[0]
    solve(stretched(0, 0.1), options=options)  # |R^T R - I| = 0.36
    solve(stretched(2, 2e-7), options=options)  # 7e-7
    with pytest.raises(UserError, match=r"problem\.rotations\[2\]"):
        solve(stretched(2, 4e-7), options=options)  # 1.4e-6


def test_both_bounds_hold() -> None:
    problem = start()
    free = np.zeros_like(problem.free.intrinsics)
    free[:, 0] = True
    problem = problem.with_free(replace(problem.free, intrinsics=free))
    focal = problem.intrinsics[0, 0]
    problem = replace(problem, pixels=problem.pixels * [1.2, 1.0])
    options = Solver(preconditioner="none", max_iterations=30)
    held = solve(problem, options=options, bounds={"fx": (focal - 1.0, focal + 1.0)}).problem
    assert focal < held.intrinsics[0, 0] <= focal + 1.0
    problem = replace(problem, pixels=problem.pixels * [0.7, 1.0])
    held = solve(problem, options=options, bounds={"fx": (focal - 1.0, focal + 1.0)}).problem
    assert focal - 1.0 <= held.intrinsics[0, 0] < focal

"""The forecast of memory adds up the bytes of arrays that can be made and asked; a limit is kept to the megabyte."""

from pathlib import Path

import numpy as np
import pytest

from ba.analyse import memory
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.solve.options import Solver
from ba.solve.reduced import Eliminator, dense, make_structure
from ba.solve.reduced.conjugate_gradients import matrix
from ba.solve.reduced.sparse import analyzed
from tests.support.machines import config, growth, machine, refusal
from tests.support.scenes import random_problem


def problem_of(covariances: bool = False) -> Problem:
    problem = random_problem(np.random.default_rng(1), ("bal",) * 4, n_points=30, covariances=covariances)
    return condition(problem).problem


def sizes_of(problem: Problem) -> memory.Sizes:
    return memory.measured(problem, 3)


def reduced_of(problem: Problem):  # type: ignore[no-untyped-def]
    variables = make_variables(problem, ROTATIONS["so3_left"])
    blocks = Residuals(problem).blocks(variables.at(variables.start))
    return Eliminator(make_structure(problem, 3), 1, explicit=True)(blocks, 1e-3)


def test_factors_are_those_that_the_solvers_make() -> None:
    problem = problem_of()
    sizes, reduced = sizes_of(problem), reduced_of(problem)
    known = {name: memory.forecast(sizes, Solver(backend="schur", linear=name)) for name in ("dense", "sparse", "cg")}
    assert known["dense"]["factor of S"] == dense.lower_triangle(reduced).nbytes
    assert known["sparse"]["factor of S"] == 8 * analyzed(reduced.structure).offsets[-1]
    assert known["dense"]["S, once for each part"] == known["sparse"]["S, once for each part"]
    # The matrix of both triangles, the blocks that it is made of, and a copy while they are put in order.
    assert known["cg"]["S as a matrix"] == 3 * matrix(reduced).data.nbytes


def test_what_is_not_formed_takes_its_diagonal_alone() -> None:
    formed = sizes_of(problem_of())
    implicit = memory.replace(formed, implicit=True)
    a, b = (memory.forecast(sizes, Solver(backend="schur", linear="cg")) for sizes in (formed, implicit))
    assert a["S, once for each part"] - b["S, once for each part"] == 4 * 8 * (formed.formed - formed.diagonal)
    assert b["S as a matrix"] == 0
    dense_a, dense_b = (memory.forecast(sizes, Solver(backend="schur", linear="dense")) for sizes in (formed, implicit))
    assert dense_a == dense_b


def test_the_whole_is_the_sum_of_its_parts() -> None:
    sizes = sizes_of(problem_of())
    for name, way in memory.WAYS.items():
        assert memory.ways(sizes, Solver())[name] == sum(memory.forecast(sizes, Solver(**way)).values())
    assert memory.chosen(sizes, Solver()) == "scipy, preconditioner schur"
    assert memory.chosen(sizes, Solver(backend="schur", linear="cg")) == "schur, cg"


def test_the_least_is_an_interpreter_with_numpy_scipy_and_kernels() -> None:
    """Which takes some 200 MB, whatever the problem."""
    parts = memory.forecast(sizes_of(problem_of()), Solver(backend="schur"))
    assert 180e6 < parts["interpreter, libraries, kernels"] < 300e6


def test_covariances_take_four_numbers_an_observation_each_time_that_observations_are_held() -> None:
    plain, weighted = (
        memory.forecast(sizes_of(problem_of(covariances)), Solver(backend="schur")) for covariances in (False, True)
    )
    n = problem_of().num_observations
    loaded, sorted_ = "problem, loaded and start", "problem, sorted for solving"
    assert weighted[loaded] - plain[loaded] == 4 * 8 * n
    # Beside the sorted ones stand the whiteners that are made of them.
    assert weighted[sorted_] - plain[sorted_] == 2 * 4 * 8 * n


def test_scipy_holds_jacobians_by_the_eight_and_the_preconditioner_two_steps_of_blocks() -> None:
    """Jacobians as at 1e5 and 3e5 observations; blocks are those of this step and of the one before."""
    sizes = sizes_of(problem_of())
    plain = memory.forecast(sizes, Solver(preconditioner="none"))
    assert plain["Jacobian as CSR"] + plain["scipy's copies of it"] == 8 * plain["Jacobian as CSR"]
    round_ = memory.forecast(sizes, Solver())
    assert round_["blocks r, A, B"] + round_["blocks of the step before"] == 2 * plain["blocks r, A, B"]


@pytest.fixture(scope="module")
def street() -> Problem:
    return generate(Scene(kind="street", images=60, points=20_000))


@pytest.mark.parametrize("way", ["schur, sparse", "schur, dense", "scipy, preconditioner schur"])
def test_a_run_is_refused_where_a_megabyte_is_missing_and_not_where_one_is_left(
    street: Problem, way: str, tmp_path: Path
) -> None:
    needed, spare = growth(street, way), 1_000_000
    asked = config(**memory.WAYS[way])
    memory.check(street, asked, machine(tmp_path / "enough", (needed + spare) // 1024))
    assert refusal(street, asked, machine(tmp_path / "short", (needed - spare) // 1024)).startswith("memory: ")


def test_where_not_even_the_structure_can_be_made_no_more_is_said_to_be_needed_than_is(tmp_path: Path) -> None:
    problem = generate(Scene(kind="street", images=300, points=4000, camera="bal"))
    told = refusal(problem, config(backend="schur", linear="sparse"), machine(tmp_path, 0))
    number, unit = told.split("needs about ")[1].split()[:2]
    needed = float(number) * {"MB": 1e6, "GB": 1e9}[unit]
    assert 0.5 * growth(problem, "schur, sparse") < needed < 1.01 * growth(problem, "schur, sparse")

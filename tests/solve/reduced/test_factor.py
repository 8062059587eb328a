"""The kept factor is the Cholesky factor of the damped normal equations: it solves them for any right-hand side."""

import itertools

import numpy as np
import pytest

from ba.errors import SolverError, UserError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import preconditioned, solve
from ba.solve.options import Solver
from ba.solve.reduced import (
    FACTORIZATIONS,
    Eliminator,
    NormalFactor,
    choice,
    make_partition,
    make_structure,
)
from ba.solve.reduced import system as system_module
from ba.solve.reduced.factor import factorize
from ba.solve.reduced.partition import Partition
from ba.solve.reduced.system import LEAST_DIAGONAL, MOST_DIAGONAL, Reduced
from tests.support.masks import CAMERA_SETS, MASKS
from tests.support.scenes import FAMILIES, random_problem

DAMPING = 1e-3


def reduced_system(
    problem: Problem, rotation: str = "so3_left", damping: float = DAMPING, threads: int = 1
) -> tuple[Reduced, Partition, np.ndarray]:
    """The reduced system, where its numbers stand in x, and J."""
    problem = condition(problem).problem
    variables, residuals = make_variables(problem, ROTATIONS[rotation]), Residuals(problem)
    structure = make_structure(problem, ROTATIONS[rotation].tangent_dim)
    linearization = residuals.linearize(variables, variables.start)
    blocks = linearization.residual, linearization.camera_blocks, linearization.point_blocks
    reduced = Eliminator(structure, threads, explicit=True)(blocks, damping)
    return reduced, make_partition(structure, variables), linearization.csr().toarray()


def damped(J: np.ndarray) -> np.ndarray:
    H = J.T @ J
    return H + DAMPING * np.diag(np.clip(np.diag(H), LEAST_DIAGONAL, MOST_DIAGONAL))


def masked(cameras: str, mask: str) -> Problem:
    problem = random_problem(np.random.default_rng(2), CAMERA_SETS[cameras])
    return problem.with_free(MASKS[mask](problem.free))


def solved(factor: NormalFactor, g: np.ndarray) -> np.ndarray:
    return factor.backward(factor.forward(g))


def assert_solves(reduced: Reduced, partition: Partition, J: np.ndarray, name: str) -> None:
    """To 1e-10 of the largest number, each in units of its standard deviation."""
    H = damped(J)
    scale = np.sqrt(np.diag(H))
    g = scale * np.random.default_rng(5).normal(size=len(H))
    found, right = solved(factorize(reduced, partition, name), g), np.linalg.solve(H, g)
    assert np.abs(scale * (found - right)).max(initial=0.0) <= 1e-10 * np.abs(scale * right).max(initial=0.0)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERA_SETS)
@pytest.mark.parametrize("rotation", FAMILIES)
def test_any_right_hand_side_is_solved(rotation: str, cameras: str, mask: str) -> None:
    system = reduced_system(masked(cameras, mask), rotation)
    for name in FACTORIZATIONS:
        assert_solves(*system, name)


@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_blocks_that_are_not_there_are_zero(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_module, "ALL_BLOCKS", 0)
    street = generate(Scene(kind="street", images=12, points=80, observations_per_point=4))
    reduced, partition, J = reduced_system(street)
    assert reduced.pattern is not None
    assert_solves(reduced, partition, J, name)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERA_SETS)
@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_halves_undo_the_equations_and_carry_products(name: str, cameras: str, mask: str) -> None:
    reduced, partition, J = reduced_system(masked(cameras, mask))
    factor, H = factorize(reduced, partition, name), damped(J)
    backward = np.stack([factor.backward(e) for e in np.eye(len(H))], axis=1)  # L^-T
    forward = np.stack([factor.forward(e) for e in np.eye(len(H))], axis=1)  # L^-1
    assert np.allclose(backward.T @ H @ backward, np.eye(len(H)), atol=1e-7)
    assert np.allclose(forward, backward.T, rtol=1e-10, atol=1e-10 * np.abs(forward).max())
    times = np.stack([factor.times(e) for e in np.eye(len(H))], axis=1)
    transposed = np.stack([factor.transposed_times(u) for u in np.eye(len(J))], axis=1)
    assert np.allclose(times, J @ backward, atol=1e-10)
    assert np.allclose(transposed, times.T, atol=1e-10)


@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_threads_do_not_change_a_bit(name: str) -> None:
    answers = []
    for threads in (1, 3):
        reduced, partition, J = reduced_system(masked("mixed", "everything"), threads=threads)
        answers.append(solved(factorize(reduced, partition, name), np.ones(J.shape[1])))
    assert np.array_equal(*answers)


@pytest.mark.parametrize("rotation", FAMILIES)
@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_gauge_freedom_leaves_a_factor(name: str, rotation: str) -> None:
    reduced, partition, J = reduced_system(masked("own", "everything"), rotation, damping=1e-9)
    assert np.isfinite(solved(factorize(reduced, partition, name), np.ones(J.shape[1]))).all()


@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_a_singular_group_is_named(name: str) -> None:
    reduced, partition, _ = reduced_system(masked("own", "everything"))
    n = reduced.structure.num_groups
    first = reduced.offsets[2 * n + 2]
    reduced.blocks[first : reduced.offsets[2 * n + 3]] = 0.0
    with pytest.raises(SolverError, match=r"singular at .*group 2"):
        factorize(reduced, partition, name)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERA_SETS)
def test_every_free_number_has_one_place(cameras: str, mask: str) -> None:
    reduced, partition, J = reduced_system(masked(cameras, mask))
    x = np.arange(1.0, J.shape[1] + 1.0)
    groups, points = partition.split(x)
    assert np.array_equal(groups != 0.0, reduced.structure.free)
    assert np.array_equal(np.sort(np.concatenate([groups[groups > 0.0], points[points > 0.0]])), x)
    assert np.array_equal(partition.join(groups, points), x)


def test_scipy_ends_at_the_same_minimum_whatever_factors_its_preconditioner(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = generate(Scene(kind="street", images=8, points=120, observations_per_point=4, seed=4))
    start = perturb(scene, Noise(rotation_deg=0.1, position=0.01, points=0.01), 1)
    options = Solver(ftol=1e-13, max_iterations=200)
    costs = []
    for few, much in ((1000, 0.0), (0, 1.0), (0, -1.0)):  # dense for size, sparse, dense in place of iterations
        monkeypatch.setattr(choice, "FEW", few)
        monkeypatch.setattr(choice, "MUCH", much)
        monkeypatch.setattr(choice, "SOME", 0)
        costs.append(solve(start, options=options).final_cost)
    assert all(b == pytest.approx(a, rel=1e-10) for a, b in itertools.pairwise(costs))


def test_a_dense_factor_that_would_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FEW", 0), ("SOME", 0), ("MUCH", -1.0)):
        monkeypatch.setattr(choice, name, value)
    monkeypatch.setattr(preconditioned, "MAX_DENSE", 10)
    with pytest.raises(UserError, match=r"solver\.preconditioner: schur factors a dense matrix of \d+"):
        solve(random_problem(np.random.default_rng(0)))

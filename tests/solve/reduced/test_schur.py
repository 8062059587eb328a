"""A step on the reduced camera system is the step of the whole damped normal equations, whatever solves it."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from ba.errors import SolverError
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.camera import CAMERAS
from ba.model.loss import LOSSES
from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import solve
from ba.solve.levenberg_marquardt import Damping
from ba.solve.options import Solver
from ba.solve.reduced import LINEAR_SOLVERS, PRECONDITIONERS, Eliminator, choice, choose, linear_solver, make_structure
from ba.solve.reduced import system as system_module
from ba.solve.reduced.conjugate_gradients import explicit_product, implicit_product
from ba.solve.reduced.system import LEAST_DIAGONAL, MOST_DIAGONAL, Reduced
from tests.support.masks import CAMERA_SETS, MASKS
from tests.support.scenes import FAMILIES, random_problem

DAMPING = 1e-3

WAYS = [(name, other) for name in LINEAR_SOLVERS for other in (PRECONDITIONERS if name == "cg" else [""])]
"""Every linear solver with every preconditioner that it may have."""


def reduced_system(
    problem: Problem, rotation: str = "so3_left", *, explicit: bool = True, damping: float = DAMPING
) -> tuple[Reduced, np.ndarray, np.ndarray]:
    """The reduced system, and J and r of the same (sorted) problem."""
    problem = condition(problem).problem
    variables = make_variables(problem, ROTATIONS[rotation])
    residuals = Residuals(problem)
    structure = make_structure(problem, ROTATIONS[rotation].tangent_dim)
    blocks = residuals.blocks(variables.at(variables.start))
    linearization = residuals.linearize(variables, variables.start)
    reduced = Eliminator(structure, 1, explicit=explicit)(blocks, damping)
    return reduced, linearization.csr().toarray(), linearization.residual.ravel()


def reference(J: np.ndarray, r: np.ndarray, damping: float = DAMPING) -> np.ndarray:
    H = J.T @ J
    H[np.diag_indices_from(H)] += damping * np.clip(np.diag(H), LEAST_DIAGONAL, MOST_DIAGONAL)
    return np.linalg.solve(H, -J.T @ r)


def as_vector(reduced: Reduced, step: np.ndarray, point_step: np.ndarray, problem: Problem) -> np.ndarray:
    """A step in the order of `Variables`: free pose and camera numbers, then free points."""
    of = reduced.structure
    numbers = step[of.free][np.argsort(of.entries[of.free])]
    return np.concatenate([numbers, point_step[problem.free.points].ravel()])


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("cameras", CAMERA_SETS)
@pytest.mark.parametrize(("name", "preconditioner"), WAYS)
def test_step_is_that_of_the_whole_equations(name: str, preconditioner: str, cameras: str, mask: str) -> None:
    problem = random_problem(np.random.default_rng(2), CAMERA_SETS[cameras])
    problem = condition(problem.with_free(MASKS[mask](problem.free))).problem
    for explicit in (True, False) if name == "cg" else (True,):
        reduced, J, r = reduced_system(problem, explicit=explicit)
        step, _ = linear_solver(name, preconditioner)(reduced, 1e-14)
        point_step, promised = reduced.substitute(step)
        right = reference(J, r)
        found = as_vector(reduced, step, point_step, problem)
        assert np.allclose(found, right, rtol=1e-9, atol=1e-9 * np.abs(right).max())
        change = J @ right
        assert promised == pytest.approx(-(r @ change + 0.5 * change @ change), rel=1e-9)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("rotation", FAMILIES)
@pytest.mark.parametrize(("name", "preconditioner"), WAYS)
def test_step_is_right_for_every_rotation_and_camera_on_a_sparse_pattern(
    name: str, preconditioner: str, rotation: str, camera: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(system_module, "ALL_BLOCKS", 0)
    scene = Scene(kind="street", images=12, points=80, observations_per_point=4, camera=camera)
    problem = condition(generate(scene)).problem
    reduced, J, r = reduced_system(problem, rotation)
    assert reduced.pattern is not None
    step, _ = linear_solver(name, preconditioner)(reduced, 1e-14)
    point_step, _ = reduced.substitute(step)
    right = reference(J, r)
    assert np.allclose(as_vector(reduced, step, point_step, problem), right, rtol=1e-9, atol=1e-9 * np.abs(right).max())


@pytest.mark.parametrize("cameras", CAMERA_SETS)
def test_products_with_and_without_the_matrix_agree(cameras: str) -> None:
    problem = random_problem(np.random.default_rng(2), CAMERA_SETS[cameras])
    formed, _, _ = reduced_system(problem, explicit=True)
    free, _, _ = reduced_system(problem, explicit=False)
    v = np.random.default_rng(0).normal(size=formed.rhs.shape) * formed.structure.free
    right = explicit_product(formed)(v)
    assert np.allclose(implicit_product(free)(v), right, rtol=1e-10, atol=1e-10 * np.abs(right).max())
    assert np.allclose(formed.diagonal_blocks(), free.diagonal_blocks(), rtol=1e-10)


@pytest.mark.parametrize("name", PRECONDITIONERS)
def test_preconditioners_are_symmetric_and_positive(name: str) -> None:
    reduced, _, _ = reduced_system(random_problem(np.random.default_rng(2), CAMERA_SETS["own"]), explicit=False)
    apply = PRECONDITIONERS[name](reduced, implicit_product(reduced))
    n = reduced.rhs.size
    M = np.stack([apply(e.reshape(reduced.rhs.shape)).ravel() for e in np.eye(n)], axis=1)
    assert np.allclose(M, M.T, atol=1e-9 * np.abs(M).max())
    assert np.linalg.eigvalsh(0.5 * (M + M.T)).min() > 0.0


def test_terms_of_the_power_series_save_iterations() -> None:
    start = perturb(generate(Scene(kind="street", images=12, points=80, camera="bal")), Noise(points=0.01), 0)
    taken = {
        name: solve(start, options=Solver(backend="schur", linear="cg", cg_preconditioner=name)).solver_details
        for name in ("jacobi", "power")
    }
    assert taken["power"]["linear_iterations"] < 0.8 * taken["jacobi"]["linear_iterations"]


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("linear", LINEAR_SOLVERS)
def test_schur_and_scipy_end_at_the_same_minimum(linear: str, name: str) -> None:
    outliers = 0.0 if name == "linear" else 0.03  # which would send their points to infinity, slowly
    scene = generate(Scene(images=8, points=60, observations_per_point=6, outliers=outliers, seed=4))
    free = replace(scene.free, intrinsics=np.zeros_like(scene.free.intrinsics))
    start = perturb(scene.with_free(free), Noise(rotation_deg=0.3, position=0.01, points=0.01), 1)
    loss = Loss(name=name, scale=2.0)
    tight = {"ftol": 1e-13, "xtol": 1e-14, "gtol": 1e-10, "max_iterations": 400}
    ours = solve(start, loss=loss, options=Solver(backend="schur", linear=linear, **tight))
    theirs = solve(start, loss=loss, options=Solver(**tight))
    assert ours.final_cost == pytest.approx(theirs.final_cost, rel=1e-8)


def test_damping_follows_the_gain() -> None:
    damping = Damping(1e-3)
    damping.accepted(1.0)
    assert damping.value == pytest.approx(1e-3 / 3.0)
    for factor in (2.0, 4.0, 8.0):
        before = damping.value
        damping.rejected()
        assert damping.value == pytest.approx(factor * before)


def test_a_singular_point_is_named() -> None:
    problem = random_problem(np.random.default_rng(2), CAMERA_SETS["own"])
    reduced, _, _ = reduced_system(problem)
    r, A, B = (np.array(array) for array in reduced.derivatives)
    B[reduced.structure.starts[3]] = np.nan
    with pytest.raises(SolverError, match="block of point 3 is singular"):
        Eliminator(reduced.structure, 1, explicit=True)((r, A, B), DAMPING)


def test_a_factor_of_many_products_is_left_to_conjugate_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    street = condition(generate(Scene(kind="street", images=400, points=8000, camera="bal"))).problem
    structure = make_structure(street, 3)
    assert choose(structure, None)[0] == "sparse"
    monkeypatch.setattr(choice, "LONG", 0)
    assert choose(structure, None)[0] == "cg"
    assert choose(structure, "sparse")[0] == "sparse", "what is asked for is done"


def test_an_elimination_copies_no_derivatives_of_shared_cameras() -> None:
    problem = condition(generate(Scene(images=20, points=3000, camera="bal", shared_camera=True))).problem
    variables = make_variables(problem, ROTATIONS["so3_left"])
    blocks = Residuals(problem).blocks(variables.at(variables.start))
    eliminate = Eliminator(make_structure(problem, 3), 1, explicit=True)
    eliminate(blocks, DAMPING)
    tracemalloc.start()
    try:
        eliminate(blocks, DAMPING)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * blocks[1].nbytes

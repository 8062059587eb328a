"""Every backend, rotation and loss finds the minimum, moves only what is free, and ends by name."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from ba.errors import UserError
from ba.model.loss import LOSSES
from ba.model.options import Loss
from ba.model.problem import Problem, all_free
from ba.model.residual import Residuals, project
from ba.model.rotation import ROTATIONS
from ba.model.similarity import Similarity, transform
from ba.model.variables import make_variables
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import SOLVERS, solve
from ba.solve.options import Solver
from ba.solve.result import Iteration, Status
from tests.support.scenes import FAMILIES, N_IMAGES, random_problem
from tests.support.solving import EXACT, WAYS, cost, perturbed

STAY = [name for name in FAMILIES if ROTATIONS[name].stays_rotation]


@pytest.fixture(scope="module")
def lowest() -> float:
    return solve(perturbed(), options=WAYS["trf_schur"]).final_cost


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rotation", STAY)
def test_every_rotation_and_method_reaches_the_same_minimum(rotation: str, way: str, lowest: float) -> None:
    problem = perturbed()
    solution = solve(problem, rotation=rotation, options=WAYS[way])
    assert solution.status is Status.CONVERGED, solution.message
    assert solution.final_cost == pytest.approx(lowest, rel=1e-9)
    assert solution.final_cost == pytest.approx(cost(solution.problem), rel=1e-12)
    assert solution.initial_cost == pytest.approx(cost(problem), rel=1e-12)
    assert solution.constraint < 1e-12


def test_matrix9_leaves_so3_for_a_lower_cost_and_says_so(lowest: float) -> None:
    solution = solve(perturbed(), rotation="matrix9", options=WAYS["trf_schur"])
    assert solution.final_cost < lowest
    assert solution.constraint > 1e-6


@pytest.mark.parametrize("backend", SOLVERS)
def test_every_backend_reaches_the_minimum_with_cameras_free_and_shared(backend: str) -> None:
    problem = random_problem(np.random.default_rng(4), ("bal", "pinhole"), n_points=40)
    start = perturb(problem, Noise(rotation_deg=0.2, position=0.01, points=0.01, intrinsics=0.01), 1)
    solution = solve(start, options=Solver(backend=backend, max_iterations=300, ftol=1e-12))
    assert solution.status is Status.CONVERGED
    variables = make_variables(solution.problem, ROTATIONS["so3_left"])
    linearization = Residuals(solution.problem).linearize(variables, variables.start)
    J, r = linearization.csr().toarray(), linearization.residual.ravel()
    # At a minimum nothing of the residual lies in the span of J.
    step = np.linalg.lstsq(J, r, rcond=1e-10)[0]
    assert np.linalg.norm(J @ step) < 1e-4 * np.linalg.norm(r)


@pytest.mark.parametrize("preconditioner", ["schur", "none"])
@pytest.mark.parametrize("name", LOSSES)
def test_robust_minimum_is_the_one_a_general_minimizer_finds(name: str, preconditioner: str) -> None:
    problem = perturbed(n_points=6, seed=3)
    pixels = problem.pixels.copy()
    pixels[::11] += 15.0
    problem = replace(problem, pixels=pixels)
    loss = Loss(name=name, scale=1.5)
    solution = solve(problem, loss=loss, options=Solver(preconditioner=preconditioner, max_iterations=500, **EXACT))
    assert solution.final_cost == pytest.approx(cost(solution.problem, loss), rel=1e-12)

    variables = make_variables(solution.problem, ROTATIONS["axis_angle"])
    general = minimize(lambda x: cost(variables.problem_at(x), loss), variables.start, method="BFGS", tol=1e-9)
    assert general.fun >= solution.final_cost * (1.0 - 1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_fixed_numbers_keep_their_bits(way: str) -> None:
    problem = perturbed()
    points = problem.free.points.copy()
    points[::3] = False
    problem = problem.with_free(replace(problem.free, points=points))
    solved, free = solve(problem, options=WAYS[way]).problem, problem.free
    assert np.array_equal(solved.rotations[~free.rotations], problem.rotations[~free.rotations])
    assert np.array_equal(solved.translations[~free.translations], problem.translations[~free.translations])
    assert np.array_equal(solved.points[~free.points], problem.points[~free.points])
    assert np.array_equal(solved.intrinsics, problem.intrinsics)
    assert (solved.points[free.points] != problem.points[free.points]).any()
    assert (solved.rotations[free.rotations] != problem.rotations[free.rotations]).any()


def test_the_same_problem_gives_the_same_bits() -> None:
    first, second = (solve(perturbed(), options=Solver(threads=2)).problem for _ in range(2))
    for name in ("rotations", "translations", "points"):
        assert np.array_equal(getattr(first, name), getattr(second, name))


def test_far_from_the_origin_nothing_is_lost(lowest: float) -> None:
    problem = perturbed()
    problem = problem.with_free(
        replace(problem.free, translations=np.repeat(problem.free.rotations[:, None], 3, axis=1))
    )
    near = solve(problem, options=WAYS["trf_schur"])
    away = transform(problem, Similarity(1.0, np.eye(3), np.array([4e6, -1e7, 3e2])))
    far = solve(away, options=WAYS["trf_schur"])
    # The coordinates themselves are rounded to 2e-9 m, and so are the pixels, to 1e-6 px.
    assert far.final_cost == pytest.approx(near.final_cost, rel=1e-5)
    assert far.status is Status.CONVERGED


def test_bounds_hold_and_an_active_one_is_reached() -> None:
    problem = perturbed()
    intrinsics = np.zeros_like(problem.free.intrinsics)
    intrinsics[:, 0] = True
    problem = problem.with_free(replace(problem.free, intrinsics=intrinsics))
    focal = problem.intrinsics[0, 0]
    free = solve(problem, options=Solver(preconditioner="none")).problem.intrinsics[0, 0]
    middle = 0.5 * (focal + free)
    bounds = (min(focal, middle) - 1e-9, max(focal, middle) + 1e-9)
    held = solve(problem, options=Solver(preconditioner="none"), bounds={"fx": bounds}).problem.intrinsics[0, 0]
    assert bounds[0] <= held <= bounds[1]
    assert held == pytest.approx(middle, rel=1e-4)
    with pytest.raises(UserError, match=r"camera\.bounds\.fx: camera 0 starts at"):
        solve(problem, options=Solver(preconditioner="none"), bounds={"fx": (1.0, 2.0)})
    with pytest.raises(UserError, match=r"camera\.bounds\.gx: no such parameter"):
        solve(problem, bounds={"gx": (1.0, 2.0)})


@pytest.mark.parametrize("preconditioner", ["schur", "none"])
def test_iterations_stop_where_told(preconditioner: str) -> None:
    problem = perturbed()
    seen: list[Iteration] = []
    solution = solve(
        problem, options=Solver(preconditioner=preconditioner, max_iterations=2, **EXACT), observer=seen.append
    )
    assert solution.status is Status.MAX_ITERATIONS
    assert [record.iteration for record in seen] == [0, 1, 2]
    assert tuple(seen) == solution.iterations
    assert seen[0].cost > seen[1].cost > seen[2].cost
    none = solve(problem, options=Solver(preconditioner=preconditioner, max_iterations=0))
    assert none.status is Status.MAX_ITERATIONS
    assert none.final_cost == none.initial_cost


@pytest.mark.parametrize("way", WAYS)
def test_interruption_leaves_the_best_state(way: str) -> None:
    def interrupt(record: Iteration) -> None:
        if record.iteration == 1:
            raise KeyboardInterrupt

    problem = perturbed()
    solution = solve(problem, options=WAYS[way], observer=interrupt)
    assert solution.status is Status.INTERRUPTED
    assert solution.final_cost < solution.initial_cost
    assert solution.final_cost == pytest.approx(cost(solution.problem), rel=1e-12)


@pytest.mark.parametrize("call", ["linearize", "residual", "blocks"])
@pytest.mark.parametrize("number", [1, 2, 3, 5])
@pytest.mark.parametrize("backend", SOLVERS)
def test_whenever_an_interruption_comes_log_and_state_agree(
    backend: str, number: int, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = getattr(Residuals, call), 0

    def interrupted(*arguments: object, **keywords: object) -> object:
        nonlocal count
        count += 1
        if count == number:
            raise KeyboardInterrupt
        return original(*arguments, **keywords)

    problem = perturbed()
    monkeypatch.setattr(Residuals, call, interrupted)
    try:
        solution = solve(problem, options=Solver(backend=backend, **EXACT))
    except KeyboardInterrupt:
        assert number <= 2  # nothing was there yet
        return
    monkeypatch.undo()
    if count >= number:
        assert solution.status is Status.INTERRUPTED
    assert solution.final_cost == pytest.approx(cost(solution.problem), rel=1e-12)


def test_one_point_far_away_does_not_end_the_solve() -> None:
    problem = perturbed()
    points = problem.points.copy()
    points[3] = points[3] * 1e9
    far = replace(problem, points=points)
    pixels = far.pixels.copy()
    seen = far.point_of_obs == 3
    pixels[seen] = project(far).pixels[seen] + 1.0
    for backend in SOLVERS:
        solution = solve(replace(far, pixels=pixels), options=Solver(backend=backend, max_iterations=200))
        assert solution.status is Status.CONVERGED
        assert len(solution.iterations) > 3
        assert solution.final_cost < 1e-2 * solution.initial_cost


def test_matrices_that_are_no_rotations_are_refused() -> None:
    problem = perturbed()
    with pytest.raises(UserError, match=r"problem\.rotations\[1\]: 0\.\d+ from SO\(3\)"):
        solve(replace(problem, rotations=problem.rotations * np.array([1.0, 1.2, 1.0, 1.0])[:, None, None]))


def test_threads_do_not_change_a_bit() -> None:
    for backend in SOLVERS:
        first, second = (solve(perturbed(), options=Solver(backend=backend, threads=n)).problem for n in (1, 3))
        assert np.array_equal(first.points, second.points)


def test_nothing_free_is_an_answer() -> None:
    problem = perturbed()
    nothing = replace(
        problem.free,
        rotations=np.zeros(N_IMAGES, bool),
        translations=np.zeros((N_IMAGES, 3), bool),
        points=np.zeros(problem.num_points, bool),
    )
    solution = solve(problem.with_free(nothing))
    assert solution.status is Status.CONVERGED
    assert solution.message == "nothing is free"


def _one_point(problem: Problem) -> Problem:
    points = problem.points.copy()
    points[:] = points[0]
    return replace(problem, points=points)


def _all_free(problem: Problem) -> Problem:
    return problem.with_free(all_free(problem.camera_models, problem.num_images, problem.num_points))


def _unseen_point(problem: Problem) -> Problem:
    return _all_free(problem).take(problem.point_of_obs != 2)


@pytest.mark.parametrize("degenerate", [_one_point, _all_free, _unseen_point])
def test_singular_systems_are_solved_or_named(degenerate: Callable[[Problem], Problem]) -> None:
    solution = solve(degenerate(perturbed()))
    assert solution.status in (Status.CONVERGED, Status.MAX_ITERATIONS)
    assert np.isfinite(solution.problem.points).all()
    assert solution.final_cost <= solution.initial_cost


def test_an_overflowing_start_is_named() -> None:
    problem = perturbed()
    points = problem.points.copy()
    points[3] = 1e308
    with pytest.raises(UserError, match=r"beyond 1e\+150"):
        solve(replace(problem, points=points))
    pixels = problem.pixels.copy()
    pixels[17] = 1e200
    image, point = problem.image_of_obs[17], problem.point_of_obs[17]
    with pytest.raises(UserError, match=f"observation 17, image {image}, point {point}"):
        solve(replace(problem, pixels=pixels))


def test_lm_refuses_what_it_cannot_hold() -> None:
    few = random_problem(np.random.default_rng(0), n_points=3)
    with pytest.raises(UserError, match="at least as many residuals"):
        solve(few, options=Solver(method="lm"))
    many = random_problem(np.random.default_rng(0), n_points=5000)
    with pytest.raises(UserError, match="dense Jacobian"):
        solve(many, options=Solver(method="lm"))

"""Free directions are the null space of the Jacobian, and the condition that of what remains, by numpy's SVD."""

from dataclasses import replace

import numpy as np
import pytest

from ba.analyse.free_directions import directions_and_condition
from ba.model.loss import LOSSES, scaled
from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.options import Camera, Fix
from ba.prepare.select import select
from tests.support import textbook
from tests.support.scenes import random_problem

SETS = {"own": ("bal",) * 4, "shared": ("pinhole",), "mixed": ("bal", "pinhole")}
CASES = [
    ("own", "so3_left", "free", "all"),
    ("own", "so3_left", "two_cameras", "all"),
    ("own", "quaternion", "free", ["f"]),
    ("shared", "so3_left", "three_points", "all"),
    ("shared", "columns6", "free", "none"),
    ("mixed", "matrix9", "free", "all"),
    ("mixed", "axis_angle", "two_cameras", "none"),
]


def problem_of(cameras: str, gauge: str, refine: str | list[str]) -> Problem:
    problem = random_problem(np.random.default_rng(31), SETS[cameras], n_points=40)
    return condition(select(problem, Camera(refine=refine), Fix(), gauge)).problem


def spectrum(problem: Problem, rotation: str, loss: Loss) -> tuple[int, int, np.ndarray]:
    """The size of the null space of J, the number of reduced columns, and the eigenvalues of the reduced equations with
    a unit diagonal, weighed for the loss."""
    variables = make_variables(problem, ROTATIONS[rotation])
    linearization = Residuals(problem).linearize(variables, variables.start)
    J, r = linearization.csr().toarray(), linearization.residual
    values = np.linalg.svd(J / np.linalg.norm(J, axis=0), compute_uv=False)
    missing = J.shape[1] - int((values > 1e-9 * values[0]).sum())
    if loss.name != "linear":
        first = scaled(LOSSES[loss.name], loss.scale)(np.sum(r**2, axis=1))[1]
        J = J * np.sqrt(np.repeat(first, 2))[:, None]
    n = variables.layout.num_reduced
    A, B = J[:, :n], J[:, n:]
    projected = A - B @ np.linalg.lstsq(B, A, rcond=None)[0]
    S = projected.T @ projected
    scale = 1.0 / np.sqrt(np.diag(S))
    return missing, n, np.linalg.eigvalsh(scale[:, None] * S * scale)


@pytest.mark.parametrize(("cameras", "rotation", "gauge", "refine"), CASES)
def test_directions_and_condition_are_those_of_the_jacobian(
    cameras: str, rotation: str, gauge: str, refine: str | list[str]
) -> None:
    problem = problem_of(cameras, gauge, refine)
    directions, found = directions_and_condition(problem, ROTATIONS[rotation], Loss())
    missing, _, values = spectrum(problem, rotation, Loss())
    assert directions == missing
    assert found == pytest.approx(values[-1] / values[missing], rel=1e-3)
    # The neighbours are other numbers: one eigenvalue more or less would be seen.
    assert values[missing + 1] > 1.01 * values[missing]
    assert values[-1] > 1.01 * values[-2]


def test_the_condition_is_that_of_the_equations_under_the_loss() -> None:
    problem = problem_of("own", "two_cameras", "all")
    problem = replace(problem, pixels=textbook.pixels(problem) + np.random.default_rng(1).normal(0, 8, (160, 2)))
    loss = Loss(name="cauchy", scale=0.5)
    (_, plain), (_, robust) = (
        directions_and_condition(problem, ROTATIONS["so3_left"], chosen) for chosen in (Loss(), loss)
    )
    missing, _, values = spectrum(problem, "so3_left", loss)
    assert robust == pytest.approx(values[-1] / values[missing], rel=1e-3)
    assert abs(robust / plain - 1.0) > 0.005


@pytest.mark.parametrize("spread", [1.0, 1e-2, 1e-4])
def test_a_flat_scene_leaves_no_more_open_than_its_jacobian(spread: float) -> None:
    """Points almost in a plane: weak directions are weak, and none is counted as open that is not."""
    problem = problem_of("shared", "free", "none")
    points = problem.points * [1.0, 1.0, spread]
    problem = replace(problem, points=points)
    problem = replace(problem, pixels=textbook.pixels(problem))
    missing, *_ = spectrum(problem, "so3_left", Loss())
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == missing == 7


@pytest.mark.parametrize("held", [0, 1, 2, 3])
def test_each_point_that_is_held_takes_directions_from_the_frame(held: int) -> None:
    problem = problem_of("shared", "free", "none")
    points = problem.free.points.copy()
    points[:held] = False
    problem = problem.with_free(replace(problem.free, points=points))
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == [7, 4, 1, 0][held]


def test_an_image_of_one_camera_with_a_weak_number_has_no_direction_of_its_own() -> None:
    """Distortion of points near the axis moves pixels by a thousandth, which is not nothing."""
    problem = problem_of("own", "free", "all")
    narrow = replace(
        problem, points=problem.points.mean(axis=0) + 0.02 * (problem.points - problem.points.mean(axis=0))
    )
    narrow = replace(narrow, pixels=textbook.pixels(narrow))
    missing, *_ = spectrum(narrow, "so3_left", Loss())
    assert directions_and_condition(narrow, ROTATIONS["so3_left"], Loss())[0] == missing


def test_where_every_point_is_held_nothing_is_open() -> None:
    """Each image is found from the points that it sees; no map of space may move those."""
    problem = problem_of("shared", "free", "none")
    problem = problem.with_free(replace(problem.free, points=np.zeros(problem.num_points, bool)))
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == 0


def points_open(problem: Problem) -> int:
    """Points of which some direction moves no pixel: those whose own 2 n x 3 derivative lacks rank, by numpy."""
    variables = make_variables(problem, ROTATIONS["so3_left"])
    J = Residuals(problem).linearize(variables, variables.start).csr().toarray()[:, variables.layout.num_reduced :]
    values = [np.linalg.svd(J[:, 3 * k : 3 * k + 3], compute_uv=False) for k in range(problem.num_points)]
    return sum(int((value <= 1e-8 * value[0]).sum()) for value in values)


@pytest.mark.parametrize(("angle", "expected"), [(1e-12, 1), (1e-6, 0), (1e-3, 0)])
def test_a_point_whose_rays_are_parallel_slides_along_them(angle: float, expected: int) -> None:
    """Point 5, which images 0 and 1 see, is so far away that its rays make this angle."""
    problem = random_problem(np.random.default_rng(31), ("bal",) * 4, n_points=40)
    kept = (problem.point_of_obs != 5) | (problem.image_of_obs < 2)
    problem = problem.take(kept)
    baseline = problem.centers[1] - problem.centers[0]
    ahead = np.cross(baseline, [0.3, 1.0, 0.2])
    ahead *= np.linalg.norm(baseline) / angle / np.linalg.norm(ahead)
    points = problem.points.copy()
    points[5] = problem.centers[0] + 0.5 * baseline + ahead
    away = replace(problem, points=points)
    near, far = (directions_and_condition(one, ROTATIONS["so3_left"], Loss())[0] for one in (problem, away))
    assert far - near == expected
    assert points_open(condition(problem).problem) == 0


@pytest.mark.parametrize("images", [1, 2, 4])
@pytest.mark.parametrize("more_held", [0, 1, 2])
def test_a_held_point_leaves_to_the_frame_what_its_images_do_not_see(images: int, more_held: int) -> None:
    """Point 5 is held: where only image 0 sees it, the scene may still carry it along that ray."""
    problem = random_problem(np.random.default_rng(31), ("bal",) * 4, n_points=40)
    kept = (problem.point_of_obs != 5) | (problem.image_of_obs < images)
    points = problem.free.points.copy()
    points[[5, *range(more_held)]] = False
    problem = problem.take(kept)
    problem = condition(problem.with_free(replace(problem.free, points=points))).problem
    missing, *_ = spectrum(problem, "so3_left", Loss())
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == missing


def test_a_single_image_of_held_points_is_found_from_them() -> None:
    """Maps that slide points along their rays move nothing that is free."""
    problem = random_problem(np.random.default_rng(31), ("bal",), n_points=40)
    problem = problem.with_free(replace(problem.free, points=np.zeros(problem.num_points, bool)))
    assert directions_and_condition(problem, ROTATIONS["so3_left"], Loss())[0] == 0

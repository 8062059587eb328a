"""x stands for what is free, in order, and what is fixed keeps its bits whatever x says."""

from dataclasses import replace

import numpy as np
import pytest

from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_layout, make_variables
from ba.solve import solve
from ba.solve.options import Solver
from tests.support import textbook
from tests.support.masks import MASKS
from tests.support.scenes import FAMILIES, random_problem


def masked(mask: str, models: tuple[str, ...] = ("bal", "pinhole")) -> Problem:
    problem = random_problem(np.random.default_rng(5), models, n_points=5)
    return problem.with_free(MASKS[mask](problem.free))


def off_so3(problem: Problem, images: list[int], stretch: float = 1.1) -> Problem:
    rotations = problem.rotations.copy()
    rotations[images] *= stretch
    return replace(problem, rotations=rotations)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("rotation", FAMILIES)
def test_what_is_fixed_keeps_its_bits_at_any_x(rotation: str, mask: str) -> None:
    problem, parameterization = masked(mask), ROTATIONS[rotation]
    variables = make_variables(problem, parameterization)
    x = variables.start + np.random.default_rng(0).normal(size=variables.layout.size)
    for moved in (variables.problem_at(x), variables.moved(x).problem, variables.moved(x).moved(x).problem):
        for name in ("rotations", "translations", "intrinsics", "points"):
            mask_of = getattr(problem.free, name)
            before, after = getattr(problem, name), getattr(moved, name)
            assert np.array_equal(after[~mask_of], before[~mask_of]), name
            if mask_of.any():
                assert not np.array_equal(after[mask_of], before[mask_of]), name


@pytest.mark.parametrize("mask", MASKS)
def test_x_is_the_free_numbers_in_order_and_rotations_begin_at_zero(mask: str) -> None:
    problem = masked(mask)
    variables, free = make_variables(problem, ROTATIONS["so3_left"]), problem.free
    right: list[float] = []
    for n in range(problem.num_images):
        right += [0.0] * (3 * free.rotations[n]) + problem.translations[n, free.translations[n]].tolist()
    right += problem.intrinsics[free.intrinsics].tolist()
    assert variables.layout.num_reduced == len(right)
    right += problem.points[free.points].ravel().tolist()
    assert variables.layout.size == len(right) == textbook.size(free)
    assert variables.start.tolist() == right


@pytest.mark.parametrize("mask", MASKS)
def test_columns_number_the_free_numbers_once_each(mask: str) -> None:
    problem = masked(mask)
    layout = make_layout(problem, 4)
    points = layout.point_columns[layout.point_columns >= 0]
    found = np.concatenate([columns[columns >= 0] for columns in (layout.image_columns, layout.camera_columns, points)])
    assert np.array_equal(found, np.arange(layout.size))


def test_a_step_of_x_is_the_textbooks_step() -> None:
    problem = masked("everything")
    variables = make_variables(problem, ROTATIONS["so3_left"])
    step = 0.1 * np.random.default_rng(1).normal(size=variables.layout.size)
    found, right = variables.problem_at(variables.start + step), textbook.stepped(problem, problem.free, step)
    for name in ("rotations", "translations", "intrinsics", "points"):
        assert np.abs(getattr(found, name) - getattr(right, name)).max() < 1e-12
    again = variables.moved(variables.start + step)
    twice = again.problem_at(again.start + step)
    assert np.abs(twice.rotations - textbook.stepped(right, problem.free, step).rotations).max() < 1e-12


def test_the_tangent_map_is_that_of_the_moved_chart() -> None:
    problem = masked("rotations")
    variables = make_variables(problem, ROTATIONS["axis_angle"])
    x = variables.start + 0.3
    h, G = 1e-6, variables.at(variables.start + 0.3).tangent_map
    for j in range(3):
        ahead, behind = (variables.at(x + s * h * np.tile(np.eye(3)[j], 4)).rotations for s in (1.0, -1.0))
        spin = (ahead - behind) / (2.0 * h) @ variables.at(x).rotations.transpose(0, 2, 1)
        assert np.abs(G[:, :, j] - np.stack([spin[:, 2, 1], spin[:, 0, 2], spin[:, 1, 0]], axis=1)).max() < 1e-8


def test_the_distance_from_so3_is_the_largest_of_the_free_images() -> None:
    problem = off_so3(off_so3(masked("everything"), [1], 1.2), [3], 1.1)
    right = np.sqrt(3.0) * (1.2**2 - 1.0)  # |1.44 I - I|
    assert make_variables(problem, ROTATIONS["matrix9"]).constraint() == pytest.approx(right, rel=1e-12)
    held = problem.with_free(replace(problem.free, rotations=np.array([True, False, True, True])))
    assert make_variables(held, ROTATIONS["matrix9"]).constraint() == pytest.approx(np.sqrt(3.0) * 0.21, rel=1e-12)
    nothing = problem.with_free(replace(problem.free, rotations=np.zeros(4, bool)))
    assert make_variables(nothing, ROTATIONS["matrix9"]).constraint() == 0.0


@pytest.mark.parametrize("backend", ["schur", "scipy"])
def test_a_fixed_matrix_that_is_no_rotation_is_used_and_kept_as_it_is(backend: str) -> None:
    """Fixed matrices never pass through a parameterization, which would make rotations of them."""
    problem = off_so3(masked("everything", ("pinhole",)), [2], 1.01)
    problem = replace(problem, pixels=textbook.pixels(problem) + 0.3)
    free = replace(problem.free, rotations=np.array([True, True, False, True]))
    solution = solve(
        problem.with_free(free), rotation="unit_quaternion", options=Solver(backend=backend, max_iterations=5)
    )
    assert np.array_equal(solution.problem.rotations[2], problem.rotations[2])
    assert solution.final_cost == pytest.approx(textbook.cost(solution.problem), rel=1e-9)
    assert solution.final_cost < solution.initial_cost
    assert solution.constraint < 1e-12


@pytest.mark.parametrize("mask", MASKS)
def test_what_is_fixed_has_the_bits_of_the_problem_at_every_x(mask: str) -> None:
    problem = masked(mask)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    state = variables.at(variables.start + 0.1 * np.random.default_rng(3).normal(size=variables.layout.size))
    free = problem.free
    for name, moves in (
        ("rotations", free.rotations),
        ("translations", free.translations),
        ("intrinsics", free.intrinsics),
        ("points", free.points),
    ):
        assert np.array_equal(getattr(state, name)[~moves], getattr(problem, name)[~moves]), name
        assert not (getattr(state, name)[moves] == getattr(problem, name)[moves]).all() or not moves.any(), name

"""The reduced system is the Schur complement of the damped normal equations, written out with numpy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import Variables, make_variables
from ba.prepare.conditioning import condition
from ba.solve import reduced as schur
from ba.solve.reduced import (
    PRECONDITIONERS,
    Eliminator,
    Reduced,
    choose,
    linear_solver,
    make_partition,
    make_structure,
)
from ba.solve.reduced.conjugate_gradients import explicit_product, implicit_product
from ba.solve.reduced.factor import factorize
from tests.support.scenes import random_problem

DAMPING = 1e-2
SETS = {"own": ("bal",) * 4, "shared": ("pinhole",), "mixed": ("bal", "pinhole", "bal")}
EVERY_SET = pytest.mark.parametrize("cameras", SETS)


def problem_of(cameras: str, *, sparse: bool = False) -> Problem:
    """Four images with 8 points, each seen by some; one point fixed, one pose fixed, a translation partly."""
    rng = np.random.default_rng(12)
    problem = random_problem(rng, SETS[cameras], n_points=8)
    seen = (problem.image_of_obs + problem.point_of_obs) % (3 if sparse else 5) != 0
    problem = problem.take(seen)
    masks = {name: np.array(mask) for name, mask in vars(problem.free).items()}
    masks["points"][3] = masks["rotations"][1] = masks["translations"][1] = masks["translations"][2, 0] = False
    return condition(problem.with_free(replace(problem.free, **masks))).problem


class Dense:
    """The system with numpy: x is [poses and cameras, points], as `make_partition` has them."""

    def __init__(self, problem: Problem, *, explicit: bool = True, damping: float = DAMPING, threads: int = 1) -> None:
        self.variables: Variables = make_variables(problem, ROTATIONS["so3_left"])
        residuals = Residuals(problem)
        structure = make_structure(problem, 3)
        blocks = residuals.blocks(self.variables.at(self.variables.start))
        linearization = residuals.linearize(self.variables, self.variables.start)
        self.reduced: Reduced = Eliminator(structure, threads, explicit=explicit)(blocks, damping)
        self.partition = make_partition(structure, self.variables)
        self.J, self.r = linearization.csr().toarray(), linearization.residual.ravel()
        self.H = self.J.T @ self.J
        self.diagonal = np.clip(np.diag(self.H), 1e-6, 1e32)
        self.damped = self.H + damping * np.diag(self.diagonal)
        n = self.variables.layout.num_reduced
        self.C, self.E = self.damped[n:, n:], self.damped[:n, n:]
        self.S = self.damped[:n, :n] - self.E @ np.linalg.solve(self.C, self.E.T)
        g = self.J.T @ self.r
        self.rhs = g[:n] - self.E @ np.linalg.solve(self.C, g[n:])
        self.step = np.linalg.solve(self.damped, -g)

    def groups(self, v: np.ndarray) -> np.ndarray:
        """(n_groups, width) of a vector over the reduced numbers."""
        return self.partition.split(np.append(v, np.zeros(self.partition.size - len(v))))[0]

    def numbers(self, groups: np.ndarray) -> np.ndarray:
        zeros = np.zeros((self.variables.problem.num_points, 3))
        return self.partition.join(groups, zeros)[: self.variables.layout.num_reduced]


def close(found: np.ndarray, right: np.ndarray, rel: float = 1e-9) -> bool:
    return bool(np.abs(found - right).max(initial=0.0) <= rel * np.abs(right).max(initial=0.0))


@EVERY_SET
@pytest.mark.parametrize("explicit", [True, False])
def test_products_right_hand_side_and_diagonal_are_those_of_the_schur_complement(cameras: str, explicit: bool) -> None:
    dense = Dense(problem_of(cameras), explicit=explicit)
    product = (explicit_product if explicit else implicit_product)(dense.reduced)
    assert close(dense.numbers(dense.reduced.rhs), dense.rhs)
    v = np.random.default_rng(0).normal(size=len(dense.rhs))
    assert close(dense.numbers(product(dense.groups(v))), dense.S @ v)
    blocks, free = dense.reduced.diagonal_blocks(), dense.reduced.structure.free
    for group, columns in enumerate(dense.partition.groups):
        own = columns[free[group]]
        assert close(np.tril(blocks[group][np.ix_(free[group], free[group])]), np.tril(dense.S[np.ix_(own, own)]))


@EVERY_SET
@pytest.mark.parametrize("way", ["dense", "sparse", "jacobi", "power"])
def test_every_solver_takes_the_step_of_the_whole_equations(way: str, cameras: str) -> None:
    dense = Dense(problem_of(cameras))
    name = way if way in ("dense", "sparse") else "cg"
    step, _ = linear_solver(name, way if name == "cg" else "jacobi")(dense.reduced, 1e-13)
    point_step, promised = dense.reduced.substitute(step)
    assert close(dense.partition.join(step, point_step), dense.step, 1e-8)
    change = dense.J @ dense.step
    assert promised == pytest.approx(-(dense.r @ change + 0.5 * change @ change), rel=1e-8)
    assert promised == pytest.approx(
        0.5 * (dense.step * dense.diagonal * DAMPING) @ dense.step - 0.5 * dense.step @ (dense.J.T @ dense.r), rel=1e-7
    )


@EVERY_SET
@pytest.mark.parametrize("name", ["dense", "sparse"])
def test_halves_of_the_factor_undo_the_equations_and_carry_products(name: str, cameras: str) -> None:
    dense = Dense(problem_of(cameras))
    factor, units = factorize(dense.reduced, dense.partition, name), np.eye(dense.partition.size)
    backward = np.stack([factor.backward(e) for e in units], axis=1)
    forward = np.stack([factor.forward(e) for e in units], axis=1)
    assert np.allclose(backward.T @ dense.damped @ backward, units, atol=1e-8)
    assert close(forward, backward.T)
    times = np.stack([factor.times(e) for e in units], axis=1)
    transposed = [factor.transposed_times(u) for u in np.eye(len(dense.r))]
    assert close(times, dense.J @ backward)
    assert close(np.stack(transposed), dense.J @ backward)


@EVERY_SET
@pytest.mark.parametrize("threads", [1, 2])
def test_the_gradient_norm_is_that_of_cameras_and_points_together(cameras: str, threads: int) -> None:
    problem = problem_of(cameras)
    for spoil in (None, (1, 0), (5, 1)):  # a point's slope may be the largest, on either side of zero
        pixels = problem.pixels.copy()
        blocks_of = make_variables(problem, ROTATIONS["so3_left"])
        if spoil is not None:
            pixels[spoil[0], spoil[1]] += 1e3
        changed = replace(problem, pixels=pixels)
        blocks = Residuals(changed).blocks(blocks_of.at(blocks_of.start))
        linearization = Residuals(changed).linearize(blocks_of, blocks_of.start)
        g = linearization.vjp(linearization.residual.ravel())
        found = schur.gradient_norm(blocks, make_structure(changed, 3), threads)
        assert found == pytest.approx(np.abs(g).max(), rel=1e-12)


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_the_largest_slope_may_be_that_of_any_coordinate_of_a_point(axis: int, sign: float) -> None:
    problem = problem_of("own")
    structure, n = make_structure(problem, 3), problem.num_observations
    r, A, B = np.zeros((n, 2)), np.zeros((n, 2, structure.width)), np.zeros((n, 2, 3))
    r[7], B[7, 0, axis], A[7, 1, 2] = (sign, 1.0), 3.0, 2.0
    assert schur.gradient_norm((r, A, B), structure, 1) == 3.0


def test_the_slope_of_a_pose_is_the_sum_over_all_that_it_sees_and_over_both_rows() -> None:
    problem = problem_of("own")
    structure, n = make_structure(problem, 3), problem.num_observations
    r, A, B = np.ones((n, 2)), np.zeros((n, 2, structure.width)), np.zeros((n, 2, 3))
    of = problem.image_of_obs == 2
    A[of, 1, 4] = -1.0
    assert schur.gradient_norm((r, A, B), structure, 1) == of.sum()


@pytest.mark.parametrize(("value", "kept"), [(1e-9, 1e-6), (1e-4, 1e-4), (1e8, 1e8)])
def test_damping_is_a_share_of_the_diagonal_which_is_at_least_a_millionth(value: float, kept: float) -> None:
    problem = problem_of("own")
    structure, n = make_structure(problem, 3), problem.num_observations
    r, A, B = np.zeros((n, 2)), np.zeros((n, 2, structure.width)), np.zeros((n, 2, 3))
    first = int(np.flatnonzero(problem.image_of_obs == 2)[0])
    A[first, 0, 5] = np.sqrt(value)
    B[:, 0, 0] = B[:, 1, 1] = 1.0
    B[first, 0, :] = 0.0
    reduced = Eliminator(structure, 1, explicit=True)((r, A, B), 0.5)
    assert reduced.damped[2, 5] == pytest.approx(0.5 * kept, rel=1e-12)
    assert (reduced.damped[~structure.free] == 1.0).all(), "what is fixed stays solvable"
    point = problem.point_of_obs[first]
    assert reduced.inverse[point, 5] == pytest.approx(0.5e-6**-0.5), "L^-1 of a damping alone"


def test_an_inexact_step_ends_at_the_first_residual_below_the_tolerance() -> None:
    """In the norm of the preconditioner, to which the tolerance belongs."""
    dense = Dense(problem_of("own"))
    reduced, product = dense.reduced, explicit_product(dense.reduced)
    precondition = PRECONDITIONERS["jacobi"](reduced, product)

    def size(x: np.ndarray) -> float:
        residual = -reduced.rhs - product(x)
        return float(np.sqrt(np.vdot(residual, precondition(residual))))

    taken, steps = [], [np.zeros_like(reduced.rhs)]
    for tolerance in (0.5, 0.1, 1e-2, 1e-3, 1e-5):
        x, iterations = linear_solver("cg", "jacobi")(reduced, tolerance)
        assert size(x) <= tolerance * size(np.zeros_like(x)) * (1.0 + 1e-9)
        taken.append(iterations)
        steps.append(x)
    assert taken == sorted(taken)
    assert len(set(taken)) >= 4
    # Of all steps of the Krylov space, that of so many products is the one of least energy: no cruder one has less.
    energy = [0.5 * np.vdot(x, product(x)) + np.vdot(reduced.rhs, x) for x in steps]
    assert energy == sorted(energy, reverse=True)
    assert taken[-1] <= dense.S.shape[0], "conjugate directions end after as many steps as there are numbers"


def test_the_power_series_has_four_terms() -> None:
    dense = Dense(problem_of("own"))
    product = explicit_product(dense.reduced)
    n = dense.variables.layout.num_reduced
    D = np.zeros((n, n))
    for group, columns in enumerate(dense.partition.groups):
        own = columns[dense.reduced.structure.free[group]]
        D[np.ix_(own, own)] = dense.damped[np.ix_(own, own)]
    series, term, v = np.zeros(n), np.linalg.solve(D, np.ones(n)), np.ones(n)
    for _ in range(4):
        series = series + term
        term = term - np.linalg.solve(D, dense.S @ term)
    found = dense.numbers(PRECONDITIONERS["power"](dense.reduced, product)(dense.groups(v)))
    assert close(found, series, 1e-8)


def test_sums_are_taken_over_four_parts_whatever_the_threads() -> None:
    structure = make_structure(problem_of("own"), 3)
    assert len(structure.parts) == 4
    assert structure.parts[0][0] == 0
    assert structure.parts[-1][1] == 8
    assert all(a[1] == b[0] for a, b in zip(structure.parts, structure.parts[1:], strict=False))


def sized(numbers: int, groups: int, share: float, observations: int = 10**9, slots: int = 1) -> SimpleNamespace:
    """As much of a structure as the choice reads: free numbers, groups, slots, and the share of S that is not zero."""
    blocks = int(share * groups * (groups + 1) / 2)
    return SimpleNamespace(
        free=SimpleNamespace(size=numbers),
        num_groups=groups,
        width=numbers // groups,
        pattern=(None, range(blocks)),
        starts=np.array([0, observations]),
        slots=np.empty((0, slots)),
    )


@pytest.mark.parametrize(
    ("numbers", "share", "chosen"),
    [(900, 0.05, "dense"), (990, 0.9, "dense"), (1800, 0.2, "dense"), (2970, 0.2, "dense"), (3600, 0.2, "cg")],
)
def test_few_numbers_are_factored_densely_and_many_full_ones_iterated(numbers: int, share: float, chosen: str) -> None:
    assert choose(sized(numbers, numbers // 9, share), None)[0] == chosen


@pytest.mark.parametrize(
    ("numbers", "share", "chosen"),
    [(2700, 0.2, "dense"), (3600, 0.3, "sparse"), (3600, 0.4, "dense"), (8010, 0.2, "sparse"), (8190, 0.2, "cg")],
)
def test_a_full_system_with_shared_cameras_is_factored_up_to_more_numbers(
    numbers: int, share: float, chosen: str
) -> None:
    assert choose(sized(numbers, numbers // 9, share, slots=2), None)[0] == chosen


@pytest.mark.parametrize(("share", "formed"), [(0.4, True), (0.6, False)])
def test_s_is_formed_where_it_has_half_the_numbers_of_the_derivatives(share: float, formed: bool) -> None:
    structure = sized(9 * 1000, 1000, 0.2)
    numbers = len(structure.pattern[1]) * 81
    structure.starts = np.array([0, round(numbers / (share * 18))])
    assert choose(structure, "cg") == ("cg", formed)


@pytest.mark.parametrize(
    ("scene", "chosen"),
    [
        (Scene(kind="street", images=300, points=3000, camera="bal"), "sparse"),
        (Scene(kind="internet", images=150, points=1500, observations_per_point=4, camera="bal"), "sparse"),  # 11
        (Scene(kind="internet", images=300, points=3000, observations_per_point=4, camera="bal"), "cg"),  # 23
        (Scene(kind="cloud", images=150, points=400, observations_per_point=3, camera="bal"), "cg"),  # 98
    ],
)
def test_a_factor_of_more_than_twenty_products_an_observation_is_not_made(scene: Scene, chosen: str) -> None:
    structure = make_structure(condition(generate(scene)).problem, 3)
    assert len(structure.pattern[1]) < 0.1 * scene.images * (scene.images + 1) / 2
    assert choose(structure, None)[0] == chosen

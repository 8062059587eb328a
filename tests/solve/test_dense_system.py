"""A problem of terms alone, whose J is one dense matrix, is solved as the reduced system solves it."""

from dataclasses import replace

import numpy as np
import pytest

from ba.model.loss import LOSSES, scaled
from ba.model.problem import Free, Problem
from ba.model.rotation import ROTATIONS, so3
from ba.model.terms import AlignmentDistance, Distance, PointAlignment, PositionPrior, Term
from ba.model.variables import make_variables
from ba.solve import solve
from ba.solve.dense_system import MOST_NUMBERS, is_dense
from ba.solve.options import Solver

EXACT = {"backend": "schur", "ftol": 0.0, "xtol": 0.0, "gtol": 0.0, "max_iterations": 8}


def of_terms(loss: str | None = None, fixed: bool = False) -> Problem:
    """Three images and two points that nothing observes."""
    rng = np.random.default_rng(4)
    R, t, X = so3.exp(rng.normal(size=(3, 3))), rng.normal(size=(3, 3)), rng.normal(size=(2, 3))
    image = np.array([0, 1, 1, 2, 2, 2, 0], np.int32)
    world = rng.normal(size=(len(image), 3))
    camera = np.einsum("nij,nj->ni", R[image], world) + t[image] + 0.3 * rng.normal(size=world.shape)
    rho = None if loss is None else scaled(LOSSES[loss], 0.5)
    one = np.zeros(1, np.int32)
    terms: tuple[Term, ...] = (
        PointAlignment(image, camera, world, rng.uniform(0.1, 0.5, len(image)), loss=rho),
        AlignmentDistance(image[::-1].copy(), camera, world, np.full(len(image), 3.0)),
        PositionPrior(np.arange(3, dtype=np.int32), rng.normal(size=(3, 3)), np.tile(0.2 * np.eye(3), (3, 1, 1))),
        Distance(one, one + 1, np.array([2.0]), np.array([0.1])),
    )
    free = Free(np.ones(3, bool), np.ones((3, 3), bool), np.zeros((3, 3), bool), np.ones(2, bool))
    if fixed:
        free = replace(free, rotations=np.array([True, False, True]), points=np.array([True, False]))
        free.translations[2, 1] = False
    return Problem(
        rotations=R,
        translations=t,
        camera_of_image=np.arange(3, dtype=np.int32),
        camera_models=("bal",) * 3,
        intrinsics=np.ones((3, 3)),
        points=X,
        image_of_obs=np.zeros(0, np.int32),
        point_of_obs=np.zeros(0, np.int32),
        pixels=np.zeros((0, 2)),
        free=free,
        terms=terms,
    )


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("loss", [None, "cauchy"])
@pytest.mark.parametrize("rotation", ["so3_left", "euler_xyz", "columns6", "matrix9"])
def test_its_steps_are_those_of_the_reduced_system(rotation: str, loss: str | None, fixed: bool) -> None:
    problem = of_terms(loss, fixed)
    dense = solve(problem, rotation=rotation, options=EXACT)
    sparse = solve(problem, rotation=rotation, options={**EXACT, "linear": "sparse"})
    assert (dense.solver_details["linear_solver"], sparse.solver_details["linear_solver"]) == ("dense", "sparse")
    assert len(dense.iterations) == len(sparse.iterations) == 9
    for a, b in zip(dense.iterations, sparse.iterations, strict=True):
        assert a.cost == pytest.approx(b.cost, rel=1e-9)
        assert a.gradient_norm == pytest.approx(b.gradient_norm, rel=1e-5, abs=1e-9)
        assert a.step_norm == pytest.approx(b.step_norm, rel=1e-5, abs=1e-9)
        assert a.evaluations == b.evaluations
    assert dense.final_cost < 0.9 * dense.initial_cost
    for name in ("rotations", "translations", "points"):
        before, after = getattr(problem, name), getattr(dense.problem, name)
        held = ~getattr(problem.free, name)
        assert np.array_equal(before[held], after[held])


def test_it_is_for_few_numbers_and_no_observations() -> None:
    problem = of_terms()
    variables = make_variables(problem, ROTATIONS["so3_left"])
    assert variables.layout.size == 24 <= MOST_NUMBERS
    assert is_dense(variables, Solver())
    assert not is_dense(variables, Solver(linear="cg"))
    assert not is_dense(make_variables(replace(problem, terms=()), ROTATIONS["so3_left"]), Solver())


def test_numbers_that_nothing_depends_on_stay() -> None:
    problem = of_terms()
    free = solve(replace(problem, terms=problem.terms[:1]), options=EXACT)
    assert np.array_equal(free.problem.points, problem.points)
    assert free.final_cost < free.initial_cost

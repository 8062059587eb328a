"""Every way to the Jacobian comes to the same one."""

from dataclasses import replace

import numpy as np
import pytest

from ba.analyse.derivatives import JACOBIANS, KINDS, groups_of, jacobian, largest_errors, rounding_slack
from ba.analyse.derivatives.automatic import ROTATED
from ba.errors import UserError
from ba.model.camera import CAMERAS
from ba.model.rotation import ROTATIONS
from ba.model.variables import Variables, make_variables
from tests.support.scenes import random_problem


def state(rotation: str, models: tuple[str, ...] = tuple(CAMERAS), seed: int = 3) -> tuple[Variables, np.ndarray]:
    """Variables with covariances and shared cameras, and an x away from the centre of the charts."""
    rng = np.random.default_rng(seed)
    variables = make_variables(random_problem(rng, models, covariances=True), ROTATIONS[rotation])
    return variables, variables.start + 0.1 * rng.normal(size=variables.layout.size)


@pytest.mark.parametrize("how", JACOBIANS)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_every_way_agrees_with_the_complex_step(rotation: str, how: str) -> None:
    variables, x = state(rotation)
    if how == "automatic" and rotation not in ROTATED:
        with pytest.raises(UserError, match=rotation):
            jacobian(variables, x, how)
        return
    errors = largest_errors(jacobian(variables, x, how), jacobian(variables, x, "complex_step"), groups_of(variables))
    assert {error.kind for error in errors} == set(KINDS)
    for error in errors:
        assert error.share <= JACOBIANS[how].tolerance, error


@pytest.mark.parametrize("rotation", ROTATED)
def test_automatic_differentiation_is_right_at_the_centre_of_the_charts(rotation: str) -> None:
    variables, _ = state(rotation)
    x = variables.start
    errors = largest_errors(jacobian(variables, x), jacobian(variables, x, "automatic"), groups_of(variables))
    assert max(error.share for error in errors) <= 1e-12


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_nothing_outside_the_pattern_moves_a_residual(rotation: str) -> None:
    variables, x = state(rotation)
    pattern = jacobian(variables, x)
    pattern.data[:] = 1.0
    moving = jacobian(variables, x, "complex_columns")
    moving.data[:] = 1.0
    assert (moving - moving.multiply(pattern)).count_nonzero() == 0
    assert moving.nnz > 0.5 * pattern.nnz


@pytest.mark.parametrize("how", [name for name in JACOBIANS if name != "automatic"])
def test_what_is_fixed_has_no_column_and_no_influence(how: str) -> None:
    variables, _ = state("so3_left")
    free = variables.problem.free
    for mask in (free.rotations, free.points):
        mask[:2] = False
    free.translations[0] = False
    free.intrinsics[0] = False
    held = make_variables(variables.problem, variables.rotation)
    J = jacobian(held, held.start, how)
    assert J.shape[1] == held.layout.size == variables.layout.size - 2 * 3 - 2 * 3 - 3 - len(CAMERAS["bal"].parameters)
    errors = largest_errors(J, jacobian(held, held.start), groups_of(held))
    assert all(error.share <= JACOBIANS[how].tolerance for error in errors)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_entry_is_found_and_named(kind: str) -> None:
    variables, x = state("quaternion")
    groups, right = groups_of(variables), jacobian(variables, x)
    column = int(np.flatnonzero(groups.kind == KINDS.index(kind))[-1])
    found = right.copy()
    entry = np.flatnonzero(found.indices == column)[np.argmax(np.abs(right.data[found.indices == column]))]
    found.data[entry] *= 1.0 + 1e-6
    for error in largest_errors(found, right, groups):
        if error.kind == kind:
            assert error.column == column
            assert 1e-9 < error.share <= 1.01e-6
            assert error.found == found.data[entry]
        else:
            assert error.share == 0.0


def test_a_wrong_entry_that_is_not_finite_is_infinitely_wrong() -> None:
    variables, x = state("so3_right")
    right = jacobian(variables, x)
    found = right.copy()
    found.data[0] = np.nan
    assert max(error.share for error in largest_errors(found, right, groups_of(variables))) == np.inf


@pytest.mark.parametrize("offset", [1e4, 1e7])
@pytest.mark.parametrize("how", ["complex_step", "automatic"])
def test_far_from_the_origin_right_answers_differ_by_no_more_than_rounding(how: str, offset: float) -> None:
    problem = random_problem(np.random.default_rng(2), tuple(CAMERAS))
    shift = offset * np.array([1.0, 2.0, 0.01])
    far = replace(problem, points=problem.points + shift, translations=problem.translations - problem.rotations @ shift)
    variables = make_variables(far, ROTATIONS["quaternion"])
    x, groups = variables.start, groups_of(variables)
    pair = jacobian(variables, x), jacobian(variables, x, how)
    raw, excused = (largest_errors(*pair, groups, slack) for slack in (None, rounding_slack(variables, x)))
    assert max(error.share for error in excused) <= 1e-12
    assert how == "complex_step" or max(error.share for error in raw) > 1e-12


def test_near_the_origin_rounding_excuses_nothing() -> None:
    variables, x = state("so3_left")
    assert (rounding_slack(variables, x) == 1.0).all()


def test_an_unknown_way_and_a_wrong_x_are_the_users_mistake() -> None:
    variables, x = state("so3_left")
    with pytest.raises(UserError, match=r'how: "exact" is not known .* There are: analytic, .*automatic'):
        jacobian(variables, x, "exact")
    with pytest.raises(UserError, match=r"x: shape \(1,\) found, \(\d+,\) is right"):
        jacobian(variables, x[:1])

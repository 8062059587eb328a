"""An error of a Jacobian is a share of its group's largest entry, worked out here on matrices of a few numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import csr_array

from ba.analyse.derivatives import EXACT, JACOBIANS, KINDS, groups_of, jacobian, largest_errors, rounding_slack
from ba.analyse.derivatives.errors import Groups
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from tests.support.scenes import random_problem

ROTATION, POINT = KINDS.index("rotation"), KINDS.index("point")
GROUPS = Groups(
    kind=np.array([ROTATION, ROTATION, ROTATION, POINT, POINT]), owner=np.array([0, 0, 1, 4, 4]), place=np.arange(5)
)
RIGHT = np.array([[10.0, 1.0, 2.0, 0.0, 3.0], [0.0, 4.0, -8.0, 5.0, 6.0]])


def errors(change: np.ndarray, slack: np.ndarray | None = None) -> dict[str, tuple[float, int, int, float, float]]:
    found = largest_errors(csr_array(RIGHT + change), csr_array(RIGHT), GROUPS, slack)
    return {error.kind: (error.share, error.row, error.column, error.found, error.right) for error in found}


def test_the_largest_error_of_each_kind_is_told_with_its_place_and_both_entries() -> None:
    change = np.zeros((2, 5))
    change[1, 1], change[0, 2], change[1, 3] = 0.4, 0.4, -0.6
    found = errors(change)
    # 0.4 is a 25th of 10, the largest of image 0, and a 20th of 8, the largest of image 1.
    assert found["rotation"] == (pytest.approx(0.05), 0, 2, 2.4, 2.0)
    assert found["point"] == (pytest.approx(0.1), 1, 3, 4.4, 5.0)


def test_right_matrices_have_no_error_and_one_that_is_not_finite_is_infinitely_wrong() -> None:
    assert {error[0] for error in errors(np.zeros((2, 5))).values()} == {0.0}
    change = np.zeros((2, 5))
    change[0, 1] = np.nan
    assert errors(change)["rotation"][0] == np.inf


def test_slack_divides_the_errors_of_its_row() -> None:
    change = np.zeros((2, 5))
    change[0, 0], change[1, 0] = 1.0, 2.0
    assert errors(change)["rotation"][:3] == (pytest.approx(0.2), 1, 0)
    assert errors(change, np.array([1.0, 4.0]))["rotation"][:3] == (pytest.approx(0.1), 0, 0)


@pytest.mark.parametrize("rotation", ["so3_left", "quaternion"])
def test_columns_belong_to_the_image_camera_or_point_that_they_move(rotation: str) -> None:
    problem = random_problem(np.random.default_rng(2), ("bal", "pinhole"), n_points=4)
    masks = {name: np.array(mask) for name, mask in vars(problem.free).items()}
    masks["translations"][1, 1] = masks["rotations"][2] = masks["points"][0] = masks["intrinsics"][1, 2] = False
    problem = problem.with_free(replace(problem.free, **masks))
    variables = make_variables(problem, ROTATIONS[rotation])
    groups, k = groups_of(variables), ROTATIONS[rotation].tangent_dim
    right: list[tuple[str, int, int]] = []
    for n in range(4):
        right += [("rotation", n, j) for j in range(k) if masks["rotations"][n]]
        right += [("position", n, k + j) for j in range(3) if masks["translations"][n, j]]
    right += [("focal", 0, 0), ("distortion", 0, 1), ("distortion", 0, 2)]
    right += [("focal", 1, 0), ("focal", 1, 1), ("principal point", 1, 3), ("skew", 1, 4)]
    right += [("point", m, j) for m in range(1, 4) for j in range(3)]
    found = zip(groups.kind, groups.owner, groups.place, strict=True)
    assert [(KINDS[kind], owner, place) for kind, owner, place in found] == right


@pytest.mark.parametrize(("depth", "slack"), [(1.0, 1.0), (0.1, 1.0), (0.05, 20.2 / 17.6), (0.01, 101.0 / 17.6)])
def test_slack_is_the_terms_of_the_depth_over_what_is_harmless(depth: float, slack: float) -> None:
    """A camera at z = -1 looks along z at a point whose depth is what is left of 1 + depth and -1: 1.01 and more."""
    problem = random_problem(np.random.default_rng(2), ("pinhole",), n_points=4)
    n = problem.num_images
    point = np.tile([0.2, 0.1, -1.0 + depth], (4, 1))
    translations = np.tile([0.3, 0.0, 1.0], (n, 1))
    problem = replace(problem, rotations=np.tile(np.eye(3), (n, 1, 1)), translations=translations, points=point)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    found = rounding_slack(variables, variables.start)
    terms = max(0.2 + 0.3, abs(-1.0 + depth) + 1.0)
    assert found == pytest.approx(np.full(2 * problem.num_observations, max(1.0, terms / depth / 17.6)), rel=1e-9)
    assert found[0] == pytest.approx(slack, rel=0.02) or slack < found[0] < 2.0 * slack


@pytest.mark.parametrize("how", JACOBIANS)
def test_every_way_keeps_the_digits_that_it_promises(how: str) -> None:
    """Difference quotients lose a half and a third of them, and some more to what is large beside a group's entries."""
    problem = random_problem(np.random.default_rng(2), ("bal", "pinhole"), n_points=4)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    x = variables.start + 0.01
    found, right = jacobian(variables, x, how), jacobian(variables, x, "complex_columns")
    worst = max(error.share for error in largest_errors(found, right, groups_of(variables)))
    assert worst <= {"forward": 1e-4, "central": 2e-7}.get(how, 1e-13)
    assert JACOBIANS[how].exact is (how not in ("forward", "central"))
    assert EXACT == 1e-12

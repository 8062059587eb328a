"""Start costs and gradient norms of BAL problems, as published with BundleAdjustmentModels.jl."""

import numpy as np
import pytest

from ba import io
from ba.model.residual import Residuals, project
from ba.model.rotation import ROTATIONS, so3
from ba.model.variables import make_variables
from tests import ROOT

DATASETS = ROOT / "datasets"
F = np.diag([1.0, -1.0, -1.0])

PUBLISHED = {
    "dubrovnik-16-22106-pre.txt.xz": (4185659.5182497227, 170677551.53649622),
    "ladybug-49-7776-pre.txt.xz": (850912.4606808396, 23961562.909882299),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_cost_and_gradient_norm_are_the_published_ones(name: str) -> None:
    problem = io.load(DATASETS / name)
    variables = make_variables(problem, ROTATIONS["so3_left"])
    linearization = Residuals(problem).linearize(variables, variables.start)
    cost, gradient_norm = PUBLISHED[name]
    r = linearization.residual
    assert 0.5 * np.sum(r * r) == pytest.approx(cost, rel=1e-12)

    # BAL's coordinates are the rotation vectors w of R = F R': with phi the left perturbation of R',
    # R moves by F phi = J_l(w) dw. Its signs of t and v differ from ours, which no norm sees.
    gradient = linearization.vjp(r.ravel())
    columns = variables.layout.image_columns[:, :3]
    w = problem.source["axis_angle"]
    gradient[columns] = np.einsum("nji,nj->ni", so3.left_jacobian(w), gradient[columns] @ F)
    assert np.linalg.norm(gradient) == pytest.approx(gradient_norm, rel=1e-9)


def test_points_behind_their_camera_are_counted() -> None:
    assert project(io.load(DATASETS / "ladybug-49-7776-pre.txt.xz")).num_behind == 31
    assert project(io.load(DATASETS / "dubrovnik-16-22106-pre.txt.xz")).num_behind == 0

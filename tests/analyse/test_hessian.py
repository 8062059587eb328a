"""Hessian-vector products are those of automatic differentiation, for every rotation, camera and loss."""

from dataclasses import replace
from unittest import mock

import autograd
import autograd.numpy as autograd_numpy
import numpy as np
import pytest

from ba.analyse.hessian import hessian_product
from ba.model.camera import CAMERAS
from ba.model.loss import LOSSES, scaled
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import Variables, make_variables
from ba.solve.objective import Objective
from tests.support import jets
from tests.support.scenes import random_problem

CAMERA_SETS = {**{name: (name,) for name in CAMERAS}, "mixed": tuple(CAMERAS)}


def make(rotation: str, cameras: str, *, covariances: bool = False) -> tuple[Variables, np.ndarray, np.ndarray]:
    """Variables, x away from the centres of the charts, and a direction."""
    rng = np.random.default_rng(11)
    problem = random_problem(rng, CAMERA_SETS[cameras], n_points=4, covariances=covariances)
    variables = make_variables(problem, ROTATIONS[rotation])
    size = variables.layout.size
    return variables, variables.start + 0.05 * rng.normal(size=size), rng.normal(size=size)


@mock.patch.object(np, "where", jets.where)
def cost_of_jets(variables: Variables, x: np.ndarray) -> jets.Jet:
    """0.5 sum |r|^2 from the forward code alone: charts, pose and projection, none of their derivatives."""
    problem, rotation, layout = variables.problem, variables.rotation, variables.layout
    k, image = rotation.tangent_dim, problem.image_of_obs
    R = rotation.to_matrix(rotation.retract(variables.theta, x[layout.image_columns[:, :k]]))
    t, points = x[layout.image_columns[:, k:]], x[layout.point_columns]
    intrinsics = np.append(x, 0.0)[layout.camera_columns]
    point_in_cam = np.einsum("nij,nj->ni", R[image], points[problem.point_of_obs]) + t[image]
    models = np.array(problem.camera_models)[problem.camera_of_image[image]]
    total = 0.0
    for name in set(problem.camera_models):
        of = np.flatnonzero(models == name)
        uv, none = np.empty((len(of), 2), object), np.empty((0, 2, 3))
        project = jets.interpreted(CAMERAS[name].project)
        camera = problem.camera_of_image[image[of]]
        project(intrinsics, camera, point_in_cam[of], uv, none, none, np.empty(len(of), np.uint8))
        r = uv - problem.pixels[of]
        total = total + 0.5 * (r * r).sum()
    return total


@pytest.mark.parametrize("cameras", CAMERA_SETS)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_product_is_that_of_automatic_differentiation(rotation: str, cameras: str) -> None:
    variables, x, v = make(rotation, cameras)
    residuals = Residuals(variables.problem)
    automatic = cost_of_jets(variables, jets.variables(x, v))
    product = hessian_product(residuals, variables, x, v)
    assert np.abs(product.total - automatic.mixed).max() < 1e-12 * np.abs(automatic.mixed).max()
    assert (np.abs(product.total - automatic.mixed) < 1e-9 * np.abs(automatic.mixed)).all()
    slope = Objective(residuals, None).gradient(residuals.linearize(variables, x))
    assert np.abs(slope - automatic.gradient).max() < 1e-12 * np.abs(automatic.gradient).max()


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_product_is_the_difference_of_gradients_under_every_loss_and_covariances(rotation: str, name: str) -> None:
    variables, x, v = make(rotation, "mixed", covariances=True)
    loss = scaled(LOSSES[name], 3.0)
    residuals = Residuals(variables.problem)

    def at(x: np.ndarray) -> np.ndarray:
        return Objective(residuals, loss).gradient(residuals.linearize(variables, x))

    h = 1e-6
    x = variables.start + 1e-5 * (x - variables.start)  # where residuals lie on both sides of the bend
    difference = (8.0 * (at(x + h * v) - at(x - h * v)) - (at(x + 2 * h * v) - at(x - 2 * h * v))) / (12.0 * h)
    product = hessian_product(residuals, variables, x, v, loss)
    assert np.abs(product.total - difference).max() < 1e-6 * np.abs(difference).max()


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_hessian_is_symmetric_and_its_first_part_is_gauss_newtons_matrix(rotation: str) -> None:
    variables, x, _ = make(rotation, "mixed", covariances=True)
    residuals = Residuals(variables.problem)
    J = residuals.linearize(variables, x).csr().toarray()
    products = [hessian_product(residuals, variables, x, e) for e in np.eye(len(x))]
    H = np.array([product.total for product in products])
    G = np.array([product.gauss_newton for product in products])
    scale = np.sqrt(np.diag(G))
    assert (np.abs(G - J.T @ J) <= 1e-12 * np.outer(scale, scale)).all()
    assert (np.abs(H - H.T) <= 1e-10 * np.outer(scale, scale)).all()


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_curvature_is_proportional_to_the_residuals(rotation: str) -> None:
    variables, _, v = make(rotation, "mixed")
    problem, x = variables.problem, variables.start
    r = Residuals(problem).residual(variables.at(x))[0]
    smaller = replace(problem, pixels=problem.pixels + (1.0 - 2.0**-10) * r)
    whole, part = (hessian_product(Residuals(p), variables, x, v).curvature for p in (problem, smaller))
    assert np.abs(2.0**10 * part - whole).max() < 1e-8 * np.abs(whole).max()


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_fixed_numbers_have_no_second_derivatives(rotation: str) -> None:
    variables, _, v = make(rotation, "mixed")
    problem, free = variables.problem, variables.problem.free
    held = problem.with_free(replace(free, points=np.arange(problem.num_points) % 2 == 0))
    part = make_variables(held, variables.rotation)
    kept = np.concatenate([np.arange(part.layout.num_reduced), variables.layout.point_columns[::2].ravel()])
    v[np.setdiff1d(np.arange(len(v)), kept)] = 0.0
    whole = hessian_product(Residuals(problem), variables, variables.start, v).total[kept]
    found = hessian_product(Residuals(held), part, part.start, v[kept]).total
    assert np.abs(found - whole).max() < 1e-14 * np.abs(whole).max()


def test_jets_are_right_by_autograd() -> None:
    def f(x, m):  # type: ignore[no-untyped-def]
        return m.sin(x[0] * x[1]) / m.sqrt(1.0 + x[2] ** 2) + m.exp(x[1] - x[0]) * m.arctan(x[2]) + m.tan(m.cos(x[0]))

    x, v = np.array([0.3, -1.2, 0.8]), np.array([1.0, 2.0, -0.5])
    answer = f(jets.variables(x, v), np)
    expected = autograd.hessian_vector_product(lambda x: f(x, autograd_numpy))(x, v)
    assert answer.value == pytest.approx(f(x, np), rel=1e-14)
    assert answer.gradient == pytest.approx(autograd.grad(lambda x: f(x, autograd_numpy))(x), rel=1e-14)
    assert answer.mixed == pytest.approx(expected, rel=1e-13)

"""The analytic Jacobian is the derivative of the residual: for every rotation, camera and mask, wherever it is taken.

Complex-step derivatives run the forward code on complex numbers (Squire and Trapp, "Using complex variables to
estimate derivatives of real functions", 1998): no cancellation, so they are exact to rounding.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from ba.model.camera import CAMERAS
from ba.model.problem import Problem
from ba.model.residual import Residuals, project
from ba.model.rotation import ROTATIONS
from ba.model.variables import Variables, make_variables
from tests.support.masks import CAMERA_SETS, MASKS
from tests.support.scenes import FAMILIES, N_IMAGES, random_problem

STEP = 1e-30

PLACES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    "ordinary": lambda rng: rng.normal(size=(N_IMAGES, 3)),
    "zero": lambda rng: np.zeros((N_IMAGES, 3)),
    "tiny": lambda rng: 1e-9 * rng.normal(size=(N_IMAGES, 3)),
    "near_pi": lambda rng: _directions(rng) * (np.pi - 1e-9),
    "pi": lambda rng: np.eye(3)[[0, 1, 2, 0]] * np.pi,
}


def _directions(rng: np.random.Generator) -> np.ndarray:
    vectors = rng.normal(size=(N_IMAGES, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def residual_at(variables: Variables, x: np.ndarray) -> np.ndarray:
    return Residuals(variables.problem).residual(variables.at(x))[0].ravel()


def by_complex_steps(variables: Variables, x: np.ndarray) -> np.ndarray:
    columns = [residual_at(variables, x + 1j * STEP * e).imag / STEP for e in np.eye(len(x))]
    return np.stack(columns, axis=1)


def by_central_differences(variables: Variables, x: np.ndarray) -> np.ndarray:
    columns = []
    for j, e in enumerate(np.eye(len(x))):
        h = np.cbrt(np.finfo(float).eps) * max(1.0, abs(x[j]))
        columns.append((residual_at(variables, x + h * e) - residual_at(variables, x - h * e)) / (2.0 * h))
    return np.stack(columns, axis=1)


def relative_error(found: np.ndarray, right: np.ndarray, groups: np.ndarray, share: float = 1e-3) -> float:
    """Largest error of an entry, as a share of the largest entry of its column.

    That counts as no less than `share` of the largest entry of its group of columns: what hardly moves the rotation
    (the length of a column, a Gibbs vector's near a half turn) has a derivative that is lost in the others' rounding.
    """
    scale = np.abs(right).max(axis=0)
    scale = np.maximum(scale, [share * scale[groups == group].max() for group in groups])
    return float((np.abs(found - right).max(axis=0) / scale.clip(1e-300)).max())


def groups_of(variables: Variables) -> np.ndarray:
    """(size,) a number for the rotation of each image, and for everything else.

    A difference quotient cannot resolve a column much smaller than the residual's rounding over the step, such as that
    of a quaternion's real part near the identity; beside the other three it can.
    """
    groups = np.arange(variables.layout.size) + variables.problem.num_images
    for image, columns in enumerate(variables.layout.image_columns[:, : variables.rotation.tangent_dim]):
        groups[columns[columns >= 0]] = image
    return groups


def make(place: str, rotation: str, cameras: str, mask: str, covariances: bool = False) -> tuple[Variables, Problem]:
    rng = np.random.default_rng(7)
    problem = random_problem(rng, CAMERA_SETS[cameras], PLACES[place](rng), covariances=covariances)
    problem = problem.with_free(MASKS[mask](problem.free))
    return make_variables(problem, ROTATIONS[rotation]), problem


CROSSED = [
    *product(PLACES, ROTATIONS, ("mixed",), ("everything",)),
    *product(PLACES, FAMILIES, CAMERA_SETS, ("everything",)),
    *product(("ordinary",), FAMILIES, CAMERA_SETS, MASKS),
]
"""Every rotation at every place; then one of each family with every camera there, and with every mask somewhere."""

VAST = 1e4
"""Rotation coordinates beyond which a difference quotient is lost in their rounding: Gibbs vectors near a half turn."""


@pytest.mark.parametrize(("place", "rotation", "cameras", "mask"), dict.fromkeys(CROSSED))
def test_jacobian_is_the_complex_step_derivative(place: str, rotation: str, cameras: str, mask: str) -> None:
    variables, _ = make(place, rotation, cameras, mask)
    x, groups = variables.start, groups_of(variables)
    J = Residuals(variables.problem).linearize(variables, x).csr().toarray()
    assert np.isfinite(J).all()
    assert J.shape == (2 * variables.problem.num_observations, variables.layout.size)
    assert relative_error(J, by_complex_steps(variables, x), groups) < 1e-12
    if np.abs(variables.theta).max() < VAST:
        assert relative_error(J, by_central_differences(variables, x), groups, share=1.0) < 1e-7


@pytest.mark.parametrize("rotation", ROTATIONS)
@pytest.mark.parametrize("place", PLACES)
def test_jacobian_is_right_away_from_the_centre_of_the_charts_and_under_covariances(place: str, rotation: str) -> None:
    variables, _ = make(place, rotation, "mixed", "everything", covariances=True)
    rng = np.random.default_rng(3)
    x = variables.start + 0.1 * rng.normal(size=variables.layout.size)
    J = Residuals(variables.problem).linearize(variables, x).csr().toarray()
    assert relative_error(J, by_complex_steps(variables, x), groups_of(variables)) < 1e-12


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("rotation", FAMILIES)
def test_operators_and_matrix_agree(rotation: str, mask: str) -> None:
    variables, problem = make("ordinary", rotation, "mixed", mask, covariances=True)
    rng = np.random.default_rng(5)
    linearization = Residuals(problem).linearize(variables, variables.start)
    J = linearization.csr()
    v, u = rng.normal(size=variables.layout.size), rng.normal(size=2 * problem.num_observations)
    forward, backward = linearization.jvp(v), linearization.vjp(u)
    assert abs(u @ forward - v @ backward) <= 1e-13 * (abs(u) @ abs(J) @ abs(v))
    assert (np.abs(J @ v - forward) <= 1e-14 * (abs(J) @ abs(v))).all()
    assert (np.abs(J.T @ u - backward) <= 1e-14 * (abs(J).T @ abs(u))).all()


def test_threads_and_chunks_do_not_change_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    variables, problem = make("ordinary", "so3_left", "mixed", "everything", covariances=True)
    whole = Residuals(problem, threads=1).linearize(variables, variables.start)
    monkeypatch.setattr("ba.model.residual.CHUNK", 5)
    pieces = Residuals(problem, threads=3).linearize(variables, variables.start)
    for name in ("residual", "camera_blocks", "point_blocks"):
        assert np.array_equal(getattr(whole, name), getattr(pieces, name))


@pytest.mark.parametrize("name", CAMERAS)
def test_projection_is_finite_on_and_behind_the_camera_plane(name: str) -> None:
    rng = np.random.default_rng(1)
    problem = random_problem(rng, (name,), np.zeros((N_IMAGES, 3)))
    for depth, behind in ((0.0, True), (1e-300, False), (-1e-300, True), (-5.0, True), (1e-13, False)):
        points = problem.points.copy()
        points[:, 2] = 0.0
        translations = problem.translations.copy()
        translations[:, 2] = depth
        flat = replace(problem, points=points, translations=translations)
        variables = make_variables(flat, ROTATIONS["so3_left"])
        linearization = Residuals(flat).linearize(variables, variables.start)
        assert np.isfinite(linearization.csr().data).all()
        assert project(flat).num_behind == (flat.num_observations if behind else 0)

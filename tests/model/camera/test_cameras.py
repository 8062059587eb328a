"""Cameras project as their formulas say, on and behind their plane too, and their derivatives are differences."""

import numpy as np
import pytest

from ba.model.camera import BEHIND, CAMERAS, INSIDE, OUTSIDE
from tests.support import textbook

POINTS = np.array([[0.3, -0.2, 2.0], [-1.0, 0.7, 3.0], [0.1, 0.4, 0.5], [0.2, 0.1, -1.5]])
PARAMS = {name: model.sample(np.random.default_rng(0)) for name, model in CAMERAS.items()}


def projected(name: str, params: np.ndarray, points: np.ndarray, derivatives: bool = False) -> tuple[np.ndarray, ...]:
    n, k = len(points), len(params)
    size = n if derivatives else 0
    uv, d_point, d_params = np.empty((n, 2)), np.empty((size, 2, 3)), np.zeros((size, 2, k))
    domain = np.empty(n, np.uint8)
    camera = np.zeros(n, np.int32)
    CAMERAS[name].project(params[None], camera, np.array(points, float), uv, d_point, d_params, domain)
    return uv, d_point, d_params, domain


@pytest.mark.parametrize("name", CAMERAS)
def test_pixels_are_those_of_the_formula(name: str) -> None:
    uv, *_ = projected(name, PARAMS[name], POINTS)
    right = [textbook.PROJECTED[name](PARAMS[name], x / z, y / z) for x, y, z in POINTS]
    assert uv == pytest.approx(np.array(right), rel=1e-13)


def test_a_point_that_is_worked_out_by_hand() -> None:
    # x / z = 1/2, y / z = 1, s = 5/4: d = 1 + 0.1 * 1.25 + 0.2 * 1.5625
    uv, *_ = projected("bal", np.array([100.0, 0.1, 0.2]), np.array([[1.0, 2.0, 2.0]]))
    assert uv[0] == pytest.approx([100.0 * 1.4375 * 0.5, 100.0 * 1.4375])
    uv, *_ = projected("pinhole", np.array([100.0, 200.0, 10.0, 20.0, 4.0]), np.array([[1.0, 2.0, 2.0]]))
    assert uv[0] == pytest.approx([50.0 + 4.0 + 10.0, 200.0 + 20.0])


@pytest.mark.parametrize("name", CAMERAS)
def test_derivatives_are_differences(name: str) -> None:
    params, h = PARAMS[name], 1e-6
    _, d_point, d_params, _ = projected(name, params, POINTS, derivatives=True)
    for axis, e in enumerate(np.eye(3)):
        right = (projected(name, params, POINTS + h * e)[0] - projected(name, params, POINTS - h * e)[0]) / (2.0 * h)
        assert d_point[:, :, axis] == pytest.approx(right, rel=1e-6, abs=1e-6)
    for j, e in enumerate(np.eye(len(params))):
        step = h * max(1.0, abs(params[j]))
        ahead, behind = (projected(name, params + s * step * e, POINTS)[0] for s in (1.0, -1.0))
        assert d_params[:, :, j] == pytest.approx((ahead - behind) / (2.0 * step), rel=1e-6, abs=1e-5)


@pytest.mark.parametrize("name", CAMERAS)
def test_at_and_behind_the_plane_a_point_is_behind(name: str) -> None:
    depths = [1.0, 1e-9, 0.0, -1e-9, -1.0, -5.0]
    *_, domain = projected(name, PARAMS[name], np.array([[0.0, 0.0, z] for z in depths]))
    assert domain.tolist() == [INSIDE, INSIDE, BEHIND, BEHIND, BEHIND, BEHIND]


def test_the_field_ends_where_the_distorted_radius_stops_growing() -> None:
    params = np.array([500.0, -0.5, 0.05])  # 1 - 1.5 s + 0.25 s^2 is zero at s = 0.76 and 5.24
    radius = np.linspace(0.0, 2.5, 2001)
    uv, _, _, domain = projected("bal", params, np.column_stack([radius, 0.0 * radius, 1.0 + 0.0 * radius]))
    growing = np.gradient(uv[:, 0], radius) > 0.0
    assert 500 < growing.sum() < 1500
    assert ((domain == INSIDE) != growing).sum() <= 2, "but for the ends, which differences miss by a step"
    assert set(domain.tolist()) == {INSIDE, OUTSIDE}


@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("z", [1e-11, -1e-11, 1e-5, -1e-5])
def test_a_depth_that_is_small_is_the_depth_that_counts(name: str, z: float) -> None:
    point = np.array([[1e-6, 2e-6, z]])
    params = PARAMS[name].copy()
    params[list(CAMERAS[name].distortion)] = 0.0
    right = textbook.PROJECTED[name](params, 1e-6 / z, 2e-6 / z)
    assert projected(name, params, point)[0][0] == pytest.approx(right, rel=1e-12)


@pytest.mark.parametrize("name", CAMERAS)
def test_a_depth_of_nothing_keeps_its_side(name: str) -> None:
    params = np.zeros(len(CAMERAS[name].parameters))
    params[list(CAMERAS[name].focal)] = 1.0
    ahead, behind = (projected(name, params, np.array([[1.0, 1.0, z]]))[0][0] for z in (1e-200, -1e-200))
    assert np.isfinite(ahead).all()
    assert ahead == pytest.approx([1e12, 1e12])
    assert behind == pytest.approx([-1e12, -1e12])


@pytest.mark.parametrize("name", CAMERAS)
def test_every_parameter_belongs_to_one_group(name: str) -> None:
    model = CAMERAS[name]
    members = sorted([*model.focal, *model.principal_point, *model.distortion, *model.skew])
    assert members == list(range(len(model.parameters)))
    assert [model.parameters[j][0] for j in model.focal] == ["f"] * len(model.focal)
    assert len(model.sample(np.random.default_rng(0))) == len(model.parameters)

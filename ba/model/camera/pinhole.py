"""The textbook's finite projective camera with five intrinsics (Hartley and Zisserman, 2nd ed., eq. 6.10).

(x, y) = (X / Z, Y / Z),   u = fx x + skew y + cx,   v = fy y + cy      [px]
"""

from typing import Any

import numpy as np

from ba.engine.jit import formula
from ba.model.arrays import Float
from ba.model.camera.model import CameraModel


@formula
def pixel(params: Any, x: Any, y: Any, z: Any) -> Any:
    fx, fy, cx, cy, skew = params
    x, y = x / z, y / z
    return fx * x + skew * y + cx, fy * y + cy


@formula
def inside(params: Any, x: Any, y: Any, z: Any) -> Any:
    return True


@formula
def derivatives(params: Any, x: Any, y: Any, z: Any, d_point: Any, d_params: Any) -> None:
    fx, fy, _cx, _cy, skew = params
    x, y = x / z, y / z
    d_point[0, 0], d_point[0, 1], d_point[0, 2] = fx / z, skew / z, -(fx * x + skew * y) / z
    d_point[1, 0], d_point[1, 1], d_point[1, 2] = 0.0, fy / z, -fy * y / z
    d_params[0, 0], d_params[0, 1], d_params[0, 2], d_params[0, 3], d_params[0, 4] = x, 0.0, 1.0, 0.0, y
    d_params[1, 0], d_params[1, 1], d_params[1, 2], d_params[1, 3], d_params[1, 4] = 0.0, y, 0.0, 1.0, 0.0


def sample(rng: np.random.Generator) -> Float:
    focal = rng.uniform(400.0, 2000.0)
    return np.array([focal, focal * rng.uniform(0.95, 1.05), *rng.uniform(300.0, 1000.0, 2), rng.uniform(-2.0, 2.0)])


MODEL = CameraModel(
    name="pinhole",
    parameters=("fx", "fy", "cx", "cy", "skew"),
    focal=(0, 1),
    principal_point=(2, 3),
    distortion=(),
    skew=(4,),
    pixel=pixel,
    inside=inside,
    derivatives=derivatives,
    sample=sample,
)

"""BAL's camera (Agarwal, Snavely, Seitz, Szeliski, ECCV 2010): one focal length, two radial coefficients.

    (x, y) = (X / Z, Y / Z),   s = x^2 + y^2,   d = 1 + k1 s + k2 s^2,   uv = f d (x, y)      [px]

in OpenCV axes; the file format's -z axis is converted when it is read. The origin is the image's centre. Distortion is
one-to-one while the distorted radius grows: d + 2 s (k1 + 2 k2 s) = 1 + 3 k1 s + 5 k2 s^2 > 0.
"""

from typing import Any

import numpy as np

from ba.engine.jit import formula
from ba.model.arrays import Float
from ba.model.camera.model import CameraModel


@formula
def pixel(params: Any, x: Any, y: Any, z: Any) -> Any:
    f, k1, k2 = params
    x, y = x / z, y / z
    s = x * x + y * y
    d = 1.0 + s * (k1 + k2 * s)
    return f * d * x, f * d * y


@formula
def inside(params: Any, x: Any, y: Any, z: Any) -> Any:
    _f, k1, k2 = params
    x, y = x / z, y / z
    s = x * x + y * y
    d, slope = 1.0 + s * (k1 + k2 * s), 2.0 * (k1 + 2.0 * k2 * s)
    return (d + slope * s).real > 0.0


@formula
def derivatives(params: Any, x: Any, y: Any, z: Any, d_point: Any, d_params: Any) -> None:
    f, k1, k2 = params
    x, y = x / z, y / z
    s = x * x + y * y
    d, slope = 1.0 + s * (k1 + k2 * s), 2.0 * (k1 + 2.0 * k2 * s)
    scale = f / z
    xx, xy, yy = scale * (d + slope * x * x), scale * slope * x * y, scale * (d + slope * y * y)
    d_point[0, 0], d_point[0, 1], d_point[0, 2] = xx, xy, -(xx * x + xy * y)
    d_point[1, 0], d_point[1, 1], d_point[1, 2] = xy, yy, -(xy * x + yy * y)
    d_params[0, 0], d_params[0, 1], d_params[0, 2] = d * x, f * s * x, f * s * s * x
    d_params[1, 0], d_params[1, 1], d_params[1, 2] = d * y, f * s * y, f * s * s * y


def sample(rng: np.random.Generator) -> Float:
    return np.array([rng.uniform(400.0, 2000.0), rng.uniform(-0.1, 0.1), rng.uniform(-0.02, 0.05)])


MODEL = CameraModel(
    name="bal",
    parameters=("f", "k1", "k2"),
    focal=(0,),
    principal_point=(),
    distortion=(1, 2),
    skew=(),
    pixel=pixel,
    inside=inside,
    derivatives=derivatives,
    sample=sample,
)

"""BAL's camera (Agarwal, Snavely, Seitz, Szeliski, ECCV 2010): one focal length, two radial coefficients.

    (x, y) = (X / Z, Y / Z),   s = x^2 + y^2,   d = 1 + k1 s + k2 s^2,   uv = f d (x, y)      [px]

in OpenCV axes; the file format's -z axis is converted when it is read. The origin is the image's centre. Distortion is
one-to-one while the distorted radius grows: d + 2 s (k1 + 2 k2 s) = 1 + 3 k1 s + 5 k2 s^2 > 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.engine.jit import kernel
from ba.model.camera.model import BEHIND, INSIDE, OUTSIDE, CameraModel, safe_depth


@kernel
def project(params: Any, camera: Any, point_in_cam: Any, uv: Any, d_point: Any, d_params: Any, domain: Any) -> None:
    for i in range(len(uv)):
        f, k1, k2 = params[camera[i], 0], params[camera[i], 1], params[camera[i], 2]
        depth = safe_depth(point_in_cam[i, 2])
        x, y = point_in_cam[i, 0] / depth, point_in_cam[i, 1] / depth
        s = x * x + y * y
        d = 1.0 + s * (k1 + k2 * s)
        uv[i, 0], uv[i, 1] = f * d * x, f * d * y
        slope = 2.0 * (k1 + 2.0 * k2 * s)
        if point_in_cam[i, 2].real <= 0.0:
            domain[i] = BEHIND
        elif (d + slope * s).real <= 0.0:
            domain[i] = OUTSIDE
        else:
            domain[i] = INSIDE
        if len(d_point) == 0:
            continue
        scale = f / depth
        xx, xy, yy = scale * (d + slope * x * x), scale * slope * x * y, scale * (d + slope * y * y)
        d_point[i, 0, 0], d_point[i, 0, 1], d_point[i, 0, 2] = xx, xy, -(xx * x + xy * y)
        d_point[i, 1, 0], d_point[i, 1, 1], d_point[i, 1, 2] = xy, yy, -(xy * x + yy * y)
        d_params[i, 0, 0], d_params[i, 0, 1], d_params[i, 0, 2] = d * x, f * s * x, f * s * s * x
        d_params[i, 1, 0], d_params[i, 1, 1], d_params[i, 1, 2] = d * y, f * s * y, f * s * s * y


def sample(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.array([rng.uniform(400.0, 2000.0), rng.uniform(-0.1, 0.1), rng.uniform(-0.02, 0.05)])


MODEL = CameraModel(
    name="bal",
    parameters=("f", "k1", "k2"),
    focal=(0,),
    principal_point=(),
    distortion=(1, 2),
    skew=(),
    project=project,
    sample=sample,
)

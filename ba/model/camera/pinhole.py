"""The textbook's finite projective camera with five intrinsics (Hartley and Zisserman, 2nd ed., eq. 6.10).

(x, y) = (X / Z, Y / Z),   u = fx x + skew y + cx,   v = fy y + cy      [px]
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.engine.jit import kernel
from ba.model.camera.model import BEHIND, INSIDE, CameraModel, safe_depth


@kernel
def project(params: Any, camera: Any, point_in_cam: Any, uv: Any, d_point: Any, d_params: Any, domain: Any) -> None:
    for i in range(len(uv)):
        c = camera[i]
        fx, fy, skew = params[c, 0], params[c, 1], params[c, 4]
        depth = safe_depth(point_in_cam[i, 2])
        x, y = point_in_cam[i, 0] / depth, point_in_cam[i, 1] / depth
        uv[i, 0], uv[i, 1] = fx * x + skew * y + params[c, 2], fy * y + params[c, 3]
        domain[i] = BEHIND if point_in_cam[i, 2].real <= 0.0 else INSIDE
        if len(d_point) == 0:
            continue
        d_point[i, 0, 0], d_point[i, 0, 1], d_point[i, 0, 2] = fx / depth, skew / depth, -(fx * x + skew * y) / depth
        d_point[i, 1, 0], d_point[i, 1, 1], d_point[i, 1, 2] = 0.0, fy / depth, -fy * y / depth
        d_params[i, 0, 0], d_params[i, 0, 1], d_params[i, 0, 2] = x, 0.0, 1.0
        d_params[i, 0, 3], d_params[i, 0, 4] = 0.0, y
        d_params[i, 1, 0], d_params[i, 1, 1], d_params[i, 1, 2] = 0.0, y, 0.0
        d_params[i, 1, 3], d_params[i, 1, 4] = 1.0, 0.0


def sample(rng: np.random.Generator) -> NDArray[np.float64]:
    focal = rng.uniform(400.0, 2000.0)
    return np.array([focal, focal * rng.uniform(0.95, 1.05), *rng.uniform(300.0, 1000.0, 2), rng.uniform(-2.0, 2.0)])


MODEL = CameraModel(
    name="pinhole",
    parameters=("fx", "fy", "cx", "cy", "skew"),
    focal=(0, 1),
    principal_point=(2, 3),
    distortion=(),
    skew=(4,),
    project=project,
    sample=sample,
)

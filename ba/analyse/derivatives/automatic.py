"""The Jacobian by automatic differentiation of the forward code (autograd).

Cameras are the formula `pixel` of their model, the same lines that the kernels run. Rotations are written a second time
as textbooks have them, and share no line with `ba.model.rotation`: rotation vectors turn a point by Rodrigues' formula,
a unit quaternion (a, v) by x + 2a v x x + 2 v x (v x x). Every observation gets its own copies of the numbers it reads;
the gradient of the sum of all u, and that of all v, then are all rows of the blocks in two backward passes.
autograd is needed (the extra `test`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy
from scipy.sparse import csr_array

from ba.errors import UserError
from ba.model.arrays import Array
from ba.model.camera import CAMERAS, CameraModel
from ba.model.residual import Residuals
from ba.model.variables import Variables

SERIES_BELOW = 0.25
TERMS = 10
ORDERS = ("xyz", "xzy", "yxz", "yzx", "zxy", "zyx", "xyx", "xzx", "yxy", "yzy", "zxz", "zyz")

Rotate = Callable[[Any, Any, Any, Any], Any]


def automatic(residuals: Residuals, variables: Variables, x: Array) -> csr_array:
    """Raises UserError without autograd, and for a rotation that has no formula here."""
    problem, layout, k = residuals.problem, variables.layout, variables.rotation.tangent_dim
    if variables.rotation.name not in ROTATED:
        formulas = ", ".join(ROTATED)
        raise UserError(
            f"automatic: no second formula is written for {variables.rotation.name!r}; there are {formulas}"
        )
    rotate = ROTATED[variables.rotation.name]
    p = variables.at(x)
    delta = numpy.append(x, 0.0)[layout.image_columns[:, :k]]
    blocks = numpy.zeros((problem.num_observations, 2, k + 3 + p.intrinsics.shape[1] + 3))
    names = numpy.array(problem.camera_models)[residuals.camera_of_obs]
    for name in dict.fromkeys(problem.camera_models):
        members = numpy.flatnonzero(names == name)
        of_obs = problem.image_of_obs, residuals.camera_of_obs, problem.point_of_obs
        image, camera, point = (index[members] for index in of_obs)
        numbers = delta[image], p.translations[image], p.intrinsics[camera], p.points[point]
        blocks[members] = _blocks(rotate, CAMERAS[name], variables.theta[image], numbers)
    if residuals.whitener is not None:
        blocks = residuals.whitener @ blocks
    return residuals.columns(layout).csr(blocks[:, :, :-3][:, :, layout.active], blocks[:, :, -3:])


def _blocks(rotate: Rotate, camera: CameraModel, theta: Array, numbers: tuple[Array, ...]) -> Array:
    """(n, 2, k + 3 + intrinsics + 3) derivatives by each observation's own numbers."""
    np, grad = _autograd()
    pixel = getattr(camera.pixel, "py_func", camera.pixel)  # plain already where compilation is off

    def total(coordinate: int, *numbers: Any) -> Any:
        delta, translation, intrinsics, point = numbers
        params = [intrinsics[:, j] for j in range(len(camera.parameters))]
        return np.sum(pixel(params, *(rotate(np, theta, delta, point) + translation).T)[coordinate])

    passes = [grad(total, argnum=(1, 2, 3, 4))(coordinate, *numbers) for coordinate in range(2)]
    return numpy.stack([numpy.hstack(row) for row in passes], axis=1)


def _autograd() -> tuple[Any, Any]:
    try:
        import autograd
    except ImportError:
        raise UserError("automatic: autograd is not installed; `pip install autograd` is right") from None
    import autograd.numpy

    return autograd.numpy, autograd.grad


def _by_vector(np: Any, w: Any, x: Any) -> Any:
    """Rodrigues: x + A w x x + B w x (w x x), A = sin t / t, B = (1 - cos t) / t^2, in s = t^2."""
    s = np.sum(w**2, axis=1)
    t = np.sqrt(np.where(s < SERIES_BELOW, 1.0, s))
    A = np.where(s < SERIES_BELOW, _series(s, 1), np.sin(t) / t)
    B = np.where(s < SERIES_BELOW, _series(s, 2), 2.0 * (np.sin(0.5 * t) / t) ** 2)
    once = np.cross(w, x)
    return x + A[:, None] * once + B[:, None] * np.cross(w, once)


def _series(s: Any, first: int) -> Any:
    """1 / first! - s / (first + 2)! + s^2 / (first + 4)! - ..."""
    term = total = 1.0
    for n in range(first + 1, first + 2 * TERMS, 2):
        term = -term * s / (n * (n + 1.0))
        total = total + term
    return total / first


def _by_quaternion(np: Any, q: Any, x: Any) -> Any:
    q = q / np.sqrt(np.sum(q**2, axis=1))[:, None]
    once = np.cross(q[:, 1:], x)
    return x + 2.0 * q[:, :1] * once + 2.0 * np.cross(q[:, 1:], once)


def _by_entries(np: Any, entries: Any, x: Any) -> Any:
    return np.einsum("nij,nj->ni", np.reshape(entries, (-1, 3, 3)), x)


def _by_columns(np: Any, columns: Any, x: Any) -> Any:
    """Gram and Schmidt make two columns orthonormal, and the third is their cross product."""
    first = columns[:, :3] / np.sqrt(np.sum(columns[:, :3] ** 2, axis=1))[:, None]
    second = columns[:, 3:] - np.sum(first * columns[:, 3:], axis=1)[:, None] * first
    second = second / np.sqrt(np.sum(second**2, axis=1))[:, None]
    return x[:, :1] * first + x[:, 1:2] * second + x[:, 2:] * np.cross(first, second)


def _by_angles(np: Any, order: str, angles: Any, x: Any) -> Any:
    """Turns about fixed axes, the first letter first."""
    coordinates = list(x.T)
    for letter, angle in zip(order, angles.T, strict=True):
        i, j = ((axis + "xyz".index(letter)) % 3 for axis in (1, 2))
        c, s, a, b = np.cos(angle), np.sin(angle), coordinates[i], coordinates[j]
        coordinates[i], coordinates[j] = c * a - s * b, s * a + c * b
    return np.stack(coordinates, axis=1)


def _euler(order: str) -> Rotate:
    return lambda np, theta, delta, x: _by_angles(np, order, theta + delta, x)


def _cayley(np: Any, theta: Any, delta: Any, x: Any) -> Any:
    return _by_quaternion(np, np.hstack([np.ones((len(x), 1)), theta + delta]), x)


def _modified_rodrigues(np: Any, theta: Any, delta: Any, x: Any) -> Any:
    m = theta + delta
    return _by_quaternion(np, np.hstack([1.0 - np.sum(m**2, axis=1, keepdims=True), 2.0 * m]), x)


ROTATED: dict[str, Rotate] = {
    "axis_angle": lambda np, theta, delta, x: _by_vector(np, theta + delta, x),
    "so3_left": lambda np, theta, delta, x: _by_vector(np, delta, _by_entries(np, theta, x)),
    "so3_right": lambda np, theta, delta, x: _by_entries(np, theta, _by_vector(np, delta, x)),
    "quaternion": lambda np, theta, delta, x: _by_quaternion(np, theta + delta, x),
    "unit_quaternion": lambda np, theta, delta, x: _by_vector(np, 2.0 * delta, _by_quaternion(np, theta, x)),
    "modified_rodrigues": _modified_rodrigues,
    "cayley": _cayley,
    **{f"euler_{order}": _euler(order) for order in ORDERS},
    "columns6": lambda np, theta, delta, x: _by_columns(np, theta + delta, x),
    "matrix9": lambda np, theta, delta, x: _by_entries(np, theta + delta, x),
}
"""(np, theta (n, ambient_dim), delta (n, tangent_dim), x (n, 3)) -> rotated x (n, 3), by parameterization."""

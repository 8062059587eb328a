"""The SciPy cookbook's bundle adjustment: least_squares with finite differences, `jac_sparsity` and x_scale="jac".

Rotation vectors by Rodrigues' formula in plain numpy, in the axes of BAL, where a camera looks along -z. Parameters:
rotation vector, t, f, k1, k2 an image, then points.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.model.problem import Problem
from scripts.benchmarks.contest import MAX_ITERATIONS, Curve, Outcome, Task, moved, only_bal

Array = NDArray[np.float64]

TO_BAL = np.array([1.0, -1.0, -1.0])
"""What turns our axes of a camera into those of BAL, and back."""


def solve(problem: Problem, task: Task) -> Outcome:
    from scipy.optimize import least_squares
    from scipy.spatial.transform import Rotation

    only_bal(problem, one_each=True)
    began, n = time.perf_counter(), problem.num_images
    vectors = Rotation.from_matrix(TO_BAL[:, None] * problem.rotations).as_rotvec()
    cameras = np.hstack([vectors, TO_BAL * problem.translations, problem.intrinsics[problem.camera_of_image, :3]])
    start, sparsity = np.concatenate([cameras.ravel(), problem.points.ravel()]), _sparsity(problem)
    built = time.perf_counter() - began
    curve = Curve()
    curve.add(0.5 * float(np.sum(_residual(start, problem) ** 2)))

    def observe(intermediate_result: Any) -> None:
        curve.add(float(intermediate_result.cost))
        if intermediate_result.cost <= task.enough:
            raise StopIteration

    end = least_squares(
        _residual, start, args=(problem,), jac_sparsity=sparsity, x_scale="jac", method="trf", callback=observe,
        ftol=task.ftol, xtol=None, gtol=None, max_nfev=MAX_ITERATIONS,
    )  # fmt: skip
    seconds = time.perf_counter() - curve.began
    cameras, points = end.x[: 9 * n].reshape(n, 9), end.x[9 * n :].reshape(-1, 3)
    intrinsics = problem.intrinsics.copy()
    intrinsics[problem.camera_of_image, :3] = cameras[:, 6:]
    rotations = TO_BAL[:, None] * Rotation.from_rotvec(cameras[:, :3]).as_matrix()
    final = moved(problem, rotations, TO_BAL * cameras[:, 3:6], intrinsics, points)
    return Outcome(built, seconds, curve.points, final)


def _residual(x: Array, problem: Problem) -> Array:
    n = problem.num_images
    cameras = x[: 9 * n].reshape(n, 9)[problem.image_of_obs]
    points = x[9 * n :].reshape(-1, 3)[problem.point_of_obs]
    in_camera = _rotated(points, cameras[:, :3]) + cameras[:, 3:6]
    plane = -in_camera[:, :2] / in_camera[:, 2:]
    s = np.sum(plane**2, axis=1)
    factor = cameras[:, 6] * (1.0 + cameras[:, 7] * s + cameras[:, 8] * s**2)
    return np.asarray((plane * factor[:, None] - TO_BAL[:2] * problem.pixels).ravel())


def _rotated(points: Array, vectors: Array) -> Array:
    theta = np.linalg.norm(vectors, axis=1)[:, None]
    with np.errstate(invalid="ignore"):
        axis = np.nan_to_num(vectors / theta)
    dot = np.sum(points * axis, axis=1)[:, None]
    return np.asarray(
        np.cos(theta) * points + np.sin(theta) * np.cross(axis, points) + dot * (1.0 - np.cos(theta)) * axis
    )


def _sparsity(problem: Problem) -> Any:
    from scipy.sparse import csr_matrix

    n, m = problem.num_images, problem.num_observations
    columns = np.hstack(
        [
            9 * problem.image_of_obs[:, None].astype(np.int64) + np.arange(9),
            9 * n + 3 * problem.point_of_obs[:, None].astype(np.int64) + np.arange(3),
        ]
    )
    indices = np.repeat(columns, 2, axis=0).ravel()
    pointers = np.arange(0, len(indices) + 1, columns.shape[1])
    return csr_matrix((np.ones(len(indices), int), indices, pointers), shape=(2 * m, 9 * n + 3 * problem.num_points))

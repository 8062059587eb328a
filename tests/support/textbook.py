"""The cost written a second time, with numpy alone and one observation after the other, for laws to hold against."""

from dataclasses import replace

import numpy as np
from scipy.spatial.transform import Rotation

from ba.model.problem import Free, Problem
from tests.support.cameras import PROJECTED

RHO = {
    "linear": lambda z: z,
    "huber": lambda z: np.where(z <= 1.0, z, 2.0 * np.sqrt(np.maximum(z, 1.0)) - 1.0),
    "soft_l1": lambda z: 2.0 * (np.sqrt(1.0 + z) - 1.0),
    "cauchy": lambda z: np.log(1.0 + z),
    "arctan": np.arctan,
}
"""scipy's losses of the squared norm."""


def in_camera(problem: Problem) -> np.ndarray:
    """(n_obs, 3): R X + t."""
    image, point = problem.image_of_obs, problem.point_of_obs
    return np.array(
        [problem.rotations[n] @ problem.points[m] + problem.translations[n] for n, m in zip(image, point, strict=True)]
    ).reshape(-1, 3)


def pixels(problem: Problem) -> np.ndarray:
    """(n_obs, 2) px: where the points project to."""
    cameras = problem.camera_of_image[problem.image_of_obs]
    return np.array(
        [
            PROJECTED[problem.camera_models[camera]](problem.intrinsics[camera], x / z, y / z)
            for camera, (x, y, z) in zip(cameras, in_camera(problem), strict=True)
        ]
    ).reshape(-1, 2)


def squares(problem: Problem) -> np.ndarray:
    """(n_obs,): r^T S^-1 r with S the covariance, or |r|^2."""
    r = pixels(problem) - problem.pixels
    if problem.covariances is None:
        return np.sum(r**2, axis=1)
    return np.array([v @ np.linalg.solve(S, v) for v, S in zip(r, problem.covariances, strict=True)])


def cost(problem: Problem, name: str = "linear", scale: float = 1.0) -> float:
    return 0.5 * float(np.sum(scale**2 * RHO[name](squares(problem) / scale**2)))


def stepped(problem: Problem, free: Free, step: np.ndarray) -> Problem:
    """The problem after a step of its free numbers: R <- exp(d) R for d in the camera, everything else by adding.

    step: image by image its rotation and its translation, then intrinsics, then points.
    """
    rotations, translations = problem.rotations.copy(), problem.translations.copy()
    intrinsics, points = problem.intrinsics.copy(), problem.points.copy()
    numbers = iter(step)
    for n in range(problem.num_images):
        if free.rotations[n]:
            turn = Rotation.from_rotvec([next(numbers) for _ in range(3)])
            rotations[n] = turn.as_matrix() @ rotations[n]
        for axis in np.flatnonzero(free.translations[n]):
            translations[n, axis] += next(numbers)
    for place in np.argwhere(free.intrinsics):
        intrinsics[tuple(place)] += next(numbers)
    for m in np.flatnonzero(free.points):
        points[m] += [next(numbers) for _ in range(3)]
    assert next(numbers, None) is None, "a step has as many numbers as are free"
    return replace(problem, rotations=rotations, translations=translations, intrinsics=intrinsics, points=points)


def step_between(before: Problem, after: Problem, free: Free) -> np.ndarray:
    """The step that `stepped` takes from one to the other."""
    parts: list[np.ndarray] = []
    for n in range(before.num_images):
        if free.rotations[n]:
            parts.append(Rotation.from_matrix(after.rotations[n] @ before.rotations[n].T).as_rotvec())
        parts.append((after.translations[n] - before.translations[n])[free.translations[n]])
    parts.append((after.intrinsics - before.intrinsics)[free.intrinsics])
    parts.append((after.points - before.points)[free.points].ravel())
    return np.concatenate(parts)


def size(free: Free) -> int:
    counts = free.rotations.sum(), free.translations.sum(), free.intrinsics.sum(), free.points.sum()
    return int(3 * counts[0] + counts[1] + counts[2] + 3 * counts[3])


def gradient(problem: Problem, name: str = "linear", scale: float = 1.0, h: float = 1e-6) -> np.ndarray:
    """(size,) of the cost by the free numbers: differences of fourth order."""

    def at(step: np.ndarray) -> float:
        return cost(stepped(problem, problem.free, step), name, scale)

    return np.array(
        [
            (8.0 * (at(h * e) - at(-h * e)) - (at(2.0 * h * e) - at(-2.0 * h * e))) / (12.0 * h)
            for e in np.eye(size(problem.free))
        ]
    )

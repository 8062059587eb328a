import numpy as np

from ba.model.problem import Problem
from ba.model.terms import PointAlignment


def make(
    problem: Problem, rng: np.random.Generator, off: float = 1.0, kind: type[PointAlignment] = PointAlignment
) -> PointAlignment:
    image = np.array([0, 0, 1, 2, 2, 3], np.int32)
    world = rng.normal(size=(6, 3))
    camera = np.einsum("nij,nj->ni", problem.rotations[image], world) + problem.translations[image]
    return kind(image, camera + 0.1 * off * rng.normal(size=(6, 3)), world, rng.uniform(0.1, 0.3, 6))

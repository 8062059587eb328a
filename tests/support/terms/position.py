import numpy as np

from ba.model.problem import Problem
from ba.model.terms import PositionPrior


def make(problem: Problem, rng: np.random.Generator, off: float = 1.0) -> PositionPrior:
    n = problem.num_images
    root = rng.normal(size=(n, 3, 3)) + 2.0 * np.eye(3)
    where = problem.centers + 0.05 * off * rng.normal(size=(n, 3))
    return PositionPrior(np.arange(n, dtype=np.int32), where, 0.01 * root @ root.transpose(0, 2, 1))

import numpy as np

from ba.model.problem import Problem
from ba.model.terms import Distance


def make(problem: Problem, rng: np.random.Generator, off: float = 1.0) -> Distance:
    """Point 3 takes part twice."""
    first, second = np.array([3, 1, 6], np.int32), np.array([5, 3, 0], np.int32)
    right = np.linalg.norm(problem.points[first] - problem.points[second], axis=1)
    return Distance(first, second, right + off * np.array([0.1, -0.05, 0.02]), np.array([0.01, 0.02, 0.05]))

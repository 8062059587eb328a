import numpy as np

from ba.model.problem import Problem
from ba.model.terms import AlignmentDistance, PointAlignment
from tests.support.terms import alignment


def make(problem: Problem, rng: np.random.Generator, off: float = 1.0) -> PointAlignment:
    return alignment.make(problem, rng, off, AlignmentDistance)

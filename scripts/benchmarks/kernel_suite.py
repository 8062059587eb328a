"""What `scripts/bench kernels` times: every phase of a step of the backend `schur`, as it is called there.

The observations are Dubrovnik's (83,718), at its start; the sparse factor is that of a street of 300 images. Before
each round the calibration kernel is timed on as many threads. To add a kernel: write a function from the number of
threads to what is to be timed, and add one line to `KERNELS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import product as pairs
from typing import Any

import numpy as np
import pytest

from ba import io
from ba.engine.parallel import blas_threads
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.linearization import Blocks
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.rotation.so3 import exp
from ba.model.variables import State, make_variables
from ba.prepare.conditioning import condition
from ba.solve.reduced import LINEAR_SOLVERS, Eliminator, Reduced, Structure, gradient_norm, make_structure
from ba.solve.reduced.conjugate_gradients import implicit_product
from scripts import ROOT
from scripts.benchmarks.calibration import Calibration

FILE = ROOT / "datasets" / "dubrovnik-16-22106-pre.txt.xz"
STREET = Scene(kind="street", images=300, observations=30_000, camera="bal")
ROTATION = "so3_left"
DAMPING, TOLERANCE = 1e-4, 1e-2
IMAGES = 1000
"""Of the rotations."""
THREADS = (1, 2)
ROUNDS, WARMUP_ROUNDS = 25, 2

Work = Callable[[], object]


@dataclass(frozen=True, eq=False)
class Step:
    """One problem, linearized."""

    residuals: Residuals
    parameters: State
    structure: Structure
    derivatives: Blocks

    def elimination(self, *, explicit: bool = True) -> Callable[[], Reduced]:
        """What makes the reduced system; each has memory of its own."""
        eliminate = Eliminator(self.structure, self.residuals.threads, explicit=explicit)
        return partial(eliminate, self.derivatives, DAMPING)


@cache
def conditioned(name: str) -> Problem:
    return condition(io.load(FILE) if name == "dubrovnik" else generate(STREET)).problem


@cache
def step(threads: int, name: str = "dubrovnik") -> Step:
    problem, rotation = conditioned(name), ROTATIONS[ROTATION]
    variables = make_variables(problem, rotation)
    residuals = Residuals(problem, threads)
    parameters = variables.at(variables.start)
    structure = make_structure(problem, rotation.tangent_dim)
    return Step(residuals, parameters, structure, residuals.blocks(parameters))


def residual(threads: int) -> Work:
    of = step(threads)
    return partial(of.residuals.residual, of.parameters)


def linearization(threads: int) -> Work:
    of = step(threads)
    return partial(of.residuals.blocks, of.parameters, of.derivatives)


def gradient(threads: int) -> Work:
    of = step(threads)
    return partial(gradient_norm, of.derivatives, of.structure, threads)


def linear_solve(name: str, scene: str, threads: int) -> Work:
    """By one of LINEAR_SOLVERS."""
    return partial(LINEAR_SOLVERS[name], step(threads, scene).elimination()(), TOLERANCE)


def substitution(threads: int) -> Work:
    reduced = step(threads).elimination()()
    return partial(reduced.substitute, np.ones_like(reduced.rhs))


def product(threads: int) -> Work:
    """Of conjugate gradients, without S."""
    reduced = step(threads).elimination(explicit=False)()
    return partial(implicit_product(reduced), np.ones_like(reduced.rhs))


def rotation(name: str) -> Work:
    """What a step does with the rotations of IMAGES images."""
    of = ROTATIONS[name]
    theta = of.from_matrix(exp(np.random.default_rng(0).normal(size=(IMAGES, 3))))
    delta = np.full((IMAGES, of.tangent_dim), 1e-3)

    def work() -> Any:
        moved = of.retract(theta, delta)
        return of.to_matrix(moved), of.tangent_map(moved, 0.0 * delta)

    return work


KERNELS: dict[str, Callable[[int], Work]] = {
    "residual": residual,
    "linearization": linearization,
    "gradient-norm": gradient,
    "elimination": lambda threads: step(threads).elimination(),
    "implicit-elimination": lambda threads: step(threads).elimination(explicit=False),
    "dense-solve": partial(linear_solve, "dense", "dubrovnik"),
    "sparse-solve": partial(linear_solve, "sparse", "street"),
    "product": product,
    "substitution": substitution,
}
ALONE: dict[str, Callable[[], Work]] = {f"rotation-{name}": partial(rotation, name) for name in ROTATIONS}
"""Kernels that know no threads."""
CASES = [*pairs(KERNELS, THREADS), *((name, 1) for name in ALONE)]
CALLS = {
    **dict.fromkeys(("residual", "gradient-norm", "product", "substitution"), 3),
    **dict.fromkeys(("dense-solve", *ALONE), 10),
}
"""Calls that make a round, where one is much shorter than the calibration kernel."""
SERIAL = ("dense-solve", "sparse-solve")
"""Kernels that are done on one thread so far, and compared with the calibration kernel on one."""


@pytest.mark.parametrize(("name", "threads"), CASES)
def test_kernel(benchmark: Any, name: str, threads: int) -> None:
    work = ALONE[name]() if name in ALONE else KERNELS[name](threads)
    calls, calibration_threads = CALLS.get(name, 1), 1 if name in SERIAL else threads
    calibration = Calibration(calibration_threads)

    def a_round() -> None:
        for _ in range(calls):
            work()

    with blas_threads(1):  # as in a solve
        benchmark.pedantic(a_round, setup=calibration, rounds=ROUNDS, warmup_rounds=WARMUP_ROUNDS)
    benchmark.extra_info |= {
        "kernel": name,
        "threads": threads,
        "calls": calls,
        "calibration": calibration.seconds,
        "calibration_threads": calibration_threads,
    }

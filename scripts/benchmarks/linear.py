"""Which linear solver for which scene? Seconds of `solver.backend: schur` with each, and what forming S costs.

    scripts/bench linear [--only street-50,street-300] [--threads 2] [--json PATH]

Scenes have 250 observations an image and start from the noise of configs/street-2000.yaml. A line a scene and solver:
how many free numbers S has, the share of its blocks that are not zero, and seconds until the cost is within 1e-4 of the
lowest that any of the solvers reaches on that scene. On the largest collection the parts of a step of conjugate
gradients follow, with S formed and without, and a solve by the sparse factor beside one by SciPy's SuperLU on a street.
Run it on an otherwise idle machine.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from ba.engine.parallel import blas_threads
from ba.io.options import Scene
from ba.io.synthetic import generate
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS
from ba.model.variables import make_variables
from ba.prepare.conditioning import condition
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve import solve
from ba.solve.options import Solver
from ba.solve.reduced import Eliminator, Reduced, make_structure, sparse
from ba.solve.reduced.conjugate_gradients import explicit_product, implicit_product, matrix
from scripts.benchmarks.contest import Curve
from scripts.benchmarks.provenance import keep, machine
from scripts.benchmarks.table import arrival

OBSERVATIONS_PER_IMAGE = 250
NOISE = Noise(rotation_deg=0.2, position=0.05, points=0.05)
CASES: dict[str, tuple[str, ...]] = {
    "street-50": ("dense", "sparse"),
    "street-300": ("dense", "sparse"),
    "street-2000": ("sparse", "cg"),
    "internet-2000": ("sparse", "cg"),
}
SHARE, FTOL, DAMPING = 1e-4, 1e-6, 1e-4
ROUNDS = 3


def start(name: str) -> Problem:
    kind, images = name.split("-")
    scene = Scene(kind=kind, images=int(images), observations=OBSERVATIONS_PER_IMAGE * int(images), camera="bal")
    return perturb(generate(scene), NOISE, 0)


def course(problem: Problem, linear: str, threads: int) -> Curve:
    curve = Curve()
    options = Solver(backend="schur", linear=linear, ftol=FTOL, threads=threads)
    solve(problem, options=options, observer=lambda iteration: curve.add(iteration.cost))
    return curve


def contest(name: str, threads: int) -> dict[str, Any]:
    """Each solver on one scene. Solves that take less than a second are repeated."""
    problem = start(name)
    structure = make_structure(problem, ROTATIONS["so3_left"].tangent_dim)
    curves = {linear: [course(problem, linear, threads)] for linear in CASES[name]}
    for linear, group in curves.items():
        while group[-1].points[-1][0] < 1.0 and len(group) < ROUNDS:
            group.append(course(problem, linear, threads))
    lowest = min(curve.points[-1][1] for group in curves.values() for curve in group)
    n = structure.num_groups
    return {
        "numbers": int(structure.free.size),
        "observations": problem.num_observations,
        "blocks": len(structure.pattern[1]) / (n * (n + 1) / 2),
        "seconds": {
            linear: median(arrival([list(p) for p in curve.points], lowest * (1.0 + SHARE)) for curve in group)
            for linear, group in curves.items()
        },
    }


def seconds(work: Callable[[], object]) -> float:
    """Median of ROUNDS, after one that is not counted."""
    found = []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return median(found[1:])


def reduced(problem: Problem, threads: int, *, explicit: bool) -> tuple[float, Reduced]:
    """Seconds to eliminate the points, with or without forming S, and the system."""
    rotation, conditioned = ROTATIONS["so3_left"], condition(problem).problem
    variables, residuals = make_variables(conditioned, rotation), Residuals(conditioned, threads)
    derivatives = residuals.blocks(variables.at(variables.start))
    eliminate = Eliminator(make_structure(conditioned, rotation.tangent_dim), threads, explicit=explicit)
    return seconds(lambda: eliminate(derivatives, DAMPING)), eliminate(derivatives, DAMPING)


def products(name: str, threads: int) -> dict[str, float]:
    """Seconds of the parts of a step of conjugate gradients, with S formed and without."""
    problem = start(name)
    with_s, explicit = reduced(problem, threads, explicit=True)
    b = explicit.rhs.copy()
    began = time.perf_counter()
    formed = explicit_product(explicit)
    prepared = time.perf_counter() - began
    by_s = seconds(lambda: formed(b))
    without_s, implicit = reduced(problem, threads, explicit=False)
    unformed = implicit_product(implicit)
    return {
        "formed_elimination": with_s,
        "formed_preparation": prepared,
        "formed_product": by_s,
        "unformed_elimination": without_s,
        "unformed_product": seconds(lambda: unformed(b)),
    }


def factors(name: str, threads: int) -> dict[str, float]:
    """Seconds of one solution of the reduced system by our factor and by SuperLU."""
    from scipy.sparse.linalg import splu

    _, system = reduced(start(name), threads, explicit=True)
    S, b = matrix(system).tocsc(), system.rhs.ravel()
    return {
        "blocks": seconds(lambda: sparse.solve(system, 0.0)),
        "superlu": seconds(lambda: splu(S, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True}).solve(b)),
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench linear", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES), help=", ".join(CASES))
    parser.add_argument("--threads", type=int, default=2, help="threads (default 2)")
    parser.add_argument("--json", type=Path, metavar="PATH", help="what was measured, as benchmarks/results has it")
    chosen = parser.parse_args(arguments)
    if unknown := [name for name in chosen.only if name not in CASES]:
        parser.error(f"--only: {unknown[0]!r} is unknown; right are {', '.join(CASES)}")
    print(", ".join(f"{key} {value}" for key, value in machine().items()) + f", {chosen.threads} threads")
    print(f"{'scene':<15}{'numbers':>9}{'observations':>14}{'blocks':>8}  seconds to {SHARE:g}")
    course(start("street-50"), "cg", chosen.threads)  # loads the compiled kernels
    results: dict[str, Any] = {}
    for name in chosen.only:
        row = results[name] = contest(name, chosen.threads)
        times = ", ".join(f"{linear} {value:.3g}" for linear, value in row["seconds"].items())
        print(f"{name:<15}{row['numbers']:>9}{row['observations']:>14}{row['blocks']:>8.1%}  {times}", flush=True)
    with blas_threads(1):  # as in a solve
        if "internet-2000" in chosen.only:
            results["products"] = products("internet-2000", chosen.threads)
        if "street-2000" in chosen.only:
            results["factors"] = factors("street-2000", chosen.threads)
    for part in ("products", "factors"):
        if part in results:
            print(f"{part}: " + ", ".join(f"{name} {value:.3g} s" for name, value in results[part].items()))
    if chosen.json:
        keep(chosen.json, "scripts/bench linear", results)
    return 0

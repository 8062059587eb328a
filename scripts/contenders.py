"""The contenders of `scripts/bench`: each solves one problem in memory and tells its cost against time.

Run as `contenders.py NAME FILE THREADS [in-front]` it prints one JSON object: build_seconds, seconds, the curve of
[seconds, cost], initial_cost, peak_mb and versions. Ceres comes through pycolmap, which poses the problem (model RADIAL
with the principal point at the origin), and pyceres, which solves it; GTSAM with its own BAL factors and settings like
Ceres'.
"""

import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ba import io
from ba.camera import BEHIND
from ba.config import Solver
from ba.problem import Problem
from ba.residual import project
from ba.result import Iteration
from ba.solver import solve

Run = dict[str, Any]

TOLERANCE, MAX_ITERATIONS = 1e-10, 200


def by_ba(problem: Problem, threads: int, backend: str) -> Run:
    solve(problem, options=Solver(backend=backend, max_iterations=1, threads=threads))  # loads the compiled kernels
    curve: list[tuple[float, float]] = []
    began = time.perf_counter()

    def observe(iteration: Iteration) -> None:
        curve.append((time.perf_counter() - began, iteration.cost))

    options = Solver(backend=backend, ftol=TOLERANCE, max_iterations=MAX_ITERATIONS, threads=threads)
    solve(problem, options=options, observer=observe)
    return {"build_seconds": 0.0, "seconds": time.perf_counter() - began, "curve": curve}


def by_ceres(problem: Problem, threads: int, linear_solver: str) -> Run:
    import pyceres
    import pycolmap

    began = time.perf_counter()
    reconstruction = as_reconstruction(problem, pycolmap)
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point, options.print_summary = False, False
    config = pycolmap.BundleAdjustmentConfig()
    for image in range(problem.num_images):
        config.add_image(image + 1)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, reconstruction)
    built = time.perf_counter() - began
    curve: list[tuple[float, float]] = []

    class Watch(pyceres.IterationCallback):  # type: ignore[misc]
        def __call__(self, summary: Any) -> Any:
            curve.append((summary.cumulative_time_in_seconds, summary.cost))
            return pyceres.CallbackReturnType.SOLVER_CONTINUE

    watch, settings = Watch(), pyceres.SolverOptions()
    settings.linear_solver_type = getattr(pyceres.LinearSolverType, linear_solver)
    if linear_solver == "ITERATIVE_SCHUR":
        settings.preconditioner_type = pyceres.PreconditionerType.SCHUR_JACOBI
    settings.num_threads, settings.max_num_iterations = threads, MAX_ITERATIONS
    settings.function_tolerance, settings.gradient_tolerance, settings.parameter_tolerance = TOLERANCE, 1e-16, 1e-16
    settings.callbacks = [watch]
    summary = pyceres.SolverSummary()
    began = time.perf_counter()
    pyceres.solve(settings, adjuster.problem, summary)
    return {"build_seconds": built, "seconds": time.perf_counter() - began, "curve": curve}


def as_reconstruction(problem: Problem, pycolmap: Any) -> Any:
    reconstruction = pycolmap.Reconstruction()
    place = np.empty(problem.num_observations, np.int64)
    by_image = np.argsort(problem.image_of_obs, kind="stable")
    starts = np.searchsorted(problem.image_of_obs[by_image], np.arange(problem.num_images + 1))
    for i in range(problem.num_images):
        f, k1, k2 = problem.intrinsics[problem.camera_of_image[i]]
        camera = pycolmap.Camera(model="RADIAL", width=1, height=1, params=[f, 0.0, 0.0, k1, k2], camera_id=i + 1)
        reconstruction.add_camera_with_trivial_rig(camera)
        seen = by_image[starts[i] : starts[i + 1]]
        place[seen] = np.arange(len(seen))
        pixels = problem.pixels[seen]
        image = pycolmap.Image(name=str(i), keypoints=pixels, camera_id=i + 1, image_id=i + 1)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(problem.rotations[i]), problem.translations[i])
        reconstruction.add_image_with_trivial_frame(image, pose)
    by_point = np.argsort(problem.point_of_obs, kind="stable")
    starts = np.searchsorted(problem.point_of_obs[by_point], np.arange(problem.num_points + 1))
    for j in range(problem.num_points):
        track = pycolmap.Track()
        for i in by_point[starts[j] : starts[j + 1]]:
            track.add_element(int(problem.image_of_obs[i]) + 1, int(place[i]))
        reconstruction.add_point3D(problem.points[j], track)
    return reconstruction


def by_gtsam(problem: Problem, threads: int) -> Run:
    import gtsam
    from gtsam.symbol_shorthand import P

    began = time.perf_counter()
    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    noise = gtsam.noiseModel.Isotropic.Sigma(2, 1.0)
    for i in range(problem.num_images):
        R, t = problem.rotations[i], problem.translations[i]
        f, k1, k2 = problem.intrinsics[problem.camera_of_image[i]]
        pose = gtsam.Pose3(gtsam.Rot3(R.T), -R.T @ t)
        values.insert(i, gtsam.PinholeCameraCal3Bundler(pose, gtsam.Cal3Bundler(f, k1, k2, 0.0, 0.0)))
    for j in range(problem.num_points):
        values.insert(P(j), problem.points[j])
    for i, j, pixel in zip(problem.image_of_obs, problem.point_of_obs, problem.pixels, strict=True):
        graph.add(gtsam.GeneralSFMFactorCal3Bundler(pixel, noise, int(i), P(int(j))))
    built = time.perf_counter() - began
    began = time.perf_counter()
    optimizer = gtsam.LevenbergMarquardtOptimizer(graph, values, gtsam.LevenbergMarquardtParams.CeresDefaults())
    curve = [(0.0, optimizer.error())]
    for _ in range(MAX_ITERATIONS):
        optimizer.iterate()
        curve.append((time.perf_counter() - began, optimizer.error()))
        if curve[-2][1] - curve[-1][1] <= TOLERANCE * curve[-1][1]:
            break
    return {"build_seconds": built, "seconds": curve[-1][0], "curve": curve}


CONTENDERS: dict[str, tuple[Callable[[Problem, int], Run], tuple[str, ...]]] = {
    "ba-schur": (lambda problem, threads: by_ba(problem, threads, "schur"), ("numpy", "scipy", "numba")),
    "ba-scipy": (lambda problem, threads: by_ba(problem, threads, "scipy"), ("numpy", "scipy", "numba")),
    "ceres-dense": (lambda problem, threads: by_ceres(problem, threads, "DENSE_SCHUR"), ("pyceres", "pycolmap")),
    "ceres-sparse": (lambda problem, threads: by_ceres(problem, threads, "SPARSE_SCHUR"), ("pyceres", "pycolmap")),
    "ceres-iterative": (
        lambda problem, threads: by_ceres(problem, threads, "ITERATIVE_SCHUR"),
        ("pyceres", "pycolmap"),
    ),
    "gtsam": (by_gtsam, ("gtsam",)),
}


def in_front(problem: Problem) -> Problem:
    """The problem without the observations that start behind their camera, which peers leave out by themselves."""
    seen = project(problem).domain != BEHIND
    return replace(
        problem,
        image_of_obs=problem.image_of_obs[seen],
        point_of_obs=problem.point_of_obs[seen],
        pixels=problem.pixels[seen],
    )


def main() -> None:
    name, file, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    problem = io.load(file)
    if "in-front" in sys.argv[4:]:
        problem = in_front(problem)
    run, packages = CONTENDERS[name]
    result = run(problem, threads)
    print(
        json.dumps(
            result
            | {
                "initial_cost": result["curve"][0][1],
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0,
                "versions": {"python": platform.python_version()} | {package: version(package) for package in packages},
            }
        )
    )


if __name__ == "__main__":
    main()

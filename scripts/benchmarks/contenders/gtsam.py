"""GTSAM, with the camera and the factors of its own BAL examples, Ceres' damping and a METIS ordering.

(COLAMD takes 1.2 s to order Dubrovnik-16, METIS 0.15 s; `SfmLevenbergMarquardtOptimizer` is no faster a step.)
It has no factor for observations behind their cameras, and is not given any (see `contest`).
"""

import time
from typing import Any

import numpy as np

from ba.errors import UserError
from ba.model.problem import Problem
from scripts.benchmarks.contest import MAX_ITERATIONS, Curve, Outcome, Task, behind, moved, only_bal


def solve(problem: Problem, task: Task) -> Outcome:
    import gtsam

    only_bal(problem, one_each=True)
    if hidden := int(behind(problem).sum()):
        raise UserError(f"gtsam: {hidden} observations lie behind their cameras and have no residual; see --in-front")
    began = time.perf_counter()
    graph, values = _graph(problem)
    built = time.perf_counter() - began
    parameters = gtsam.LevenbergMarquardtParams.CeresDefaults()
    parameters.setOrderingType("METIS")
    curve = Curve()
    optimizer = gtsam.LevenbergMarquardtOptimizer(graph, values, parameters)
    curve.add(optimizer.error())
    for _ in range(MAX_ITERATIONS):
        optimizer.iterate()
        curve.add(optimizer.error())
        before, now = curve.points[-2][1], curve.points[-1][1]
        if now <= task.enough or before - now <= task.ftol * now:
            break
    return Outcome(
        build_seconds=built,
        solve_seconds=time.perf_counter() - curve.began,
        curve=curve.points,
        problem=_read_back(problem, optimizer.values()),
        settings={"ordering": "METIS"},
    )


def _graph(problem: Problem) -> tuple[Any, Any]:
    """Keys: image i is i, point j is n_images + j."""
    import gtsam

    graph, values = gtsam.NonlinearFactorGraph(), gtsam.Values()
    unit, images = gtsam.noiseModel.Unit.Create(2), problem.num_images
    for i, (R, center) in enumerate(zip(problem.rotations, problem.centers, strict=True)):
        f, k1, k2 = problem.intrinsics[problem.camera_of_image[i], :3]
        pose = gtsam.Pose3(gtsam.Rot3(R.T), center)
        values.insert(i, gtsam.PinholeCameraCal3Bundler(pose, gtsam.Cal3Bundler(f, k1, k2, 0.0, 0.0)))
    for j in np.unique(problem.point_of_obs).tolist():
        values.insert(images + j, problem.points[j])
    index = zip(problem.image_of_obs.tolist(), (problem.point_of_obs + images).tolist(), strict=True)
    for (i, j), pixel in zip(index, problem.pixels, strict=True):
        graph.add(gtsam.GeneralSFMFactorCal3Bundler(pixel, unit, i, j))
    return graph, values


def _read_back(problem: Problem, values: Any) -> Problem:
    cameras = [values.atPinholeCameraCal3Bundler(i) for i in range(problem.num_images)]
    rotations = np.array([camera.pose().rotation().matrix().T for camera in cameras])
    centers = np.array([camera.pose().translation() for camera in cameras])
    intrinsics, points = problem.intrinsics.copy(), problem.points.copy()
    for image, camera in zip(problem.camera_of_image, cameras, strict=True):
        calibration = camera.calibration()
        intrinsics[image, :3] = calibration.fx(), calibration.k1(), calibration.k2()
    for j in np.unique(problem.point_of_obs).tolist():
        points[j] = values.atPoint3(problem.num_images + j)
    translations = -np.einsum("nij,nj->ni", rotations, centers)
    return moved(problem, rotations=rotations, translations=translations, intrinsics=intrinsics, points=points)

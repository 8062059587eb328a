"""GTSAM, with the camera and the factors of its own BAL examples, Ceres' damping and a METIS ordering.

(COLAMD takes 1.2 s to order Dubrovnik-16, METIS 0.15 s; `SfmLevenbergMarquardtOptimizer` is no faster a step.)
Observations behind their cameras (see `contest`) go through a factor of our own; Ladybug-49 has 31 of 31,843. It is
in Python and takes GTSAM's steps on Ladybug from 0.17 s to 0.35 s, which the table says when there are any.
"""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.problem import Problem
from benchmarks.contest import MAX_ITERATIONS, NEGATED_U, TURNED, Curve, Outcome, Task, behind, moved, only_bal


def solve(problem: Problem, task: Task) -> Outcome:
    import gtsam

    only_bal(problem, one_each=True)
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
        settings={"ordering": "METIS", "factors_in_python": int(behind(problem).sum())},
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
    for (i, j), pixel, turn in zip(index, problem.pixels, behind(problem).tolist(), strict=True):
        if turn:
            graph.add(gtsam.CustomFactor(unit, [i, j], _turned(pixel * NEGATED_U)))
        else:
            graph.add(gtsam.GeneralSFMFactorCal3Bundler(pixel, unit, i, j))
    return graph, values


def _turned(pixel: NDArray[Any]) -> Callable[[Any, Any, Any], NDArray[Any]]:
    """Residual and derivatives by camera (pose, then f, k1, k2) and point, through the camera turned half round."""
    import gtsam

    turn = gtsam.Pose3(gtsam.Rot3(TURNED), np.zeros(3))
    carried = turn.inverse().AdjointMap()

    def residual(factor: Any, values: Any, derivatives: Any) -> NDArray[Any]:
        camera_key, point_key = factor.keys()
        camera, point = values.atPinholeCameraCal3Bundler(camera_key), values.atPoint3(point_key)
        seen_by = gtsam.PinholeCameraCal3Bundler(camera.pose().compose(turn), camera.calibration())
        if derivatives is None:
            return np.asarray(seen_by.project(point) - pixel)
        by_pose, by_point, by_camera = (np.zeros((2, columns), order="F") for columns in (6, 3, 3))
        found = seen_by.project(point, by_pose, by_point, by_camera)
        derivatives[0], derivatives[1] = np.hstack([by_pose @ carried, by_camera]), by_point
        return np.asarray(found - pixel)

    return residual


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

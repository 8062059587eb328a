"""Ceres, as PyPI has it: pycolmap poses the problem (camera model RADIAL, f, cx, cy, k1, k2), pyceres solves it.

pycolmap's adjuster takes the observations in front of their cameras; those behind (see `contest`) are added to its
`problem` with the cost of a rig whose sensor is turned half round. Where points may pass to the other side on the way
(`both_sides`), every observation is posed from both, of which one is zero at a time. Solver `auto`: dense up to
COLMAP's own 50 images, then by fill of the reduced system. Of 2000 images, a street (fill 0.01) took 19 s by
sparse_schur and over 75 s by iterative_schur, an internet-style collection (fill 0.23) over 75 s and 39 s.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.model.problem import Problem
from scripts.benchmarks.contest import MAX_ITERATIONS, NEGATED_U, TURNED, Curve, Outcome, Task, behind, moved, only_bal

LARGEST_DENSE, LARGEST_FILL = 50, 0.1


def solve(problem: Problem, task: Task) -> Outcome:
    import pyceres

    only_bal(problem)
    began = time.perf_counter()
    reconstruction, image_ids, point_ids = _reconstruction(problem)
    adjuster, posed = _posed(problem, reconstruction, image_ids, point_ids, both_sides=task.both_sides)
    built = time.perf_counter() - began
    name = choice(task.ceres_solver, problem)
    options = _options(name, task)
    curve, watch = Curve(), _watch(task.enough)
    options.callbacks = [watch]
    summary = pyceres.SolverSummary()
    watch.curve = curve
    pyceres.solve(options, posed, summary)
    outcome = Outcome(
        build_seconds=built,
        solve_seconds=time.perf_counter() - curve.began,
        curve=curve.points,
        problem=_read_back(problem, reconstruction, image_ids, point_ids),
        settings={"linear_solver": name, "ceres": pyceres.__ceres_version__, "threads": summary.num_threads_used},
        phases={
            "preprocessor_seconds": summary.preprocessor_time_in_seconds,
            "residual_seconds": summary.residual_evaluation_time_in_seconds,
            "jacobian_seconds": summary.jacobian_evaluation_time_in_seconds,
            "linear_solver_seconds": summary.linear_solver_time_in_seconds,
        },
    )
    del posed, adjuster  # which had to live until here
    return outcome


def choice(asked: str, problem: Problem) -> str:
    """The linear solver that is asked for, or what suits the problem."""
    if asked != "auto":
        return asked
    if problem.num_images <= LARGEST_DENSE:
        return "dense_schur"
    return "sparse_schur" if _fill(problem) <= LARGEST_FILL else "iterative_schur"


def _fill(problem: Problem) -> float:
    """Share of the pairs of images that have a point in common: of the reduced system's blocks, those not zero."""
    from scipy.sparse import csr_array

    sees = csr_array(
        (np.ones(problem.num_observations), (problem.image_of_obs, problem.point_of_obs)),
        shape=(problem.num_images, problem.num_points),
    )
    return float((sees @ sees.T).nnz) / problem.num_images**2


def _options(name: str, task: Task) -> Any:
    import pyceres

    options = pyceres.SolverOptions()
    options.linear_solver_type = getattr(pyceres.LinearSolverType, name.removesuffix("_explicit").upper())
    options.preconditioner_type = pyceres.PreconditionerType.SCHUR_JACOBI
    options.use_explicit_schur_complement = name.endswith("_explicit")
    options.function_tolerance, options.gradient_tolerance, options.parameter_tolerance = task.ftol, 0.0, 0.0
    options.max_num_iterations, options.num_threads = MAX_ITERATIONS, task.threads
    options.logging_type = pyceres.LoggingType.SILENT
    return options


def _watch(enough: float) -> Any:
    import pyceres

    class Watch(pyceres.IterationCallback):  # type: ignore[misc]
        curve: Curve

        def __call__(self, iteration: Any) -> Any:
            if not iteration.step_is_successful:  # its cost is that of the step that was refused
                return pyceres.CallbackReturnType.SOLVER_CONTINUE
            self.curve.add(iteration.cost)
            if iteration.cost <= enough:
                return pyceres.CallbackReturnType.SOLVER_TERMINATE_SUCCESSFULLY
            return pyceres.CallbackReturnType.SOLVER_CONTINUE

    return Watch()


def _reconstruction(problem: Problem) -> tuple[Any, list[int], dict[int, int]]:
    """pycolmap's reconstruction, the images it has, and its name for each point that it has."""
    import pycolmap

    front = np.flatnonzero(~behind(problem))
    by_image = front[np.argsort(problem.image_of_obs[front], kind="stable")]
    starts = _starts(problem.image_of_obs[by_image], problem.num_images)
    place = np.empty(problem.num_observations, np.int64)
    place[by_image] = np.arange(len(by_image)) - starts[problem.image_of_obs[by_image]]
    result = pycolmap.Reconstruction()
    for camera, (f, k1, k2) in enumerate(problem.intrinsics[:, :3].tolist(), 1):
        result.add_camera_with_trivial_rig(
            pycolmap.Camera(model="RADIAL", width=1, height=1, params=[f, 0.0, 0.0, k1, k2], camera_id=camera)
        )
    for i in range(problem.num_images):
        pixels, camera = problem.pixels[by_image[starts[i] : starts[i + 1]]], int(problem.camera_of_image[i]) + 1
        result.add_image_with_trivial_frame(
            pycolmap.Image(name=str(i), keypoints=pixels, camera_id=camera, image_id=i + 1),
            pycolmap.Rigid3d(pycolmap.Rotation3d(problem.rotations[i]), problem.translations[i]),
        )
    by_point = front[np.argsort(problem.point_of_obs[front], kind="stable")]
    ends = _starts(problem.point_of_obs[by_point], problem.num_points).tolist()
    images, places = (problem.image_of_obs[by_point] + 1).tolist(), place[by_point].tolist()
    element, seen = pycolmap.TrackElement, np.unique(problem.point_of_obs).tolist()
    point_ids = {
        j: result.add_point3D(
            problem.points[j], pycolmap.Track([element(images[k], places[k]) for k in range(ends[j], ends[j + 1])])
        )
        for j in seen
    }
    return result, [i + 1 for i in range(problem.num_images)], point_ids


def _starts(sorted_index: NDArray[Any], count: int) -> NDArray[np.int64]:
    return np.searchsorted(sorted_index, np.arange(count + 1))


def _posed(
    problem: Problem, reconstruction: Any, image_ids: list[int], point_ids: dict[int, int], *, both_sides: bool
) -> tuple[Any, Any]:
    """pycolmap's adjuster and its `problem`, with the observations behind their cameras.

    Both must live until the solve is over: the adjuster owns the problem, and what is added to a problem lives as long
    as the Python object that it was added through, of which `adjuster.problem` makes a new one each time.
    """
    import pyceres
    import pycolmap
    from pycolmap._core import cost_functions

    options = pycolmap.BundleAdjustmentOptions()
    options.refine_principal_point, options.print_summary = False, False
    config = pycolmap.BundleAdjustmentConfig()
    for image in image_ids:
        config.add_image(image)
    adjuster = pycolmap.create_default_ceres_bundle_adjuster(options, config, reconstruction)
    posed = adjuster.problem
    hidden = behind(problem)
    sides = [(TURNED, NEGATED_U, hidden | both_sides), (np.eye(3), 1.0, hidden & both_sides)]
    for turn, sign, chosen in sides:
        sensor = pycolmap.Rigid3d(pycolmap.Rotation3d(turn), np.zeros(3))
        for k in np.flatnonzero(chosen).tolist():
            image = reconstruction.images[int(problem.image_of_obs[k]) + 1]
            blocks = [
                reconstruction.points3D[point_ids[int(problem.point_of_obs[k])]].xyz,
                reconstruction.frames[image.frame_id].rig_from_world.params,
                reconstruction.cameras[image.camera_id].params,
            ]
            pixel = problem.pixels[k] * sign
            residual = cost_functions.RigReprojErrorCost(pycolmap.CameraModelId.RADIAL, pixel, sensor)
            posed.add_residual_block(residual, pyceres.TrivialLoss(), blocks)
    return adjuster, posed


def _read_back(problem: Problem, reconstruction: Any, image_ids: list[int], point_ids: dict[int, int]) -> Problem:
    poses = [reconstruction.images[i].cam_from_world() for i in image_ids]
    points = problem.points.copy()
    for j, name in point_ids.items():
        points[j] = reconstruction.points3D[name].xyz
    intrinsics = problem.intrinsics.copy()
    for camera in range(problem.num_cameras):
        intrinsics[camera, :3] = reconstruction.cameras[camera + 1].params[[0, 3, 4]]
    return moved(
        problem,
        rotations=[pose.rotation.matrix() for pose in poses],
        translations=[pose.translation for pose in poses],
        intrinsics=intrinsics,
        points=points,
    )

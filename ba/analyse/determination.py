"""Whether a problem is determined at a state: which directions are free beyond the expected ones, and what they move.

Expected are the frame that gauge and fixed numbers leave open, and the surplus numbers of rotations. Both are counted
on a twin: a generated problem in which images of the same kinds see points in general position (`_expected`).
`ba.analyse.free_directions` counts the free directions on up to SOME observations of each image. Fewer rows never hide
a direction, so wherever these leave more open than the twin, all observations are taken. Both counts know directions of
one image, one camera, one point or of a whole part. Directions that move several images against others, as where two
halves share two points, show in the singular values of J without its points, which are computed where that takes little
work (MOST_WORK), and in the numbers, where there are more of them than residuals.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ba.analyse.free_directions import OWN_RANK, PARALLEL, OpenDirections, free_directions, ray_angles, reciprocal
from ba.analyse.graph import Parts, by_label, parts
from ba.engine.parallel import blas_threads
from ba.model.arrays import Array
from ba.model.linearization import Blocks
from ba.model.problem import Free, Problem
from ba.model.residual import Residuals
from ba.model.rotation import ROTATIONS, Parameterization, so3
from ba.model.terms.stacked import Member
from ba.model.variables import make_layout, make_variables
from ba.prepare.conditioning import near_origin

SOME = 32
"""Observations of an image that are looked at first: 64 rows for at most 36 columns of BAL or pinhole images."""

GENERAL = 24
"""Points that each image of the twin sees."""

EXAMPLES = 4
"""Cameras that the twin has of each kind of image, and images of each camera, at most."""

MOST_WORK = 2e8
"""Rows times squared columns, about the multiplications of the singular values: 0.1 s."""


@dataclass(frozen=True, eq=False)
class Determination:
    """What is free at a problem's state.

    found: directions that the observations leave open; expected: those of them that are free whatever is observed;
    joint: directions of several images against others, which are joint_images; angles (n_points,) rad: between rays.
    """

    problem: Problem
    found: OpenDirections
    expected: OpenDirections
    joint: int
    joint_images: Array
    angles: Array

    @property
    def free_directions(self) -> int:
        return self.found.total + self.joint


def determine(problem: Problem, rotation: Parameterization, threads: int = 1) -> Determination:
    """The directions that are free at the problem's state, where the free numbers of rotations are `rotation`'s."""
    problem = near_origin(problem)  # far from the origin rounding hides that a held pose holds the frame
    split, angles = parts(problem), ray_angles(problem)
    with blas_threads(1):
        expected = _expected(problem, rotation)
        found = _found(problem, rotation, threads, split, expected)
        found = replace(found, points=(problem.free.points & (angles <= PARALLEL)).astype(np.int64))
        joint, images = _joint(problem, rotation, threads, found)
    return Determination(problem, found, expected, joint, images, angles)


def _found(
    problem: Problem, rotation: Parameterization, threads: int, split: Parts, expected: OpenDirections
) -> OpenDirections:
    """The directions that all observations leave open, from as few of them as tell."""
    chosen = _spread(problem)
    while True:
        found = _open(problem.take(chosen), rotation, threads, split)
        more = found.images > expected.images
        more |= (found.cameras > expected.cameras)[problem.camera_of_image]
        if found.frame > expected.frame:
            more[:] = True
        wanted = chosen | more[problem.image_of_obs]
        if (wanted == chosen).all():
            return found
        chosen = wanted


def _open(problem: Problem, rotation: Parameterization, threads: int, split: Parts | None = None) -> OpenDirections:
    problem, blocks, members = _derived(problem, rotation, threads)
    return free_directions(problem, blocks, members, split)


def _derived(problem: Problem, rotation: Parameterization, threads: int) -> tuple[Problem, Blocks, tuple[Member, ...]]:
    """The problem, its blocks and its other terms, without the observations whose derivatives are not finite."""
    variables = make_variables(problem, rotation)
    linearization = Residuals(problem, threads).linearize(variables, variables.start)
    (r, A, B), members = linearization.blocks, linearization.members
    finite = np.asarray(np.isfinite(A).all(axis=(1, 2)) & np.isfinite(B).all(axis=(1, 2)))
    if finite.all():
        return problem, (r, A, B), members
    return problem.take(finite), (r[finite], A[finite], B[finite]), members


def _spread(problem: Problem) -> Array:
    """(n_obs,) bool: SOME observations of each image, evenly spread, or all where it has no more."""
    chosen = np.zeros(problem.num_observations, bool)
    for seen in by_label(problem.image_of_obs):
        chosen[seen if len(seen) <= SOME else seen[np.arange(SOME) * len(seen) // SOME]] = True
    return chosen


def _expected(problem: Problem, rotation: Parameterization) -> OpenDirections:
    """What general observations leave open, by the kinds of images there are.

    A kind is a camera model, what is free of it, of the rotation and of the translation, and whether other images have
    the camera too. Images that see nothing are of no kind, unless none sees anything: their poses are held, but that
    holds no frame.
    """
    counted = np.bincount(problem.image_of_obs, minlength=problem.num_images)
    seeing = np.flatnonzero(counted if counted.any() else np.ones(problem.num_images))
    free, camera = problem.free, problem.camera_of_image[seeing]
    models = np.unique(np.array(problem.camera_models), return_inverse=True)[1]
    shared = np.bincount(camera)[camera] > 1
    of_pose = free.rotations[seeing], free.translations[seeing]
    kinds = np.column_stack([models[camera], free.intrinsics[camera], shared, *of_pose])
    kind = np.unique(kinds, axis=0, return_inverse=True)[1]
    chosen = [
        images[members[:EXAMPLES]]
        for images in by_label(kind)
        for members in sorted(by_label(camera[images]), key=len, reverse=True)[:EXAMPLES]
    ]
    examples = np.sort(np.concatenate(chosen))
    twin = _twin(problem, seeing[examples])
    found = _open(twin, rotation, 1)
    example_of_kind = np.zeros(kind.max() + 1, np.int64)
    example_of_kind[kind[examples]] = np.arange(len(examples))
    example = example_of_kind[kind]
    images, cameras = np.zeros(problem.num_images, np.int64), np.zeros(problem.num_cameras, np.int64)
    images[seeing], cameras[camera] = found.images[example], found.cameras[twin.camera_of_image[example]]
    return replace(found, images=images, cameras=cameras, points=np.zeros(problem.num_points, np.int64))


def _twin(problem: Problem, images: Array) -> Problem:
    """These images in general places before general points, with as many points held as a frame can take.

    All see a few points in common, which are far enough for each to be in front, and some of their own.
    """
    rng, n = np.random.default_rng(0), len(images)
    free = problem.free
    cameras, camera_of_image = np.unique(problem.camera_of_image[images], return_inverse=True)
    rotations, centers = so3.exp(0.3 * rng.standard_normal((n, 3))), rng.standard_normal((n, 3))
    points = rng.standard_normal((GENERAL, 3)) + np.array([0.0, 0.0, 12.0])
    fixed = int((~free.points & (np.bincount(problem.point_of_obs, minlength=problem.num_points) > 0)).sum())
    image, point = (index.ravel().astype(np.int32) for index in np.mgrid[:n, :GENERAL])
    return Problem(
        rotations=rotations,
        translations=-np.einsum("nij,nj->ni", rotations, centers),
        camera_of_image=camera_of_image.astype(np.int32),
        camera_models=tuple(problem.camera_models[camera] for camera in cameras),
        intrinsics=problem.intrinsics[cameras],
        points=points,
        image_of_obs=image,
        point_of_obs=point,
        pixels=np.zeros((len(image), 2)),
        free=Free(
            free.rotations[images], free.translations[images], free.intrinsics[cameras], np.arange(GENERAL) >= fixed
        ),
    )


def _joint(problem: Problem, rotation: Parameterization, threads: int, found: OpenDirections) -> tuple[int, Array]:
    """How many directions move several images against others, and those images; see the module's docstring."""
    nobody = np.empty(0, np.int64)
    layout = make_layout(problem, rotation.tangent_dim)
    surplus = layout.size - Residuals(problem).num_rows
    plain = ROTATIONS["so3_left"] if rotation.stays_rotation else rotation
    columns = make_layout(problem, plain.tangent_dim).num_reduced
    if problem.terms or not 0 < 2.0 * problem.num_observations * columns**2 <= MOST_WORK:
        return max(surplus - found.total, 0), nobody
    problem, blocks, _ = _derived(problem, plain, threads)
    null = _null_space(problem, blocks, plain.tangent_dim)
    joint = null.shape[1] - free_directions(problem, blocks).reduced
    return (joint, _moving(problem, null, plain.tangent_dim)) if joint > 0 else (0, nobody)


def _null_space(problem: Problem, blocks: Blocks, tangent_dim: int) -> Array:
    """(num_reduced, k) of J where points have been eliminated, by poses and intrinsics of length-one columns."""
    _, A, B = blocks
    layout, n = make_layout(problem, tangent_dim), problem.num_observations
    columns = Residuals(problem).columns(layout).reduced
    scale = reciprocal(np.linalg.norm(A, axis=2, keepdims=True))
    J = np.zeros((n, 2, layout.num_reduced + 1))
    J[np.arange(n)[:, None, None], np.arange(2)[:, None], columns[:, None, :]] = scale * A
    J = J[:, :, :-1] / np.linalg.norm(J[:, :, :-1], axis=(0, 1)).clip(min=np.finfo(float).tiny)
    for seen in by_label(problem.point_of_obs):
        rows = J[seen].reshape(2 * len(seen), -1)
        U, values, _ = np.linalg.svd((scale * B)[seen].reshape(-1, 3), full_matrices=False)
        U = U[:, values > PARALLEL * values[0]]
        J[seen] = (rows - U @ (U.T @ rows)).reshape(len(seen), 2, -1)
    rows = np.linalg.qr(J.reshape(2 * n, -1), mode="r")
    _, values, V = np.linalg.svd(rows)
    return np.asarray(V[int((values > OWN_RANK * values.max(initial=0.0)).sum()) :].T)


def _moving(problem: Problem, null: Array, tangent_dim: int) -> Array:
    """Images that have a direction of their own against others: the fewer ones of those that may move most, where the
    image that sees most is held, and of the rest."""
    columns = make_layout(problem, tangent_dim).image_columns
    seen = np.bincount(problem.image_of_obs, minlength=problem.num_images)
    held = columns[np.argmax(seen)]
    held = held[held >= 0]
    _, values, V = np.linalg.svd(null[held]) if len(held) else (None, np.empty(0), np.eye(null.shape[1]))
    still = null @ V[int((values > 1e-6).sum()) :].T
    ways = np.array([_rank(still[row[row >= 0]]) for row in columns])
    moving, resting = (np.flatnonzero((seen > 0) & (loose == (ways == ways.max()))) for loose in (True, False))
    return resting if 0 < len(resting) < len(moving) else moving


def _rank(rows: Array) -> int:
    return int((np.linalg.svd(rows, compute_uv=False) > 1e-6).sum()) if rows.size else 0

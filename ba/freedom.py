"""What the observations leave open at a state: free directions, and the condition of what remains.

With derivatives A by poses and intrinsics and B by points, a direction (d, dX) moves no projection where
A d + B dX = 0. Cameras may undo what a map of space does to all points, and no larger group maps lines to lines than
the projective one (Hartley and Zisserman, 2nd ed., section 10.2), to first order

    dX = a + M X - (c.X) X,   15 generators.

So the count is the null space of [A | B dX(generators)] with the rows that hold fixed points. How much of it there is
is found and not assumed: rotations keep a similarity (7); nine free numbers, or a full calibration matrix for each
image, all 15; and a camera with its images has directions of its own, such as the lengths of quaternions. The count
splits by cameras: own directions are what the rank of a camera's A lacks, and a generator survives where what it does
lies in the range of A, for all cameras.

Eigenvalues near zero are not counted: those of Ladybug-49 fall without a gap. Where there is one both counts agree,
which the tests hold.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ba.config import Loss
from ba.errors import SolverError
from ba.loss import LOSSES, scaled
from ba.problem import Problem
from ba.residual import Blocks, Residuals
from ba.rotation import Parameterization
from ba.schur import Eliminator, make_structure
from ba.schur.dense import lower_triangle
from ba.solver.conditioning import condition as conditioned
from ba.solver.objective import Objective
from ba.variables import make_variables

Array = NDArray[np.float64]

MOST_NUMBERS = 1500
"""Up to so many numbers of poses and cameras the eigenvalues are computed: a second, on one thread."""

GENERATORS = 15
"""Of the projective group."""

OWN_RANK, FRAME_RANK = 1e-10, 1e-6
"""Singular values below this are zero: of columns of length one, and of orthonormal effects, whose values are sines of
angles; the second carries the rounding of the first."""

DAMPINGS = (1e-15, 1e-13, 1e-11, 1e-9)
"""Just enough for points that nothing holds along their rays."""


def freedom(problem: Problem, rotation: Parameterization, loss: Loss) -> tuple[int, float]:
    """Free directions at a problem's state, and the condition number (NaN where there are too many numbers)."""
    problem = conditioned(problem).problem
    variables = make_variables(problem, rotation)
    residuals = Residuals(problem, 1)
    blocks = residuals.blocks(variables.at(variables.start))
    directions = free_directions(problem, blocks)
    if variables.layout.num_reduced > MOST_NUMBERS:
        return directions, np.nan
    Objective(residuals, None if loss.name == "linear" else scaled(LOSSES[loss.name], loss.scale)).correct(blocks)
    kept = eigenvalues(problem, blocks, rotation.tangent_dim)[directions:]
    if not len(kept):
        return directions, np.nan
    return directions, float(kept[-1] / max(kept[0], np.finfo(float).eps * kept[-1]))


def eigenvalues(problem: Problem, blocks: Blocks, tangent_dim: int) -> Array:
    """Of the reduced normal equations, scaled to unit diagonal, ascending; empty where points hold nothing."""
    structure = make_structure(problem, tangent_dim)
    eliminate = Eliminator(structure, 1, explicit=True)
    for damping in DAMPINGS:
        try:
            reduced = eliminate(blocks, damping)
        except SolverError:
            continue
        free = np.flatnonzero(structure.free)
        lower = np.tril(lower_triangle(reduced))[np.ix_(free, free)]
        scale = 1.0 / np.sqrt(np.maximum(lower.diagonal(), np.finfo(float).tiny))
        return np.asarray(np.linalg.eigvalsh(scale[:, None] * lower * scale, UPLO="L"))
    return np.empty(0)


def free_directions(problem: Problem, blocks: Blocks) -> int:
    """How many directions of the free numbers move no projection, with blocks at the problem's state.

    The problem is of one piece: every image and point that is seen hangs together with the others. Rows are scaled to
    length one, which moves no null space: points beside a camera have rows of 1e14.
    """
    dX = _generators(problem)
    pose = blocks[1].shape[2] - problem.intrinsics.shape[1]
    triangles = list(_triangles(problem, blocks, dX))
    held = dX[~problem.free.points & _seen(problem)].reshape(-1, GENERATORS)
    basis = _orthonormal(np.concatenate([held, *(triangle[:, -GENERATORS:] for triangle in triangles)]))
    for triangle in triangles:
        triangle[:, -GENERATORS:] = triangle[:, -GENERATORS:] @ basis
    own, remaining = 0, [held @ basis]
    images_of = np.argsort(problem.camera_of_image, kind="stable")
    counts = np.bincount(problem.camera_of_image, minlength=problem.num_cameras)
    for images in np.split(images_of, np.cumsum(counts)[:-1]):
        A, moved = _stacked([triangles[image] for image in images], pose, problem.intrinsics.shape[1])
        missing, rest = _unreached(A, moved)
        own += missing
        remaining.append(rest)
    kept = np.linalg.svd(np.concatenate(remaining), compute_uv=False)
    return int(own + GENERATORS - (kept > FRAME_RANK).sum())


def _orthonormal(effects: Array) -> Array:
    """(15, 15) combinations of generators whose effects (rows, 15) are orthonormal, as far as they are apart."""
    lengths = np.linalg.norm(effects, axis=0)
    scale = 1.0 / np.where(lengths > 0.0, lengths, 1.0)
    _, values, V = np.linalg.svd(effects * scale, full_matrices=False)
    return np.asarray(scale[:, None] * V.T / np.maximum(values, OWN_RANK * values[0]))


def _generators(problem: Problem) -> Array:
    """dX (n_points, 3, 15), in units of the points' extent about their middle."""
    seen = _seen(problem)
    centered = problem.points - np.median(problem.points[seen], axis=0)
    X = centered / (np.median(np.linalg.norm(centered[seen], axis=1)) or 1.0)
    axes = np.eye(3)
    return np.concatenate(
        [
            np.broadcast_to(axes, (len(X), 3, 3)),
            np.einsum("ij,nk->nijk", axes, X).reshape(len(X), 3, 9),
            -np.einsum("nj,ni->nij", X, X),
        ],
        axis=2,
    )


def _triangles(problem: Problem, blocks: Blocks, dX: Array) -> Iterator[Array]:
    """Of each image: its derivatives A, and beside them B dX, as a triangle."""
    order = np.argsort(problem.image_of_obs, kind="stable")
    counts = np.bincount(problem.image_of_obs, minlength=problem.num_images)
    for seen in np.split(order, np.cumsum(counts)[:-1]):
        A, B = blocks[1][seen], blocks[2][seen]
        lengths = np.linalg.norm(A, axis=2, keepdims=True)
        scale = 1.0 / np.where(lengths > 0.0, lengths, 1.0)
        yield _triangle(np.concatenate([scale * A, scale * B @ dX[problem.point_of_obs[seen]]], axis=2))


def _seen(problem: Problem) -> NDArray[np.bool_]:
    return np.asarray(np.bincount(problem.point_of_obs, minlength=problem.num_points) > 0)


def _triangle(blocks: Array) -> Array:
    """(c, c) with the same products of columns as blocks (n, 2, c): small, and of the same rank."""
    c = blocks.shape[2]
    triangle = np.zeros((c, c))
    found = np.linalg.qr(blocks.reshape(-1, c), mode="r")
    triangle[: len(found)] = found
    return triangle


def _stacked(triangles: list[Array], pose: int, width: int) -> tuple[Array, Array]:
    """Of the images of one camera: derivatives by their poses and its intrinsics, and what the generators do."""
    n, c = len(triangles), pose + width + GENERATORS
    A = np.zeros((n, c, n * pose + width))
    for place, triangle in enumerate(triangles):
        A[place, :, place * pose : (place + 1) * pose] = triangle[:, :pose]
        A[place, :, n * pose :] = triangle[:, pose : pose + width]
    moved = np.array([triangle[:, pose + width :] for triangle in triangles]).reshape(-1, GENERATORS)
    return A.reshape(n * c, -1), moved


def _unreached(A: Array, moved: Array) -> tuple[int, Array]:
    """The number of own directions, among columns that are not all zero, and what of `moved` A does not reach."""
    lengths = np.linalg.norm(A, axis=0)
    free = A[:, lengths > 0.0] / lengths[lengths > 0.0]
    U, values, _ = np.linalg.svd(free, full_matrices=False)
    U = U[:, values > OWN_RANK * values.max(initial=0.0)]
    return free.shape[1] - U.shape[1], moved - U @ (U.T @ moved)

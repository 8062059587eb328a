"""What the observations leave open at a state: free directions, and the condition of what remains.

With derivatives A by poses and intrinsics and B by points, a direction (d, dX) moves no projection where
A d + B dX = 0. Cameras may undo what a map of space does to all points, and no larger group maps lines to lines than
the projective one (Hartley and Zisserman, 2nd ed., section 10.2), to first order

    dX = a + M X - (c.X) X,   15 generators.

So the count is the null space of [A | B dX(generators)], where B of a fixed point is zero: no map of space moves it,
and poses may move as far as its projections stay. How large it is
is computed and not assumed: rotations keep a similarity (7); nine free numbers, or a full calibration matrix for each
image, all 15; and a camera with its images has directions of its own, such as the lengths of quaternions. The count
splits by cameras: own directions are what the rank of a camera's A lacks, and a generator survives where what it does
lies in the range of A, for all cameras.

Eigenvalues near zero are not counted: those of Ladybug-49 fall without a gap. Where there is one both counts agree,
which the tests hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from ba.analyse.graph import Parts, by_label, parts
from ba.errors import SolverError
from ba.model.arrays import Array
from ba.model.linearization import Blocks, Linearization
from ba.model.loss import make_loss
from ba.model.problem import Problem
from ba.model.residual import Residuals
from ba.model.rotation import Parameterization
from ba.model.terms.stacked import Member
from ba.model.terms.term import touched_points
from ba.model.variables import Variables, make_variables
from ba.prepare.conditioning import condition as conditioned
from ba.solve.objective import Objective
from ba.solve.reduced import DirectRows, Eliminator, make_partition, make_structure
from ba.solve.reduced.dense import lower_triangle

if TYPE_CHECKING:
    from ba.model.options import Loss


MOST_NUMBERS = 1500
"""Up to so many numbers of poses and cameras the eigenvalues are computed: a second, on one thread."""

GENERATORS = 15
"""Of the projective group."""

OWN_RANK = 1e-10
"""Singular values of columns of length one are zero below this share of the largest."""

ROUNDING, LEAST_SINE = 1e-15, 1e-9
"""Singular values of orthonormal effects are sines of angles, and zero below the second, or below the rounding that
making them orthonormal has enlarged."""

PARALLEL = 1e-9
"""Radians between the rays of a point up to which they are one, so that it moves along them and nothing changes."""

DAMPINGS = (1e-15, 1e-13, 1e-11, 1e-9)
"""Dampings to try in turn: the least at which points that nothing holds along their rays can be eliminated."""


@dataclass(frozen=True, eq=False)
class OpenDirections:
    """Directions that move no projection, counted by whose they are: own ones of poses (n_images,), of cameras beyond
    those of their poses (n_cameras,), of points (n_points,), and of each part (count,) those that move it as a
    whole."""

    images: Array
    cameras: Array
    points: Array
    frames: Array
    parts: Parts

    @property
    def reduced(self) -> int:
        """Those that remain where points are eliminated."""
        return int(self.images.sum() + self.cameras.sum() + self.frames.sum())

    @property
    def frame(self) -> int:
        """Those of all parts as wholes."""
        return int(self.frames.sum())

    @property
    def total(self) -> int:
        return self.reduced + int(self.points.sum())


def directions_and_condition(problem: Problem, rotation: Parameterization, loss: Loss) -> tuple[int, float]:
    """Free directions at a problem's state, and the condition number (NaN where there are too many numbers)."""
    problem = conditioned(problem).problem
    variables = make_variables(problem, rotation)
    residuals = Residuals(problem, 1)
    linearization = residuals.linearize(variables, variables.start)
    directions = free_directions(problem, linearization.blocks, linearization.members)
    kept = np.empty(0)
    if variables.layout.num_reduced <= MOST_NUMBERS:
        objective = Objective(residuals, make_loss(loss.name, loss.scale))
        kept = eigenvalues(variables, residuals, objective.scaled(linearization))[directions.reduced :]
    condition = kept[-1] / max(kept[0], np.finfo(float).eps * kept[-1]) if len(kept) else np.nan
    return directions.total, float(condition)


def eigenvalues(variables: Variables, residuals: Residuals, linearization: Linearization) -> Array:
    """Of the reduced normal equations, scaled to unit diagonal, ascending; empty where points hold nothing."""
    structure = make_structure(variables.problem, variables.rotation.tangent_dim)
    rows = DirectRows(structure, make_partition(structure, variables), residuals, variables.layout)
    direct = rows(linearization.blocks, linearization.members)
    eliminate = Eliminator(structure, 1, explicit=True)
    for damping in DAMPINGS:
        try:
            reduced = eliminate(rows.eliminated(linearization.blocks), damping, direct)
        except SolverError:
            continue
        free = np.flatnonzero(structure.free[structure.filled])
        lower = np.tril(lower_triangle(reduced))[np.ix_(free, free)]
        scale = 1.0 / np.sqrt(np.maximum(lower.diagonal(), np.finfo(float).tiny))
        return np.asarray(np.linalg.eigvalsh(scale[:, None] * lower * scale, UPLO="L"))
    return np.empty(0)


def free_directions(
    problem: Problem, blocks: Blocks, members: Sequence[Member] = (), split: Parts | None = None
) -> OpenDirections:
    """How many directions of the free numbers move no residual, with blocks at the problem's state, and whose.

    Parts of the scene that have no point in common move each for themselves, unless a camera that they share moves with
    them. Rows are scaled to length one, which moves no
    null space: points beside a camera have rows of 1e14. split: the parts, where they are those of more observations
    than these.
    """
    split = split or parts(problem)
    touched, free = touched_points(problem.terms, problem.num_points), problem.free
    A, width = _with_fixed_columns(problem, blocks[1]), problem.intrinsics.shape[1]
    pose = A.shape[2] - width
    X = _normalized(problem, split)
    of_images, of_parts = _rows_of_terms(problem, members, X, split, pose + width)
    triangles = _triangles(problem, A, blocks[2], X, of_images)
    frames, bases, sines = _effective_generators(split, triangles)
    triangles[:, :, pose + width :] = triangles[:, :, pose + width :] @ bases[split.of_image]
    lengths = _lengths_by_camera(problem, triangles[:, :, pose : pose + width])
    pose_ranks, left = _eliminated(_of_length_one(triangles[:, :, :pose]), triangles[:, :, pose:])
    left[:, :, :width] *= reciprocal(lengths)[problem.camera_of_image][:, None, :]
    camera_ranks = np.zeros(problem.num_cameras, np.int64)
    for group in _groups(problem, split):
        rows = [*_without_cameras(problem, split, group, left, camera_ranks), *_between_parts(of_parts, bases, group)]
        triangle = _triangle(np.concatenate(rows))
        effects = [triangle[:, : number * GENERATORS] for number in range(1, len(group) + 1)]
        ranks = [(np.linalg.svd(effect, compute_uv=False) > sines[group].max()).sum() for effect in effects]
        frames[group] = np.diff(np.cumsum(frames[group]) - ranks, prepend=0)
    return OpenDirections(
        images=free.rotations * (pose - 3) + free.translations.sum(axis=1) - pose_ranks,
        cameras=free.intrinsics.sum(axis=1) - camera_ranks,
        points=(free.points & ~touched & (ray_angles(problem) <= PARALLEL)).astype(np.int64),
        frames=frames,
        parts=split,
    )


def _with_fixed_columns(problem: Problem, A: Array) -> Array:
    """A with zeros for those translations and intrinsics that are fixed everywhere."""
    masks = problem.free.translations, problem.free.intrinsics
    active = np.concatenate([mask.any(axis=0) for mask in masks])
    turns = A.shape[2] - int(active.sum())
    widened = np.zeros((*A.shape[:2], turns + len(active)))
    widened[:, :, :turns], widened[:, :, turns:][:, :, active] = A[:, :, :turns], A[:, :, turns:]
    return widened


def ray_angles(problem: Problem) -> Array:
    """(n_points,) radians, the largest angle between a point's first ray and its others; infinite where it has none."""
    point, rays = rays_by_point(problem)
    starts = np.flatnonzero(np.diff(point, prepend=-1))
    first = np.repeat(starts, np.diff(starts, append=len(point)))
    chord = np.linalg.norm(rays - rays[first], axis=1)
    angles = np.full(problem.num_points, np.inf)
    if len(starts):
        angles[point[starts]] = 2.0 * np.arcsin(np.minimum(0.5 * np.maximum.reduceat(chord, starts), 1.0))
    return angles


def rays_by_point(problem: Problem) -> tuple[Array, Array]:
    """Points (n_obs,) in ascending order, and the unit vectors (n_obs, 3) to them from the centres that see them."""
    order = np.argsort(problem.point_of_obs, kind="stable")
    point = problem.point_of_obs[order]
    rays = problem.points[point] - problem.centers[problem.image_of_obs[order]]
    return point, rays / np.linalg.norm(rays, axis=1, keepdims=True).clip(min=np.finfo(float).tiny)


def _normalized(problem: Problem, split: Parts) -> Array:
    """(n_points, 3) in units of the extent of their part about its middle."""
    X = problem.points.copy()
    for points in by_label(split.of_point):
        X[points] -= np.median(X[points], axis=0)
        X[points] /= np.median(np.linalg.norm(X[points], axis=1)) or 1.0
    return X


def _generated(rows: Array, X: Array) -> Array:
    """rows (n, m, 3) times the generators' dX (n, 3, 15) at X (n, 3)."""
    products = rows[..., :, None] * X[:, None, None, :]
    quadratic = np.einsum("nmjj,nk->nmk", products, X)
    return np.concatenate([rows, products.reshape(*rows.shape[:2], 9), -quadratic], axis=2)


def _triangles(problem: Problem, A: Array, B: Array, X: Array, others: dict[int, list[Array]]) -> Array:
    """(n_images, c, c) of each image: its derivatives A, and beside them B dX, with other rows, as a triangle."""
    c = A.shape[2] + GENERATORS
    triangles = np.zeros((problem.num_images, c, c))
    for seen in by_label(problem.image_of_obs):
        scale = reciprocal(np.linalg.norm(A[seen], axis=2, keepdims=True))
        effects = _generated(scale * B[seen], X[problem.point_of_obs[seen]])
        rows = np.concatenate([scale * A[seen], effects], axis=2)
        triangles[problem.image_of_obs[seen[0]]] = _triangle(rows.reshape(-1, c))
    for image, rows_of_terms in others.items():
        triangles[image] = _triangle(np.concatenate([triangles[image], *rows_of_terms]))
    return triangles


def _rows_of_terms(
    problem: Problem, members: Sequence[Member], X: Array, split: Parts, columns: int
) -> tuple[dict[int, list[Array]], list[dict[int, Array]]]:
    """What generators and poses do to the residuals of terms: by image, rows (n, columns + 15) as those of its
    observations; of terms that touch points alone, rows (n, 15) by the parts that those are of."""
    of_images: dict[int, list[Array]] = {}
    of_parts: list[dict[int, Array]] = []
    for member in members:
        for index, J in enumerate(member.derivatives):
            image, first, generated = -1, 0, dict[int, Array]()
            rows = np.zeros((len(J), columns + GENERATORS))
            for touch in member.term.touches:
                block = int(touch.block[index])
                if touch.family == "pose":
                    image, width = block, J.shape[1] - 3 * (len(member.term.touches) - 1)
                    rows[:, :width] = J[:, first : first + width]
                else:
                    width, part = 3, int(split.of_point[block])
                    moved = _generated(J[None, :, first : first + 3], X[block][None])[0]
                    generated[part] = generated.get(part, 0.0) + moved
                first += width
            if image < 0:
                of_parts.append(generated)
                continue
            rows[:, columns:] = generated.get(int(split.of_image[image]), 0.0)
            of_images.setdefault(image, []).append(rows)
    return of_images, of_parts


def _between_parts(rows: Sequence[dict[int, Array]], bases: Array, group: Array) -> Iterator[Array]:
    """(n, 15 q) of each of the rows that reach into one of the q parts of a group."""
    place = {int(part): slice(number * GENERATORS, (number + 1) * GENERATORS) for number, part in enumerate(group)}
    for row in rows:
        if inside := [part for part in row if part in place]:
            wide = np.zeros((len(row[inside[0]]), len(group) * GENERATORS))
            for part in inside:
                wide[:, place[part]] = row[part] @ bases[part]
            yield wide


def _triangle(rows: Array) -> Array:
    """(c, c) with the same products of columns as rows (n, c): small, and of the same rank."""
    c = rows.shape[1]
    triangle = np.zeros((c, c))
    triangle[: len(rows)] = np.linalg.qr(rows, mode="r")
    return triangle


def reciprocal(lengths: Array) -> Array:
    """1 / lengths, and 1 where a length is zero."""
    return np.asarray(1.0 / np.where(lengths > 0.0, lengths, 1.0))


def _of_length_one(columns: Array) -> Array:
    """(n, m, c) with columns (m,) of length one, but those that are zero."""
    return np.asarray(columns * reciprocal(np.linalg.norm(columns, axis=1, keepdims=True)))


def _effective_generators(split: Parts, triangles: Array) -> tuple[Array, Array, Array]:
    """Of each part the number of generators that do anything to what is seen of its free points, (15, 15) combinations
    of them whose effects are orthonormal, and zeros for the others, and the sine that is zero after that."""
    ranks, bases = np.zeros(split.count, np.int64), np.zeros((max(split.count, 1), GENERATORS, GENERATORS))
    sines = np.zeros(split.count)
    for part in range(split.count):
        effects = _triangle(triangles[split.of_image == part, :, -GENERATORS:].reshape(-1, GENERATORS))
        scale = reciprocal(np.linalg.norm(effects, axis=0))
        _, values, V = np.linalg.svd(effects * scale)
        kept = values > OWN_RANK * values[0]
        ranks[part] = kept.sum()
        sines[part] = max(ROUNDING * values[0] / values[kept].min(initial=np.inf), LEAST_SINE)
        bases[part] = scale[:, None] * np.where(kept, V.T / np.where(kept, values, 1.0), 0.0)
    return ranks, bases, sines


def _eliminated(columns: Array, rest: Array) -> tuple[Array, Array]:
    """Ranks (n,) of columns (n, m, c) of length one, some of which something may have been taken from, and what of
    rest (n, m, q) they do not reach."""
    U, values, _ = np.linalg.svd(columns, full_matrices=False)
    kept = values > OWN_RANK
    U = np.where(kept[:, None, :], U, 0.0)
    return kept.sum(axis=1), rest - U @ (U.transpose(0, 2, 1) @ rest)


def _lengths_by_camera(problem: Problem, columns: Array) -> Array:
    """(n_cameras, w) lengths of columns (n_images, c, w) over all images of each camera."""
    squares = np.zeros((problem.num_cameras, columns.shape[2]))
    np.add.at(squares, problem.camera_of_image, np.einsum("ncw,ncw->nw", columns, columns))
    return np.asarray(np.sqrt(squares))


def _groups(problem: Problem, split: Parts) -> list[Array]:
    """Parts that hang together by a camera that they share and that may move."""
    moving = np.asarray(problem.free.intrinsics.any(axis=1))
    tied = moving[problem.camera_of_image] & (split.of_image >= 0)
    ends = split.of_image[tied], split.count + problem.camera_of_image[tied]
    size = split.count + problem.num_cameras
    _, label = connected_components(csr_array((np.ones(tied.sum()), ends), shape=(size, size)), directed=False)
    return by_label(label[: split.count])


def _without_cameras(problem: Problem, split: Parts, group: Array, left: Array, camera_ranks: Array) -> Iterator[Array]:
    """Rows (n, 15 q) of what the generators of the q parts of a group do that neither poses nor cameras undo.

    left: (n_images, c, w + 15) what poses leave of the columns of intrinsics and of the generators' effects. The ranks
    of those columns are added to camera_ranks (n_cameras,).
    """
    width = left.shape[2] - GENERATORS
    images = np.flatnonzero(np.isin(split.of_image, group))
    first = width + GENERATORS * np.searchsorted(group, split.of_image)
    for members in by_label(problem.camera_of_image[images]):
        own = images[members]
        rows = np.zeros((len(own), left.shape[1], width + GENERATORS * len(group)))
        rows[:, :, :width] = left[own, :, :width]
        generators = first[own, None, None] + np.arange(GENERATORS)
        np.put_along_axis(rows, generators, left[own, :, width:], axis=2)
        triangle = _triangle(rows.reshape(-1, rows.shape[2]))[None]
        ranks, remaining = _eliminated(triangle[:, :, :width], triangle[:, :, width:])
        camera_ranks[problem.camera_of_image[own[0]]] += ranks[0]
        yield remaining[0]

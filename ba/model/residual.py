"""The waist: residuals and their derivatives, the one structure in which everything above meets every solver.

    r (n_obs, 2)      whitened residual, W (projection - pixels) with W^T W the inverse covariance
    A (n_obs, 2, c)   its derivative by the image's rotation (k) and translation (3) and the camera's intrinsics; for
                      what is fixed in every image or camera it has no column (`ba.model.variables.active_columns`)
    B (n_obs, 2, 3)   its derivative by the point; both are zero where what they belong to is fixed

With D = d uv / d point_in_cam and p = R x: d uv / d phi = -D [p]_x, row by row d x p -> p x d (Hartley and Zisserman,
2nd ed., section A4.3), times the rotation's map G; d uv / d t = D; B = D R. Observations go through in chunks, one a
thread, so that a camera model stays one file: Dubrovnik's 84 k take 3.3 ms on one thread and 1.9 ms on two in chunks
of 21 k; in smaller ones the interpreter between the kernels takes its time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from ba.engine.jit import kernel
from ba.engine.parallel import each
from ba.model.camera import BEHIND, CAMERAS, OUTSIDE
from ba.model.problem import Problem
from ba.model.terms.stacked import Member, joined, linearized, parted
from ba.model.variables import Layout, Parameters, Variables, active_columns

Array = NDArray[Any]
Blocks = tuple[Array, Array, Array]
"""r (n_obs, 2), A (n_obs, 2, c), B (n_obs, 2, 3)."""

CHUNK = 32_768


@dataclass(frozen=True, eq=False)
class Projection:
    """pixels (n_obs, 2) px and domain (n_obs,), codes of `ba.model.camera`."""

    pixels: Array
    domain: NDArray[np.uint8]

    @property
    def num_behind(self) -> int:
        return int((self.domain == BEHIND).sum())

    @property
    def num_outside(self) -> int:
        return int((self.domain == OUTSIDE).sum())


@dataclass(frozen=True, eq=False)
class Linearization:
    """r, A and B at one x, with J read as a matrix or as an operator. Shapes in the module's docstring."""

    residual: Array
    camera_blocks: Array
    point_blocks: Array
    columns: Columns
    layout: Layout
    members: tuple[Member, ...] = ()

    @property
    def blocks(self) -> Blocks:
        """Of the observations."""
        return self.residual, self.camera_blocks, self.point_blocks

    @property
    def residuals(self) -> Array:
        """(n_rows,) of all terms: u0 v0 u1 v1 ... of the observations, then the other terms' one after the other."""
        return joined(self.parts)

    @property
    def parts(self) -> list[Array]:
        """(n, rows) residuals of the observations and of each other term."""
        return [self.residual, *(member.residual for member in self.members)]

    def scaled(self, scales: Sequence[Array]) -> Linearization:
        """With the rows of the observations, and of each other term, times (n, 1) factors."""
        first, *others = scales
        return replace(
            self,
            residual=self.residual * first,
            camera_blocks=self.camera_blocks * first[:, None],
            point_blocks=self.point_blocks * first[:, None],
            members=tuple(member.scaled(scale) for member, scale in zip(self.members, others, strict=True)),
        )

    def squares(self, weights: Sequence[Array]) -> Array:
        """(size,) diagonal of J^T diag(w) J, for weights (n, 1) of the observations and of each other term."""
        squared = replace(
            self,
            camera_blocks=self.camera_blocks**2,
            point_blocks=self.point_blocks**2,
            members=tuple(replace(member, derivatives=member.derivatives**2) for member in self.members),
        )
        rows = [np.broadcast_to(weight, part.shape) for weight, part in zip(weights, self.parts, strict=True)]
        return squared.vjp(joined(rows))

    def csr(self) -> csr_array:
        """(n_rows, size) sparse Jacobian."""
        J = self.columns.csr(self.camera_blocks, self.point_blocks)
        if not self.members:
            return J
        return csr_array(vstack([J, *(member.csr(self.layout.size) for member in self.members)], format="csr"))

    def jvp(self, v: Array) -> Array:
        """J v, (n_rows,), for v (size,)."""
        by_cameras, by_points = np.empty_like(self.residual), np.empty_like(self.residual)
        padded = np.append(v, 0.0)
        _times(self.camera_blocks, self.columns.reduced, padded, by_cameras)
        _times(self.point_blocks, self.columns.points, padded, by_points)
        return joined([by_cameras + by_points, *(member.jvp(padded) for member in self.members)])

    def vjp(self, u: Array) -> Array:
        """J^T u, (size,), for u (n_rows,)."""
        (u, *others), out = parted(u, [part.shape for part in self.parts]), np.zeros(self.layout.size + 1)
        _scatter(self.camera_blocks, self.columns.reduced, u, out)
        _scatter(self.point_blocks, self.columns.points, u, out)
        for member, part in zip(self.members, others, strict=True):
            member.add_vjp(part, out)
        return out[:-1]


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of x that each observation touches: reduced (n_obs, c) and points (n_obs, 3), -1 where fixed."""

    reduced: NDArray[np.int32]
    points: NDArray[np.int32]
    point_of_obs: NDArray[np.int32]
    free_points: NDArray[np.bool_]
    size: int

    @cached_property
    def _pattern(self) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int64]]:
        columns = np.repeat(np.hstack([self.reduced, self.points])[:, None, :], 2, axis=1)
        kept = columns >= 0
        return kept, columns[kept], np.concatenate([[0], np.cumsum(kept.sum(axis=2).ravel())])

    def csr(self, camera_blocks: Array, point_blocks: Array) -> csr_array:
        kept, indices, pointers = self._pattern
        values = np.concatenate([camera_blocks, point_blocks], axis=2)[kept]
        return csr_array((values, indices, pointers), shape=(2 * len(self.reduced), self.size))


class Residuals:
    """Residuals and linearizations of one problem's terms, for any x of any of its `Variables`.

    threads: number of threads, 0 for one a core. Results do not depend on it.
    """

    def __init__(self, problem: Problem, threads: int = 1) -> None:
        self.problem = problem
        self.threads = threads or os.cpu_count() or 1
        self.camera_of_obs = problem.camera_of_image[problem.image_of_obs]
        self.whitener = whitener(problem)

    def residual(self, parameters: Parameters) -> tuple[Array, NDArray[np.uint8]]:
        """r (n_obs, 2) whitened, and domain codes (n_obs,)."""
        n = self.problem.num_observations
        r = np.empty((n, 2), np.result_type(*_arrays(parameters)))
        domain = np.empty(n, np.uint8)

        def work(piece: tuple[Any, str]) -> None:
            part, model = piece
            chunk = self._project(parameters, part, model, derivatives=False)
            r[part] = self._whitened(chunk, part)
            domain[part] = chunk.domain

        self._each_chunk(work)
        return r, domain

    def linearize(self, variables: Variables, x: Array) -> Linearization:
        """r, A, B at x, and the other terms."""
        state, layout = variables.at(x), variables.layout
        members = linearized(self.problem.terms, state, layout)
        return Linearization(*self.blocks(state), self.columns(layout), layout, members)

    def stacked(self, state: Parameters) -> Array:
        """(n_rows,) residuals of all terms: u0 v0 u1 v1 ... of the observations, then the other terms'."""
        return joined([self.residual(state)[0], *(term.residual(state) for term in self.problem.terms)])

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(n, rows) of the observations and of each other term."""
        return [(self.problem.num_observations, 2), *(term.shape for term in self.problem.terms)]

    def blocks(self, parameters: Parameters, out: Blocks | None = None) -> Blocks:
        """r, A and B at the parameters, in the arrays of `out` if they are given."""
        n, k = self.problem.num_observations, parameters.tangent_map.shape[2]
        active = active_columns(self.problem.free, k)
        out = out or (np.empty((n, 2)), np.empty((n, 2, active.sum())), np.empty((n, 2, 3)))
        r, camera_blocks, point_blocks = out

        def work(piece: tuple[Any, str]) -> None:
            part, model = piece
            chunk = self._project(parameters, part, model, derivatives=True)
            r[part] = self._whitened(chunk, part)
            blocks = camera_blocks[part], point_blocks[part]
            if not active.all():
                blocks = np.empty((len(chunk.uv), 2, len(active)), camera_blocks.dtype), blocks[1]
            _blocks(
                chunk.rotated,
                self.problem.image_of_obs[part],
                self.problem.point_of_obs[part],
                parameters.rotations,
                parameters.points,
                parameters.tangent_map,
                chunk.d_point,
                chunk.d_params,
                *blocks,
            )
            self._hold_fixed(blocks, part, k)
            if not active.all():
                camera_blocks[part] = blocks[0][:, :, active]
            elif not isinstance(part, slice):  # indexing with an array gave copies
                camera_blocks[part] = blocks[0]
            if not isinstance(part, slice):
                point_blocks[part] = blocks[1]

        self._each_chunk(work)
        return out

    def _hold_fixed(self, blocks: tuple[Array, Array], part: Any, tangent_dim: int) -> None:
        """Nothing depends on what is fixed."""
        free, image = self.problem.free, self.problem.image_of_obs[part]
        for first, width, mask, index in (
            (0, tangent_dim, free.rotations[:, None], image),
            (tangent_dim, 3, free.translations, image),
            (tangent_dim + 3, free.intrinsics.shape[1], free.intrinsics, self.camera_of_obs[part]),
        ):
            if not mask.all():
                blocks[0][:, :, first : first + width] *= mask[index][:, None, :]
        if not free.points.all():
            blocks[1][:] *= free.points[self.problem.point_of_obs[part]][:, None, None]

    def columns(self, layout: Layout) -> Columns:
        """The columns each observation touches; kept for the last layout asked for."""
        known: tuple[Layout, Columns] | None = getattr(self, "_columns", None)
        if known is None or known[0] is not layout:
            problem = self.problem
            first = layout.point_columns[problem.point_of_obs][:, None]
            of_image, of_camera = np.split(layout.active, [layout.image_columns.shape[1]])
            known = self._columns = (
                layout,
                Columns(
                    reduced=np.hstack(
                        [
                            layout.image_columns[:, of_image][problem.image_of_obs],
                            layout.camera_columns[:, of_camera][self.camera_of_obs],
                        ]
                    ),
                    points=np.where(first >= 0, first + np.arange(3, dtype=np.int32), np.int32(-1)),
                    point_of_obs=problem.point_of_obs,
                    free_points=layout.point_columns >= 0,
                    size=layout.size,
                ),
            )
        return known[1]

    def project(self, parameters: Parameters) -> Projection:
        """Pixels and domain codes, not whitened."""
        n = self.problem.num_observations
        pixels, domain = np.empty((n, 2)), np.empty(n, np.uint8)

        def work(piece: tuple[Any, str]) -> None:
            part, model = piece
            chunk = self._project(parameters, part, model, derivatives=False)
            pixels[part], domain[part] = chunk.uv, chunk.domain

        self._each_chunk(work)
        return Projection(pixels, domain)

    def _each_chunk(self, work: Callable[[tuple[Any, str]], None]) -> None:
        each(work, list(self._chunks()), self.threads)

    def _chunks(self) -> Iterator[tuple[Any, str]]:
        """Pieces of at most CHUNK observations of one camera model: slices, or index arrays where models are mixed."""
        models = self.problem.camera_models
        if len(set(models)) == 1:
            for first, last in _pieces(self.problem.num_observations):
                yield slice(first, last), models[0]
            return
        names = np.array(models)[self.camera_of_obs]
        for model in sorted(set(models)):
            members = np.flatnonzero(names == model)
            for first, last in _pieces(len(members)):
                yield members[first:last], model

    def _project(self, p: Parameters, part: Any, model: str, *, derivatives: bool) -> _Chunk:
        image = self.problem.image_of_obs[part]
        n, dtype = len(image), np.result_type(*_arrays(p))
        chunk = _Chunk(
            rotated=np.empty((n, 3), dtype),
            uv=np.empty((n, 2), dtype),
            d_point=np.empty((n if derivatives else 0, 2, 3), dtype),
            d_params=np.zeros((n if derivatives else 0, 2, p.intrinsics.shape[1]), dtype),
            domain=np.empty(n, np.uint8),
        )
        point_in_cam = np.empty((n, 3), dtype)
        _to_camera(
            p.rotations, p.translations, p.points, image, self.problem.point_of_obs[part], chunk.rotated, point_in_cam
        )
        CAMERAS[model].project(
            p.intrinsics, self.camera_of_obs[part], point_in_cam, chunk.uv, chunk.d_point, chunk.d_params, chunk.domain
        )
        return chunk

    def _whitened(self, chunk: _Chunk, part: Any) -> Array:
        r: Array = chunk.uv - self.problem.pixels[part]
        if self.whitener is None:
            return r
        whitener = self.whitener[part]
        for derivative in (chunk.d_point, chunk.d_params):
            if len(derivative):
                derivative[:] = whitener @ derivative
        return np.asarray(np.einsum("nij,nj->ni", whitener, r))


@dataclass(frozen=True, eq=False)
class _Chunk:
    rotated: Array
    uv: Array
    d_point: Array
    d_params: Array
    domain: NDArray[np.uint8]


def _pieces(n: int) -> Iterator[tuple[int, int]]:
    """Starts and ends of equal pieces of at most CHUNK, an even number of them: two threads end at once."""
    count = 2 * -(-n // (2 * CHUNK))
    edges = np.linspace(0, n, count + 1).astype(int).tolist()
    return pairwise(edges)


def project(problem: Problem, threads: int = 1) -> Projection:
    """Where the problem's points fall in its images."""
    return Residuals(problem, threads).project(as_parameters(problem))


def as_parameters(problem: Problem) -> Parameters:
    """The problem's own numbers, without derivatives of rotations."""
    return Parameters(
        problem.rotations,
        problem.translations,
        problem.intrinsics,
        problem.points,
        np.empty((problem.num_images, 3, 0)),
    )


def whitener(problem: Problem) -> Array | None:
    """(n_obs, 2, 2) W with W^T W = S^-1, the inverse Cholesky factor of each covariance; None for unit covariance."""
    if problem.covariances is None:
        return None
    return np.asarray(np.linalg.inv(np.linalg.cholesky(problem.covariances)))


def _arrays(p: Parameters) -> tuple[Array, ...]:
    return p.rotations, p.translations, p.intrinsics, p.points


@kernel
def _to_camera(R: Any, t: Any, points: Any, image: Any, point: Any, rotated: Any, point_in_cam: Any) -> None:
    for i in range(len(image)):
        n, m = image[i], point[i]
        x, y, z = points[m, 0], points[m, 1], points[m, 2]
        for a in range(3):
            rotated[i, a] = R[n, a, 0] * x + R[n, a, 1] * y + R[n, a, 2] * z
            point_in_cam[i, a] = rotated[i, a] + t[n, a]


@kernel
def _blocks(
    rotated: Any, image: Any, point: Any, R: Any, points: Any, G: Any, d_point: Any, d_params: Any, A: Any, B: Any
) -> None:
    k, in_tangent = G.shape[2], G.shape[1] == 3
    for i in range(len(image)):
        n = image[i]
        px, py, pz = rotated[i, 0], rotated[i, 1], rotated[i, 2]
        for a in range(2):
            dx, dy, dz = d_point[i, a, 0], d_point[i, a, 1], d_point[i, a, 2]
            if in_tangent:
                tx, ty, tz = py * dz - pz * dy, pz * dx - px * dz, px * dy - py * dx
                for j in range(k):
                    A[i, a, j] = tx * G[n, 0, j] + ty * G[n, 1, j] + tz * G[n, 2, j]
            else:
                for j in range(k):
                    total = 0.0
                    for b in range(3):
                        for c in range(3):
                            total += d_point[i, a, b] * points[point[i], c] * G[n, 3 * b + c, j]
                    A[i, a, j] = total
            for b in range(3):
                A[i, a, k + b] = d_point[i, a, b]
                B[i, a, b] = dx * R[n, 0, b] + dy * R[n, 1, b] + dz * R[n, 2, b]
            for j in range(d_params.shape[2]):
                A[i, a, k + 3 + j] = d_params[i, a, j]


@kernel
def _times(blocks: Any, columns: Any, v: Any, out: Any) -> None:
    for i in range(len(blocks)):
        first, second = 0.0, 0.0
        for j in range(blocks.shape[2]):
            value = v[columns[i, j]]
            first += blocks[i, 0, j] * value
            second += blocks[i, 1, j] * value
        out[i, 0], out[i, 1] = first, second


@kernel
def _scatter(blocks: Any, columns: Any, u: Any, out: Any) -> None:
    for i in range(len(blocks)):
        for j in range(blocks.shape[2]):
            out[columns[i, j]] += blocks[i, 0, j] * u[i, 0] + blocks[i, 1, j] * u[i, 1]

"""Residuals of the observations and their derivatives, from which every solver and every analysis starts.

    r (n_obs, 2)      whitened residual, W (projection - pixels) with W^T W the inverse covariance
    A (n_obs, 2, c)   its derivative by the image's rotation (k) and translation (3) and the camera's intrinsics; for
                      what is fixed in every image or camera it has no column (`ba.model.variables.active_columns`)
    B (n_obs, 2, 3)   its derivative by the point; both are zero where what they belong to is fixed

With D = d uv / d point_in_cam and p = R x: d uv / d phi = -D [p]_x, row by row d x p -> p x d (Hartley and Zisserman,
2nd ed., section A4.3), times the rotation's map G; d uv / d t = D; B = D R. Observations go through in chunks, one a
thread, so that a camera model stays one file: Dubrovnik's 84 k take 3.3 ms on one thread and 1.9 ms on two in chunks
of 21 k; in smaller ones the interpreter takes a larger share of the time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ba.engine.jit import kernel
from ba.engine.parallel import parallel_map
from ba.errors import UserError
from ba.model.arrays import Array
from ba.model.camera import BEHIND, CAMERAS, OUTSIDE
from ba.model.linearization import Blocks, Columns, Linearization
from ba.model.loss import Loss
from ba.model.problem import Problem
from ba.model.terms.stacked import joined, linearized
from ba.model.terms.term import inverse_factor
from ba.model.variables import Layout, State, Variables, active_columns

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


class Residuals:
    """Residuals and linearizations of one problem's terms, for any x of any of its `Variables`.

    threads: number of threads, 0 for one a core. Results do not depend on it.
    """

    def __init__(self, problem: Problem, threads: int = 1) -> None:
        if problem.rigs is not None:
            raise UserError("problem.rigs: residuals of images on rigs are not computed yet; images without rigs are")
        self.problem = problem
        self.threads = threads or os.cpu_count() or 1
        self.camera_of_obs = problem.camera_of_image[problem.image_of_obs]
        self.whitener = whitener(problem)

    def residual(self, state: State) -> tuple[Array, NDArray[np.uint8]]:
        """r (n_obs, 2) whitened, and domain codes (n_obs,)."""
        return self._read(state, self._whitened)

    def project(self, state: State) -> Projection:
        """Pixels and domain codes, not whitened."""
        return Projection(*self._read(state, lambda chunk, _: chunk.uv))

    def _read(self, state: State, pair: Callable[[_Chunk, Any], Array]) -> tuple[Array, NDArray[np.uint8]]:
        """pair(chunk, its observations) of every chunk as one array (n_obs, 2), and domain codes (n_obs,)."""
        n = self.problem.num_observations
        values, domain = np.empty((n, 2), state.dtype), np.empty(n, np.uint8)

        def work(piece: tuple[Any, str]) -> None:
            part, model = piece
            chunk = self._project(state, part, model, derivatives=False)
            values[part] = pair(chunk, part)
            domain[part] = chunk.domain

        parallel_map(work, self._chunks, self.threads)
        return values, domain

    def linearize(self, variables: Variables, x: Array) -> Linearization:
        """r, A, B at x, and the other terms."""
        state, layout = variables.at(x), variables.layout
        members = linearized(self.problem.terms, state, layout)
        return Linearization(*self.blocks(state), self.columns(layout), layout, members)

    def stacked(self, state: State) -> Array:
        """(n_rows,) residuals of all terms: u0 v0 u1 v1 ... of the observations, then the other terms'."""
        return joined([self.residual(state)[0], *(term.residual(state) for term in self.problem.terms)])

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(n, rows) of the observations and of each other term."""
        return [(self.problem.num_observations, 2), *(term.shape for term in self.problem.terms)]

    def losses(self, own: Loss | None) -> list[Loss | None]:
        """Of the observations, `own`, and of each other term; None for rho(s) = s."""
        return [own, *(term.loss for term in self.problem.terms)]

    @property
    def num_rows(self) -> int:
        """Of the Jacobian."""
        return sum(n * rows for n, rows in self.shapes)

    def blocks(self, state: State, out: Blocks | None = None) -> Blocks:
        """r, A and B at a state, in the arrays of `out` if they are given."""
        n, k, dtype = self.problem.num_observations, state.tangent_map.shape[2], state.dtype
        active = active_columns(self.problem.free, k)
        out = out or (np.empty((n, 2), dtype), np.empty((n, 2, active.sum()), dtype), np.empty((n, 2, 3), dtype))
        r, camera_blocks, point_blocks = out

        def work(piece: tuple[Any, str]) -> None:
            part, model = piece
            chunk = self._project(state, part, model, derivatives=True)
            r[part] = self._whitened(chunk, part)
            blocks = camera_blocks[part], point_blocks[part]
            if not active.all():
                blocks = np.empty((len(chunk.uv), 2, len(active)), camera_blocks.dtype), blocks[1]
            _blocks(
                chunk.rotated,
                self.problem.image_of_obs[part],
                self.problem.point_of_obs[part],
                state.rotations,
                state.points,
                state.tangent_map,
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

        parallel_map(work, self._chunks, self.threads)
        return out

    def _hold_fixed(self, blocks: tuple[Array, Array], part: Any, tangent_dim: int) -> None:
        """Set the derivatives by fixed numbers to zero."""
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
        kept: tuple[Layout, Columns] | None = getattr(self, "_columns", None)
        if kept is None or kept[0] is not layout:
            of_image, of_camera = np.split(layout.active, [layout.image_columns.shape[1]])
            poses = layout.image_columns[:, of_image][self.problem.image_of_obs]
            cameras = layout.camera_columns[:, of_camera][self.camera_of_obs]
            points = layout.point_columns[self.problem.point_of_obs]
            kept = self._columns = layout, Columns(np.hstack([poses, cameras]), points, layout.size)
        return kept[1]

    @cached_property
    def _chunks(self) -> list[tuple[Any, str]]:
        """Pieces of at most CHUNK observations of one camera model: slices, or index arrays where models are mixed."""
        models = self.problem.camera_models
        if len(set(models)) == 1:
            return [(slice(*edges), models[0]) for edges in _pieces(self.problem.num_observations)]
        names = np.array(models)[self.camera_of_obs]
        members = {model: np.flatnonzero(names == model) for model in sorted(set(models))}
        return [(of[slice(*edges)], model) for model, of in members.items() for edges in _pieces(len(of))]

    def _project(self, state: State, part: Any, model: str, *, derivatives: bool) -> _Chunk:
        image = self.problem.image_of_obs[part]
        n, dtype = len(image), state.dtype
        chunk = _Chunk(
            rotated=np.empty((n, 3), dtype),
            uv=np.empty((n, 2), dtype),
            d_point=np.empty((n if derivatives else 0, 2, 3), dtype),
            d_params=np.zeros((n if derivatives else 0, 2, state.intrinsics.shape[1]), dtype),
            domain=np.empty(n, np.uint8),
        )
        point_in_cam = np.empty((n, 3), dtype)
        point = self.problem.point_of_obs[part]
        _to_camera(state.rotations, state.translations, state.points, image, point, chunk.rotated, point_in_cam)
        derivatives_and_domain = chunk.d_point, chunk.d_params, chunk.domain
        CAMERAS[model].project(
            state.intrinsics, self.camera_of_obs[part], point_in_cam, chunk.uv, *derivatives_and_domain
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
    return Residuals(problem, threads).project(as_state(problem))


def as_state(problem: Problem) -> State:
    """The problem's own numbers, without derivatives of rotations."""
    no_derivatives = np.empty((problem.num_images, 3, 0))
    return State(problem.rotations, problem.translations, problem.intrinsics, problem.points, no_derivatives)


def whitener(problem: Problem) -> Array | None:
    """(n_obs, 2, 2) W with W^T W = S^-1, the inverse Cholesky factor of each covariance; None for unit covariance."""
    return None if problem.covariances is None else inverse_factor(problem.covariances)


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

"""Which directions of the free numbers change no residual: their number less the rank of the Jacobian.

Rows and columns are scaled to length one, which changes no null space, and singular values are those of the whole dense
matrix: for small problems.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from tests.oracle.case import Case
from tests.oracle.projecting import jacobian
from tests.oracle.reading import Free, Scene
from tests.oracle.rotating import exp
from tests.oracle.starting import free_numbers, in_frame, solver_frame

RANK = 1e-9
"""Singular values that count as zero, as a share of the largest."""
MOST_NUMBERS = 400
GENERAL = 30


@cache
def jacobian_blocks(scene: Scene, rotation: str) -> tuple[Any, Any]:
    """(2 n_obs, ...) by the free numbers of poses and cameras, and by those of points, in the solver's frame."""
    scene, free = in_frame(scene, solver_frame(scene)), scene.free
    masks = free.rotations[:, None], free.translations, free.intrinsics, free.points[:, None]
    index = scene.image, scene.image, scene.camera, scene.point
    parts = []
    for J, place, mask in zip(jacobian(scene, rotation), index, masks, strict=True):
        part = np.zeros((2 * len(J), len(mask), J.shape[2]))
        for i in range(len(J)):
            part[2 * i : 2 * i + 2, place[i]] = J[i]
        parts.append(part[:, np.broadcast_to(mask, part.shape[1:])])
    return np.hstack(parts[:3]), parts[3]


@cache
def free_directions(scene: Scene, rotation: str) -> int:
    """Of a scene at its state."""
    J = np.hstack(jacobian_blocks(scene, rotation))
    for axis in (1, 0):
        lengths = np.linalg.norm(J, axis=axis, keepdims=True)
        J = J / np.where(lengths > 0, lengths, 1)
    values = np.linalg.svd(J, compute_uv=False)
    return int(J.shape[1] - (values > RANK * values[0]).sum())


def expected_directions(scene: Scene, rotation: str) -> int:
    """What would be open of the same images if they saw general points from general places, all of them all points.

    As many of those points are held as the scene holds of the points that are seen.
    """
    rng, seeing = np.random.default_rng(1), np.unique(scene.image)
    n, free = len(seeing), scene.free
    R = exp(0.3 * rng.normal(size=(n, 3)))
    held = int((~free.points[np.unique(scene.point)]).sum())
    image, point = (index.ravel() for index in np.mgrid[:n, :GENERAL])
    general = replace(
        scene,
        R=R,
        t=-np.einsum("nij,nj->ni", R, rng.normal(size=(n, 3))),
        camera_of_image=scene.camera_of_image[seeing],
        points=rng.normal(size=(GENERAL, 3)) + np.array([0, 0, 12]),
        image=image,
        point=point,
        pixels=np.zeros((len(image), 2)),
        covariances=None,
        free=Free(free.rotations[seeing], free.translations[seeing], free.intrinsics, np.arange(GENERAL) >= held),
    )
    return free_directions(general, rotation)


def _small(of: Any) -> Any:
    """Of small problems; NotImplemented for others."""
    return lambda case: of(case) if free_numbers(case.start, case.rotation) <= MOST_NUMBERS else NotImplemented


def of_end(case: Case) -> int:
    return free_directions(case.end, case.rotation)


def of_gauge(case: Case) -> int:
    return expected_directions(case.end, case.rotation)


SUMMARY = {
    "free_directions": _small(of_end),
    "gauge_directions": _small(of_gauge),
    "undetermined.directions": _small(lambda case: of_end(case) - of_gauge(case)),
}

"""Gaussian noise on the start, to see from how far a solve finds home.

A rotation turns about the camera's centre, R' = exp(n) R, and the centre moves by d, so t' = exp(n) t - R' d: nothing
is computed by way of the centre itself, whose coordinates may be large. Each quantity draws from a stream of its own.
"""

from dataclasses import replace

import numpy as np

from ba.config import Noise
from ba.problem import Float, Problem
from ba.rotation import so3


def perturb(problem: Problem, noise: Noise, seed: int) -> Problem:
    """The problem with its free numbers moved; fixed numbers keep their bits.

    An image whose translation is partly fixed gets no position noise, and under rotation noise only the free
    components of its translation follow, so its centre does not quite stay. Without any noise it is the same object.
    """
    if not any((noise.rotation_deg, noise.position, noise.points, noise.intrinsics)):
        return problem
    turn, shift, drift, scale = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    free, n_images = problem.free, problem.num_images
    rotations, translations = _perturbed_poses(
        problem,
        turned=np.radians(noise.rotation_deg) * turn.standard_normal((n_images, 3)),
        shifted=noise.position * shift.standard_normal((n_images, 3)),
    )
    points = problem.points + noise.points * drift.standard_normal(problem.points.shape)
    intrinsics = problem.intrinsics * (1.0 + noise.intrinsics * scale.standard_normal(problem.intrinsics.shape))
    return replace(
        problem,
        rotations=rotations,
        translations=translations,
        points=np.where(free.points[:, None], points, problem.points),
        intrinsics=np.where(free.intrinsics, intrinsics, problem.intrinsics),
    )


def _perturbed_poses(problem: Problem, turned: Float, shifted: Float) -> tuple[Float, Float]:
    """Rotations and translations after the rotation vectors `turned` and the moves of the centres `shifted`."""
    free = problem.free
    turning = np.asarray(free.rotations & turned.any(axis=1))
    shifting = np.asarray(free.translations.all(axis=1) & shifted.any(axis=1))
    step = so3.exp(turned)
    rotations = np.where(turning[:, None, None], step @ problem.rotations, problem.rotations)
    followed = np.einsum("nij,nj->ni", step, problem.translations)
    translations = np.where(turning[:, None] & free.translations, followed, problem.translations)
    moved = translations - np.einsum("nij,nj->ni", rotations, shifted)
    return rotations, np.where(shifting[:, None], moved, translations)

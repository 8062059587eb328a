"""Gaussian noise on the start, to see from how far away a solve still finds the optimum.

A rotation turns about the camera's centre, R' = exp(n) R, and the centre moves by d, so t' = exp(n) t - R' d: nothing
is computed by way of the centre itself, whose coordinates may be large. Each quantity draws from a stream of its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ba.config import source
from ba.errors import UserError
from ba.model.problem import Problem
from ba.model.rotation import so3

if TYPE_CHECKING:
    from ba.options import Config
    from ba.prepare.options import Noise

SOLUTION = "solution."
"""How the name of a run's solution begins."""


def perturb(problem: Problem, noise: Noise, seed: int) -> Problem:
    """The problem with its free numbers moved; fixed numbers keep their bits.

    An image whose translation is partly fixed gets no position noise, and under rotation noise only the free
    components of its translation follow, so its centre does not quite stay. Without any noise it is the same object.
    """
    if noise.is_zero:
        return problem
    turn, shift, drift, scale = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(4))
    turned = np.radians(noise.rotation_deg) * turn.standard_normal(problem.translations.shape)
    shifted = noise.position * shift.standard_normal(problem.translations.shape)
    free = problem.free
    turning = np.asarray(free.rotations & turned.any(axis=1))
    shifting = np.asarray(free.translations.all(axis=1) & shifted.any(axis=1))
    step = so3.exp(turned)
    rotations = np.where(turning[:, None, None], step @ problem.rotations, problem.rotations)
    followed = np.einsum("nij,nj->ni", step, problem.translations)
    translations = np.where(turning[:, None] & free.translations, followed, problem.translations)
    moved = translations - np.einsum("nij,nj->ni", rotations, shifted)
    translations = np.where(shifting[:, None], moved, translations)
    points = problem.points + noise.points * drift.standard_normal(problem.points.shape)
    intrinsics = problem.intrinsics * (1.0 + noise.intrinsics * scale.standard_normal(problem.intrinsics.shape))
    state = replace(problem, rotations=rotations, translations=translations, points=points, intrinsics=intrinsics)
    return problem.moved_to(state)


def note_of_second_noise(config: Config) -> str | None:
    """What to say where a run with noise starts from the solution of a run that had noise: it is applied once more.

    Files of the formats have no place to tell, so the run folder in which the data lie does.
    """
    path = config.data.path
    if path is None or config.noise.is_zero or not path.name.startswith(SOLUTION):
        return None
    if not (path.parent / "summary.json").is_file():
        return None
    try:
        earlier = source.read(path.parent / "config.yaml")[0].get("noise")
    except UserError:  # not a folder that a run has left
        return None
    if not isinstance(earlier, dict) or not any(earlier.values()):
        return None
    right = "--set noise={} starts from the solution as it is"
    return f"noise was applied to a solution: {path} is the end of a run whose start had noise already; {right}"

"""Problems off their minimum and ways to solve them."""

from dataclasses import replace

import numpy as np

from ba.model.loss import LOSSES, scaled
from ba.model.options import Loss
from ba.model.problem import Problem
from ba.model.residual import project
from ba.prepare.noise import perturb
from ba.prepare.options import Noise
from ba.solve.options import Solver
from tests.support.scenes import random_problem

EXACT = {"ftol": 1e-12, "gtol": 1e-9, "xtol": 1e-14}
WAYS = {
    "trf_schur": Solver(preconditioner="schur", max_iterations=500, **EXACT),
    "trf_none": Solver(preconditioner="none", max_iterations=500, **EXACT),
    "dogbox": Solver(method="dogbox", preconditioner="none", max_iterations=500, **EXACT),
    "lm": Solver(method="lm", preconditioner="none", max_iterations=500, **EXACT),
}


def perturbed(models: tuple[str, ...] = ("pinhole",), n_points: int = 12, seed: int = 0) -> Problem:
    """A well-determined problem (intrinsics fixed, frame held) a little off its minimum."""
    problem = random_problem(np.random.default_rng(seed), models, n_points=n_points, noise_px=0.5)
    free = problem.free
    rotations, translations = free.rotations.copy(), free.translations.copy()
    rotations[0] = translations[0] = translations[1, 0] = False
    free = replace(free, rotations=rotations, translations=translations, intrinsics=np.zeros_like(free.intrinsics))
    return perturb(problem.with_free(free), Noise(rotation_deg=1.0, position=0.02, points=0.02), seed)


def cost(problem: Problem, loss: Loss = Loss()) -> float:  # noqa: B008
    r = project(problem).pixels - problem.pixels
    return 0.5 * float(scaled(LOSSES[loss.name], loss.scale)(np.einsum("ni,ni->n", r, r))[0].sum())


FREE = {
    "everything": {},
    "poses": {"points": False},
    "points": {"rotations": False, "translations": False},
    "last image": {"points": False, "rotations": [3], "translations": [3]},
}


def start(free: str = "everything", seed: int = 0) -> Problem:
    """A small problem off its minimum: the frame is held by image 0, and more by what is free."""
    problem = random_problem(np.random.default_rng(seed), ("pinhole",), n_points=8, noise_px=0.5)
    masks = {name: np.array(mask) for name, mask in vars(problem.free).items()}
    masks["rotations"][0] = masks["translations"][0] = masks["translations"][1, 0] = masks["intrinsics"][:] = False
    for name, kept in FREE[free].items():
        others = np.ones(len(masks[name]), bool)
        others[kept if isinstance(kept, list) else slice(0, 0)] = False
        masks[name][others] = False
    noise = Noise(rotation_deg=1.0, position=0.02, points=0.02)
    return perturb(problem.with_free(replace(problem.free, **masks)), noise, seed)

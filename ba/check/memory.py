"""How much memory a step will take, from the structure alone: before anything large is allocated."""

from __future__ import annotations

from ba.problem import Problem
from ba.schur import LINEAR_SOLVERS, Structure, choose, make_structure
from ba.schur.sparse import analyzed
from ba.schur.system import ALL_BLOCKS
from ba.variables import make_layout

NUMBER, INDEX = 8, 4
MOST_BLOCKS = 20_000_000
"""Blocks of S beyond which the fill of its factor is not worked out, which would take minutes."""


def forecast(problem: Problem, tangent_dim: int) -> dict[str, int]:
    """Bytes by what needs them, for a problem whose observations are sorted (`ba.solver.conditioning`)."""
    n, width = problem.num_observations, tangent_dim + 3 + problem.intrinsics.shape[1]
    layout = make_layout(problem, tangent_dim)
    camera = problem.camera_of_image[problem.image_of_obs]
    touched = (layout.image_columns >= 0).sum(axis=1)[problem.image_of_obs].sum()
    touched += (layout.camera_columns >= 0).sum(axis=1)[camera].sum()
    touched += 3 * (layout.point_columns >= 0)[problem.point_of_obs].sum()
    structure = make_structure(problem, tangent_dim)
    chosen, _ = choose(structure, None)
    blocks = n * 2 * (1 + width + 3) * NUMBER
    known = {
        "blocks r, A, B": blocks,
        "Jacobian as CSR": int(2 * touched * (NUMBER + INDEX) + (2 * n + 1) * INDEX),
    }
    for name in LINEAR_SOLVERS:
        mark = ", chosen" if name == chosen else ""
        needed = _elimination(structure, choose(structure, name)[1]) + _factor(structure, name)
        known[f"step of schur, {name}{mark}"] = blocks + needed
    return known


def _elimination(structure: Structure, explicit: bool) -> int:
    """S once for each part of the points, and each point's inverse, gradient and diagonal."""
    n = structure.num_groups
    count = n if not explicit else n * n if n <= ALL_BLOCKS else len(structure.pattern[1])
    parts, points = len(structure.list_parts), len(structure.starts) - 1
    return NUMBER * (parts * (count * structure.width**2 + 2 * n * structure.width) + points * 12)


def _factor(structure: Structure, name: str) -> int:
    """What the linear solver itself allocates."""
    if name == "dense":
        return NUMBER * structure.free.size**2
    if name == "sparse" and len(structure.pattern[1]) <= MOST_BLOCKS:
        return NUMBER * len(analyzed(structure).rows) * structure.width**2
    return 0

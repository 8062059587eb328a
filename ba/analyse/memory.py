"""How much memory a run will take at its peak, from counts alone, and a refusal of what exceeds any limit.

`forecast` adds up what stands at the peak, each part by the arrays that it is made of (shape times bytes of an item).
The peak was in the solver in every run that was measured, so reading and writing are not counted. scripts/memory holds
it to the peak of `ba run`: from 1e5 to 1e6 observations within 12 %. Left out: compiling the kernels once, about 110
MB, and the picture, which another process draws.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ba.errors import UserError
from ba.model.problem import Problem
from ba.model.rotation import ROTATIONS
from ba.model.variables import Layout, make_layout
from ba.prepare.conditioning import condition
from ba.solve.backends import SOLVERS
from ba.solve.reduced import LINEAR_SOLVERS, choose, choose_factorization, make_structure
from ba.solve.reduced.sparse import analyzed
from ba.solve.reduced.structure import PARTS, is_shared
from ba.solve.reduced.system import ALL_BLOCKS
from ba.system.limits import ROOT, Limit, limits
from ba.system.words import in_bytes

if TYPE_CHECKING:
    from ba.options import Config
    from ba.solve.options import Solver

NUMBER, INDEX, PLACE = 8, 4, 8
"""Bytes of float64, int32, int64."""

BASE = 225_000_000
"""Bytes of the interpreter, its libraries and the compiled kernels: what the smallest run takes."""

KERNELS = 32_000_000
"""Bytes of BASE that are not there before the solver begins: its kernels are loaded then."""

KEPT, MOST_KEPT = 70, 64 << 20
"""Bytes of freed arrays that malloc keeps, for an observation, and at most (twice its M_MMAP_THRESHOLD)."""

COPIES = 8
"""Jacobians as large as J that stand at the peak of scipy's trf, with its adjoints and its squares: chosen to fit what
1e5 and 3e5 observations took."""

RESIDUALS, VARIABLES = 6, 20
"""Vectors of the residuals' and of the variables' length that scipy's trf and LSMR hold."""

DENSE_COPIES = 3
"""Dense Jacobians that stand at once under lm: ours, the last one, and MINPACK's. Not measured."""

MOST_BLOCKS = 20_000_000
"""Blocks of S beyond which the fill of its factor is not worked out, which would take minutes: it is taken for S's."""

WAYS: dict[str, dict[str, str]] = {
    **{f"schur, {name}": {"backend": "schur", "linear": name} for name in LINEAR_SOLVERS},
    "scipy, preconditioner schur": {"backend": "scipy", "method": "trf", "preconditioner": "schur"},
    "scipy, preconditioner none": {"backend": "scipy", "preconditioner": "none"},
    **{name: {"backend": name} for name in SOLVERS if name not in ("schur", "scipy")},
}
"""Every way to solve, by the options that ask for it."""

STANDING = ("interpreter, libraries, kernels", "problem, loaded and start")
"""Parts that a process holds when it has loaded its problem."""

MEASURING = "problem, sorted for solving", "structure"
"""Parts that it takes, with as much again on the way, to measure the sizes."""


@dataclass(frozen=True)
class Sizes:
    """Counts that decide how much memory a run takes.

    columns: pose and camera columns of A; numbers: free numbers; nonzeros: of J; groups, width, slots: of
    `ba.solve.reduced.Structure`; side: numbers of a row of S; blocks, formed: blocks and numbers of S where it is
    formed; diagonal: numbers of its diagonal blocks; factor: numbers of its sparse factor; linear, implicit,
    factorization: what `ba.solve.reduced.choose` takes unasked, whether conjugate gradients do without S, and what
    `ba.solve.reduced.choose_factorization` takes.
    """

    images: int
    points: int
    observations: int
    columns: int
    numbers: int
    nonzeros: int
    groups: int
    width: int
    slots: int
    side: int
    diagonal: int
    covariances: bool
    blocks: int = 0
    formed: int = 0
    factor: int = 0
    linear: str = "sparse"
    implicit: bool = False
    factorization: str = "sparse"


def forecast(sizes: Sizes, options: Solver) -> dict[str, int]:
    """Bytes at the peak of a run by what needs them; their sum is the peak of the whole process."""
    return _always(sizes) | _while_solving(sizes, options)


def ways(sizes: Sizes, options: Solver) -> dict[str, int]:
    """Bytes at the peak of a run for each of WAYS, all else as in `options`."""
    return {name: sum(forecast(sizes, options.model_copy(update=dict(way))).values()) for name, way in WAYS.items()}


def chosen(sizes: Sizes, options: Solver) -> str:
    """The one of WAYS that `options` lead to."""
    if options.backend == "schur":
        return f"schur, {options.linear or sizes.linear}"
    if options.backend != "scipy":
        return options.backend
    return f"scipy, preconditioner {'schur' if _is_preconditioned(options) else 'none'}"


def check(problem: Problem, config: Config, root: Path = ROOT) -> None:
    """Raise UserError where solving a problem that is loaded would take more than is left. root: see
    `ba.system.limits`."""
    tangent_dim = ROTATIONS[config.rotation].tangent_dim
    tightest = limits(config.solver.threads or os.cpu_count() or 1, root)
    if not tightest or _growth(bounded(problem, tangent_dim), config.solver) <= tightest[0].left:
        return
    sizes = _least(problem, tangent_dim)
    parts = forecast(sizes, config.solver)
    if KERNELS + 2 * sum(parts[name] for name in MEASURING) <= tightest[0].left:
        sizes = measured(condition(problem).problem, tangent_dim)
    if _growth(sizes, config.solver) > tightest[0].left:
        raise UserError(_refusal(sizes, config, tightest[0]))


def measured(problem: Problem, tangent_dim: int) -> Sizes:
    """The sizes of a problem whose observations are sorted (`ba.prepare.conditioning`)."""
    structure = make_structure(problem, tangent_dim)
    sizes = _counted(problem, tangent_dim)
    n, blocks = structure.num_groups, len(structure.pattern[1])
    formed = int(structure.offsets(*structure.rows_and_columns)[-1])
    return replace(
        sizes,
        slots=len(structure.slot_groups),
        blocks=n * n if n <= ALL_BLOCKS else blocks,
        formed=sizes.side**2 if n <= ALL_BLOCKS else formed,
        factor=formed if blocks > MOST_BLOCKS else int(analyzed(structure).offsets[-1]),
        linear=choose(structure, None)[0],
        implicit=not choose(structure, "cg")[1],
        factorization=choose_factorization(structure),
    )


def bounded(problem: Problem, tangent_dim: int) -> Sizes:
    """Sizes that are at least those of the problem, without its structure, which takes long."""
    sizes = _counted(problem, tangent_dim)
    tracks = np.bincount(problem.point_of_obs, minlength=problem.num_points).astype(float) * (1 + is_shared(problem))
    most, formed = sizes.groups**2, sizes.side**2
    if sizes.groups > ALL_BLOCKS:
        most = min(most, int((tracks * (tracks + 1.0)).sum() / 2.0) + sizes.groups)
        formed = min(formed, most * sizes.width**2)
    return replace(sizes, blocks=most, formed=formed, factor=2 * sizes.side**2)


def _least(problem: Problem, tangent_dim: int) -> Sizes:
    """Sizes that are at most those of the problem, without its structure."""
    sizes = _counted(problem, tangent_dim)
    return replace(sizes, blocks=sizes.groups, formed=sizes.diagonal, factor=sizes.diagonal, implicit=True)


def _counted(problem: Problem, tangent_dim: int) -> Sizes:
    """What needs no structure; the rest as if each observation had slots of its own, and S no blocks."""
    layout, cameras = make_layout(problem, tangent_dim), problem.num_cameras if is_shared(problem) else 0
    columns = int(layout.active.sum())
    wide = int(layout.active[tangent_dim + 3 :].sum()) if cameras else 0
    return Sizes(
        images=problem.num_images,
        points=problem.num_points,
        observations=problem.num_observations,
        columns=columns,
        numbers=layout.size,
        nonzeros=_nonzeros(problem, layout),
        groups=problem.num_images + cameras,
        width=max(columns - wide, wide),
        slots=problem.num_observations * (2 if cameras else 1),
        side=problem.num_images * (columns - wide) + cameras * wide,
        diagonal=problem.num_images * (columns - wide) ** 2 + cameras * wide**2,
        covariances=problem.covariances is not None,
    )


def _nonzeros(problem: Problem, layout: Layout) -> int:
    """Entries of J's pattern."""
    of_image = (layout.image_columns >= 0).sum(axis=1)
    of_image += (layout.camera_columns >= 0).sum(axis=1)[problem.camera_of_image]
    return int(2 * (of_image[problem.image_of_obs].sum() + (layout.point_columns >= 0)[problem.point_of_obs].sum()))


# --- the parts --------------------------------------------------------------------------------------------------------


def _always(sizes: Sizes) -> dict[str, int]:
    n, m, images = sizes.observations, sizes.points, sizes.images
    weights = 4 * NUMBER if sizes.covariances else 0
    observations = 2 * NUMBER + 2 * INDEX + weights  # pixels, indices of image and point, covariances
    poses = (9 + 3 + sizes.columns) * NUMBER
    return {
        STANDING[0]: BASE,
        STANDING[1]: n * observations + m * (2 * 3 * NUMBER + 3) + 2 * images * poses,
        "freed, kept by malloc": min(KEPT * n, MOST_KEPT),
        "problem, sorted for solving": n * (observations + weights + INDEX) + m * 3 * NUMBER + images * poses,
        "squared residuals of the start": n * NUMBER * (2 if sizes.covariances else 1),
        "structure": n * INDEX * (1 if sizes.slots == n else 2) + sizes.slots * INDEX + 2 * m * PLACE,
        "trial": n * (2 * NUMBER + 1) + 3 * m * 3 * NUMBER + images * (9 + poses // NUMBER) * NUMBER,
    }


def _while_solving(sizes: Sizes, options: Solver) -> dict[str, int]:
    """The parts of the backend, and of scipy's of its method and preconditioner. A backend beside schur and scipy tells
    its own by a function `memory(sizes, options)` if it holds more than the blocks."""
    rows = 2 * sizes.observations
    blocks = rows * (1 + sizes.columns + 3) * NUMBER
    parts = {"blocks r, A, B": blocks}
    if options.backend == "schur":
        return parts | _elimination(sizes, options.linear or sizes.linear)
    parts["columns of each observation"] = sizes.observations * (sizes.columns + 3) * INDEX
    if options.backend != "scipy":
        own = getattr(import_module(SOLVERS[options.backend].module), "memory", None)
        return parts | (own(sizes, options) if own else {})
    vectors = {"scipy's vectors": (RESIDUALS * rows + VARIABLES * sizes.numbers) * NUMBER}
    if _is_preconditioned(options):
        return parts | {"blocks of the step before": blocks} | _elimination(sizes, sizes.factorization) | vectors
    if options.method == "lm":
        return parts | {"Jacobian, dense": DENSE_COPIES * rows * sizes.numbers * NUMBER}
    jacobian = sizes.nonzeros * (NUMBER + INDEX) + (rows + 1) * INDEX
    pattern = rows * (sizes.columns + 3) + sizes.nonzeros * INDEX + (rows + 1) * PLACE
    copies = {"scipy's copies of it": (COPIES - 1) * jacobian, "pattern of the Jacobian": pattern}
    return parts | {"Jacobian as CSR": jacobian} | copies | vectors


def _elimination(sizes: Sizes, linear: str) -> dict[str, int]:
    """The parts of the reduced system and of its linear solver."""
    formed = sizes.diagonal if linear == "cg" and sizes.implicit else sizes.formed
    sums = 2 * sizes.groups * sizes.width
    parts = {
        "S, once for each part": PARTS * (formed + sums) * NUMBER,
        "points' blocks, inverted": sizes.points * (6 + 3 + 3) * NUMBER,
    }
    if linear == "cg":
        return parts | {"S as a matrix": 0 if sizes.implicit else 3 * sizes.blocks * sizes.width**2 * NUMBER}
    return parts | {"factor of S": NUMBER * (sizes.side**2 if linear == "dense" else sizes.factor)}


# --- the refusal ------------------------------------------------------------------------------------------------------


def _growth(sizes: Sizes, options: Solver) -> int:
    """Bytes that a process will take beyond those that it holds when its problem is loaded."""
    return KERNELS + sum(size for name, size in forecast(sizes, options).items() if name not in STANDING)


def _refusal(sizes: Sizes, config: Config, limit: Limit) -> str:
    options = config.solver
    needed = _growth(sizes, options)
    return (
        f"memory: {chosen(sizes, options)} on {sizes.observations:,} observations needs about {in_bytes(needed)} more "
        f"than is taken, {in_bytes(limit.left)} are left ({limit.name}); {_what_would_fit(sizes, config, limit)}"
    )


def _what_would_fit(sizes: Sizes, config: Config, limit: Limit) -> str:
    """The way that is expected to be quickest of those that fit, or about how many observations would."""
    for settings in _open_ways(config):
        needed = _growth(sizes, config.solver.model_copy(update=settings))
        if needed <= limit.left:
            asked = " ".join(
                f"--set solver.{key}={value}" for key, value in settings.items() if getattr(config.solver, key) != value
            )
            return f"{asked} needs about {in_bytes(needed)}"
    some = int(sizes.observations * limit.left / _growth(sizes, config.solver))
    fitting = some // (step := 10 ** max(len(str(some)) - 2, 0)) * step
    return f"about {fitting:,} observations would fit" if fitting else "nothing would fit"


def _open_ways(config: Config) -> Iterator[dict[str, str]]:
    """What may be set instead. scipy's other methods have no preconditioner, and bounds hold without one only."""
    if config.camera.bounds:
        if config.solver.method == "lm":
            yield {"method": "trf", "preconditioner": "none"}
        return
    yield from (WAYS[f"schur, {name}"] for name in ("sparse", "cg", "dense"))
    yield WAYS["scipy, preconditioner schur"]


def _is_preconditioned(options: Solver) -> bool:
    return options.method == "trf" and options.preconditioner == "schur"

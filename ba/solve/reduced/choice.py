"""Which linear solver, and which factorization, a structure asks for: by its size, and by the share of its blocks."""

from collections.abc import Callable

import numpy as np

from ba.model.arrays import Operator
from ba.solve.reduced import dense, sparse
from ba.solve.reduced.structure import Structure
from ba.solve.reduced.system import Reduced

FACTORIZATIONS: dict[str, Callable[[Reduced], tuple[Operator, Operator]]] = {
    "dense": dense.factorize,
    "sparse": sparse.factorize,
}
"""By name; each gives x -> L_s^-1 x and x -> L_s^-T x, (n_groups, width), of a factor L_s of S."""

FEW, SOME = 1000, 3000
"""Numbers up to which the dense solver is the quickest at much fill or loses little at less, and at much fill alone."""

MUCH, MOST = 0.1, 1 / 3
"""Shares of the blocks of S that are not zero: beyond the first a sparse factor fills up, beyond the second it takes
longer than a dense one."""

SHARED = 8100
"""Numbers up to which a full S is factored where images share a camera. Such a camera ties all poses together, which
the preconditioners of conjugate gradients do not see. One camera of eight numbers, to a relative change of 1e-6, two
threads: 500 images in a ring (45 % of the blocks) dense 1.1 s, sparse 2.4 s, conjugate gradients 3.1 s; internet
collections of 500 and 1000 images (27 and 12 %) sparse 0.8 and 5.5 s, dense 1.1 and 8.2 s, conjugate gradients 3.9 and
9.8 s. Where each image has its own camera, conjugate gradients take 0.5 s on the ring, dense factors 3.8 s."""

LONG = 20
"""Products of blocks that a sparse factor may take, for each observation: they then take a few times what the rest of a
step does. An internet collection of 2000 images with 6 % of S's blocks takes 160: 29 s to within 1e-4 of the minimum,
where conjugate gradients take 3.3 s."""

MANY_BLOCKS = 0.5
"""S is formed for conjugate gradients while it has fewer numbers than this times those of the observations' blocks.
On an internet collection of 2000 images, where it has about as many, forming it takes 0.077 s, its two triangles
0.079 s and a product 6 ms; without it the elimination takes 0.021 s and a product 5 ms."""


def choose(structure: Structure, name: str | None) -> tuple[str, bool]:
    """The linear solver to use, `name` if it is given, and whether S is to be formed for it.

    Measured on streets, to within 1e-4 of the lowest cost on two threads: 450 numbers dense 0.027 s, sparse 0.023 s;
    2700 numbers 0.74 s and 0.100 s; 18000 numbers sparse 1.0 s, conjugate gradients 5.0 s.
    """
    if name is None:
        size, share = structure.free.size, _share_of_blocks(structure)
        if size <= FEW or (share > MUCH and size <= SOME):
            name = "dense"
        elif share > MUCH and size <= SHARED and structure.slots.shape[1] > 1:
            name = "dense" if share > MOST else "sparse"
        else:
            name = "cg" if share > MUCH or not _is_soon_factored(structure) else "sparse"
    if name != "cg":
        return name, True
    numbers = 2 * structure.width * int(structure.starts[-1])
    return name, len(structure.pattern[1]) * structure.width**2 < MANY_BLOCKS * numbers


def choose_factorization(structure: Structure) -> str:
    """The one of FACTORIZATIONS to use where a factor is needed, even where `choose` would do without."""
    name, _ = choose(structure, None)
    return name if name in FACTORIZATIONS else "dense" if _share_of_blocks(structure) > MUCH else "sparse"


def _share_of_blocks(structure: Structure) -> float:
    """Share of the blocks of S on and below the diagonal that are not zero."""
    n = structure.num_groups
    return len(structure.pattern[1]) / (n * (n + 1) / 2)


def _is_soon_factored(structure: Structure) -> bool:
    """Whether a sparse factor takes few products, which only its pattern tells; S's own blocks give a lower bound."""
    limit = LONG * int(structure.starts[-1])
    if len(structure.pattern[1]) ** 2 > 2 * structure.num_groups * limit:
        return False
    lengths = np.diff(sparse.analyzed(structure).starts)
    return int((lengths * (lengths + 1) // 2).sum()) <= limit

"""Kernels take any number of slots an observation: three, as a rig has them, against dense algebra."""

import itertools
from typing import Any

import numpy as np
import pytest

from ba.solve.reduced import (
    FACTORIZATIONS,
    PRECONDITIONERS,
    Eliminator,
    Reduced,
    Structure,
    linear_solver,
)
from ba.solve.reduced import system as reduced_systems
from ba.solve.reduced.conjugate_gradients import camera_blocks, explicit_product, implicit_product
from ba.solve.reduced.factor import factorize
from ba.solve.reduced.partition import Partition
from ba.solve.reduced.system import gradient_norm

DAMPING = 1e-2
POINTS = 12
FAMILIES = ((5, 6), (2, 3), (2, 5))
"""How many images, sensors and cameras there are, and how many numbers each has."""


def system(families: tuple[tuple[int, int], ...]) -> tuple[Structure, tuple[np.ndarray, ...], np.ndarray]:
    """A structure whose observations touch one group of each family, random r, A and B, and J by groups and points."""
    rng = np.random.default_rng(len(families))
    counts, sizes = zip(*families, strict=True)
    firsts, width = np.cumsum([0, *counts])[:-1], max(sizes)
    seen = [sorted(rng.choice(counts[0], rng.integers(2, counts[0]), replace=False)) for _ in range(POINTS)]
    of_image = np.stack(
        [first + rng.integers(0, count, counts[0]) for first, count in zip(firsts, counts, strict=True)]
    )
    of_image[0] = np.arange(counts[0])
    groups_of_obs = np.concatenate([of_image[:, track].T for track in seen])
    point_of_obs = np.repeat(np.arange(POINTS), [len(track) for track in seen])
    of_point = [np.unique(groups_of_obs[point_of_obs == point]) for point in range(POINTS)]
    filling = np.arange(width) >= np.repeat(sizes, counts)[:, None]
    entries = np.where(filling, -1, np.cumsum(~filling).reshape(filling.shape) - 1)
    structure = Structure(
        entries=entries,
        free=~filling,
        num_images=counts[0],
        edges=np.cumsum([0, *sizes]),
        starts=np.searchsorted(point_of_obs, np.arange(POINTS + 1)),
        slots=np.array(
            [np.searchsorted(of_point[p], row) for p, row in zip(point_of_obs, groups_of_obs, strict=True)], np.int32
        ),
        slot_starts=np.cumsum([0, *map(len, of_point)]),
        slot_groups=np.concatenate(of_point).astype(np.int32),
    )
    n = len(point_of_obs)
    r, A, B = rng.normal(size=(n, 2)), rng.normal(size=(n, 2, sum(sizes))), rng.normal(size=(n, 2, 3))
    J = np.zeros((n, 2, entries.max() + 1 + 3 * POINTS))
    for i in range(n):
        for s, (low, high) in enumerate(itertools.pairwise(structure.edges)):
            J[i][:, entries[groups_of_obs[i, s], : high - low]] = A[i, :, low:high]
        J[i][:, entries.max() + 1 + 3 * point_of_obs[i] :][:, :3] = B[i]
    return structure, (r, A, B), J.reshape(2 * n, -1)


class Dense:
    """The whole damped equations with numpy, and the reduced ones beside them."""

    def __init__(self, families: tuple[tuple[int, int], ...], *, explicit: bool = True) -> None:
        self.structure, self.derivatives, self.J = system(families)
        self.reduced: Reduced = Eliminator(self.structure, 1, explicit=explicit)(self.derivatives, DAMPING)
        self.r = self.derivatives[0].ravel()
        self.H = self.J.T @ self.J
        self.damped = self.H + DAMPING * np.diag(np.diag(self.H))
        n = self.n = int(self.structure.entries.max()) + 1
        self.E, self.C = self.damped[:n, n:], self.damped[n:, n:]
        self.S = self.damped[:n, :n] - self.E @ np.linalg.solve(self.C, self.E.T)
        g = self.g = self.J.T @ self.r
        self.rhs = g[:n] - self.E @ np.linalg.solve(self.C, g[n:])

    def numbers(self, groups: np.ndarray) -> np.ndarray:
        return groups[self.structure.free]

    def groups(self, numbers: np.ndarray) -> np.ndarray:
        out = np.zeros(self.structure.free.shape)
        out[self.structure.free] = numbers
        return out


def close(found: Any, right: Any, rel: float = 1e-10) -> bool:
    return bool(np.abs(found - right).max() <= rel * np.abs(right).max())


SETS = pytest.mark.parametrize(
    "families", [FAMILIES, FAMILIES[:2], ((5, 3), (3, 5)), ((5, 4),), ((6, 2), (3, 1), (2, 4))]
)


@pytest.fixture(autouse=True, params=[256, 0])
def all_blocks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every block of S, and with those of its pattern."""
    monkeypatch.setattr(reduced_systems, "ALL_BLOCKS", request.param)


@SETS
@pytest.mark.parametrize("explicit", [True, False])
def test_the_reduced_system_is_the_schur_complement(families: Any, explicit: bool) -> None:
    dense = Dense(families, explicit=explicit)
    assert close(dense.numbers(dense.reduced.rhs), dense.rhs)
    product = (explicit_product if explicit else implicit_product)(dense.reduced)
    v = np.random.default_rng(0).normal(size=dense.n)
    assert close(dense.numbers(product(dense.groups(v))), dense.S @ v)
    diagonal, undamped = dense.reduced.diagonal_blocks(), camera_blocks(dense.reduced)
    for group, columns in enumerate(dense.structure.entries):
        own = columns[columns >= 0]
        assert close(diagonal[group, : len(own), : len(own)], dense.S[np.ix_(own, own)])
        assert close(undamped[group, : len(own), : len(own)], dense.damped[np.ix_(own, own)])
    assert gradient_norm(dense.derivatives, dense.structure, 1) == pytest.approx(np.abs(dense.g).max(), rel=1e-12)


@SETS
@pytest.mark.parametrize("name", ["dense", "sparse", *PRECONDITIONERS])
def test_every_solver_takes_the_step_of_the_whole_equations(families: Any, name: str) -> None:
    for explicit in (True,) if name in FACTORIZATIONS else (True, False):
        dense = Dense(families, explicit=explicit)
        solve = linear_solver(name if name in FACTORIZATIONS else "cg", name)
        step, _ = solve(dense.reduced, 1e-14)
        point_step, promised = dense.reduced.substitute(step)
        right = np.linalg.solve(dense.damped, -dense.g)
        assert close(np.concatenate([dense.numbers(step), point_step.ravel()]), right, 1e-8)
        change = dense.J @ right
        assert promised == pytest.approx(-(dense.r @ change + 0.5 * change @ change), rel=1e-8)


@SETS
@pytest.mark.parametrize("name", FACTORIZATIONS)
def test_halves_of_the_factor_undo_the_equations_and_carry_products(families: Any, name: str) -> None:
    dense = Dense(families)
    n, size = dense.n, len(dense.H)
    points = np.arange(n, size, dtype=np.int32).reshape(POINTS, 3)
    partition = Partition(dense.structure.entries.astype(np.int32), points, size)
    factor, units = factorize(dense.reduced, partition, name), np.eye(size)
    backward = np.stack([factor.backward(e) for e in units], axis=1)
    forward = np.stack([factor.forward(e) for e in units], axis=1)
    assert np.allclose(backward.T @ dense.damped @ backward, np.eye(len(dense.H)), atol=1e-9)
    assert close(forward, backward.T)
    times = np.stack([factor.times(e) for e in units], axis=1)
    assert close(times, dense.J @ backward)
    transposed = np.stack([factor.transposed_times(u) for u in np.eye(len(dense.J))], axis=1)
    assert close(transposed, times.T)

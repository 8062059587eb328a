"""The kernel whose time divides all others, so that the speed of the machine cancels.

As an elimination does, it streams two rows of nine numbers an observation and adds their products to one of some
hundred small blocks. It has the options of `ba.engine.jit`, but written out, and threads of its own, so that a change
there changes the ratios and is seen. A change here makes every baseline worthless: take it anew.

3 ms on one thread: less than a scheduler's slice, so that some rounds run undisturbed on a machine that is not idle.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np

OBSERVATIONS, BLOCKS, WIDTH, PARTS = 40_000, 256, 9, 4
OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": {"contract", "reassoc", "nsz", "arcp"}}


def _add_products(rows: Any, block_of_row: Any, blocks: Any) -> None:
    for n in range(len(rows)):
        at = block_of_row[n]
        for i in range(WIDTH):
            for j in range(WIDTH):
                blocks[at, i, j] += rows[n, 0, i] * rows[n, 0, j] + rows[n, 1, i] * rows[n, 1, j]


_compiled: Any = numba.njit(**OPTIONS)(_add_products)


class Calibration:
    """A call runs the kernel on so many threads, and adds its seconds to `seconds`."""

    def __init__(self, threads: int) -> None:
        random = np.random.default_rng(0)
        rows, place = random.normal(size=(OBSERVATIONS, 2, WIDTH)), random.integers(BLOCKS, size=OBSERVATIONS)
        blocks = np.zeros((PARTS, BLOCKS, WIDTH, WIDTH))
        self._parts = list(zip(np.array_split(rows, PARTS), np.array_split(place, PARTS), blocks, strict=True))
        self._map = map if threads == 1 else ThreadPoolExecutor(threads).map
        self.seconds: list[float] = []
        self._run()

    def __call__(self) -> None:
        began = time.perf_counter()
        self._run()
        self.seconds.append(time.perf_counter() - began)

    def _run(self) -> None:
        list(self._map(lambda part: _compiled(*part), self._parts))

"""Threads over kernels that release the interpreter's lock."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

Part = TypeVar("Part")
Answer = TypeVar("Answer")


def parallel_map(work: Callable[[Part], Answer], parts: Sequence[Part], threads: int) -> list[Answer]:
    """work(part) for every part, in their order, on up to `threads` threads.

    Ctrl-C is heard at once, not when the parts at work are done: those end in the background, on threads of their own.
    """
    if threads == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    try:
        return list(_pool(threads).map(work, parts))
    except KeyboardInterrupt:
        _pool.cache_clear()
        raise


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ba")


_controller = cache(ThreadpoolController)


@contextmanager
def blas_threads(number: int) -> Iterator[None]:
    """At most `number` threads in numpy's and scipy's BLAS.

    Its idle threads spin, and take the cores from ours: a step on Dubrovnik takes twice as long with its default two
    as with one. One thread also means the same bits whatever the number of cores.
    """
    with _controller().limit(limits=number, user_api="blas"):
        yield

"""Threads over kernels that release the interpreter's lock."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

Part = TypeVar("Part")
Answer = TypeVar("Answer")


def each(work: Callable[[Part], Answer], parts: Sequence[Part], threads: int) -> list[Answer]:
    """work(part) for every part, in their order, on up to `threads` threads."""
    if threads == 1 or len(parts) == 1:
        return [work(part) for part in parts]
    return list(_pool(threads).map(work, parts))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="ba")

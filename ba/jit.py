"""One decorator for every numba kernel, and the one place where the compiled cache is keyed.

Kernels are leaf loops over arrays without the GIL: threads run them on chunks, so no kernel needs `parallel=True`
(slow to compile) and one thread count always adds in the same order. `FAST` lets the compiler fuse a*b + c and reorder
sums into vectors, the same way at every run; the fast-math flags left out, nnan and ninf, would break NaN checks.
numba's cache does not see a change in a *called* function's file, so its folder carries a digest of every source of the
package.
"""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        text = source.read_bytes()
        if b"@kernel" in text or b"@intrinsic" in text:
            digest.update(text)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels live: `$NUMBA_CACHE_DIR`, else the user's cache folder, then the digest."""
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ba", "numba")
    return Path(base) / _source_digest()


numba.config.CACHE_DIR = str(cache_folder())


FAST = {"contract", "reassoc", "nsz", "arcp"}

OPTIONS = {"cache": True, "nogil": True, "error_model": "numpy", "fastmath": FAST}


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on first use, or load it from the cache."""
    compiled: Kernel = numba.njit(**OPTIONS)(function)
    return compiled


def inlined(function: Kernel) -> Kernel:
    """Compile `function` as a part of the kernels that call it, where a call's arguments would cost more than its work.

    An array is seven numbers or more to a call: a product of `ba.simd` takes twice as long with one as without.
    """
    compiled: Kernel = numba.njit(forceinline=True, **OPTIONS)(function)
    return compiled

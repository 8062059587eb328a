"""One decorator for every numba kernel, and the one place where the compiled cache is keyed.

Kernels are leaf loops over arrays without the GIL: threads run them on chunks, so no kernel needs `parallel=True`
(slow to compile) and one thread count always adds in the same order. `FAST` lets the compiler fuse a*b + c and reorder
sums into vectors, the same way at every run; the fast-math flags left out, nnan and ninf, would break NaN checks.
numba's cache does not see a change in a *called* function's file, so its folder carries a digest of every source of the
package. Its content is executed: `ba.engine.kernelcache` says whether the folder is fit for that, and has one process
at a time compile.
"""

import hashlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache, NullCache

from ba.engine import kernelcache

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        text = source.read_bytes()
        if any(mark in text for mark in (b"@kernel", b"@inlined", b"@spliced", b"@intrinsic")):
            digest.update(text)
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Where compiled kernels live: `$NUMBA_CACHE_DIR`, else the user's cache folder, then the digest."""
    base = os.environ.get("NUMBA_CACHE_DIR")
    if base is None:
        base = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ba", "numba")
    return Path(base) / _source_digest()


# numba takes settings from a `.numba_config.yaml` in the working folder, at its import and again whenever it compiles.
# They can name a cache, and a cache is code: what was read there is forgotten, and nothing more is read.
numba.config._config_fname = ""
numba.config._env_reloader.reset()

FOLDER = cache_folder()

REFUSED = kernelcache.prepare(FOLDER)
"""Why kernels cannot be kept in FOLDER, None where they can."""

COMPILATION = kernelcache.Compilation(None if REFUSED else FOLDER)

ANNOUNCEMENT = kernelcache.COMPILING
if REFUSED:
    ANNOUNCEMENT = (
        f"compiling the numerical kernels for this process alone, up to a minute each time, for {REFUSED}; "
        "NUMBA_CACHE_DIR names another folder"
    )
else:
    numba.config.CACHE_DIR = str(FOLDER)


FAST = {"contract", "reassoc", "nsz", "arcp"}

OPTIONS = {"nogil": True, "error_model": "numpy", "fastmath": FAST}


class _Announced:
    """A kernel's cache that begins a compilation where it has nothing. `begun`: the threads that did."""

    begun: list[int]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        def load() -> Any:
            return super(_Announced, self).load_overload(sig, target_context)  # type: ignore[misc]

        if (found := load()) is not None:
            return found
        COMPILATION.begin()
        self.begun.append(threading.get_ident())
        if (found := load()) is None:  # nor has another process compiled it meanwhile
            kernelcache.say(ANNOUNCEMENT)
        return found


class _Kept(_Announced, FunctionCache):  # type: ignore[misc]  # numba has no types
    pass


class _NotKept(_Announced, NullCache):  # type: ignore[misc]
    pass


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on first use, or load it from the cache."""
    compiled: Kernel = _cached(numba.njit(**OPTIONS)(function), function)
    return compiled


def _cached(dispatcher: Any, function: Kernel) -> Any:
    """The dispatcher with our cache: a compilation that it begins ends when it is saved, or has failed."""
    if dispatcher is function:  # compilation is switched off
        return function
    cache = _NotKept() if REFUSED else _Kept(function)
    cache.begun = []
    dispatcher._cache, compile = cache, dispatcher.compile

    def compile_and_end(signature: Any) -> Any:
        try:
            return compile(signature)
        finally:
            if threading.get_ident() in cache.begun:
                cache.begun.remove(threading.get_ident())
                COMPILATION.end()

    dispatcher.compile = compile_and_end
    return dispatcher


def inlined(function: Kernel) -> Kernel:
    """Compile `function` as a part of the kernels that call it, where a call's arguments would cost more than its work.

    An array is seven numbers or more to a call: a product of `ba.engine.simd` takes twice as long with one as without.
    """
    compiled: Kernel = _cached(numba.njit(forceinline=True, **OPTIONS)(function), function)
    return compiled


def spliced(function: Kernel) -> Kernel:
    """Write the lines of `function` into the kernels that call it before they are compiled.

    For a few lines of arithmetic that many kernels share: they are optimized, and rounded, as if they stood there.
    """
    compiled: Kernel = numba.njit(inline="always", **OPTIONS)(function)
    return compiled

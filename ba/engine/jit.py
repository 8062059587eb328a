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
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache, NullCache
from numba.core.runtime import rtsys

from ba.engine import kernelcache
from ba.system.garbage import uncollected

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parents[1].rglob("*.py")):
        text = source.read_bytes()
        if re.search(rb"@(kernel|inlined|formula|intrinsic)\b", text):
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

    def load(self, sig: Any, target_context: Any) -> Any:
        """The compiled kernel, None where there is none."""
        return None

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        if (found := self.load(sig, target_context)) is not None:
            return found
        COMPILATION.begin()
        self.begun.append(threading.get_ident())
        if (found := self.load(sig, target_context)) is None:  # nor has another process compiled it meanwhile
            kernelcache.say(ANNOUNCEMENT)
        return found


class _Kept(_Announced, FunctionCache):  # type: ignore[misc]  # numba has no types
    def load(self, sig: Any, target_context: Any) -> Any:
        """The kernel in the folder.

        numba's public `load_overload` does the same after it has made the target ready to compile, which takes 0.1 s
        and which a compiled kernel does not need, but for the functions that count references. There is no public way
        to leave that out, so the private method that it ends in is called.
        """
        rtsys.initialize(target_context)
        with uncollected():
            return self._load_overload(sig, target_context)


class _NotKept(_Announced, NullCache):  # type: ignore[misc]
    pass


def kernel(function: Kernel) -> Kernel:
    """Compile `function` on first use, or load it from the cache."""
    return _cached(numba.njit(**OPTIONS)(function), function)


def _cached(dispatcher: Any, function: Kernel) -> Kernel:
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
    compiled: Kernel = dispatcher
    return compiled


def inlined(function: Kernel) -> Kernel:
    """Compile `function` as a part of the kernels that call it, where a call's arguments would cost more than its work.

    An array is seven numbers or more to a call: a product of `ba.engine.simd` takes twice as long with one as without.
    """
    return _cached(numba.njit(forceinline=True, **OPTIONS)(function), function)


def formula(function: Kernel) -> Kernel:
    """`function` as a part of the kernels that call it, as if its lines stood there.

    `inlined` optimizes a function by itself before it becomes a part of others, so that sums round differently.
    """
    joined: Kernel = numba.njit(inline="always", **OPTIONS)(function)
    return joined

"""Processes that this program starts end when it ends, even by `kill -9`, which leaves it no time to end them."""

import ctypes
import os
import signal
import sys
import threading
import time

PARENT = "BA_PARENT"
"""Environment variable by which a process that is started as a program learns whose child it is."""

PR_SET_PDEATHSIG = 1
POLL_S = 1.0


def environment() -> dict[str, str]:
    """What a child that calls `end_with_parent` must find in its environment."""
    return {PARENT: str(os.getpid())}


def end_with_parent(parent: int | None = None) -> None:
    """From now on this process ends with `parent`, its parent, which is that of the environment if not given.

    Linux sends it SIGKILL; elsewhere a thread looks every second. A process that was not told of a parent goes on.
    """
    parent = int(os.environ.get(PARENT, 0)) if parent is None else parent
    if not parent:
        return
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:  # it had ended before this was asked for
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL_S)
    os._exit(1)

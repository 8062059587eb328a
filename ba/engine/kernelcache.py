"""The folder of compiled kernels: whose it is, who compiles, and how long that took.

What lies in the folder is executed, so it must be ours alone: it is made with mode 0700 and used only while neither it
nor a folder above it could have been filled or replaced by another user. Otherwise kernels are compiled for this
process and kept nowhere. Of several processes that start at once one compiles a kernel while the others wait for it, by
a lock on a file in the folder, which the system frees when its holder ends, however it ends.
"""

import os
import stat
import sys
import threading
import time
from pathlib import Path

try:
    import fcntl
    import grp
    import pwd
except ImportError:  # not POSIX: no such owners, modes and locks
    POSIX = False
else:
    POSIX = True

QUIET = "BA_QUIET"
"""Set in the environment where nothing is to be announced, so that worker processes know too."""

COMPILING = "compiling the numerical kernels, once; this takes up to a minute"
WAITING = "waiting for another process that compiles the numerical kernels"

_compiled = 0.0
_said: set[str] = set()


def compile_seconds() -> float:
    """Seconds that this process has spent on compiling kernels, or waiting for another that did."""
    return _compiled


def silence() -> None:
    """Announce nothing, in this process and those it starts."""
    os.environ[QUIET] = "1"


def say(text: str) -> None:
    """Tell once on the error stream."""
    if text not in _said and QUIET not in os.environ and sys.stderr is not None:
        _said.add(text)
        print(f"ba: {text} ...", file=sys.stderr, flush=True)


def prepare(folder: Path) -> str | None:
    """Make the folder, mode 0700. None, or why kernels may not be kept there."""
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        probe = folder / f".{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        return f"{folder} cannot be written ({error.strerror})"
    return _fault(folder) if POSIX else None


def _fault(folder: Path) -> str | None:
    """What lets another user put code into the folder: an owner, or a mode, on the way to it."""
    resolved = folder.resolve()
    for path in (resolved, *resolved.parents):
        status = path.stat()
        if path == resolved and status.st_uid != os.geteuid():
            return f"{path} belongs to another user"
        if status.st_uid not in (os.geteuid(), 0) and _is_mapped(status.st_uid):
            return f"{path} belongs to another user"
        sticky = stat.S_ISVTX & status.st_mode and path != resolved
        others = status.st_mode & (stat.S_IWOTH | (0 if _is_private(status.st_gid) else stat.S_IWGRP))
        if others and not sticky:
            return f"{path} can be written by others (chmod go-w {path} mends it)"
    return None


def _is_mapped(uid: int) -> bool:
    """Whether that user exists here: in a container, folders of the system may belong to one who does not."""
    try:
        return pwd.getpwuid(uid).pw_name != "nobody"
    except KeyError:
        return True


def _is_private(gid: int) -> bool:
    """Whether the group is the one that many systems make for a user alone, and name after him."""
    try:
        name, group = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(gid)
    except KeyError:
        return False
    return group.gr_name == name and set(group.gr_mem) <= {name}


class Compilation:
    """From a kernel that is not in the cache to its being there. Kernels that a kernel calls are a part of it.

    folder: of the lock; None for none. numba compiles in one thread at a time, so one object serves a process.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._depth, self._began, self._descriptor = 0, 0.0, -1
        self._turn = threading.RLock()

    def begin(self) -> None:
        self._turn.acquire()
        self._depth += 1
        if self._depth == 1:
            self._began = time.perf_counter()
            self._descriptor = self._lock() if POSIX and self._folder else -1

    def end(self) -> None:
        global _compiled
        self._depth -= 1
        if self._depth == 0:
            _compiled += time.perf_counter() - self._began
            if self._descriptor >= 0:
                os.close(self._descriptor)  # which frees the lock
        self._turn.release()

    def _lock(self) -> int:
        assert self._folder is not None
        try:
            descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return -1  # the folder has gone: compiling twice is no harm
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(WAITING)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            return descriptor
        except BaseException:  # Ctrl-C while waiting
            os.close(descriptor)
            raise
        return descriptor

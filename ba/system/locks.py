"""Locks on files and folders that a process holds while it lives, and loses however it ends.

A lock belongs to what was opened (flock(2)), so what a killed process left behind is told from what a living one uses.
"""

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path

WITHOUT_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What file systems answer that know no locks, or, as some network drives, none on folders."""


def lock(handle: int) -> bool | None:
    """Lock what is open. False where another process holds it, None where the file system has no locks."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in WITHOUT_LOCKS:
            return None
        raise
    return True


def is_at(path: Path, handle: int) -> bool:
    """Whether what is open still stands at `path`: it may have been moved or removed before it was locked."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    return False


def locked_if_stale(path: Path) -> int | None:
    """A handle that holds the lock of what a process left there when it ended; None where one may be using it.

    The caller closes the handle.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:  # removed in the meantime, or another user's
        return None
    held = False
    try:
        held = bool(lock(handle)) and is_at(path, handle)
    finally:
        if not held:
            os.close(handle)
    return handle if held else None

"""Two folders change places in one step, where the system can do that; else in two, which the next run can finish.

renameat2(RENAME_EXCHANGE) leaves no moment in which the name is missing or half there. Where the kernel, the C library
or the file system does not know it, the old folder is renamed aside before the new one takes its name.
"""

import ctypes
import errno
import os
from pathlib import Path

AT_FDCWD, RENAME_EXCHANGE = -100, 2
UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)


def exchange(first: Path, second: Path) -> bool:
    """Let two paths change places. False where the system cannot; then nothing has changed. Raises OSError."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    if call(AT_FDCWD, os.fsencode(first), AT_FDCWD, os.fsencode(second), RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in UNKNOWN:
        return False
    raise OSError(number, os.strerror(number), str(second))

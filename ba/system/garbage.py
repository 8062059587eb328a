"""Python's collector of cyclic garbage, which looks in vain while modules are imported and kernels are loaded.

All that is made then stays, and the collector walks it again and again: a tenth of a second of the start of a run.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector rests within the block, and afterwards takes what was made in it for old, to be looked at last.

    Blocks may lie in one another, and in several threads.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        if not gc.get_freeze_count():  # else somebody has frozen what is to stay so
            gc.freeze()
            gc.unfreeze()
        gc.enable()

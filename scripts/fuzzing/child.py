"""One process that reads wrong files one after the other.

It is started as `python -m scripts.fuzzing.child READER SEED START STOP STATE FAULTS`.

STATE is a file that the parent reads when this process has died: which input was being read, and the counts so far.
FAULTS gets a line for each input that was answered otherwise than it may be. Memory is bounded for the whole process
and measured for each input; Linux only.
"""

import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from ba.errors import UserError
from scripts.fuzzing.readers import Reader, readers, sound

STATE = struct.Struct("<qqqdd")
"""The input at work, accepted, refused, worst seconds, worst bytes."""

SECONDS = 2.0
HANG_SECONDS = 20.0
FACTOR, FLOOR = 20, 300 << 20
"""Bytes that reading may take: FACTOR times the file, and FLOOR."""
LARGEST_FILE = 1 << 20


def content_of(reader: Reader, name: str, seed: int, index: int) -> bytes:
    """Input number `index`: the same in every run of the same seed."""
    return reader.wrong(Random(f"{seed}/{name}/{index}"))


def work(name: str, seed: int, start: int, stop: int, state: mmap.mmap, faults: Path) -> None:
    reader = readers()[name]
    accepted, refused, seconds, memory = 0, 0, 0.0, 0.0
    with tempfile.TemporaryDirectory(dir=fast_folder()) as folder, faults.open("a") as out:
        path = Path(folder, f"input{reader.suffix}")
        path.write_bytes(reader.seeds[0] if not reader.packing else content_of(reader, name, seed, start))
        judged(reader.read, path)  # what is imported and compiled at the first call is no input's
        limit_memory()
        for index in range(start, stop):
            STATE.pack_into(state, 0, index, accepted, refused, seconds, memory)
            content = content_of(reader, name, seed, index)
            path.write_bytes(content)
            signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
            before, began = resident(), time.process_time()
            fault, good = judged(reader.read, path)
            took, grew = time.process_time() - began, peak() - before
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            accepted, refused = accepted + good, refused + (not good)
            seconds, memory = max(seconds, took), max(memory, grew)
            if not fault and took > SECONDS:
                fault = f"took {took:.1f} s"
            if not fault and grew > FACTOR * len(content) + FLOOR:
                fault = f"took {grew / 1e6:.0f} MB for a file of {len(content)} bytes"
            if fault:
                print(json.dumps([index, fault]), file=out, flush=True)
    STATE.pack_into(state, 0, stop, accepted, refused, seconds, memory)


def judged(read: Callable[[Path], Any], path: Path) -> tuple[str, bool]:
    """What is wrong with the answer, or nothing; and whether the file was accepted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return sound(read(path)), True
    except UserError as error:
        message = str(error)
        return "" if message.startswith(str(path)) and "\n" not in message else f"says {message!r}", False
    except BaseException as error:  # noqa: BLE001 (which others there are is the question)
        return f"{type(error).__name__}: {error}", False


def fast_folder() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def limit_memory() -> None:
    """No more address space than reading the largest input may take on top of what is taken now."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = now + FLOOR + FACTOR * LARGEST_FILE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def resident() -> int:
    """Bytes, and the peak starts anew from here."""
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def peak() -> int:
    status = Path("/proc/self/status").read_text()
    start = status.index("VmHWM:") + 6
    return int(status[start : status.index("kB", start)]) * 1024


def main() -> None:
    name, seed, start, stop, state, faults = sys.argv[1:]
    with open(state, "r+b") as file, mmap.mmap(file.fileno(), STATE.size) as memory:
        work(name, int(seed), int(start), int(stop), memory, Path(faults))


if __name__ == "__main__":
    main()

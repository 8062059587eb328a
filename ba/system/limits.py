"""How much memory this process may still take, and which limit says so: of the machine, its cgroups, and ulimit.

Linux has all of it in files, which are read below `root`, so that tests can put others in their place. On other systems
only the machine's total memory and ulimit are known.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")

RESERVED = 136 << 20
"""Bytes of address space that glibc reserves for a new thread's heap before it gives half of them back."""
STACK = 8 << 20
"""Bytes of a thread's stack, where the system sets no other limit."""

CGROUPS = {
    "": ("memory.max", "memory.current", "inactive_file"),
    "memory": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Version 2 and 1: below /sys/fs/cgroup, what holds limit and usage, and what of it are files that can be dropped."""


@dataclass(frozen=True)
class Limit:
    """left: bytes that may still be taken; whole: what the limit stands at; name: as a user finds it."""

    left: int
    whole: int
    name: str


def limits(threads: int = 1, root: Path = ROOT) -> list[Limit]:
    """All limits that hold for this process, the one that leaves least first; none where the system tells nothing.

    threads: how many this process will start, each of which reserves address space for its stack and its heap.
    """
    return sorted([*_machine(root), *_cgroups(root), *_ulimits(threads, root)], key=lambda limit: limit.left)


def most_in_memory(root: Path = ROOT) -> int | None:
    """Bytes that a process can ever hold here: the machine's memory, or its cgroup's if that is less."""
    return min((limit.whole for limit in [*_machine(root), *_cgroups(root)]), default=None)


def _machine(root: Path) -> Iterator[Limit]:
    meminfo = _table(root / "proc/meminfo")
    if "MemTotal" in meminfo and "MemAvailable" in meminfo:
        yield Limit(1024 * meminfo["MemAvailable"], 1024 * meminfo["MemTotal"], "MemAvailable of /proc/meminfo")
        return
    with suppress(AttributeError, ValueError, OSError):  # not every system tells
        whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        yield Limit(whole, whole, "the machine's memory")


def _cgroups(root: Path) -> Iterator[Limit]:
    """The limits of this process's cgroup and of those above it. A container may see itself as the topmost one."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        kind = "memory" if "memory" in controllers.split(",") else ""
        if not kind and number != "0":
            continue
        top = root / "sys/fs/cgroup" / kind
        own = top / path.strip("/")
        limit, usage, reclaimable = CGROUPS[kind]
        for folder in [own, *own.parents]:
            with suppress(ValueError):  # `max`, or no such file
                whole, used = int(_text(folder / limit)), int(_text(folder / usage))
                freed = _table(folder / "memory.stat").get(reclaimable, 0)
                name = f"the cgroup's limit, /{(folder / limit).relative_to(root)}"
                yield Limit(max(whole - used + freed, 0), whole, name)
            if folder == top:
                break


def _ulimits(threads: int, root: Path) -> Iterator[Limit]:
    status = _table(root / "proc/self/status")
    stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
    stack = STACK if stack == resource.RLIM_INFINITY else stack
    for which, field, reserved, name in (
        (resource.RLIMIT_AS, "VmSize", stack + RESERVED, "RLIMIT_AS, `ulimit -v`"),
        (resource.RLIMIT_DATA, "VmData", stack, "RLIMIT_DATA, `ulimit -d`"),
    ):
        whole = resource.getrlimit(which)[0]
        if whole != resource.RLIM_INFINITY:
            yield Limit(max(whole - 1024 * status.get(field, 0) - threads * reserved, 0), whole, name)


def _table(path: Path) -> dict[str, int]:
    """Lines of a name and a number, with or without a colon and a unit."""
    rows = [line.replace(":", " ").split() for line in _text(path).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # other systems, and other versions of this one
        return ""

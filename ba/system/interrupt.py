"""Signals that end a run: SIGINT (Ctrl-C), SIGTERM (`kill`, a batch system) and SIGHUP (a closed terminal) act alike.

    with heard():                    the command line: each of the three is remembered,
        with allowed():              and raises KeyboardInterrupt in the main thread where something catches it
            with uninterrupted():    files that belong together: remembered again, and raised when the block ends
                with allowed():      a part of such a block that may be cut short

In a program that calls `ba` as a library only `uninterrupted` acts, and only on SIGINT: whatever handler that program
has for it is called when the block ends. Nothing is ever dropped, and nothing is done outside the main thread, which
alone hears signals.

Python discards what is raised in a destructor or a callback of the collector, and prints it. A KeyboardInterrupt that
is lost there is not printed, and `check`, which long work calls now and then, raises it again.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_PRESS_S = 1.0
"""A signal so soon after another is part of it, as of a key pressed twice: the first is still being answered."""


@dataclass
class _State:
    """deferring: blocks entered; pending: remembered; received: the first since `heard` began, and when."""

    heard: bool = False
    deferring: int = 0
    pending: int | None = None
    received: int | None = None
    raised_at: float = -SAME_PRESS_S
    before: dict[int, Any] = field(default_factory=dict)


_state = _State()


@contextmanager
def heard(to_the_end: bool = False) -> Iterator[None]:
    """Within the block this module catches the signals, and they raise KeyboardInterrupt only within `allowed`.

    A signal that is ignored, as under `nohup`, stays ignored.
    to_the_end: the process ends after the block, and a signal that comes then ends it at once, without a message.
    """
    global _state
    if not _in_main_thread() or _state.heard:
        yield
        return
    handlers = ((int(number), signal.getsignal(number)) for number in SIGNALS)
    before: dict[int, Any] = {number: old for number, old in handlers if old not in (None, signal.SIG_IGN)}
    _state = _State(heard=True, deferring=1, before=before)
    hook = sys.unraisablehook
    try:
        sys.unraisablehook = lambda lost: None if lost.exc_type is KeyboardInterrupt else hook(lost)
        for number in _state.before:
            signal.signal(number, _hear)
        yield
    finally:
        for number, handler in _state.before.items():
            signal.signal(number, signal.SIG_DFL if to_the_end else handler)
        sys.unraisablehook = hook
        _state.before, _state.heard, _state.deferring = {}, False, 0


@contextmanager
def uninterrupted(said: str = "") -> Iterator[None]:
    """A signal is remembered until the block is done, and then raises KeyboardInterrupt with the text `said`.

    A second signal within the block changes nothing.
    """
    if not _in_main_thread():
        yield
        return
    handler = signal.getsignal(signal.SIGINT)
    borrowed = not _state.heard and not _state.deferring and callable(handler)
    if borrowed:
        _state.before[signal.SIGINT] = handler
    _state.deferring += 1
    try:
        if borrowed:
            signal.signal(signal.SIGINT, _hear)
        yield
    finally:
        _state.deferring -= 1
        try:
            if _state.pending is not None and not _state.deferring:
                _raise_pending(said)
        finally:
            if borrowed:
                signal.signal(signal.SIGINT, _state.before.pop(signal.SIGINT))


@contextmanager
def allowed() -> Iterator[None]:
    """Within `heard` or `uninterrupted`: signals raise KeyboardInterrupt, also one that is remembered already."""
    outer, _state.deferring = _state.deferring, 0
    try:
        if _state.pending is not None and _in_main_thread():
            _raise_pending("")
        yield
    finally:
        _state.deferring = outer


@contextmanager
def deadly() -> Iterator[None]:
    """Within the block signals end the process at once: the main thread runs foreign code that Python cannot stop."""
    taken = list(_state.before) if _in_main_thread() else []
    for number in taken:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, _hear)


def pending() -> bool:
    """Whether a signal waits for the end of an `uninterrupted` block."""
    return _state.pending is not None


def check() -> None:
    """Raise KeyboardInterrupt again where one was raised within `heard` and lost, as happens in a destructor."""
    if _state.heard and _state.received is not None and not _state.deferring and _in_main_thread():
        raise KeyboardInterrupt


def settled() -> None:
    """Say that a KeyboardInterrupt was caught, so that the process may end with an exit code.

    CPython notes one that leaves code given to `exec` as text, as dataclasses do on import, and then ends `python -m`
    by SIGINT even where it was caught further up; the next such code that ends well takes that back.
    """
    exec("")


def exit_code() -> int:
    """128 + the signal that came since `heard` began, as a shell has it; 0 where none came."""
    return 0 if _state.received is None else 128 + _state.received


def name() -> str:
    """The signal's name as the user knows it; Ctrl-C where no signal has reached this module."""
    return signal.Signals(_state.received).name if _state.received not in (None, signal.SIGINT) else "Ctrl-C"


def _hear(number: int, frame: FrameType | None) -> None:
    first = _state.received is None
    if _state.heard and first:
        _state.received = number
    if _state.deferring:
        if first or not _state.heard:
            _state.pending = number
        return
    if not _state.heard:
        _state.before[number](number, frame)
    elif time.monotonic() - _state.raised_at > SAME_PRESS_S:
        _state.raised_at = time.monotonic()
        raise KeyboardInterrupt


def _raise_pending(said: str) -> None:
    number, _state.pending = _state.pending, None
    _state.raised_at = time.monotonic()
    handler = None if number is None else _state.before.get(number)
    if not _state.heard and callable(handler) and handler is not signal.default_int_handler:
        handler(number, None)
        return
    raise KeyboardInterrupt(*[said] if said else [])


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()

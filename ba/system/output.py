"""Standard output and error that may be closed, full, or left by whoever read them: no command stops for that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast


class Guarded:
    """A stream whose writes never fail: the first refusal is kept in `refusal`, and nothing more is written."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._closed = stream is None
        self.refusal: str | None = None

    def write(self, text: str) -> int:
        if self._closed:
            self.refusal = "it is closed"
        self._attempt("write", text)
        return len(text)

    def flush(self) -> None:
        self._attempt("flush")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def isatty(self) -> bool:
        return self._stream is not None and self._stream.isatty()

    def _attempt(self, method: str, *arguments: str) -> None:
        if self._stream is None:
            return
        try:
            getattr(self._stream, method)(*arguments)
        except OSError as error:
            if not isinstance(error, BrokenPipeError):  # that is no failure: the reader has seen enough
                self.refusal = str(error.strerror or error)
            # What stands in the stream's buffer goes nowhere; else the interpreter would fail on it as it exits.
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())
            self._stream = None


@contextmanager
def guarded() -> Iterator[Guarded]:
    """Standard output and error are guarded within the block; yields that of the output."""
    # Open what is closed of 0, 1 and 2, so that no file of ours gets the number and what is printed with it.
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    out, err = sys.stdout, sys.stderr
    guard = Guarded(out)
    sys.stdout, sys.stderr = cast(TextIO, guard), cast(TextIO, Guarded(err))
    try:
        yield guard
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = out, err

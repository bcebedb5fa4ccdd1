"""Amounts in words, and what a command says while it takes long."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_UNITS = ("KiB", "MiB", "GiB", "TiB")

#: Seconds without a word, and how much later each further one comes than the last.
_PATIENCE = 2.0
_LONGER = 1.5


def size_text(size: float) -> str:
    """Bytes, with three digits or so: `512 B`, `1.5 KiB`, `20 GiB`."""
    unit = "B"
    for larger in _UNITS:
        if abs(size) < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"


def counted(number: int, one: str, many: str = "") -> str:
    """`1 blob`, `2,000 blobs`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


class Patience:
    """Says on standard error how far a command is, after 2 s and then at ever longer intervals."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._started = time.monotonic()
        self._next = _PATIENCE

    def told(self, what: str, done: int) -> None:
        """So many of something are done."""
        taken = time.monotonic() - self._started
        if taken >= self._next:
            self._next = _LONGER * taken
            sys.stderr.write(f"{self._command}: {what}, {done:,} so far, {taken:.0f} s\n")
            sys.stderr.flush()


@contextmanager
def long(command: str, what: str) -> Iterator[None]:
    """Says likewise that something goes on, of which nothing is heard until it ends."""
    ended = threading.Event()
    started = time.monotonic()

    def say() -> None:
        pause = _PATIENCE
        while not ended.wait(pause):
            taken = time.monotonic() - started
            pause = _LONGER * taken - taken
            with suppress(OSError, ValueError):  # standard error may be gone
                sys.stderr.write(f"{command}: {what}, {taken:.0f} s so far\n")
                sys.stderr.flush()

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

"""Amounts in words, and what a command says while it takes long."""

from __future__ import annotations

import sys
import time

_UNITS = ("KiB", "MiB", "GiB", "TiB")


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
        self._next = 2.0

    def told(self, what: str, done: int) -> None:
        """So many of something are done."""
        taken = time.monotonic() - self._started
        if taken >= self._next:
            self._next = 1.5 * taken
            sys.stderr.write(f"{self._command}: {what}, {done:,} so far, {taken:.0f} s\n")
            sys.stderr.flush()

"""Standard output and error, where they cannot be written, as on a full disk: the run goes on."""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

#: The exit code of a run that did all it should, but could not say it.
_UNSAID = 3


class _Lossy(io.RawIOBase):
    """A file descriptor, written to as far as it takes it.

    Attributes:
        error: why something could not be written; None where all was, or where nobody reads (`| head`).
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.error: OSError | None = None

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def isatty(self) -> bool:
        """Whether it is a terminal."""
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it, or give up; gives how many bytes there were. Waits where a pipe does not."""
        left = memoryview(data).cast("B")
        size = len(left)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError as error:
                if error.errno != errno.EPIPE:
                    self.error = self.error or error
                break
        return size


class Streams:
    """This process's standard output and error, from now on."""

    def __init__(self) -> None:
        for descriptor in range(3):
            try:
                os.fstat(descriptor)
            except OSError:  # closed (`>&-`): it is not to become another file's
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        self._output, self._errors = _Lossy(1), _Lossy(2)
        sys.stdout, sys.stderr = _text(self._output, sys.stdout), _text(self._errors, sys.stderr)

    def end(self, code: int) -> int:
        """Write what is left, and say what could not be written; gives the exit code."""
        sys.stdout.flush()
        if self._output.error is not None:
            sys.stderr.write(
                f"ERROR: standard output: {self._output.error.strerror}: what was said is not there in full\n"
                "  -> Free space where it goes, or send it elsewhere; what was done is kept.\n"
            )
        sys.stderr.flush()
        return code or (_UNSAID if self._output.error or self._errors.error else 0)


def _text(raw: _Lossy, before: TextIO | None) -> TextIO:
    """A stream in place of one that Python has made; what its encoding lacks is written with backslashes."""
    encoding, at_once = "utf-8", False
    if isinstance(before, io.TextIOWrapper):
        encoding, at_once = before.encoding, before.line_buffering or before.write_through
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=at_once)

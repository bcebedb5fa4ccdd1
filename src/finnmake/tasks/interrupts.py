"""Ctrl-C and SIGTERM: the first ends a run cleanly, another one at once."""

from __future__ import annotations

import atexit
import os
import signal
import time
from contextlib import suppress
from types import FrameType

#: The exit code of a run that was stopped.
STOPPED = 130

#: What comes within this time (seconds) is one event: tools that end others signal process and group.
_ONE_EVENT = 0.2

_AT_ONCE = b"stopped at once; the next run tidies up and goes on from what was done\n"

_first: float | None = None


def heed(number: signal.Signals) -> None:
    """From now on that signal stops the run, unless whoever started it ignores it."""
    if signal.getsignal(number) is not signal.SIG_IGN:
        signal.signal(number, _stop)
        # Python takes its handlers away before it ends: the exit code is to be the run's own even then.
        atexit.register(signal.signal, number, signal.SIG_IGN)


def ending() -> None:
    """The run is over, and only tidies up: there is nothing left that a signal could stop cleanly."""
    global _first
    if _first is None:
        _first = time.monotonic() - _ONE_EVENT


def _stop(number: int, frame: FrameType | None) -> None:
    global _first
    now = time.monotonic()
    if _first is None:
        _first = now
        raise KeyboardInterrupt
    if now - _first >= _ONE_EVENT:
        with suppress(OSError):  # a full disk, a reader that left
            os.write(2, _AT_ONCE)
        os._exit(STOPPED)  # the worker ends what it has started when it sees that nobody is there

"""Plain lines, where there is no terminal: what runs long, and now and then how far a run has come."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finnmake.tasks.progress import Running, View

#: Seconds between two looks at what runs.
INTERVAL = 0.5

#: A step that takes longer than this (seconds) is announced while it runs.
_PATIENCE = 2.0

#: How far a run of so many configurations has come is told at such intervals (seconds).
_MANY = 10
_EVERY = 30.0


class Plain:
    """Lines on standard output, each whole, at once.

    Args:
        view: gives the moment.
        clock: seconds of a clock that only goes forward.
    """

    def __init__(self, view: Callable[[], View], clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._clock = clock
        self._told: dict[tuple[str, str], float] = {}
        self._next = clock() + _EVERY

    def write(self, text: str) -> None:
        """A line, or several."""
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def announcements(self, wanted: int) -> list[str]:
        """What is to be said now of the steps that run, and of a run for so many configurations."""
        view = self._view()
        said = [line for each in view.running if (line := self._of_step(each))]
        if wanted >= _MANY and self._clock() >= self._next:
            self._next = self._clock() + _EVERY
            said.append(view.sentence)
        return said

    def _of_step(self, running: Running) -> str:
        """After 2 s, and then at ever longer intervals."""
        key = running.task, running.step
        if running.seconds < self._told.get(key, _PATIENCE):
            return ""
        self._told[key] = 2 * running.seconds
        return f"{running.task:<24} {running.step:<36} running, {running.seconds:.0f} s so far"

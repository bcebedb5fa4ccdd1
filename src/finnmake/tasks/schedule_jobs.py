"""How many builds run at once: as many as there are processors, and as memory allows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from finnmake.settings import ContainerSettings

#: What a step is taken to need where no earlier run tells (bytes).
_USUAL_STEP = 1 << 30

#: Left for this process, the worker and the rest of the machine: a tenth of what is free, up to this (bytes).
_RESERVE = 1 << 30

#: What the kernel says of this process's control group.
_GROUPS = Path("/sys/fs/cgroup")


class Limits(NamedTuple):
    """What a container allows: bytes and processors; None for no limit."""

    memory: int | None = None
    cpus: float | None = None


_NO_LIMITS = Limits()


def limits_of(runtime: str, settings: ContainerSettings) -> Limits:
    """What a runtime keeps its steps to: of the settings of the container no other one takes notice."""
    return Limits(settings.memory, settings.cpus) if runtime == "container" else _NO_LIMITS


def processors(limits: Limits = _NO_LIMITS, groups: Path = _GROUPS) -> int:
    """How many processors this process may use, at least one."""
    found: list[float] = [len(os.sched_getaffinity(0))]
    quota, _, period = _said(groups / "cpu.max").partition(" ")
    if quota.isdecimal() and period.isdecimal() and int(period):
        found.append(int(quota) / int(period))
    if limits.cpus is not None:
        found.append(limits.cpus)
    return max(1, int(min(found)))


def free_memory(limits: Limits = _NO_LIMITS, groups: Path = _GROUPS) -> int:
    """Bytes that steps may take together: what is available, here and in the container that they run in."""
    import psutil  # takes its time, and only builds need it

    found = [psutil.virtual_memory().available]
    most, used = _said(groups / "memory.max"), _said(groups / "memory.current")
    if most.isdecimal() and used.isdecimal():
        found.append(max(0, int(most) - int(used)))
    if limits.memory is not None:
        found.append(limits.memory)
    return min(found)


def _said(path: Path) -> str:
    with suppress(OSError, ValueError):
        return path.read_text().strip()
    return ""


class Jobs(NamedTuple):
    """How many builds at once, and why fewer than asked for; empty where they are not."""

    builds: int
    why: str = ""


def within_memory(asked: int, free: int, peak: int | None) -> Jobs:
    """As many of the builds asked for as memory holds, at least one.

    Args:
        free: bytes that are available.
        peak: the most that a step of this run took in earlier runs (bytes); None where nothing is known.
    """
    usable = free - min(_RESERVE, free // 10)
    fits = max(1, usable // max(1, peak or _USUAL_STEP))
    if fits >= asked:
        return Jobs(asked)
    needs = "a step took up to" if peak else "a step is taken to need"
    builds = "1 build" if fits == 1 else f"{fits} builds"
    return Jobs(
        fits,
        f"{builds} at once instead of {asked}: {needs} {_gigabytes(peak or _USUAL_STEP)}"
        f"{' in earlier runs' if peak else ''}, {_gigabytes(free)} of memory are free",
    )


def _gigabytes(size: int) -> str:
    return f"{size / (1 << 30):.1f} GB"


class Gate:
    """Lets so many threads in at once; all of them until it is told a number."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._limit: int | None = None
        self._inside = 0

    def limit(self, count: int) -> None:
        """No more than so many from now on."""
        with self._changed:
            self._limit = count
            self._changed.notify_all()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Wait for a place, and hold it."""
        with self._changed:
            self._changed.wait_for(lambda: self._limit is None or self._inside < self._limit)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify()

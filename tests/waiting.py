"""Waiting for what another process does, and what it holds in a store: for tests of several at once."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether the process has not ended; one whose parent has not yet taken note of its end has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def ends(*processes: int, seconds: float = 10.0) -> None:
    """Wait until the processes have ended; one that has not by then is killed."""
    try:
        until(lambda: not any(map(alive, processes)), seconds)
    finally:
        for pid in filter(alive, processes):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def standing_still(processes: Sequence[int]) -> Iterator[None]:
    """Meanwhile these processes do nothing, whatever they are told."""
    try:
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in processes:
            with suppress(ProcessLookupError):  # one that goes on may have ended the next by now
                os.kill(pid, signal.SIGCONT)


def holders(store: Path) -> dict[str, int]:
    """The store's locks that a process holds alone, by name: its number."""
    return {name: pid for name, pid, kind in _locks(store, waiting=False) if kind == "WRITE"}


def waiting_for(store: Path) -> dict[str, int]:
    """The store's locks that a process waits for, by name: its number."""
    return {name: pid for name, pid, _ in _locks(store, waiting=True)}


def _locks(store: Path, waiting: bool) -> Iterator[tuple[str, int, str]]:
    """From /proc/locks: `1: FLOCK ADVISORY WRITE 4711 08:02:131 0 EOF`; `1: -> FLOCK …` waits."""
    names = {str(path.stat().st_ino): path.name for path in (store / "locks").glob("*")}
    for line in Path("/proc/locks").read_text().splitlines():
        row = [word for word in line.split() if word != "->"]
        inode = row[5].rpartition(":")[2]
        if ("->" in line) == waiting and inode in names:
            yield names[inode], int(row[4]), row[3]

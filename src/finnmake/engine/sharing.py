"""Who uses a store: any number of runs at once, or one that cleans it up. The kernel forgets who has died."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from finnmake.engine.folders import WARY
from finnmake.errors import Location, StoreError

#: A run says after so many seconds that it waits for a clean-up, and gives up after so many.
_SAYS, _GIVES_UP = 2.0, 120.0


def hold(path: Path, told: Callable[[str], None]) -> int:
    """Use the store as one of many: a descriptor, to be closed at the end. Waits for who is alone in it.

    Args:
        path: the lock's file.
        told: told once whom it waits for.

    Raises StoreError where that takes too long.
    """
    descriptor = _open(path)
    try:
        started, said = time.monotonic(), False
        while not _locked(descriptor, fcntl.LOCK_SH):
            waited = time.monotonic() - started
            if waited > _GIVES_UP:
                raise StoreError(
                    f"it is being cleaned up {_by(path)}",
                    where=Location(path=path.parent.parent),
                    cure="Wait for `doit gc` to end, then run again.",
                )
            if waited > _SAYS and not said:
                said = True
                told(f"waiting for the store, which is being cleaned up {_by(path)}")
            time.sleep(0.05)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def hold_alone(path: Path) -> int:
    """Use the store alone: a descriptor, to be closed at the end. Raises StoreError where others use it."""
    descriptor = _open(path)
    if _locked(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    raise StoreError(
        f"the store is in use {_by(path)}",
        where=Location(path=path.parent.parent),
        cure="Wait for the runs that use it, or stop them: nothing is taken away from a run.",
    )


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | WARY, 0o666)


def _locked(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _by(path: Path) -> str:
    """The processes that hold the lock, in words, as far as they can be seen from here."""
    found = sorted(_holders(path))
    return f"by {', '.join(map(_described, found))}" if found else "from another machine or container"


def _holders(path: Path) -> set[int]:
    """Process numbers, from /proc/locks: `1: FLOCK ADVISORY READ 4711 08:02:131 0 EOF`, `1: -> …` waits."""
    inode = str(path.stat().st_ino)
    with suppress(OSError):
        rows = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return {int(row[4]) for row in rows if row[1] != "->" and row[5].rpartition(":")[2] == inode} - {
            0,
            -1,
        }
    return set()


def _described(pid: int) -> str:
    with suppress(OSError):
        return f"process {pid} in {os.readlink(f'/proc/{pid}/cwd')}"
    return f"process {pid}"

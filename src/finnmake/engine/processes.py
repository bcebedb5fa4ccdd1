"""The processes below this one: whose they are, how to end them all, and whether memory ran out."""

from __future__ import annotations

import functools
import os
import re
import signal
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from finnmake.hashing import digest_value

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36

#: Between out-of-memory killer and worker: the child of a step goes first, its parent last.
_EXPENDABLE = "500"


def prctl(option: int, value: int) -> None:
    """Linux's prctl(2) with one argument; where the kernel lacks the option, nothing happens."""
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def adopt_orphans() -> None:
    """From now on, processes below this one whose parent ends become this one's children."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with(parent: int) -> None:
    """Be killed when the parent ends; end at once where it already has."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def expendable() -> None:
    """Let this process and what it starts be what the kernel kills first when memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_EXPENDABLE)


def children() -> set[int]:
    """The processes whose parent is this one, those that have ended but were not waited for included."""
    try:
        return {int(pid) for pid in Path("/proc/thread-self/children").read_text().split()}
    except OSError:
        return {
            pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == os.getpid()
        }


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def kill_children(keep: Collection[int], seconds: float = 5.0) -> None:
    """Kill every child but those to keep, and theirs as they become orphans; gives up after `seconds`."""
    deadline = time.monotonic() + seconds
    while (strangers := children() - set(keep)) and time.monotonic() < deadline:
        for pid in strangers:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in strangers:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)


def memory_kills() -> int:
    """How often the kernel has killed for want of memory in this control group; 0 where it does not tell."""
    for path in _memory_events():
        with suppress(OSError):
            found = re.search(r"^oom_kill (\d+)$", path.read_text(), re.MULTILINE)
            if found:
                return int(found[1])
    return 0


def _memory_events() -> Iterator[Path]:
    """Where versions 1 and 2 of control groups keep the count, inside a container and outside."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, group = line.split(":", 2)
            if not controllers:
                yield Path(f"/sys/fs/cgroup{group}/memory.events")
            elif "memory" in controllers.split(","):
                yield Path(f"/sys/fs/cgroup/memory{group}/memory.oom_control")
    yield Path("/sys/fs/cgroup/memory.events")
    yield Path("/sys/fs/cgroup/memory/memory.oom_control")


@functools.cache
def process_space() -> str:
    """Names the set of processes that this one can see: one boot of a machine, one container on it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return digest_value("processes", [boot, os.stat("/proc/self/ns/pid").st_ino])[:12]


def owner_name() -> str:
    """Names this process, for what it leaves where it cannot be seen: `<process space>.<pid>.<start>`."""
    return f"{process_space()}.{os.getpid()}.{_started(os.getpid())}"


def owner_seen(owner: str) -> bool:
    """Whether that process could be seen from here: it is of this boot, and in no other container."""
    return owner.partition(".")[0] == process_space()


def owner_ended(owner: str) -> bool:
    """Whether the process of that name has ended, as far as can be seen from here."""
    pid, _, started = owner.partition(".")[2].partition(".")
    if not owner_seen(owner):
        return False
    if not pid.isdigit() or process_ended(int(pid)):
        return True
    return _started(int(pid)) not in ("", started)  # another one's may be hidden


def process_ended(pid: int) -> bool:
    """Whether there is no process of that number, those included that others' eyes are kept from."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""

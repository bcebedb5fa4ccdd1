"""`doit worker`: the workers that stay warm after a run, and how to end them."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finnmake.engine import warm
from finnmake.tasks.command import DONE, FAILED, HELP, JSON, SpaceCommand

_ACTIONS = ("status", "stop")


@dataclass(frozen=True)
class Found:
    """One worker.

    Attributes:
        pid: its process.
        state: `working` for a run, or `idle`.
        backend: its adapter, by dotted name.
        project: the project that it is for.
        store: the store that it uses.
        since: when it was started (seconds since the epoch).
        served: how many runs it has served.
        memory_kb: what it takes.
    """

    pid: int
    state: str
    backend: str
    project: str
    store: str
    since: float
    served: int
    memory_kb: int


class Worker(SpaceCommand):
    """The command."""

    name = "worker"
    doc_purpose = "show or end the workers that wait for the next run with FINN loaded"
    doc_usage = "status|stop [--json]"
    doc_description = """A run leaves its worker behind: the next one in this project need not load FINN.

It ends after 10 minutes without a run (FINNMAKE_WORKER_IDLE=MINUTES; 0 keeps none, as where CI is set).
`stop` ends all workers of this user that serve no run at the moment. Nothing depends on them."""
    cmd_options = (
        JSON,
        HELP,
    )

    def execute(self, opt_values: Mapping[str, Any], pos_args: Sequence[str]) -> int:
        """Run the command; gives the exit code."""
        self._asked = list(pos_args)
        return super().execute(opt_values, [])

    def show(self, options: Mapping[str, Any]) -> int:
        """Print the workers, or end them."""
        if len(self._asked) != 1 or self._asked[0] not in _ACTIONS:
            raise self._wrong(f"it takes one of {', '.join(_ACTIONS)}")
        if self._asked[0] == "stop":
            return _stop(options["json"])
        found = [each for address in warm.addresses() if (each := _look(address)) is not None]
        if options["json"]:
            print(json.dumps([asdict(each) for each in found], indent=2))
        elif not found:
            print("no worker waits")
        for each in found if not options["json"] else ():
            print(_line(each, time.time()))
        return DONE


def _stop(as_json: bool) -> int:
    stopped, busy = 0, 0
    for address in warm.addresses():
        alive = address.record() is not None
        gone = address.stop()
        stopped += alive and gone
        busy += alive and not gone
    if as_json:
        print(json.dumps({"stopped": stopped, "working": busy}))
    else:
        print(f"{stopped} stopped" + (f", {busy} at work for a run: end the run" if busy else ""))
    sys.stdout.flush()
    return FAILED if busy else DONE


def _look(address: warm.Address) -> Found | None:
    record = address.record()
    if record is None:
        return None
    pid = warm.pid_of(record)
    return Found(
        pid,
        "working" if address.is_claimed() else "idle",
        record["adapter"],
        record["project"],
        record["store"],
        record["since"],
        record["served"],
        _memory_kb(pid),
    )


def _memory_kb(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def _line(found: Found, now: float) -> str:
    minutes = max(0, int(now - found.since)) // 60
    runs = "1 run" if found.served == 1 else f"{found.served} runs"
    return (
        f"{found.pid:>8}  {found.state:<8} {found.project}  {found.backend.rpartition('.')[2]}, "
        f"{found.memory_kb // 1024} MB, {runs} in {minutes} min"
    )

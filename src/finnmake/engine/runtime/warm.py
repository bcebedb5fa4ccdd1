"""The runtime `local` with a worker that outlives the run: the next run need not load the backend again.

Nothing depends on it. Where there is none to be had, or another run has it, the run gets a worker of its own.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from finnmake.engine import warm
from finnmake.engine.files import FileDigests
from finnmake.engine.runtime import PACKAGE, Environment, Obituary, Places, Runtime, WorkerProcess
from finnmake.engine.runtime.local import LocalRuntime, program
from finnmake.engine.toolchain import digest_sources
from finnmake.hashing import digest_value

#: How long to wait for a warm worker that was lost to be gone for good (seconds).
_GONE = 2.0

#: What a process takes from whoever started it, besides its environment.
_LIMITS = tuple(sorted(name for name in dir(resource) if name.startswith("RLIMIT_")))
_NAMESPACES = ("ipc", "mnt", "net", "pid", "user")


def staying(runtime: Runtime, identity: str, digests: FileDigests, idle: float) -> Runtime:
    """The runtime with workers that stay, where it can have them.

    Args:
        identity: of the toolchain and the backend: a worker serves only runs with the same.
        idle: seconds that a worker stays without work; 0 for workers that go with the run.
    """
    if not isinstance(runtime, LocalRuntime) or idle <= 0:
        return runtime
    return WarmRuntime(runtime, digest_value("worker", [identity, digest_sources(PACKAGE, digests)]), idle)


class Visit:
    """A warm worker, for one run."""

    def __init__(self, address: warm.Address, control: socket.socket, claim: int, loaded: bool) -> None:
        self.loaded = loaded
        self._address = address
        self._control = control
        self._claim = claim

    @property
    def control(self) -> socket.socket:
        """The control socket."""
        return self._control

    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        with suppress(OSError):
            lines = self._address.log.read_text(errors="replace").strip().splitlines()
            return lines[-1] if lines else ""
        return ""

    def obituary(self) -> Obituary:
        """Whether it ended; nobody is told how."""
        deadline = time.monotonic() + _GONE
        while self._address.record() is not None:
            if time.monotonic() > deadline:
                return Obituary(mishap=True)
            time.sleep(0.02)
        return Obituary("it was ended from outside", mishap=True)

    def end(self, patience: float) -> None:
        """Let it go; without patience it does not answer, and is killed."""
        record = self._address.record()
        self._control.close()
        if patience <= 0 and record is not None:
            with suppress(ProcessLookupError):
                os.kill(warm.pid_of(record), signal.SIGKILL)
            self._address.remove()
        os.close(self._claim)


class WarmRuntime:
    """Steps run on this machine, in a worker that is there already or stays for the next run."""

    name = "local"
    described = ""

    def __init__(self, local: LocalRuntime, identity: str, idle: float) -> None:
        self._local = local
        self._identity = identity
        self._idle = idle
        self.cure = local.cure

    def inside(self, places: Places) -> Places:
        """The folders as they are."""
        return self._local.inside(places)

    def probe(self, command: Sequence[str]) -> str:
        """What a command prints. Raises as `vivado.ask` does."""
        return self._local.probe(command)

    def start(self, places: Places, settings: Mapping[str, Any], environment: Environment) -> WorkerProcess:
        """The worker. Raises WorkerError."""
        try:
            visit = self._visit(settings, self._local.environment(environment))
        except OSError:
            visit = None
        return visit or self._local.start(places, settings, environment)

    def _visit(self, settings: Mapping[str, Any], environment: Environment) -> Visit | None:
        place = warm.folder()
        if place is None:
            return None
        key = digest_value(
            "warm worker", [self._identity, dict(settings), dict(environment), *_surroundings()]
        )
        address = warm.Address(place, key[:24])
        claim = address.claim()
        if claim is None:
            return None
        try:
            found = address.connect()
            control = found or self._begin(address, settings, environment)
        except OSError:
            os.close(claim)
            raise
        return Visit(address, control, claim, loaded=found is not None)

    def _begin(
        self, address: warm.Address, settings: Mapping[str, Any], environment: Environment
    ) -> socket.socket:
        """Start a worker at an address, and connect to it. Raises OSError."""
        for other in warm.addresses():
            if other != address and _is_of_no_use(other.record(), settings):
                other.stop()
        about = {"folder": str(address.folder), "key": address.key, "idle": self._idle}
        with address.listen() as listener, open(address.log, "wb") as errors:
            command = program("finnmake.engine.warm_worker", listener.fileno(), settings, about)
            subprocess.run(
                self._local.wrapped(command),
                pass_fds=[listener.fileno()],
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
                check=False,
            )
            control: socket.socket | None = address.connect()
        if control is None:
            raise OSError(f"no worker at {address.path}")
        return control


def _is_of_no_use(record: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> bool:
    """Whether a worker is dead, or does what a new one will: for other sources, or another toolchain."""
    return record is None or all(
        record.get(name) == settings[name] for name in ("adapter", "project", "store")
    )


def _surroundings() -> list[Any]:
    """What a process has of whoever started it, and steps can tell: a worker for other ones will not do."""
    umask = os.umask(0o077)
    os.umask(umask)
    limits = [resource.getrlimit(getattr(resource, name)) for name in _LIMITS]
    spaces = [os.stat(f"/proc/self/ns/{name}").st_ino for name in _NAMESPACES]
    groups = Path("/proc/self/cgroup").read_text()
    place = [os.getpriority(os.PRIO_PROCESS, 0), sorted(os.sched_getaffinity(0)), sorted(os.getgroups())]
    return [sys.executable, umask, limits, spaces, groups, *place]

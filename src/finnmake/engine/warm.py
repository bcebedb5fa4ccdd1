"""Where warm workers are to be found: one folder of the user's, with a few files for each worker.

A warm worker outlives the run that started it and serves the next one that needs the same. `<key>.sock` is
the socket on which it listens, `<key>.lock` is held by the run that it serves, `<key>.json` tells what it is,
and `<key>.log` is its standard error.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.processes import owner_ended
from finnmake.errors import Location, WorkspaceError

#: How long a worker stays without work (minutes), and the variable that says otherwise: 0 for not at all.
IDLE_MINUTES = 10.0
IDLE_VARIABLE = "FINNMAKE_WORKER_IDLE"

#: For an idle worker to end when it is told to (seconds).
_STOP_SECONDS = 5.0

#: `struct ucred` of Linux: process, user, group.
_CREDENTIALS = struct.Struct("3i")


def idle_seconds(environment: Mapping[str, str]) -> float:
    """How long a worker stays without work; 0 for not at all, as where `CI` is set. Raises WorkspaceError."""
    if environment.get("CI"):
        return 0.0
    asked = environment.get(IDLE_VARIABLE, "").strip()
    try:
        minutes = float(asked) if asked else IDLE_MINUTES
        if not 0 <= minutes <= 1440:
            raise ValueError(asked)
    except ValueError as error:
        raise WorkspaceError(
            f"a worker cannot stay for {asked!r} minutes",
            where=Location(key=IDLE_VARIABLE),
            cure="Give minutes from 0 (do not stay) to 1440.",
        ) from error
    return 60 * minutes


def folder() -> Path | None:
    """The folder of this user's warm workers, made if need be; None where it would not be private."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/nowhere")
    path = base / "finnmake" if _is_private(base) else Path(f"/tmp/finnmake-{os.getuid()}")
    with suppress(OSError):
        path.mkdir(mode=0o700, exist_ok=True)
    return path if _is_private(path) else None


def _is_private(path: Path) -> bool:
    """Whether it is a folder that this user alone may open; no link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


@dataclass(frozen=True)
class Address:
    """Where one warm worker is, or would be.

    Attributes:
        folder: as `folder` gives it.
        key: digest of all that makes a worker fit for a run.
    """

    folder: Path
    key: str

    @property
    def path(self) -> Path:
        """The socket on which it listens."""
        return self.folder / f"{self.key}.sock"

    @property
    def log(self) -> Path:
        """Its standard error."""
        return self.folder / f"{self.key}.log"

    @property
    def _lock(self) -> Path:
        return self.folder / f"{self.key}.lock"

    @property
    def _record(self) -> Path:
        return self.folder / f"{self.key}.json"

    def claim(self) -> int | None:
        """The worker for this process alone, until the descriptor is closed; None while another has it."""
        while True:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(descriptor).st_ino == os.stat(self._lock).st_ino:
                    return descriptor
            except FileNotFoundError:
                pass
            except OSError:
                os.close(descriptor)
                return None
            os.close(descriptor)  # it was removed meanwhile, and is another one's lock no more

    def is_claimed(self) -> bool:
        """Whether a run has the worker."""
        claim = self.claim()
        if claim is not None:
            os.close(claim)
        return claim is None

    def connect(self) -> socket.socket | None:
        """A connection to the worker; None where there is none. What a dead one left is removed."""
        control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            control.connect(str(self.path))
            if peer(control) == os.getuid():
                return control
        except FileNotFoundError:
            pass
        except OSError:
            self.path.unlink(missing_ok=True)
        control.close()
        return None

    def listen(self) -> socket.socket:
        """The socket for a new worker. Raises OSError."""
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            listener.bind(str(self.path))
            self.path.chmod(0o600)
            listener.listen(8)
        except OSError:
            listener.close()
            raise
        return listener

    def note(self, record: Mapping[str, Any]) -> None:
        """Write down what the worker is."""
        beside = self._record.with_suffix(f".{os.getpid()}")
        beside.write_text(json.dumps(record))
        beside.replace(self._record)

    def record(self) -> dict[str, Any] | None:
        """What the worker is: owner (see `processes.owner_name`), adapter, project, since, served.

        None where no worker is alive.
        """
        try:
            record = json.loads(self._record.read_bytes())
            alive = not owner_ended(record["owner"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return record if alive and isinstance(record, dict) else None

    def remove(self) -> None:
        """Remove the worker's files. Only whoever has claimed it may."""
        for path in (self.path, self._record, self.log, self._lock):
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def stop(self) -> bool:
        """End the worker, unless it serves a run; whether it is gone."""
        claim = self.claim()
        if claim is None:
            return False
        try:
            record = self.record()
            if record is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid_of(record), signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.record() is not None:
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.01)
            self.remove()
            return True
        finally:
            os.close(claim)


def addresses() -> list[Address]:
    """All warm workers of this user that there may be."""
    place = folder()
    found = place.glob("*.json") if place is not None else ()
    return [Address(path.parent, path.stem) for path in sorted(found)]


def peer(control: socket.socket) -> int:
    """The user at the other end of a connection."""
    data = control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(data)
    return int(user)


def pid_of(record: Mapping[str, Any]) -> int:
    """The process of a worker that is alive."""
    return int(str(record["owner"]).split(".")[1])

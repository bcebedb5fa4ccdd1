"""The main process's side of the workers: starts the worker process, opens jobs, keeps deadlines."""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from finnmake.errors import WorkerError

#: What a step sees of the environment. Variables that the backend reads come on top of these.
_FIXED_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "ORT_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONNOUSERSITE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}

_START_SECONDS = 180.0


class JobDied(Exception):
    """The child ended before it answered. `code` is its exit code, negative for a signal."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class JobTimeout(Exception):
    """The deadline passed; the child was killed."""


@dataclass(frozen=True)
class PoolSettings:
    """What the worker process needs: adapter (dotted name), store, project and plugins folders, variables."""

    adapter: str
    store: Path
    project: Path
    plugins: Path
    environment: Mapping[str, str]


class Job:
    """One child of the worker; takes requests one after another."""

    def __init__(self, pool: WorkerPool, number: int, channel: socket.socket) -> None:
        self._pool = pool
        self._number = number
        self._channel = channel
        self._buffer = b""

    def run(self, request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """The answer to one request. Raises JobDied, JobTimeout (seconds)."""
        deadline = time.monotonic() + timeout
        with suppress(OSError):  # where the child is gone, the worker's last words on the channel say how
            self._channel.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = self._line(deadline)
            with suppress(ValueError):
                answer: dict[str, Any] = json.loads(line)
                if "exit" in answer:
                    raise JobDied(answer["exit"])
                return answer

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                self._pool.kill(self._number)
                raise JobTimeout
            self._channel.settimeout(min(left, 3600.0))
            try:
                data = self._channel.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                raise JobDied(None)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


class WorkerPool:
    """One worker process, started when first needed. Thread-safe."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._numbers = itertools.count()
        self._errors: IO[bytes] | None = None

    def start(self) -> None:
        """Start the worker without waiting for it: its imports run beside whatever else there is to do."""
        with self._lock:
            self._start()

    @property
    def ready(self) -> bool:
        """Whether the backend is loaded, so that a job starts at once."""
        return self._ready

    def _start(self) -> None:
        if self._process is not None:
            return
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        settings = {
            "adapter": self._settings.adapter,
            "store": str(self._settings.store),
            "project": str(self._settings.project),
            "plugins": str(self._settings.plugins),
        }
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "finnmake.engine.worker",
                    str(theirs.fileno()),
                    json.dumps(settings),
                ],
                pass_fds=[theirs.fileno()],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                start_new_session=True,
            )
        self._control = mine
        self._ready = False

    def _environment(self) -> dict[str, str]:
        inherited = {name: os.environ[name] for name in ("PATH", "FINNMAKE_IMAGE") if name in os.environ}
        home = {"HOME": str(self._settings.store / "tmp"), "FINNMAKE_STORE": str(self._settings.store)}
        return {**inherited, **home, **_FIXED_ENVIRONMENT, **self._settings.environment}

    def _await_ready(self) -> socket.socket:
        self._start()
        assert self._control is not None
        if not self._ready:
            self._control.settimeout(_START_SECONDS)
            try:
                answer = json.loads(self._control.recv(1 << 16) or b"{}")
            except (OSError, ValueError) as error:
                answer = {"message": str(error)}
            if not answer.get("ready"):
                said = answer.get("message") or self._last_words()
                self._forget()
                raise WorkerError(
                    f"the worker could not load {self._settings.adapter}: {said}",
                    cure="Remove .venv and run ./doitw again: it installs the toolchain anew.",
                )
            self._ready = True
        return self._control

    def _last_words(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it ended at once"

    @contextmanager
    def job(self) -> Iterator[Job]:
        """A fresh child. Raises WorkerError."""
        mine, theirs = socket.socketpair()
        with mine:
            with theirs, self._lock:
                number = next(self._numbers)
                message = json.dumps({"spawn": number}).encode()
                try:
                    socket.send_fds(self._await_ready(), [message], [theirs.fileno()])
                except OSError:
                    self._forget()
                    socket.send_fds(self._await_ready(), [message], [theirs.fileno()])
            yield Job(self, number, mine)

    def kill(self, number: int) -> None:
        """End a job and everything it started."""
        with self._lock, suppress(OSError):
            if self._control is not None:
                self._control.sendall(json.dumps({"kill": number}).encode())

    def _forget(self) -> None:
        process = self._release()
        if process is not None:
            process.kill()
            process.wait()

    def _release(self) -> subprocess.Popen[bytes] | None:
        """Close what belongs to the process and give it back, to be ended. The next job starts another."""
        process, self._process = self._process, None
        for held in (self._control, self._errors):
            if held is not None:
                held.close()
        self._control = self._errors = None
        self._ready = False
        return process

    def close(self) -> None:
        """End the worker and all jobs."""
        with self._lock:
            process = self._release()
            if process is None:
                return
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

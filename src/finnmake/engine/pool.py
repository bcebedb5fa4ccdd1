"""The main process's side of the workers: starts the worker process, opens jobs, keeps deadlines."""

from __future__ import annotations

import itertools
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.channel import MOST_DESCRIPTORS
from finnmake.engine.runtime import Places, Runtime, WorkerProcess
from finnmake.errors import WorkerError

#: What a step sees of the environment. Variables that the backend reads come on top of these.
FIXED_ENVIRONMENT = {
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

#: For the worker to load the backend, and to end a job when it is told to (seconds).
_START_SECONDS = 180.0
_KILL_SECONDS = 20.0

#: The longest answer that a job may give (bytes).
_LONGEST = 1 << 28


class JobDied(Exception):
    """The child ended before it answered.

    Attributes:
        code: its exit code, negative for a signal; None where the whole worker ended.
        memory: says so where the kernel killed for want of memory; else empty.
        why: why the worker ended, where that is known.
        lost: whether the worker was ended from outside, and the child with it.
    """

    def __init__(self, code: int | None, memory: str = "", why: str = "", lost: bool = False) -> None:
        super().__init__(code, why)
        self.code = code
        self.memory = memory
        self.why = why
        self.lost = lost


class JobTimeout(Exception):
    """The deadline passed; the child was killed."""


@dataclass(frozen=True)
class PoolSettings:
    """What a worker needs.

    Attributes:
        adapter: the backend's module, by dotted name.
        places: the folders, on this machine.
        environment: variables for the steps.
        tools: folders of installed tools: what steps read there is no input of theirs.
        owner: names this process, for what a worker leaves that cannot be seen from here.
        described: the adapter as messages name it; empty for its name alone.
    """

    adapter: str
    places: Places
    environment: Mapping[str, str]
    tools: Sequence[Path] = ()
    owner: str = ""
    described: str = ""


class Job:
    """One child of the worker; takes requests one after another."""

    def __init__(self, pool: WorkerPool, worker: WorkerProcess, number: int, channel: socket.socket) -> None:
        self._pool = pool
        self._worker = worker
        self._number = number
        self._channel = channel
        self._buffer = b""

    def run(self, request: Mapping[str, Any], timeout: float, held: Sequence[int] = ()) -> dict[str, Any]:
        """The answer to one request. Raises JobDied, JobTimeout.

        Args:
            timeout: seconds.
            held: descriptors that the child keeps open until it answers.
        """
        deadline = time.monotonic() + timeout
        data = json.dumps(request).encode() + b"\n"
        with suppress(OSError):  # where the child is gone, the worker's last words on the channel say how
            sent = socket.send_fds(self._channel, [data], held[:MOST_DESCRIPTORS])
            self._channel.sendall(data[sent:])
        try:
            return self._answer(deadline)
        except JobTimeout:
            self._pool.kill(self._worker, self._number)
            with suppress(JobDied):
                self._until_dead()
            raise

    def _until_dead(self) -> None:
        """Wait for the worker to say that the job is dead; a worker that does not answer is replaced."""
        deadline = time.monotonic() + _KILL_SECONDS
        try:
            while True:
                self._answer(deadline)
        except JobTimeout:
            self._pool.replace(self._worker)

    def _answer(self, deadline: float) -> dict[str, Any]:
        while True:
            try:
                answer = json.loads(self._line(deadline))
            except (ValueError, RecursionError):
                continue  # half a line of a child that died, or rubbish of a step's
            if isinstance(answer, dict):
                if isinstance(answer.get("exit"), int):
                    raise JobDied(answer["exit"], "memory ran out" if answer.get("memory") else "")
                return answer

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise JobTimeout
            self._channel.settimeout(min(left, 3600.0))
            try:
                data = self._channel.recv(1 << 16)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                end = self._worker.obituary()
                raise JobDied(None, end.why if end.memory else "", end.why, lost=end.mishap)
            self._buffer += data
            if len(self._buffer) > _LONGEST:
                self._pool.kill(self._worker, self._number)
                raise JobDied(None, why="it answers without end")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


class WorkerPool:
    """One worker process, started when first needed. Thread-safe."""

    def __init__(self, settings: PoolSettings, runtime: Runtime) -> None:
        self._settings = settings
        self._runtime = runtime
        #: The folders as steps see them.
        self.places = runtime.inside(settings.places)
        self._lock = threading.Lock()
        self._worker: WorkerProcess | None = None
        self._ready = False
        self._numbers = itertools.count()

    def start(self) -> bool:
        """Start the worker, unless it runs; whether it has the backend loaded. Raises WorkerError."""
        with self._lock:
            return self._start().loaded or self._ready

    def _start(self) -> WorkerProcess:
        if self._worker is None:
            contained = self.places != self._settings.places
            settings = {
                "adapter": self._settings.adapter,
                "store": str(self.places.store),
                "project": str(self.places.project),
                "plugins": str(self.places.plugins),
                "tools": [str(folder) for folder in self._settings.tools],
                "owner": self._settings.owner if contained else "",
                "contained": contained,
                "fixed": self.places.fixed,
            }
            self._ready = False
            self._worker = self._runtime.start(self._settings.places, settings, self._environment())
        return self._worker

    def _environment(self) -> dict[str, str]:
        store = self.places.store
        home = {"HOME": str(store / "tmp"), "FINNMAKE_STORE": str(store)}
        return {**home, **FIXED_ENVIRONMENT, **self._settings.environment}

    def _await_ready(self, again: bool = True) -> WorkerProcess:
        """The worker with the backend loaded; one that ends without a word is replaced, once."""
        worker = self._start()
        if not self._ready:
            worker.control.settimeout(_START_SECONDS)
            try:
                answer = json.loads(worker.control.recv(1 << 16) or b"{}")
            except (OSError, ValueError) as error:
                answer = {"message": str(error)}
            if not answer.get("ready"):
                said = answer.get("message") or worker.last_words() or "it ended at once"
                self._forget(0.0)
                if worker.loaded and "ready" not in answer:
                    return self._await_ready(again)  # it was there before this run, and is no more
                if again and not answer:
                    return self._await_ready(again=False)
                raise WorkerError(
                    f"the worker could not load {self._settings.described or self._settings.adapter}: {said}",
                    cure=self._runtime.cure,
                )
            self._ready = True
        return worker

    @contextmanager
    def job(self) -> Iterator[Job]:
        """A fresh child. Raises WorkerError."""
        mine, theirs = socket.socketpair()
        with mine:
            with theirs, self._lock:
                number = next(self._numbers)
                message = json.dumps({"spawn": number}).encode()
                try:
                    worker = self._await_ready()
                    socket.send_fds(worker.control, [message], [theirs.fileno()])
                except OSError:
                    self._forget(0.0)
                    worker = self._await_ready()
                    socket.send_fds(worker.control, [message], [theirs.fileno()])
            yield Job(self, worker, number, mine)

    def kill(self, worker: WorkerProcess, number: int) -> None:
        """End a job of a worker and everything it started."""
        with self._lock, suppress(OSError):
            if self._worker is worker:
                worker.control.sendall(json.dumps({"kill": number}).encode())

    def replace(self, worker: WorkerProcess) -> None:
        """End a worker that does not answer, with all its jobs; the next job starts another."""
        with self._lock:
            if self._worker is worker:
                self._forget(0.0)

    def _forget(self, patience: float) -> None:
        worker, self._worker = self._worker, None
        self._ready = False
        if worker is not None:
            worker.end(patience)

    def close(self) -> None:
        """End the worker and all jobs."""
        with self._lock:
            self._forget(5.0)

"""The worker process: imports the backend once, then forks a child for each job. It never runs a step itself.

Started by `finnmake.engine.pool`. On its control socket it takes JSON messages: `{"spawn": id}` with the
job's channel attached, and `{"kill": id}`. When a child ends, the worker kills what the child left running
and writes `{"exit": …}` on the child's channel. When the control socket closes, it kills what still runs and
goes; one that stays warm (see `warm_worker`) serves the next control socket.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from finnmake.engine import processes
from finnmake.engine.session import Session, failure, serve
from finnmake.engine.store import Store
from finnmake.errors import from_os_error

#: How long to wait for room for another process (seconds), where a step has used up all there may be.
_FORK_SECONDS = 10.0


class Worker:
    """Forks children and tells how they ended.

    Args:
        settings: what `WorkerPool` tells it.
        kept: sockets of this process that are none of its children's.
    """

    def __init__(self, settings: dict[str, Any], kept: Sequence[socket.socket] = ()) -> None:
        self._settings = settings
        self._kept = kept
        self._store = Store(Path(settings["store"]), settings["owner"])
        self._adapter: Any = None
        self._memory_kills = 0
        self._jobs: dict[int, tuple[int, socket.socket]] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def load(self) -> dict[str, Any]:
        """Import the backend; gives what to tell whoever waits for it."""
        gc.disable()  # there is nothing to collect while modules load, only time to lose
        try:
            self._adapter = importlib.import_module(self._settings["adapter"])
            self._adapter.preload()
        except Exception as error:
            return {"ready": False, "message": f"{type(error).__name__}: {error}"}
        gc.freeze()
        gc.enable()
        processes.adopt_orphans()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        return {"ready": True}

    def serve(self, control: socket.socket) -> None:
        """Take messages until the control socket closes; then nothing that was started is left."""
        self._control = control
        self._memory_kills = processes.memory_kills()
        try:
            self._serve()
        finally:
            for job in list(self._jobs):
                self._kill(job)
            for child, _ in self._jobs.values():
                os.waitpid(child, 0)
                with suppress(OSError):
                    self._store.sweep(child)
            for _, channel in self._jobs.values():
                channel.close()
            self._jobs.clear()
            processes.kill_children(keep=())

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._control:
                        if not self._take():
                            return
                    else:
                        os.read(self._wake_read, 4096)
                self._reap()

    def _take(self) -> bool:
        """Handle one message (one datagram each); False when the other side is gone."""
        data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 1)
        if not data:
            return False
        message = json.loads(data)
        if "spawn" in message:
            self._spawn(message["spawn"], socket.socket(fileno=descriptors[0]))
        else:
            self._kill(message["kill"])
        return True

    def _spawn(self, job: int, channel: socket.socket) -> None:
        parent = os.getpid()
        try:
            child = self._fork()
        except OSError as error:
            self._answer(channel, {"ok": False, **failure(error, "")})
            channel.close()
            return
        if child:
            self._jobs[job] = (child, channel)
            return
        status = 1
        try:
            self._become_child(parent)
            self._run_child(channel)
            status = 0
        finally:
            os._exit(status)

    def _fork(self) -> int:
        """os.fork, patient while there are too many processes: those of a job that ends make room.

        Raises OSError.
        """
        deadline = time.monotonic() + _FORK_SECONDS
        while True:
            try:
                return os.fork()
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise
                self._reap()
                time.sleep(0.05)

    def _become_child(self, parent: int) -> None:
        os.setsid()
        processes.die_with(parent)
        processes.adopt_orphans()  # so that all that a job starts can be told from what others do
        processes.expendable()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        self._control.close()
        for kept in (*self._kept, *(channel for _, channel in self._jobs.values())):
            kept.close()

    def _run_child(self, channel: socket.socket) -> None:
        project = Path(self._settings["project"])
        try:
            session = Session(
                self._adapter,
                self._store,
                project,
                Path(self._settings["plugins"]),
                [Path(folder) for folder in self._settings["tools"]],
                self._settings["contained"],
                self._settings["fixed"],
            )
        except OSError as error:  # a full disk
            self._answer(channel, {"ok": False, **failure(from_os_error(error), "")})
            return
        serve(channel, session)

    @staticmethod
    def _answer(channel: socket.socket, answer: dict[str, Any]) -> None:
        """Answer the first request, in place of a child."""
        with suppress(OSError):
            channel.sendall(json.dumps(answer).encode() + b"\n")

    def _kill(self, job: int) -> None:
        """End a child and everything it started."""
        if job in self._jobs:
            with suppress(ProcessLookupError):
                os.killpg(self._jobs[job][0], signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.kill(self._jobs[job][0], signal.SIGKILL)

    def _reap(self) -> None:
        for job, (child, channel) in list(self._jobs.items()):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid == 0:
                continue
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            del self._jobs[job]
            # What it had started is an orphan now, and ours: no other job's processes are.
            processes.kill_children(keep={other for other, _ in self._jobs.values()})
            kills = processes.memory_kills()
            # Outside a container the count is of all that the user runs.
            short = self._settings["contained"] and kills > self._memory_kills
            ended = {"exit": os.waitstatus_to_exitcode(status), "memory": short}
            self._memory_kills = kills
            with suppress(OSError):
                self._store.sweep(child)
            with channel, suppress(OSError):
                channel.sendall(b"\n" + json.dumps(ended).encode() + b"\n")


def tell(control: socket.socket, message: dict[str, Any]) -> None:
    """Send a message to whoever has the other end."""
    control.sendall(json.dumps(message).encode() + b"\n")


def _control(where: str) -> socket.socket:
    """The control socket: an inherited descriptor's number, or the path of a socket to connect to."""
    if where.isdigit():
        return socket.socket(fileno=int(where))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(where)
    return control


def main() -> None:
    """Entry point: `python -m finnmake.engine.worker CONTROL SETTINGS_JSON`."""
    control, worker = _control(sys.argv[1]), Worker(json.loads(sys.argv[2]))
    answer = worker.load()
    tell(control, answer)
    if answer["ready"]:
        worker.serve(control)
    sys.stderr.flush()
    os._exit(0)  # taking the backend's modules down in order takes a tenth of a second


if __name__ == "__main__":
    main()

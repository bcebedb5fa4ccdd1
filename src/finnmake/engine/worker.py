"""The worker process: imports the backend once, then forks a child for each job. It never runs a step itself.

Started by `finnmake.engine.pool`. On its control socket it takes JSON messages: `{"spawn": id}` with the
job's channel attached, and `{"kill": id}`. When a child ends, the worker writes `{"exit": …}` on the child's
channel. When the control socket closes, it kills what still runs and goes.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from finnmake.engine.session import Session, failure, serve
from finnmake.engine.store import Store
from finnmake.errors import from_os_error

_PR_SET_PDEATHSIG = 1


class Worker:
    """Forks children and tells how they ended."""

    def __init__(self, control: socket.socket, settings: dict[str, str]) -> None:
        self._control = control
        self._settings = settings
        self._store = Store(Path(settings["store"]))
        self._adapter: Any = None
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._jobs: dict[int, tuple[int, socket.socket]] = {}
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    def main(self) -> None:
        """Import the backend, then serve until the control socket closes."""
        gc.disable()  # there is nothing to collect while modules load, only time to lose
        try:
            self._adapter = importlib.import_module(self._settings["adapter"])
            self._adapter.preload()
        except Exception as error:
            self._tell({"ready": False, "message": f"{type(error).__name__}: {error}"})
            return
        gc.freeze()
        gc.enable()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wake_write)
        self._tell({"ready": True})
        try:
            self._serve()
        finally:
            for job in list(self._jobs):
                self._kill(job)
            for child, _ in self._jobs.values():
                os.waitpid(child, 0)
                self._store.sweep(child)

    def _tell(self, message: dict[str, Any]) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")

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
        child = os.fork()
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

    def _become_child(self, parent: int) -> None:
        os.setsid()
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died before the line above could take effect
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        for _, channel in self._jobs.values():
            channel.close()

    def _run_child(self, channel: socket.socket) -> None:
        project = Path(self._settings["project"])
        try:
            session = Session(self._adapter, self._store, project, Path(self._settings["plugins"]))
        except OSError as error:  # a full disk: the answer to the first request
            answer = {"ok": False, **failure(from_os_error(error), "")}
            channel.sendall(json.dumps(answer).encode() + b"\n")
            return
        serve(channel, session)

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
            ended = {"exit": os.waitstatus_to_exitcode(status)}
            with suppress(OSError):
                self._store.sweep(child)
            with channel, suppress(OSError):
                channel.sendall(b"\n" + json.dumps(ended).encode() + b"\n")
            del self._jobs[job]


def main() -> None:
    """Entry point: `python -m finnmake.engine.worker CONTROL_FD SETTINGS_JSON`."""
    Worker(socket.socket(fileno=int(sys.argv[1])), json.loads(sys.argv[2])).main()
    sys.stderr.flush()
    os._exit(0)  # taking the backend's modules down in order takes a tenth of a second


if __name__ == "__main__":
    main()

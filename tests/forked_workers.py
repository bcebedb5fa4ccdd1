"""Worker processes in forks of one that has imported the backend: a test's run need not load FINN anew.

What differs from a new process: the backend's modules are imported beforehand, by a process with the same
fixed variables and another home folder. The worker itself starts as ever: it takes its settings, and prepares
the backend.
"""

from __future__ import annotations

import importlib
import io
import json
import locale
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import IO, Any

from finnmake.engine import worker
from finnmake.engine.runtime import local

_MESSAGE_BYTES = 1 << 17

#: Variables of a worker that may be others than those of the process that forks it.
_FREE = ("FINNMAKE_STORE", "HOME", "PATH")


class ForkedProcess:
    """The part of subprocess.Popen that the runtime uses, for a process that is not a child.

    Args:
        report: where the process that waits for it writes its id, and at its end its exit code.
    """

    def __init__(self, report: int) -> None:
        self._report = open(report, encoding="ascii")  # noqa: SIM115 (as long as the process)
        self.pid = int(self._report.readline())
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            if not select.select([self._report], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            with self._report:
                self.returncode = int(self._report.readline())
        return self.returncode

    def kill(self) -> None:
        """Send it SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)


def intercept(orders: socket.socket, fixed: Mapping[str, str]) -> None:
    """Have the runtime `local` of this process and its forks order workers that may come from forks."""

    def start(command: Sequence[str], **options: Any) -> Any:
        environment = dict(options["env"])
        same = {name: value for name, value in environment.items() if name not in _FREE} == fixed
        if not same or list(command[:-2]) != local.program(worker.__name__, 0)[:-1]:
            return subprocess.Popen(command, **options)
        reading, writing = os.pipe()
        order = json.dumps({"environment": environment, "settings": command[-1]}).encode()
        socket.send_fds(orders, [order], [int(command[-2]), options["stderr"].fileno(), writing])
        os.close(writing)
        return ForkedProcess(reading)

    names = {"Popen": start, "DEVNULL": subprocess.DEVNULL, "TimeoutExpired": subprocess.TimeoutExpired}
    vars(local)["subprocess"] = SimpleNamespace(**names)


def serve(orders: socket.socket, fixed: Mapping[str, str]) -> None:
    """Fork a worker for each order, from a process for each backend, until no one can order any more."""
    os.environ.update(fixed)
    locale.setlocale(locale.LC_ALL, "")
    time.tzset()
    sys.dont_write_bytecode = True
    del sys.path[0]  # `python -P` has none
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no one waits for the forks
    backends: dict[str, socket.socket] = {}
    while True:
        message, fds, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, 3)
        if not message:
            os._exit(0)
        adapter = json.loads(json.loads(message)["settings"])["adapter"]
        if adapter not in backends:
            backends[adapter] = _start(adapter, (orders, *backends.values()))
        socket.send_fds(backends[adapter], [message], fds)
        for fd in fds:
            os.close(fd)


def _start(adapter: str, held: Sequence[socket.socket]) -> socket.socket:
    """The process that forks one backend's workers: where to send it orders."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork():
        theirs.close()
        return mine
    for each in (mine, *held):
        each.close()
    loaded = False
    while True:
        message, fds, _, _ = socket.recv_fds(theirs, _MESSAGE_BYTES, 3)
        if not message:
            os._exit(0)
        order = json.loads(message)
        if not loaded:
            os.environ.update(order["environment"])
            importlib.import_module(adapter).preload()
            loaded = True
        if os.fork() == 0:
            theirs.close()
            _keep(order, *fds)
        for fd in fds:
            os.close(fd)


def _keep(order: Mapping[str, Any], control: int, errors: int, report: int) -> None:
    """Fork the worker, and tell how it ended: it is no child of the one that wants to know."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    child = os.fork()
    if child == 0:
        os.close(report)
        _become(order, control, errors)
    os.close(control)
    os.close(errors)
    with open(report, "w", encoding="ascii") as stream:
        print(child, file=stream, flush=True)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), file=stream, flush=True)
    os._exit(0)


def _become(order: Mapping[str, Any], control: int, errors: int) -> None:
    """Be the worker that was ordered."""
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for fd, its in ((0, nothing), (1, nothing), (2, errors)):
            os.dup2(its, fd)
        os.close(nothing)
        os.close(errors)
        sys.stdout, sys.stderr = _stream(1), _stream(2)
        os.environ.clear()
        os.environ.update(order["environment"])
        sys.argv = [worker.__file__, str(control), order["settings"]]
        worker.main()
    finally:
        os._exit(1)


def _stream(fd: int) -> IO[str]:
    return io.TextIOWrapper(io.FileIO(fd, "w", closefd=False), encoding="utf-8", write_through=True)

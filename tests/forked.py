"""Command lines in forks of a process that has imported finnmake: a third of the time of a new Python.

What differs from a new process: modules are imported beforehand, strings have the same hash in every run,
and workers come from forks too (see `tests.forked_workers`). `Project.start` starts a new one.
"""

from __future__ import annotations

import atexit
import functools
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

_REPOSITORY = Path(__file__).resolve().parent.parent

#: Variables that Python reads when it starts.
_AT_START = ("PYTHON", "LC_", "LANG")

_MESSAGE_BYTES = 1 << 20


class Forks:
    """The process that forks, for one command line at a time."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        subprocess.run(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            cwd=_REPOSITORY,
            env={**os.environ, "PYTHONHASHSEED": "0"},  # as workers have it
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            check=True,
        )
        theirs.close()
        self._busy = threading.Lock()
        atexit.register(self._socket.close)

    def run(
        self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[int, str] | None:
        """Exit code and all that was printed; None where only a new process will do."""
        if any(
            name.startswith(_AT_START) and os.environ.get(name) != environment[name] for name in environment
        ):
            return None
        if not self._busy.acquire(blocking=False):
            return None
        try:
            return self._run(folder, arguments, environment)
        finally:
            self._busy.release()

    def _run(self, folder: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, str]:
        order = json.dumps({"folder": str(folder), "arguments": arguments, "environment": dict(environment)})
        reading, writing = os.pipe()
        socket.send_fds(self._socket, [order.encode()], [writing])
        os.close(writing)
        with open(reading, encoding="utf-8") as stream:
            output = stream.read()
        return int(self._socket.recv(_MESSAGE_BYTES)), output


@functools.cache
def forks() -> Forks:
    """The one of this process."""
    return Forks()


def _serve(orders: socket.socket) -> None:
    """Fork for each order; returns in the fork, which is then as a new process would be."""
    while True:
        message, fds, _, _ = socket.recv_fds(orders, _MESSAGE_BYTES, 1)
        if not message:
            sys.exit()
        child = os.fork()
        if child == 0:
            break
        os.close(fds[0])
        _, status = os.waitpid(child, 0)
        orders.send(str(os.waitstatus_to_exitcode(status)).encode())
    orders.close()
    os.setsid()
    os.dup2(fds[0], 1)
    os.dup2(fds[0], 2)
    os.close(fds[0])
    sys.stdout, sys.stderr = _stream(1, sys.stdout), _stream(2, sys.stderr)
    order = json.loads(message)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    sys.argv = ["finnmake", *order["arguments"]]
    sys.path[0] = order["folder"]


def _stream(fd: int, like: TextIO) -> TextIO:
    """A stream that knows of what it now writes to whether it can seek."""
    return io.TextIOWrapper(
        io.BufferedWriter(io.FileIO(fd, "w", closefd=False)),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=fd == 2,
    )


def _import_all() -> None:
    """What command lines import, less what only some need."""
    tasks = importlib.import_module("finnmake.tasks")
    for module in pkgutil.iter_modules(tasks.__path__):
        importlib.import_module(f"finnmake.tasks.{module.name}")
    importlib.import_module("doit.doit_cmd")


def _offer_workers(held: socket.socket) -> None:
    """Have the workers of the forks come from forks as well."""
    from finnmake.engine import pool
    from tests import forked_workers

    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        mine.close()
        held.close()
        forked_workers.serve(theirs, pool.FIXED_ENVIRONMENT)
    theirs.close()
    forked_workers.intercept(mine, pool.FIXED_ENVIRONMENT)


def _main() -> int:
    if os.fork():
        return 0  # the server is nobody's child: tests look for children that are left behind
    with socket.socket(fileno=int(sys.argv[1])) as orders:
        from finnmake.__main__ import main

        _import_all()
        _offer_workers(orders)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _serve(orders)
    return main()


if __name__ == "__main__":
    sys.exit(_main())

"""The runtime `local`: the worker is a process of this machine, in the Python that runs finnmake."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

from finnmake.engine.runtime import Environment, Obituary, Places
from finnmake.errors import WorkerError

if TYPE_CHECKING:
    from finnmake.engine.vivado import Installation

#: What helps when the toolchain of `.venv` does not work.
CURE = "Remove .venv and run ./doitw again: it installs the toolchain anew."


class Process:
    """A worker in a process of this machine."""

    loaded = False

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, errors: IO[bytes]) -> None:
        self._process = process
        self._control = control
        self._errors = errors

    @property
    def control(self) -> socket.socket:
        """The control socket."""
        return self._control

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self._process.pid

    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def obituary(self) -> Obituary:
        """Why it ended."""
        with suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=2)
            if code < 0:
                return Obituary(f"it was killed by signal {-code}", mishap=True)
        return Obituary()

    def end(self, patience: float) -> None:
        """End the process."""
        self._control.close()
        self._errors.close()
        try:
            self._process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def program(module: str, descriptor: int, *settings: Mapping[str, Any]) -> list[str]:
    """The command line of a worker program: the descriptor of its socket, and what it is told."""
    return [sys.executable, "-P", "-m", module, str(descriptor), *map(json.dumps, settings)]


def launch(
    before: Sequence[str], settings: Mapping[str, Any], environment: Mapping[str, str], cure: str
) -> Process:
    """Start the worker program as a child of this process, with `before` in front of its command line.

    Raises WorkerError, with `cure`.
    """
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the process)
    with theirs:
        try:
            process = subprocess.Popen(
                [*before, *program("finnmake.engine.worker", theirs.fileno(), settings)],
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        except OSError as error:
            mine.close()
            errors.close()
            raise WorkerError(f"the worker cannot be started: {error}", cure=cure) from error
    return Process(process, mine, errors)


class LocalRuntime:
    """Steps run on this machine, with its system libraries and as this user."""

    name = "local"
    described = ""
    cure = CURE

    def __init__(self, tools: Installation | None = None) -> None:
        self._tools = tools

    def inside(self, places: Places) -> Places:
        """The folders as they are."""
        return places

    def start(self, places: Places, settings: Mapping[str, Any], environment: Environment) -> Process:
        """Start a worker. Raises WorkerError."""
        return launch(self.wrapped([]), settings, self.environment(environment), CURE)

    def environment(self, environment: Environment) -> dict[str, str]:
        """All variables that a worker gets."""
        path = {"PATH": os.environ["PATH"]} if "PATH" in os.environ else {}
        return {**path, **environment}

    def probe(self, command: Sequence[str]) -> str:
        """What a command prints. Raises as `vivado.ask` does."""
        from finnmake.engine import vivado

        return vivado.ask(self.wrapped(command))

    def wrapped(self, command: Sequence[str]) -> Sequence[str]:
        """The command in the tools' environment, where there are tools."""
        if self._tools is None:
            return command
        from finnmake.engine import vivado

        return vivado.wrap(self._tools, command)

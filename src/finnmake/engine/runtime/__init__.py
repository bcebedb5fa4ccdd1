"""Where the worker process runs: on the machine as it is, in a container, or in a sandbox. One interface."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

#: Where the store and the project lie in every container and sandbox, on every machine.
STORE = Path("/var/cache/finnmake")
PROJECT = Path("/workspace")

#: The Python environment of the image.
IMAGE_PYTHON = Path("/opt/finnmake")

#: What of the store only the main process writes: steps in a container or sandbox can only read it.
PROTECTED = ("VERSION", "actions", "locks", "roots", "tools")

#: Which image is pinned, in the project.
LOCK = "docker/image.lock.json"

#: The package `finnmake` itself, which the worker imports wherever it runs.
PACKAGE = Path(__file__).resolve().parents[2]

#: Environment variable -> value: what a worker sees besides what the pool gives it.
Environment = Mapping[str, str]


class Places(NamedTuple):
    """The folders of a build.

    Attributes:
        store: the store.
        project: the project.
        plugins: the project's plugins.
        python: the Python environment.
        deps: FINN's own dependencies, where the settings name them; at the same path everywhere.
    """

    store: Path
    project: Path
    plugins: Path
    python: Path = Path(sys.prefix)
    deps: Path | None = None

    def inside(self, python: Path) -> Places:
        """The same folders as a container or sandbox sees them, with its own Python."""
        return Places(STORE, PROJECT, PROJECT / self.plugins.relative_to(self.project), python, self.deps)

    @property
    def fixed(self) -> list[str]:
        """Those that code generation writes into its files: a result that holds them has them as inputs."""
        return [str(place) for place in (self.store, self.python, self.deps) if place is not None]


class Obituary(NamedTuple):
    """Why a worker is no more, as far as is known.

    Attributes:
        why: a sentence.
        memory: whether memory ran out.
        mishap: whether another one may do better: it was ended from outside.
    """

    why: str = ""
    memory: bool = False
    mishap: bool = False


class WorkerProcess(Protocol):
    """A worker that was started, and the control socket to it."""

    @property
    def control(self) -> socket.socket:
        """Datagrams to and from the worker (SOCK_SEQPACKET), descriptors with them."""

    @property
    def loaded(self) -> bool:
        """Whether it had loaded the backend before it was asked to start."""

    def last_words(self) -> str:
        """The last line that it wrote to standard error; empty where there is none."""

    def obituary(self) -> Obituary:
        """Why it ended; waits a moment for it to end."""

    def end(self, patience: float) -> None:
        """Close the control socket, give it `patience` seconds to end, and make sure that nothing is left."""


class Runtime(Protocol):
    """Starts workers, and single commands, in the environment in which steps run."""

    @property
    def name(self) -> str:
        """One of `settings.RUNTIMES`, less auto."""

    @property
    def cure(self) -> str:
        """What to do when a worker cannot load the backend."""

    @property
    def described(self) -> str:
        """Where a worker is, as in "loading FINN …": empty for this machine as it is."""

    def inside(self, places: Places) -> Places:
        """The folders as a worker sees them."""

    def start(self, places: Places, settings: Mapping[str, Any], environment: Environment) -> WorkerProcess:
        """Start a worker.

        Args:
            places: the folders on this machine.
            settings: what the worker program is told, JSON values.

        Raises WorkerError.
        """

    def probe(self, command: Sequence[str]) -> str:
        """What a command prints, errors included, run where steps run.

        Raises OSError, subprocess.CalledProcessError or subprocess.TimeoutExpired when it fails.
        """

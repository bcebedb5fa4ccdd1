"""The runtime `bwrap`: the worker in a sandbox of bubblewrap, for machines without a container engine.

Weaker than a container: no limits on memory, processors or processes, and the packages and system libraries
are this machine's. Steps see the same folders as in a container, and no network.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from finnmake.engine import vivado
from finnmake.engine.processes import owner_name
from finnmake.engine.runtime import PACKAGE, PROTECTED, Environment, Obituary, Places
from finnmake.engine.runtime.local import CURE, Process, launch
from finnmake.engine.store import Store
from finnmake.engine.vivado import Installation
from finnmake.errors import WorkerError
from finnmake.settings import ContainerSettings

#: Folders of the system that programs need. Links among them (`/lib`) stay links.
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc")


class BwrapProcess:
    """A worker in a sandbox."""

    loaded = False

    def __init__(self, process: Process, store: Store, owner: str) -> None:
        self._process = process
        self._store = store
        self._owner = owner
        self.control = process.control

    def last_words(self) -> str:
        """The last line that it wrote to standard error."""
        return self._process.last_words()

    def obituary(self) -> Obituary:
        """Why it ended."""
        return self._process.obituary()

    def end(self, patience: float) -> None:
        """End the sandbox with all in it, and remove what the worker had in the store's `tmp`."""
        self._process.end(patience)
        with suppress(OSError):
            self._store.sweep_owner(self._owner)


class BwrapRuntime:
    """Steps run in sandboxes of bubblewrap, with the Python that runs finnmake.

    Args:
        limits: its network and mounts; limits on memory, processors and processes have no effect.
        tools: Vivado, where there is one.
    """

    name = "bwrap"
    cure = CURE
    described = "in a sandbox of bubblewrap (weaker than a container: no limits)"

    def __init__(self, limits: ContainerSettings, tools: Installation | None = None) -> None:
        self._limits = limits
        self._tools = tools

    def inside(self, places: Places) -> Places:
        """The folders as a sandbox sees them: those of a container."""
        return places.inside(places.python)

    def start(self, places: Places, settings: Mapping[str, Any], environment: Environment) -> BwrapProcess:
        """Start a worker. Raises WorkerError."""
        inside = self.inside(places)
        folders = [
            *("--bind", str(places.store), str(inside.store)),
            *self._protected(places, inside),
            *("--ro-bind", str(places.project), str(inside.project)),
        ]
        path = {"PATH": os.environ["PATH"]} if "PATH" in os.environ else {}
        process = launch(
            self._wrapped([*self._command(folders), "--"], []),
            settings,
            {**path, **environment},
            "See that bubblewrap works: bwrap --ro-bind / / true",
        )
        return BwrapProcess(process, Store(places.store), owner_name())

    def probe(self, command: Sequence[str]) -> str:
        """What a command prints, in a sandbox of its own. Raises as `vivado.ask` does."""
        return vivado.ask(self._wrapped([*self._command([]), "--"], command))

    @staticmethod
    def _protected(places: Places, inside: Places) -> list[str]:
        names = [name for name in PROTECTED if (places.store / name).exists()]
        return [
            part
            for name in names
            for part in ("--ro-bind", str(places.store / name), str(inside.store / name))
        ]

    def _wrapped(self, before: Sequence[str], command: Sequence[str]) -> list[str]:
        return [*before, *(vivado.wrap(self._tools, command) if self._tools else command)]

    def _command(self, folders: Sequence[str]) -> list[str]:
        """bubblewrap's command line, to which `--` and a command are added. Raises WorkerError."""
        program = shutil.which("bwrap")
        if program is None:
            raise WorkerError(
                "there is no bubblewrap on PATH (the program bwrap)",
                cure='Install it (Debian, Ubuntu: apt install bubblewrap), or set runtime = "local".',
            )
        shared = ["--share-net"] if self._limits.network != "none" else []
        return [
            *(program, "--die-with-parent", "--unshare-all", *shared, "--hostname", "finnmake"),
            *("--cap-drop", "ALL"),  # root would keep them, and could make folders writable again
            *self._system(),
            *("--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"),
            *self._toolchain(),
            *folders,
            *("--chdir", "/"),
        ]

    def _system(self) -> list[str]:
        found: list[str] = []
        for name in _SYSTEM:
            if os.path.islink(name):
                found += ["--symlink", os.readlink(name), name]
            elif os.path.isdir(name):
                found += ["--ro-bind", name, name]
        return found

    def _toolchain(self) -> list[str]:
        """Python, its packages, finnmake, tools and mounts, at their own paths."""
        paths = [Path(sys.prefix), Path(sys.base_prefix), PACKAGE, *self._limits.mounts]
        if self._tools:
            paths += [*self._tools.folders, *self._tools.licence_files]
        outside = [path for path in paths if not str(path).startswith("/usr/")]
        return [part for path in sorted(set(outside)) for part in ("--ro-bind", str(path), str(path))]

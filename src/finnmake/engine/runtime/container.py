"""The runtime `container`: one warm worker in a container of the pinned image, for the whole run.

The container has no network, no capabilities, a root that cannot be written, and of this machine's files only
the store, the project and the tools. The control socket is a Unix socket in a folder that is mounted; it is
gone before the first step runs.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.engine.processes import owner_name
from finnmake.engine.runtime import IMAGE_PYTHON, PACKAGE, PROTECTED, Environment, Obituary, Places
from finnmake.engine.runtime.client import Engine, Traits, connect, errors, find_engine, plain, traits
from finnmake.engine.runtime.containers import clean_up, labels_of, last_words, remove, wait
from finnmake.engine.store import Store
from finnmake.engine.vivado import Installation
from finnmake.errors import ContainerError, Location
from finnmake.settings import ContainerSettings

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

#: Where the folder of the control socket, and the package `finnmake`, are mounted.
_RUN = IMAGE_PYTHON / "run"
_SOURCE = IMAGE_PYTHON / "src"

_PYTHON = str(IMAGE_PYTHON / "bin/python")

#: Runs the worker with finnmake's source in front; not by a variable, which what steps start would inherit.
#: Variables that one engine sets and another does not are taken away.
_BOOT = f"""
import os, sys
for name in list(os.environ):
    if name in ("container", "HOSTNAME", "TERM") or name.lower().endswith("_proxy"):
        del os.environ[name]
sys.path.insert(0, {str(_SOURCE)!r})
from finnmake.engine.worker import main
main()
"""

_PLAIN = Traits(rootless=False, selinux=False)

#: For a container to start and its worker to connect, and for a command to end (seconds).
_START_SECONDS = 60.0
_PROBE_SECONDS = 120.0


class ContainerProcess:
    """A worker in a container."""

    loaded = False

    def __init__(
        self, client: DockerClient, container: Container, control: socket.socket, store: Store, owner: str
    ) -> None:
        self._client = client
        self._container = container
        self._control = control
        self._store = store
        self._owner = owner
        self._ended = False

    @property
    def control(self) -> socket.socket:
        """The control socket."""
        return self._control

    @property
    def id(self) -> str:
        """The container's id."""
        return str(self._container.id)

    def last_words(self) -> str:
        """The last line that the container wrote."""
        return last_words(self._container)

    def obituary(self) -> Obituary:
        """Why the container ended."""
        if self._ended:
            return Obituary("its container was removed with another job's")
        deadline = time.monotonic() + 5.0
        with suppress(ContainerError), errors("look at the container"):
            while time.monotonic() < deadline:
                self._container.reload()
                state = self._container.attrs["State"]
                if state["Status"] != "running":
                    code = state["ExitCode"]
                    if state.get("OOMKilled"):
                        return Obituary("the container's memory ran out", memory=True)
                    return Obituary(f"its container ended with exit code {code}" + _signal(code))
                time.sleep(0.1)
            return Obituary("its container does not answer")
        return Obituary("its container cannot be reached, as the engine is gone")

    def end(self, patience: float) -> None:
        """End the container and remove it, and what the worker had in the store's `tmp`.

        Where the engine is gone the container ends by itself, as its control socket is closed; the next run
        removes it.
        """
        self._ended = True
        self._control.close()
        with suppress(ContainerError):
            remove(self._container)
        self._client.close()
        with suppress(OSError):
            self._store.sweep_owner(self._owner)


class ContainerRuntime:
    """Steps run in containers of one image.

    Args:
        image: id of the image.
        limits: memory, processors, processes, network, and folders to mount.
        tools: Vivado, where there is one.
    """

    name = "container"
    cure = "Check the image with `doit image`; `doit image --no-cache` makes it anew."

    def __init__(self, image: str, limits: ContainerSettings, tools: Installation | None = None) -> None:
        self.described = f"in a container of {image[:19]}"
        self._image = image
        self._limits = limits
        self._tools = tools

    def inside(self, places: Places) -> Places:
        """The folders as a container sees them: the same on every machine."""
        return places.inside(IMAGE_PYTHON)

    def start(
        self, places: Places, settings: Mapping[str, Any], environment: Environment
    ) -> ContainerProcess:
        """Start a worker. Raises ContainerError."""
        engine = find_engine()
        client = connect(engine)
        clean_up(client)
        inside, store, owner = self.inside(places), Store(places.store), owner_name()
        folder = store.new_folder()
        folder.chmod(0o700)  # whoever connects to the control socket is the worker
        (places.store / "tools").mkdir(exist_ok=True)
        mounts = {
            str(places.store): (str(inside.store), "rw"),
            str(places.project): (str(inside.project), "ro"),
            str(PACKAGE): (str(_SOURCE / PACKAGE.name), "ro"),
            str(folder): (str(_RUN), "ro"),
            **{str(places.store / name): (str(inside.store / name), "ro") for name in PROTECTED},
        }
        command = [_PYTHON, "-P", "-c", _BOOT, str(_RUN / "control"), json.dumps(settings)]
        with ExitStack() as stack:
            stack.callback(folder.rmdir)
            stack.callback((folder / "control").unlink, missing_ok=True)
            listener = stack.enter_context(_listen(folder))
            labels = labels_of(owner, places.store)
            container = self._create(engine, client, command, mounts, environment, labels)
            failed = stack.enter_context(ExitStack())
            failed.callback(remove, container)
            with errors("start the container"):
                container.start()
            control = _accept(listener, container)
            failed.pop_all()
        return ContainerProcess(client, container, control, store, owner)

    def probe(self, command: Sequence[str]) -> str:
        """What a command prints, in a container of its own. Raises ContainerError, or as `vivado.ask`."""
        engine = find_engine()
        client = connect(engine)
        container = self._create(engine, client, command, {}, {}, labels_of(owner_name()))
        try:
            with errors("run a command in a container"):
                container.start()
            code = wait(container, _PROBE_SECONDS)
            with errors("read what a command printed"):
                said = container.logs().decode(errors="replace")
        finally:
            remove(container)
            client.close()
        if code is None:
            raise subprocess.TimeoutExpired(list(command), _PROBE_SECONDS, said)
        if code:
            raise subprocess.CalledProcessError(code, list(command), said)
        return said

    def _create(
        self,
        engine: Engine,
        client: DockerClient,
        command: Sequence[str],
        mounts: Mapping[str, tuple[str, str]],
        environment: Environment,
        labels: Mapping[str, str],
    ) -> Container:
        known = _PLAIN if plain(engine) else traits(client)
        options = {**self._confined(engine, known), **self._seen(mounts, environment)}
        from concurrent.futures import ThreadPoolExecutor

        # In a thread: Ctrl-C must not come between the engine's work and its answer: what to remove.
        with errors("make a container"), ThreadPoolExecutor(1) as thread:
            made = thread.submit(
                client.containers.create, self._image, list(command), labels=dict(labels), **options
            )
            try:
                return made.result()
            except KeyboardInterrupt:
                remove(made.result())
                raise

    def _confined(self, engine: Engine, known: Traits) -> dict[str, Any]:
        """What a container may: nothing but what the limits say."""
        options: dict[str, Any] = {
            "user": f"{os.getuid()}:{os.getgid()}",
            "network_mode": self._limits.network,
            "read_only": True,
            # podman would mount the others so that they can be written
            "tmpfs": {"/tmp": f"size={self._limits.tmp},mode=1777,exec", "/var/tmp": "ro", "/run": "ro"},
            "pids_limit": self._limits.pids,
            "use_config_proxy": False,
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges:true"],
        }
        if self._limits.memory is not None:
            options.update(mem_limit=self._limits.memory, memswap_limit=self._limits.memory)
        if self._limits.cpus is not None:
            options["nano_cpus"] = int(self._limits.cpus * 10**9)
        if known.selinux:
            options["security_opt"].append("label=disable")  # what is mounted is not labelled for containers
        if known.rootless:  # the engine's own user is root inside, unless podman is told to keep it
            options.update({"userns_mode": "keep-id"} if engine.kind == "podman" else {"user": "0:0"})
        elif engine.kind == "docker":
            options["userns_mode"] = "host"  # where the daemon maps users, the store is not the mapped one's
        return options

    def _seen(self, mounts: Mapping[str, tuple[str, str]], environment: Environment) -> dict[str, Any]:
        """What a container sees of this machine. Raises ContainerError."""
        variables = {"FINNMAKE_WORKER": "1", "HOME": "/tmp", **environment}
        read_only = list(self._limits.mounts)
        if self._tools:
            read_only += [*self._tools.folders, *self._tools.licence_files]
            variables.update(self._tools.environment, FINNMAKE_VIVADO=str(self._tools.path))
        volumes = {str(path): {"bind": str(path), "mode": "ro"} for path in read_only}
        volumes.update({path: {"bind": bind, "mode": mode} for path, (bind, mode) in mounts.items()})
        for path in volumes:
            if ":" in path:
                raise ContainerError(
                    "a path with a colon cannot be mounted",
                    where=Location(path=Path(path)),
                    cure="Rename the folder, or build without a container: FINNMAKE_RUNTIME=local.",
                )
        return {
            "environment": variables,
            "volumes": volumes,
            "working_dir": "/",
            "hostname": "finnmake",
            "healthcheck": {"test": ["NONE"]},
        }


def _listen(folder: Path) -> socket.socket:
    """A socket at `control` in the folder, through whose descriptor the name is short enough for any path."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        listener.bind(f"/proc/self/fd/{descriptor}/control")
    except OSError:
        listener.close()
        raise
    finally:
        os.close(descriptor)
    listener.listen(1)
    return listener


def _accept(listener: socket.socket, container: Container) -> socket.socket:
    """The worker's end of the control socket. Raises ContainerError where it does not come."""
    deadline = time.monotonic() + _START_SECONDS
    listener.settimeout(0.5)
    while time.monotonic() < deadline:
        with suppress(TimeoutError):
            return listener.accept()[0]
        with errors("look at the container"):
            container.reload()
        if container.status in ("exited", "dead"):
            said = last_words(container) or "it said nothing"
            raise ContainerError(
                f"the container ended before its worker began: {said}",
                cure="Check the image with `doit image`; if it is right, look at the engine's log.",
            )
    raise ContainerError(
        f"the container's worker does not answer ({_START_SECONDS:.0f} s)", cure="Restart the engine."
    )


def _signal(code: int) -> str:
    return f" (killed by signal {code - 128})" if code > 128 else ""

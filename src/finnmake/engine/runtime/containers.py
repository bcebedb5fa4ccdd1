"""Containers of an engine: whose they are, how they end, and what is left of runs that are no more."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.engine.processes import owner_ended, owner_seen
from finnmake.engine.runtime.client import errors
from finnmake.engine.store import Store
from finnmake.errors import ContainerError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

#: On every container of finnmake's: the process that started it (`processes.owner_name`), its user's number,
#: and the store that it works on.
OWNER = "finnmake.owner"
USER = "finnmake.user"
STORE_LABEL = "finnmake.store"

#: For an engine to give up a container that is about to end (seconds).
_REMOVE_SECONDS = 10.0


def labels_of(owner: str, store: Path | None = None) -> dict[str, str]:
    """The labels of a container that `owner` starts, to work on a store."""
    labels = {OWNER: owner, USER: str(os.getuid())}
    return labels if store is None else {**labels, STORE_LABEL: str(store)}


def clean_up(client: DockerClient) -> None:
    """Remove containers of this user's runs that were killed, and what their workers left in the store."""
    with errors("look for containers of earlier runs"):
        mine: dict[str, Any] = {"label": [OWNER, f"{USER}={os.getuid()}"]}
        found = client.containers.list(all=True, filters=mine, ignore_removed=True)
    for container in found:
        owner, store = container.labels.get(OWNER, ""), container.labels.get(STORE_LABEL)
        if not owner_ended(owner) and not _abandoned(container, owner):
            continue
        with suppress(ContainerError):
            remove(container)
        if store and owner_ended(owner):
            with suppress(OSError):
                Store(Path(store)).sweep_owner(owner)


def _abandoned(container: Container, owner: str) -> bool:
    """Whether a container does not run, is older than a day, and its owner cannot be seen from here."""
    if owner_seen(owner) or container.status not in ("created", "exited", "dead"):
        return False
    made = str(container.attrs.get("Created", ""))[:10]
    return made < time.strftime("%Y-%m-%d", time.gmtime(time.time() - 86400))


def wait(container: Container, seconds: float) -> int | None:
    """The exit code of a container, None where it has not ended in time. Raises ContainerError."""
    import requests

    deadline = time.monotonic() + seconds
    with errors("wait for a container"):
        while (left := deadline - time.monotonic()) > 0:
            with suppress(requests.ConnectionError, requests.Timeout):
                return int(container.wait(timeout=max(0.1, min(left, 20.0)))["StatusCode"])
            container.reload()  # raises where it is the engine that is gone
    return None


def remove(container: Container) -> None:
    """Kill and remove a container, which may be gone already. Raises ContainerError.

    One that is just ending by itself can be neither killed nor removed for a moment.
    """
    import docker.errors

    deadline = time.monotonic() + _REMOVE_SECONDS
    with errors("remove the container"):
        while True:
            try:
                return container.remove(force=True)
            except docker.errors.NotFound:
                return
            except docker.errors.APIError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.05)


def last_words(container: Container) -> str:
    """The last line that a container wrote; empty where there is none."""
    with suppress(ContainerError), errors("read what the container wrote"):
        lines = container.logs(tail=20).decode(errors="replace").strip().splitlines()
        return str(lines[-1]) if lines else ""
    return ""

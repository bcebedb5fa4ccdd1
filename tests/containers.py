"""Container engines for tests: those that FINNMAKE_TEST_ENGINES names, as `.ci/engine env` tells them.

A test that takes the fixture `engine` runs once for each of them and carries the marker `container`:

    from tests.containers import client, engine, nothing_left

    def test_a_build_leaves_no_container(engine: Engine) -> None: ...
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from docker import DockerClient

#: `podman=unix:///…,docker=unix:///…`, and the image that stands for the Dockerfile's base.
ENGINES = "FINNMAKE_TEST_ENGINES"
BASE = "FINNMAKE_TEST_BASE"

#: The label of every container that finnmake makes.
OWNER = "finnmake.owner"

_HOW = 'eval "$(.ci/engine env)" after .ci/engine up'


@dataclass(frozen=True)
class Engine:
    """An engine to test with: its name (podman or docker) and the URL of its socket, for DOCKER_HOST."""

    name: str
    url: str

    @property
    def socket(self) -> Path:
        return Path(self.url.removeprefix("unix://"))


def engines() -> list[Engine]:
    """The engines of the environment; none where it names none. Raises ValueError."""
    return [_read(entry) for entry in os.environ.get(ENGINES, "").split(",") if entry]


def _read(entry: str) -> Engine:
    name, _, url = entry.partition("=")
    if name not in ("podman", "docker") or not url.startswith("unix:///"):
        raise ValueError(f"{ENGINES}: {entry!r} is not podman=unix:///… or docker=unix:///…: {_HOW}")
    return Engine(name, url)


def _parameters() -> list[Any]:
    found = [pytest.param(entry, id=entry.name, marks=pytest.mark.container) for entry in engines()]
    reason = f"{ENGINES} is not set: {_HOW}"
    return found or [
        pytest.param(None, id="no-engine", marks=[pytest.mark.container, pytest.mark.skip(reason)])
    ]


#: For a test that runs with the first engine alone: what it tests is the same with all of them.
ONE_ENGINE = pytest.mark.parametrize("engine", _parameters()[:1], indirect=True)


@pytest.fixture(params=_parameters())
def engine(request: pytest.FixtureRequest) -> Engine:
    """Every engine of the environment in turn."""
    found: Engine = request.param
    return found


@contextmanager
def client(engine: Engine, timeout: float = 60) -> Iterator[DockerClient]:
    """A client for the engine; a request may take `timeout` seconds."""
    import docker

    opened = docker.DockerClient(base_url=engine.url, timeout=timeout)
    try:
        yield opened
    finally:
        opened.close()


def base() -> str:
    """The image that containers and images of tests start from. Skips the test where none is named."""
    name = os.environ.get(BASE)
    if not name:
        pytest.skip(f"{BASE} is not set: {_HOW}")
    return name


def nothing_left(client: DockerClient) -> None:
    """Fails where a container of finnmake's is still there, running or not."""
    found = client.containers.list(all=True, filters={"label": OWNER}, ignore_removed=True)
    left = [f"{container.name} ({container.status})" for container in found]
    assert not left, f"containers left behind: {', '.join(left)}"

"""Fixtures of the end-to-end tests: a project, and a store that already holds the example build."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.projects import Project, Run


def pytest_configure() -> None:
    """Let SIGINT reach what tests start, also where a shell ignores it in its background jobs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first, so that no process is left with it at the end."""
    items.sort(key=lambda item: [item.get_closest_marker(name) is None for name in ("container", "slow")])


class _Schedule(LoadScopeScheduling):
    """What runs in one process: the tests of a file, as they share builds, and all that use one engine."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        engines = {"podman", "docker"}.intersection(re.split(r"[\[\]-]", test))
        return engines.pop() if engines else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Schedule:
    """The scheduler of pytest-xdist; its groups by marks do not work with pytest 9."""
    return _Schedule(config, log)


@pytest.fixture(scope="session")
def cold_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """`doit build:config_001` from an empty store: the project, not to be changed, and the run."""
    folder = tmp_path_factory.mktemp("built")
    project = Project.clone(folder / "project", folder / "store")
    return project, project.succeed("build:config_001")


@pytest.fixture(scope="session")
def built(cold_build: tuple[Project, Run]) -> Project:
    """The project after `doit build:config_001` from an empty store. Not to be changed."""
    return cold_build[0]


@pytest.fixture(scope="session")
def copy_of_built(built: Project) -> Callable[[Path], Project]:
    """Copies the built project, its outputs and its store into a folder."""

    def copy(folder: Path) -> Project:
        shutil.copytree(built.root, folder / "project", symlinks=True)
        shutil.copytree(built.store, folder / "store", symlinks=True)
        return Project(folder / "project", folder / "store")

    return copy


@pytest.fixture
def project(tmp_path: Path, copy_of_built: Callable[[Path], Project]) -> Project:
    """The built project, to change at will; its store holds the example build."""
    return copy_of_built(tmp_path)


@pytest.fixture
def empty_project(tmp_path: Path) -> Project:
    """A project in which nothing was built, with an empty store."""
    return Project.clone(tmp_path / "project", tmp_path / "store")

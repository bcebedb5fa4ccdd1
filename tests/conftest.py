"""Fixtures of the end-to-end tests: a project, and a store that already holds the example build."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.containers import Engine
from tests.projects import Project, Run


def pytest_configure() -> None:
    """Let SIGINT reach what tests start, also where a shell ignores it in its background jobs."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs in one process: the tests of a file, as they share builds, and all that use one engine."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        engine = callspec.params.get("engine") if callspec else None
        group = f"containers of {engine.name}" if isinstance(engine, Engine) else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))


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

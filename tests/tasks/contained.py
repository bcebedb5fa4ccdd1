"""Projects that were built in containers: once a run of the tests on each engine."""

from __future__ import annotations

import atexit
import functools
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finnmake.engine.runtime.containers import STORE_LABEL
from tests import containers
from tests.containers import Engine
from tests.pinned import container_project
from tests.projects import Project, Run


@functools.cache
def built_contained(engine: Engine) -> tuple[Project, Run]:
    """The first build in a container, from an empty store: the project, not to be changed, and the run."""
    folder = Path(tempfile.mkdtemp(prefix="finnmake-built-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = container_project(engine, folder)
    return project, project.succeed("build:config_001")


def copy_of_contained(engine: Engine, folder: Path) -> Project:
    """A copy, with its outputs and its store, of the project that was built in a container."""
    built, _ = built_contained(engine)
    shutil.copytree(built.root, folder / "project", symlinks=True)
    shutil.copytree(built.store, folder / "store", symlinks=True)
    return Project(folder / "project", folder / "store", dict(built.extra))


def containers_on(engine: Engine, store: Path) -> list[str]:
    """The containers that work on a store, running or not."""
    with containers.client(engine) as opened:
        found = opened.containers.list(
            all=True, filters={"label": f"{STORE_LABEL}={store}"}, ignore_removed=True
        )
        return [f"{each.name} ({each.status})" for each in found]


def toolchain_table(project: Project, text: str) -> None:
    """Add the table `[tool.finnmake.toolchain]` to the project's pyproject.toml."""
    path = project.root / "pyproject.toml"
    path.write_text(f"{path.read_text()}\n[tool.finnmake.toolchain]\n{text}\n")


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short name: names of sockets are at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="finnmake-") as folder:
        yield Path(folder)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """A file system of that size at the folder; False where none can be mounted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)

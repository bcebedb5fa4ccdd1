"""The real image of the project's own Dockerfile, built and pinned on every engine that tests use.

It is made once a run of the tests; an engine that has its layers takes seconds, another one minutes.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.containers import Engine, base, engines
from tests.projects import REPOSITORY, Project, Run

#: What an image is made from, besides the parts of every project.
_SOURCES = ("Dockerfile", "docker", "requirements.lock")

_BASE_LINE = '[tool.finnmake.container]\nbase = "{}"\n'


def container_project(engine: Engine, folder: Path) -> Project:
    """A project in `folder` that builds in containers of `engine`, with its image pinned."""
    project = _bare(engine, folder)
    _copy_of_pinned(engine, project)
    return project


def image_id(engine: Engine) -> str:
    """The id of the image on `engine`."""
    from finnmake.engine.runtime import image_lock

    pinned = image_lock.read(_pinned(engine).root).image
    assert pinned is not None
    return pinned.id


def repin(project: Project, identity: str | None) -> None:
    """Pin another id for the same image, or none."""
    from finnmake.engine.runtime import image_lock

    lock = image_lock.read(project.root)
    assert lock.image is not None
    image = replace(lock.image, id=identity) if identity else None
    image_lock.write(project.root, replace(lock, image=image))


def settings(project: Project, text: str) -> None:
    """Add to `[tool.finnmake.container]` of the project, which is the last table of its pyproject.toml."""
    path = project.root / "pyproject.toml"
    path.write_text(f"{path.read_text()}{text}\n")


def _bare(engine: Engine, folder: Path) -> Project:
    project = Project.clone(folder / "project", folder / "store")
    for name in _SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, project.root / name)
        else:
            shutil.copy2(source, project.root / name)
    path = project.root / "pyproject.toml"
    path.write_text(f"{path.read_text()}\n{_BASE_LINE.format(base())}")
    project.extra.update(DOCKER_HOST=engine.url, FINNMAKE_RUNTIME="container")
    return project


def _copy_of_pinned(engine: Engine, project: Project) -> None:
    for name in ("docker", "Dockerfile", ".devcontainer"):
        source = _pinned(engine).root / name
        if source.is_dir():
            shutil.copytree(source, project.root / name, dirs_exist_ok=True)
        else:
            shutil.copy2(source, project.root / name)


@functools.cache
def _pinned(engine: Engine) -> Project:
    """A project whose image was made and pinned; on the second engine, the first one's image."""
    folder = Path(tempfile.mkdtemp(prefix="finnmake-pinned-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    project = _bare(engine, folder)
    first = engines()[0]
    if engine == first:
        _run(project, "image", "--update")
    else:
        _copy_of_pinned(first, project)
        archive = folder / "image.tar"
        _run(_pinned(first), "image", "--export", str(archive))
        _run(project, "image", "--import", str(archive))
        archive.unlink()
    return project


def _run(project: Project, *arguments: str) -> Run:
    run = project.run(*arguments)
    if run.code:
        pytest.fail(f"doit {' '.join(arguments)}:\n{run.output}")
    return run

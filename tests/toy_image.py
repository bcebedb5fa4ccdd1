"""A project whose image takes a second to make, on the engines that the tests are given."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from finnmake.engine import image_files
from finnmake.engine.runtime import client, image_build, image_lock
from finnmake.engine.runtime.client import Engine
from finnmake.errors import ContainerError
from finnmake.settings import Settings, read_settings
from tests import containers
from tests.projects import REPOSITORY

#: In place of the image's Python: says what `images.inspect` asks for. The lock file is numpy's version.
_LOOK = """#!/bin/sh
cd /opt/finnmake
numpy="$(cat requirements.lock)" dash="$(cat dash)"
echo "a word from the entry point"
echo 'finnmake-image {"description": {"base": "'$(cat base)'", "system": {"dash": "'$dash'"}},' \\
    '"toolchain": {"python": "CPython 3.11", "packages": {"numpy": "'$numpy'"}, "contents": {}}}'
"""

_DOCKERFILE = """# settings: {{ settings }}
ARG BASE={{ base }}
FROM ${BASE}
LABEL finnmake.test="UNIQUE"
ARG BASE
RUN mkdir -p /opt/finnmake/bin && echo "$BASE" >/opt/finnmake/base
COPY requirements.lock /opt/finnmake/
COPY docker/doit /opt/finnmake/bin/python
RUN chmod 755 /opt/finnmake/bin/python
RUN STEP
"""


@dataclass
class ToyImage:
    """The project.

    Attributes:
        root: its folder.
        host: DOCKER_HOST of the engine.
        start_from: the image that it starts from.
        label: on every image of the project's.
    """

    root: Path
    host: str
    start_from: str
    label: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        for folder in ("docker", "templates/container"):
            (self.root / folder).mkdir(parents=True)
        shutil.copy(REPOSITORY / "docker/describe.py", self.root / "docker")
        for name in image_files.GENERATED.values():
            (self.root / image_files.TEMPLATES / name).write_text("")
        (self.root / "pyproject.toml").write_text(
            '[tool.doit.plugins.command]\nimage = "finnmake.tasks.image:Image"\n'
            f'[tool.finnmake.container]\nbase = "{self.start_from}"\n'
        )
        self.lock("1.26.0")
        self.step("echo 0.5.12 >/opt/finnmake/dash")
        (self.root / "docker/doit").write_text(_LOOK)
        (self.root / "docker/entrypoint.sh").write_text("")

    @property
    def settings(self) -> Settings:
        return read_settings(self.root)

    @property
    def engine(self) -> Engine:
        return client.find_engine()

    @property
    def digests(self) -> dict[str, str]:
        return image_files.digests(self.root, self.settings)

    def step(self, command: str) -> None:
        """The last step of the Dockerfile."""
        text = _DOCKERFILE.replace("UNIQUE", self.label).replace("STEP", command)
        (self.root / image_files.TEMPLATES / "Dockerfile.j2").write_text(text)
        image_files.write(self.root, self.settings)

    def lock(self, numpy: str) -> None:
        """requirements.lock: the version of numpy, no more."""
        (self.root / "requirements.lock").write_text(numpy)

    def base(self, name: str) -> None:
        """Another base in pyproject.toml."""
        path = self.root / "pyproject.toml"
        path.write_text(path.read_text().replace(self.start_from, name))
        image_files.write(self.root, self.settings)

    def build(self, *, cache: bool = True) -> tuple[str, list[str]]:
        """The image's id, and what the build said."""
        said: list[str] = []
        made = image_build.build(self.root, self.settings, self.engine, said.append, cache=cache)
        return made, said

    def unpin(self) -> None:
        """A lock of the project as it is, with no image."""
        image_lock.write(self.root, image_lock.ImageLock(**self.digests))

    def images(self) -> set[str]:
        """The ids of all images of the project's."""
        for _ in range(5):  # podman stumbles where another image is removed meanwhile
            with suppress(ContainerError), client.errors("list images"):
                with closing(client.connect()) as opened:
                    found = opened.images.list(all=True, filters={"label": f"finnmake.test={self.label}"})
                return {str(image.id) for image in found}
        raise AssertionError("images cannot be listed")

    def remove(self) -> None:
        """Remove all images of the project's."""
        with closing(client.connect()) as opened:
            for identity in self.images():
                with suppress(ContainerError), client.errors("remove an image"):
                    opened.images.remove(identity, force=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`doit image …`, in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "doit", "image", *arguments],
            cwd=self.root,
            env={**os.environ, "DOCKER_HOST": self.host},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def doit(self, *arguments: str) -> tuple[int, str]:
        """Exit code and output of `doit image …`."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=300)
        assert "Traceback" not in output, output
        return process.returncode, output


@pytest.fixture
def toy(engine: containers.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyImage]:
    """A toy on every engine in turn; its images are removed at the end."""
    monkeypatch.setenv("DOCKER_HOST", engine.url)
    (tmp_path / "toy").mkdir()
    made = ToyImage(tmp_path / "toy", engine.url, containers.base())
    try:
        yield made
    finally:
        made.remove()

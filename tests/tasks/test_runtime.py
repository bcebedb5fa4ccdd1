"""Which runtime a run takes: command line, variable, settings, and what `auto` finds."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.containers import Engine, engine
from tests.pinned import image_id
from tests.projects import REPOSITORY, Project, contents
from tests.tasks.contained import copy_of_contained

__all__ = ["engine"]

pytestmark = pytest.mark.finn

QUICK = ["step_qonnx_to_finn"]

LOCK = """\
{
  "version": 1,
  "base": "base",
  "requirements": "%s",
  "dockerfile": "%s",
  "image": null
}
"""


def write_runtime(project: Project, value: str) -> int:
    """Write `runtime` into pyproject.toml; gives the line."""
    path = project.root / "pyproject.toml"
    path.write_text(path.read_text().replace("[tool.finnmake]\n", f"[tool.finnmake]\nruntime = {value}\n"))
    return path.read_text().splitlines().index(f"runtime = {value}") + 1


def refused(project: Project, *arguments: str) -> str:
    before = contents(project.folder(), ())
    run = project.fail(*arguments, "build:config_001")
    assert "\n  -> " in run.output
    assert contents(project.folder(), ()) == before
    return run.output


# names


def test_unknown_name_on_the_command_line(project: Project) -> None:
    output = refused(project, "runtime=kontainer")
    assert "there is no runtime 'kontainer'" in output
    assert "There are auto, local, container, bwrap." in output


def test_unknown_name_in_the_variable(project: Project) -> None:
    project.extra["FINNMAKE_RUNTIME"] = "kontainer"
    output = refused(project)
    assert "there is no runtime 'kontainer'" in output
    assert "FINNMAKE_RUNTIME" in output


def test_unknown_name_in_the_settings(project: Project) -> None:
    line = write_runtime(project, '"kontainer"')
    output = refused(project)
    assert f"pyproject.toml:{line}" in output
    assert "there is no runtime 'kontainer'" in output


def test_variable_that_is_mistyped(project: Project) -> None:
    assert "there is no variable 'runtme'" in refused(project, "runtme=local")


def test_command_line_goes_before_the_variable_and_that_before_the_settings(project: Project) -> None:
    for name in ("Dockerfile", "requirements.lock"):
        shutil.copy2(REPOSITORY / name, project.root / name)
    shutil.copytree(REPOSITORY / "docker", project.root / "docker")
    write_runtime(project, '"container"')
    project.extra["DOCKER_HOST"] = "unix:///nonesuch.sock"
    assert "/nonesuch.sock" in refused(project)
    project.extra["FINNMAKE_RUNTIME"] = "local"
    assert project.succeed("build:config_001").steps == []
    project.extra["FINNMAKE_RUNTIME"] = "container"
    assert "/nonesuch.sock" in refused(project)
    assert project.succeed("runtime=local", "build:config_001").steps == []


# auto


def test_auto_is_local_where_nothing_is_pinned(project: Project) -> None:
    """Silently, with a lock that pins nothing and an engine that is not there."""
    (project.root / "docker").mkdir(exist_ok=True)
    (project.root / "docker/image.lock.json").write_text(LOCK % ("0" * 64, "0" * 64))
    project.extra["DOCKER_HOST"] = "unix:///nonesuch.sock"
    run = project.succeed("runtime=auto", "build:config_001")
    assert run.steps == []
    assert "container" not in run.output
    assert "container" not in project.succeed("build:config_001").output


def test_damaged_lock(project: Project) -> None:
    (project.root / "docker").mkdir(exist_ok=True)
    (project.root / "docker/image.lock.json").write_text("{")
    assert "docker/image.lock.json: not a JSON file" in refused(project)


@pytest.mark.slow
def test_auto_says_that_the_engine_is_missing(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    del project.extra["FINNMAKE_RUNTIME"]
    project.extra["DOCKER_HOST"] = f"unix://{tmp_path}/nonesuch.sock"
    project.blueprint(steps=QUICK)
    run = project.succeed("build:config_001")
    assert run.steps == QUICK
    said = [line for line in run.output.splitlines() if "container" in line]
    assert len(said) == 1
    assert re.match("not in the container: there is no engine's socket here", said[0])
    assert project.read("manifest.json", "tiny")["toolchain"]["image"] == ""


@pytest.mark.slow
def test_auto_takes_the_container(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    del project.extra["FINNMAKE_RUNTIME"]
    project.blueprint(steps=QUICK)
    run = project.succeed("build:config_001")
    assert run.steps == QUICK
    assert "in a container of" in run.output
    assert project.read("manifest.json", "tiny")["toolchain"]["image"] == image_id(engine)

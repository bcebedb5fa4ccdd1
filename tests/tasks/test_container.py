"""`doit runtime=container`: the results are the local ones, under keys of the image, and made once."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.runtime import IMAGE_PYTHON, PROJECT, STORE
from tests import containers
from tests.containers import ONE_ENGINE, Engine, engine
from tests.pinned import container_project, image_id, repin
from tests.projects import REPOSITORY, Project, Run, contents
from tests.proxy import Proxy, proxy
from tests.tasks.contained import (
    built_contained,
    containers_on,
    copy_of_contained,
    short_folder,
    toolchain_table,
)

__all__ = ["engine"]

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: What tells of the toolchain and of keys, besides files that hold times.
TOLD = ("build.log", "result.json", "manifest.json", "report.html")

QUICK = ["step_qonnx_to_finn"]


@pytest.fixture
def between(engine: Engine) -> Iterator[Proxy]:
    """A socket in front of the engine's."""
    with short_folder() as folder, proxy(folder, engine.socket) as made:
        yield made


@pytest.fixture(scope="session")
def cnn(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The convolutional example with its plugins, built locally. Not to be changed."""
    folder = tmp_path_factory.mktemp("cnn")
    project = Project.clone(folder / "project", folder / "store")
    project.succeed("blueprint=digits_cnn", "build:config_001")
    return project


def told(folder: Path) -> dict[str, Any]:
    """The manifest without toolchain and keys."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    del manifest["toolchain"]
    for step in manifest["steps"]:
        del step["action_key"]
    return manifest


def shown(folder: Path) -> str:
    """The report without toolchain and keys."""
    manifest = json.loads((folder / "manifest.json").read_text())
    text = (folder / "report.html").read_text()
    text, tables = re.subn(r'aria-label="Toolchain">.*?</table>', "", text, flags=re.DOTALL)
    assert tables == 1
    for step in manifest["steps"]:
        key = step["action_key"]
        text = text.replace(key, "").replace(f"{key[:16]}…", "")
    return text


def same_results(one: Path, other: Path) -> None:
    assert contents(one, TOLD) == contents(other, TOLD)
    assert told(one) == told(other)
    assert shown(one) == shown(other)


def keys(project: Project, name: str) -> list[str]:
    return [step["action_key"] for step in project.read("manifest.json", name)["steps"]]


# the same work, the same result


def test_result_is_the_local_one(engine: Engine, cold_build: tuple[Project, Run]) -> None:
    (local, first), (contained, run) = cold_build, built_contained(engine)
    assert run.steps == first.steps
    assert f"in a container of {image_id(engine)[:19]}" in run.output
    same_results(local.folder(), contained.folder())


@ONE_ENGINE
def test_result_with_plugins_is_the_local_one(engine: Engine, cnn: Project, tmp_path: Path) -> None:
    project = container_project(engine, tmp_path)
    run = project.succeed("blueprint=digits_cnn", "build:config_001")
    assert "small_weights_in_lutram" in run.steps
    same_results(cnn.folder("digits_cnn"), project.folder("digits_cnn"))


@ONE_ENGINE
def test_packages_are_the_local_ones(engine: Engine, built: Project) -> None:
    contained, _ = built_contained(engine)
    local, inside = (each.read("manifest.json")["toolchain"] for each in (built, contained))
    assert inside["packages"] == local["packages"]
    assert inside["contents"] == local["contents"]
    assert inside["python"].split(".")[:2] == local["python"].split(".")[:2]


@ONE_ENGINE
def test_manifest_names_the_image(engine: Engine, built: Project) -> None:
    contained, _ = built_contained(engine)
    assert contained.read("manifest.json")["toolchain"]["image"] == image_id(engine)
    assert built.read("manifest.json")["toolchain"]["image"] == ""


# built twice


@ONE_ENGINE
def test_second_run_does_nothing_and_starts_no_container(
    engine: Engine, between: Proxy, tmp_path: Path
) -> None:
    project = copy_of_contained(engine, tmp_path)
    project.extra["DOCKER_HOST"] = between.url
    project.succeed("build:config_001")  # a copy's files are not those that the build left
    before = contents(project.folder(), ())
    run = project.succeed("build:config_001")
    assert "nothing to do" in run.output
    assert run.steps == []
    assert between.containers_made == 0
    assert contents(project.folder(), ()) == before


@ONE_ENGINE
def test_outputs_come_back_from_the_store_without_a_container(
    engine: Engine, between: Proxy, tmp_path: Path
) -> None:
    project = copy_of_contained(engine, tmp_path)
    project.extra["DOCKER_HOST"] = between.url
    before = contents(project.folder())
    shutil.rmtree(project.root / "builds")
    run = project.succeed("build:config_001")
    assert run.steps == []
    assert between.containers_made == 0
    assert contents(project.folder()) == before


def test_two_builds_at_once_share_one_container(engine: Engine, between: Proxy, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    project.extra["DOCKER_HOST"] = between.url
    config = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": [500, 600]}
    project.blueprint(config=config)
    run = project.succeed("-n", "2", "-P", "thread", "build")
    assert run.output.count("loading FINN") == 1
    assert between.containers_made == 1
    for each in ("config_001", "config_002"):
        assert project.read("result.json", "tiny", each)["status"] == "SUCCESS"
    assert containers_on(engine, project.store) == []
    assert list((project.store / "tmp").glob("run-*")) == []


# keys


@ONE_ENGINE
def test_local_results_do_not_count(engine: Engine, built: Project, tmp_path: Path) -> None:
    """Without `share`, on the same store: every key is another, and every step runs again."""
    contained, first = built_contained(engine)
    assert not set(keys(built, "digits")) & set(keys(contained, "digits"))
    project = copy_of_contained(engine, tmp_path)
    assert project.succeed("runtime=local", "build:config_001").steps == first.steps
    assert contents(project.folder()) == contents(built.folder())
    assert project.succeed("runtime=container", "build:config_001").steps == []
    assert contents(project.folder()) == contents(contained.folder())


@ONE_ENGINE
def test_local_results_count_where_they_are_shared(engine: Engine, tmp_path: Path) -> None:
    local = container_project(engine, tmp_path / "local")
    contained = container_project(engine, tmp_path / "contained")
    contained.store = local.store
    for each in (local, contained):
        toolchain_table(each, "share = true")
    assert len(local.succeed("runtime=local", "build:config_001").steps) > 5
    run = contained.succeed("runtime=container", "build:config_001")
    assert run.steps == []
    assert contents(contained.folder()) == contents(local.folder())


@ONE_ENGINE
def test_another_image_has_other_keys(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    project.blueprint(steps=QUICK)
    project.succeed("build:config_001")
    before = keys(project, "tiny")
    with containers.client(engine) as opened:
        made = opened.containers.create(image_id(engine), ["true"], labels={containers.OWNER: "a test"})
        try:
            other = made.commit(repository="localhost/finnmake-test", tag="other", changes=["LABEL other=1"])
        finally:
            made.remove(force=True)
        try:
            identity = f"sha256:{other.id.removeprefix('sha256:')}"
            repin(project, identity)
            assert project.succeed("build:config_001").steps == QUICK
        finally:
            opened.images.remove(other.id, force=True)
    assert not set(keys(project, "tiny")) & set(before)
    assert project.read("manifest.json", "tiny")["toolchain"]["image"] == identity


# inside the image


def inside(engine: Engine, project: Project, *command: str) -> Run:
    """What a command prints in the project's dev container."""
    (project.root / "src").mkdir(exist_ok=True)
    volumes = {
        str(project.root): {"bind": str(PROJECT), "mode": "rw"},
        str(REPOSITORY / "src"): {"bind": str(PROJECT / "src"), "mode": "ro"},
        str(project.store): {"bind": str(STORE), "mode": "rw"},
    }
    with containers.client(engine, timeout=300) as opened:
        made = opened.containers.create(
            image_id(engine),
            list(command),
            user=f"{os.getuid()}:{os.getgid()}",
            volumes=volumes,
            network_mode="none",
            labels={containers.OWNER: "a test"},
        )
        try:
            made.start()
            code = made.wait()["StatusCode"]
            return Run(code, made.logs().decode())
        finally:
            made.remove(force=True)


@ONE_ENGINE
def test_dev_container_takes_every_step_from_the_store(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    before = contents(project.folder())
    shutil.rmtree(project.root / "builds")
    run = inside(engine, project, "doit", "build:config_001")
    assert run.code == 0, run.output
    assert run.steps == []
    assert "12 came from the store" in run.output
    assert contents(project.folder()) == before
    again = inside(engine, project, "doit", "build:config_001")
    assert "nothing to do" in again.output
    assert project.succeed("build:config_001").steps == []
    assert contents(project.folder()) == before


@ONE_ENGINE
def test_container_inside_the_image_is_refused(engine: Engine, tmp_path: Path) -> None:
    project = copy_of_contained(engine, tmp_path)
    run = inside(engine, project, "doit", "runtime=container", "build:config_001")
    assert run.code == 3
    assert "this is the container already" in run.output
    assert "runtime=local" in run.output
    assert "Traceback" not in run.output
    assert not (IMAGE_PYTHON / "image.json").exists(), "tests are to run outside the image"

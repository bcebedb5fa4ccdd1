"""Vivado and FINN's dependencies beside the container: mounted read-only, checked first, part of the keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import fake_vivado
from tests.backends.test_vivado_flow import FIELDS, TO_HARDWARE
from tests.containers import ONE_ENGINE, Engine, engine
from tests.pinned import container_project, settings
from tests.projects import Project, contents
from tests.proxy import Proxy, proxy
from tests.tasks.contained import copy_of_contained, short_folder, toolchain_table

__all__ = ["engine"]

pytestmark = [pytest.mark.finn, pytest.mark.slow]

LOOK = """
import json
import os
import shutil
import subprocess
from pathlib import Path

from finnmake.plugins import step


def refused(path):
    try:
        Path(path).write_text("x")
    except OSError:
        return True
    return False


@step
def look(model, cfg):
    names = ("PATH", "LD_PRELOAD", "XILINX_VIVADO", "XILINXD_LICENSE_FILE", "FINN_DEPS")
    found = {name: os.environ.get(name) for name in names}
    found["vivado"] = shutil.which("vivado")
    found["says"] = subprocess.run(["vivado", "-version"], capture_output=True, text=True).stdout
    found["maps"] = "libudev.so" in Path("/proc/self/maps").read_text()
    vivado, licence, deps = os.environ["XILINX_VIVADO"], found["XILINXD_LICENSE_FILE"], found["FINN_DEPS"]
    found["licence"] = Path(licence).read_text()
    places = (f"{vivado}/x", f"{vivado}/bin/vivado", licence, f"{deps}/x")
    found["refused"] = [refused(place) for place in places]
    print("found", json.dumps(found))
    return model
"""

#: Outputs of the flow to synthesis that name folders in the store, or tell the digests of those that do.
NAME_FOLDERS = {
    "artifacts/intermediate_models/step_generate_hardware.onnx",
    "final_model.onnx",
    "manifest.json",
    "report.html",
}

READ = """
import os
from pathlib import Path

from finnmake.plugins import step


@step
def read(model, cfg):
    print("found", Path(os.environ["FINN_DEPS"], "finn-hlslib", "bnn-library.h").read_text())
    return model
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_vivado.make(tmp_path_factory.mktemp("tools") / "Xilinx")


@pytest.fixture
def contained(engine: Engine, tmp_path: Path) -> Project:
    """The project that was built in a container, to change at will."""
    return copy_of_contained(engine, tmp_path)


@pytest.fixture
def between(contained: Project, engine: Engine) -> Iterator[Proxy]:
    """A socket in front of the engine's, which the project uses."""
    with short_folder() as folder, proxy(folder, engine.socket) as made:
        contained.extra["DOCKER_HOST"] = made.url
        yield made


def vivado(tree: Path, licence: str = "none") -> str:
    text = f'vivado = {{ path = "{tree}", version = "{tree.name}" }}'
    return text + (f'\nlicence = "{licence}"' if licence else "")


def found(project: Project, name: str = "tiny") -> Any:
    """What a step printed after `found`."""
    log = (project.folder(name) / "build.log").read_text()
    return json.loads(next(line for line in log.splitlines() if "found {" in line).partition("found ")[2])


def test_what_a_step_sees_of_the_tools(contained: Project, tree: Path, tmp_path: Path) -> None:
    licence = tmp_path / "Xilinx.lic"
    licence.write_text("INCREMENT Vivado")
    deps = fake_vivado.make_dependencies(tmp_path / "deps")
    toolchain_table(contained, f'{vivado(tree, str(licence))}\ndeps = "{deps}"')
    contained.plugin("look.py", LOOK)
    contained.blueprint(steps=["look", "step_qonnx_to_finn"])
    contained.succeed("build:config_001")
    seen = found(contained)
    assert seen["vivado"] == str(tree / "bin" / "vivado")
    assert seen["XILINX_VIVADO"] == str(tree)
    assert "Vivado v2022.2 (64-bit)" in seen["says"]
    assert seen["maps"], seen["LD_PRELOAD"]
    assert seen["LD_PRELOAD"].startswith("libudev.so.1")
    assert seen["licence"] == "INCREMENT Vivado"
    assert seen["FINN_DEPS"] == str(deps)
    assert seen["refused"] == [True] * 4
    tools = contained.read("manifest.json", "tiny")["toolchain"]["tools"]
    assert tools["version"] == "2022.2"
    assert "v2022.2 (64-bit) SW Build 3671981" in tools["versions"]["vivado"]


@ONE_ENGINE
def test_flow_to_synthesis_of_layers_is_the_local_one(engine: Engine, tree: Path, tmp_path: Path) -> None:
    """With a store of its own in each place; models name the folders of their code, which lie there."""
    deps = fake_vivado.make_dependencies(tmp_path / "deps")
    built = []
    for runtime in ("local", "container"):
        project = container_project(engine, tmp_path / runtime)
        toolchain_table(project, f'share = true\n{vivado(tree)}\ndeps = "{deps}"')
        project.blueprint(config=FIELDS, steps=TO_HARDWARE)
        run = project.succeed(f"runtime={runtime}", "build:config_001")
        assert run.steps == TO_HARDWARE
        built.append(project)
    local, contained = (contents(each.folder("tiny")) for each in built)
    assert set(local) == set(contained)
    assert {name for name in local if local[name] != contained[name]} == NAME_FOLDERS
    again = built[1].succeed("runtime=container", "build:config_001")
    assert "nothing to do" in again.output


# refused before a step runs


def refused(project: Project, *words: str) -> None:
    before = contents(project.folder(), ())
    run = project.fail("build:config_001")
    for word in words:
        assert word in run.output, run.output
    assert "\n  -> " in run.output
    assert run.steps == []
    assert contents(project.folder(), ()) == before


@ONE_ENGINE
def test_tree_that_lies_about_its_version(contained: Project, between: Proxy, tmp_path: Path) -> None:
    """Its tools are asked, each in a container; no other is made."""
    toolchain_table(contained, vivado(fake_vivado.make(tmp_path / "lying", says="2023.1")))
    refused(contained, "is v2023.1", "2022.2 is pinned")
    assert between.containers_made == 2


@ONE_ENGINE
def test_tree_without_licence(contained: Project, between: Proxy, tree: Path) -> None:
    toolchain_table(contained, vivado(tree, licence=""))
    refused(contained, "Vivado has no licence", "tool.finnmake.toolchain.licence")
    assert between.containers_made == 0


@ONE_ENGINE
def test_licence_server_without_network(contained: Project, between: Proxy, tree: Path) -> None:
    toolchain_table(contained, vivado(tree, licence="2100@server"))
    refused(contained, "2100@server", "no network", "tool.finnmake.container.network")
    assert between.containers_made == 0


@ONE_ENGINE
def test_licence_server_with_network(contained: Project, tree: Path) -> None:
    settings(contained, 'network = "host"')
    toolchain_table(contained, vivado(tree, licence="2100@server"))
    contained.blueprint(steps=["step_qonnx_to_finn"])
    contained.succeed("build:config_001")


# FINN's dependencies


def edit_a_header(project: Project, deps: Path) -> None:
    """What a step reads there counts, and so does what it does not read: a tool might."""
    toolchain_table(project, f'deps = "{deps}"')
    project.plugin("read.py", READ)
    project.blueprint(steps=["read", "step_qonnx_to_finn"])
    assert project.succeed("build:config_001").steps == ["read", "step_qonnx_to_finn"]
    assert "nothing to do" in project.succeed("build:config_001").output
    header = deps / "finn-hlslib" / "bnn-library.h"
    before = header.read_text()
    header.write_text("#pragma once // edited\n")
    assert project.succeed("build:config_001").steps == ["read", "step_qonnx_to_finn"]
    assert "found #pragma once // edited" in (project.folder("tiny") / "build.log").read_text()
    header.write_text(before)
    assert project.succeed("build:config_001").steps == []


@ONE_ENGINE
def test_edited_header_makes_steps_run_again(contained: Project, tmp_path: Path) -> None:
    edit_a_header(contained, fake_vivado.make_dependencies(tmp_path / "deps"))


def test_edited_header_makes_steps_run_again_locally(empty_project: Project, tmp_path: Path) -> None:
    edit_a_header(empty_project, fake_vivado.make_dependencies(tmp_path / "deps"))


@ONE_ENGINE
def test_dependencies_that_are_not_there(contained: Project, between: Proxy, tmp_path: Path) -> None:
    toolchain_table(contained, f'deps = "{tmp_path}/nonesuch"')
    refused(contained, f"there is no folder {tmp_path}/nonesuch", "tool.finnmake.toolchain.deps")
    assert between.containers_made == 0

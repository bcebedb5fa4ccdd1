"""Whole builds of networks with branches and with averages; and of one whose FIFO is too shallow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import fifos
from finnmake.backends.open_rtl.design import Design
from finnmake.engine.parts import Parts
from tests.backends.open_rtl import builds, networks
from tests.projects import Project

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: The smallest folding: one multiplication a cycle in each layer.
SLOW: Mapping[str, Any] = {"target_fps": 1000}
STEPS = (builds.simulate(12), builds.BRANCHES)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Project:
    project = builds.project(tmp_path_factory.mktemp("topologies"), runtime)
    for make in (networks.shortcut, networks.averaging):
        make().save(str(project.root / f"models/{make.__name__}.onnx"))
    return project


def exact(project: Project, name: str) -> Design:
    """The design of a build, which gave what its model gives, without pauses and with them."""
    found = builds.simulated(project, name)
    assert found["inferences"] == len(found["simulation"]["finish"]) == 12
    assert found["worst_difference"] < 1e-3
    assert found["stalled"]["cycles"] >= found["simulation"]["cycles"]
    return designs.read(project.folder(name) / "artifacts/open_rtl/rtl")


@pytest.fixture(scope="module")
def residual(project: Project) -> Design:
    """The design of a residual network, built and verified."""
    builds.build(project, "residual", "../models/shortcut.onnx", STEPS, **SLOW)
    return exact(project, "residual")


def test_a_residual_network_is_exact(residual: Design) -> None:
    operators = [layer.op_type for layer in residual.layers]
    assert {"DuplicateStreams_hls", "ElementwiseAdd_hls"} < {*operators}


def test_a_network_with_averages_is_exact(project: Project) -> None:
    builds.build(project, "averaging", "../models/averaging.onnx", STEPS[:1], **SLOW)
    design = exact(project, "averaging")
    assert {"Pool_hls", "GlobalAccPool_hls"} < {layer.op_type for layer in design.layers}
    assert design.tail


def test_a_shortcut_with_too_shallow_a_fifo_deadlocks_and_the_fifo_is_named(
    project: Project, residual: Design
) -> None:
    around = next(
        fifo
        for fifo in residual.fifos
        if (fifo.producer, fifo.consumer) == ("DuplicateStreams_hls_0", "ElementwiseAdd_hls_0")
    )
    depths = {fifo.name: fifo.depth for fifo in residual.fifos} | {around.name: fifos.LEAST}
    (project.root / "shallow.json").write_text(json.dumps(fifos.fifo_config(residual, depths)))
    config = {**SLOW, "fifo_config_file": "../shallow.json"}
    builds.build(project, "shallow", "../models/shortcut.onnx", STEPS, code=2, **config)
    result = project.read("result.json", "shallow")
    assert (result["status"], result["error_category"]) == ("FAILED", "timing")
    assert "deadlock" in result["error_message"]
    assert f"FIFO {around.name} is full, and ElementwiseAdd_hls_0 waits for" in result["error_message"]

"""Build runners by the name of their backend."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finnmake.engine.files import FileDigests
from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.records import BuildConfig, BuildStatus, OutputStage
from finnmake.runner.build import BuildRunner
from finnmake.runner.factory import create_build_runner_factory


def runner_of(backend: str, project: Path) -> BuildRunner:
    engine: Any = SimpleNamespace(digests=FileDigests())
    nothing: Any = None
    return create_build_runner_factory(backend)(engine, project, nothing, str, lambda *_: None)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("finn", list(OutputStage)),
        ("mock", [OutputStage.ESTIMATES, OutputStage.DATAFLOW_GRAPH, OutputStage.RTL]),
    ],
)
def test_a_runner_knows_its_backend(tmp_path: Path, name: str, stages: list[OutputStage]) -> None:
    runner = runner_of(name, tmp_path)
    assert runner.get_backend_name() == name
    assert runner.get_supported_output_stages() == stages
    assert runner.backend.simulated == (name == "mock")


@pytest.mark.parametrize("name", ["", "vivado", "Finn", "finnmake.backends.finn"])
def test_an_unknown_backend_names_those_that_exist(name: str) -> None:
    with pytest.raises(FinnmakeError, match="finn, mock"):
        create_build_runner_factory(name)


def test_an_unknown_backend_names_the_nearest() -> None:
    with pytest.raises(FinnmakeError, match=r"Did you mean mock\?"):
        create_build_runner_factory("mok")


@pytest.mark.parametrize(("runs", "asked"), [("finn", "mock"), ("mock", "finn")])
def test_a_configuration_of_another_backend_is_refused(tmp_path: Path, runs: str, asked: str) -> None:
    (tmp_path / "net.onnx").write_bytes(b"\x3a\x00")  # an empty graph
    config = BuildConfig(
        id="config_001",
        design_space_id="small",
        content_id="0",
        model_path="net.onnx",
        kernels=(),
        transforms_by_stage={},
        build_steps=(),
        config_flags={},
        global_config={"timeout_seconds": 1},
        backend=asked,
        output_dir="builds/small/config_001",
        combination_index=0,
        total_combinations=1,
    )
    runner = runner_of(runs, tmp_path)
    with pytest.raises(BlueprintError, match=f"is for the backend {asked}, this runner for {runs}"):
        runner.preprocess(config)
    result = runner.run(config)
    assert (result.status, result.simulated) == (BuildStatus.FAILED, runs == "mock")

"""Build runners by the name of their backend."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import finnmake
from finnmake.backends import ALIASES, BACKENDS, BackendTable, backend_names, find_backend
from finnmake.blueprint.own_backends import OwnBackends
from finnmake.engine.files import FileDigests
from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.records import BuildConfig, BuildStatus, OutputStage
from finnmake.runner.build import BuildRunner
from finnmake.runner.factory import create_build_runner_factory


def runner_of(backend: str, project: Path) -> BuildRunner:
    engine: Any = SimpleNamespace(digests=FileDigests())
    nothing: Any = None
    pages: Any = SimpleNamespace(report=str, failure=lambda *_: "")
    factory = create_build_runner_factory(backend)
    return factory.on_engine(engine, project, nothing, pages, lambda *_: None)


@pytest.mark.parametrize(
    ("name", "stages"),
    [
        ("finn", list(OutputStage)),
        ("brainsmith", [OutputStage.ESTIMATES, OutputStage.STITCHED_IP, OutputStage.BITFILE]),
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
    with pytest.raises(
        FinnmakeError, match="finn, brainsmith, mock, open_rtl, legacy_finn, future_brainsmith"
    ):
        create_build_runner_factory(name)


@pytest.mark.parametrize(("alias", "name"), [("legacy_finn", "finn"), ("future_brainsmith", "brainsmith")])
def test_an_alias_is_the_backend_itself(tmp_path: Path, alias: str, name: str) -> None:
    assert create_build_runner_factory(alias) == create_build_runner_factory(name)
    assert runner_of(alias, tmp_path).get_backend_name() == name
    assert OwnBackends().find(alias) == OwnBackends().find(name) == BackendTable().find(alias)


def test_auto_is_the_backend_that_the_design_space_names(tmp_path: Path) -> None:
    factory = create_build_runner_factory("auto")
    assert factory.on("legacy_finn") == create_build_runner_factory("finn")
    assert factory.on("mock") == create_build_runner_factory("mock")
    assert create_build_runner_factory("mock").on("finn") == create_build_runner_factory("mock")
    with pytest.raises(BlueprintError, match="the backend auto is known only with a design space"):
        runner_of("auto", tmp_path)
    with pytest.raises(BlueprintError, match="there is no backend 'auto'"):
        factory.on("auto")


@pytest.mark.parametrize(("asked", "name"), [("mock", "mock"), ("legacy_finn", "finn")])
def test_called_it_gives_the_public_build_runner(tmp_path: Path, asked: str, name: str) -> None:
    runner = finnmake.create_build_runner_factory(asked)(project=tmp_path)
    assert isinstance(runner, finnmake.BuildRunner) and isinstance(runner, finnmake.BuildRunnerInterface)
    assert runner.get_backend_name() == name


def test_called_auto_says_what_to_do(tmp_path: Path) -> None:
    factory = finnmake.create_build_runner_factory("auto")
    with pytest.raises(BlueprintError, match="the backend auto is known only with a design space") as caught:
        factory()
    assert "factory.on(space.backend)" in caught.value.cure
    assert factory.on("mock")(project=tmp_path).get_backend_name() == "mock"


def test_the_names_are_those_that_can_be_asked_for() -> None:
    names = list(backend_names())
    assert names[: len(BACKENDS) + len(ALIASES)] == [*BACKENDS, *ALIASES]
    assert all(find_backend(name) for name in names)


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

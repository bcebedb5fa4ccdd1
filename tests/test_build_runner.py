"""`BuildRunner` from Python: the build of `doit build:config_001`, with failures in the result."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import finnmake
from finnmake import (
    BuildConfig,
    BuildResult,
    BuildRunner,
    BuildRunnerInterface,
    BuildStatus,
    OutputStage,
    find_config,
    forge,
    iter_configs,
    variant,
)
from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.runner.build import BuildRunner as EngineRunner
from tests.explorations import STEPS, mock_space
from tests.projects import Project, contents, traces


@pytest.fixture
def here(empty_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project in the current folder, whose store this process uses."""
    empty_project.enter(monkeypatch)
    return empty_project


def configs_of(project: Project, **changes: Any) -> list[BuildConfig]:
    return list(iter_configs(forge(None, mock_space(project, **changes))))


# what a build runner is


def test_both_runners_have_the_interface() -> None:
    runner: BuildRunnerInterface = BuildRunner("mock")
    assert isinstance(runner, BuildRunnerInterface) and issubclass(EngineRunner, BuildRunnerInterface)
    assert runner.get_backend_name() == "mock"
    assert runner.get_supported_output_stages()[0] is OutputStage.ESTIMATES


def test_every_public_name_is_there() -> None:
    for name in finnmake.__all__:
        assert getattr(finnmake, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'BuildRuner'"):
        _ = finnmake.BuildRuner


@pytest.mark.parametrize(("name", "words"), [("vitis", "finn"), ("auto", "config.backend")])
def test_a_backend_that_it_cannot_be_is_refused_at_once(name: str, words: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        BuildRunner(name)
    assert words in str(caught.value)


# as doit does


def test_it_leaves_the_files_of_doit_and_doit_finds_them(here: Project) -> None:
    (config, *_) = configs_of(here)
    result = BuildRunner("mock").run(config)
    assert result.is_successful() and result.has_metrics() and result.simulated
    assert here.read("result.json", "tiny") == result.to_dict()
    assert BuildResult.from_dict(result.to_dict()) == result
    left = contents(here.folder("tiny"))
    keys = traces(here.store)
    run = here.succeed("build:config_001")
    assert run.steps == [] and "4 came from the store" in run.output
    assert contents(here.folder("tiny")) == left
    assert traces(here.store) == keys
    assert here.succeed("build:config_001").output.startswith("nothing to do")


def test_after_doit_it_runs_no_step(here: Project, capfd: pytest.CaptureFixture[str]) -> None:
    config = configs_of(here)[1]
    here.succeed("build:config_002")
    left = contents(here.folder("tiny", "config_002"))
    capfd.readouterr()
    assert BuildRunner("mock").run(config).is_successful()
    assert contents(here.folder("tiny", "config_002")) == left
    (line,) = capfd.readouterr().out.splitlines()
    assert line.startswith("build:config_002 ") and line.endswith("(simulated)")


@pytest.mark.finn
@pytest.mark.slow
def test_on_finn_it_is_the_build_of_the_example(
    project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From another folder, into a project in which doit has built the example: all comes from the store."""
    project.enter(monkeypatch, tmp_path)
    left = contents(project.folder())
    keys = traces(project.store)
    config = find_config(forge(None, project.root / "blueprints" / "digits.yaml"), "config_001")
    result = BuildRunner("finn", project=project.root).run(config)
    assert result.is_successful() and not result.simulated
    assert result.metrics is not None and result.metrics.throughput == pytest.approx(48828.125)
    assert contents(project.folder()) == left and traces(project.store) == keys


def test_inside_with_builds_share_a_session(here: Project, capfd: pytest.CaptureFixture[str]) -> None:
    configs = configs_of(here)
    with BuildRunner("mock") as runner:
        results = [runner.run(config) for config in configs]
        again = runner.run(configs[0])
        with pytest.raises(FinnmakeError, match="another run is building"):
            finnmake.explore(forge(None, here.root / "blueprints" / "tiny.yaml"))
    assert [result.status for result in results] == [BuildStatus.SUCCESS] * 4
    assert again.metrics == results[0].metrics
    assert again.start_time >= results[-1].end_time  # the clock of a build starts anew
    assert "4 came from the store" in here.succeed("build:config_001").output  # so the lock is free


def test_inside_with_threads_build_at_once(here: Project) -> None:
    configs = configs_of(here)
    found: dict[str, BuildResult] = {}
    with BuildRunner("mock") as runner:
        threads = [
            threading.Thread(target=lambda config=config: found.update({config.id: runner.run(config)}))
            for config in configs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert {name: result.status.value for name, result in found.items()} == {
        config.id: "SUCCESS" for config in configs
    }


def test_configurations_of_two_spaces_have_their_own_times(here: Project) -> None:
    """`config_001` of one design space is not that of another."""
    slow = [STEPS[0], {"step": STEPS[1], "sleep": 0.5}, *STEPS[2:]]
    one = configs_of(here, steps=slow)[0]
    here.blueprint("other", keys={"backend": "mock"}, config={"fpga_part": "xc7z020clg400-1"}, steps=STEPS)
    other = next(iter_configs(forge(None, here.root / "blueprints" / "other.yaml")))
    assert one.id == other.id
    with BuildRunner("mock") as runner:
        first, second = runner.run(one), runner.run(other)
    assert first.duration_seconds >= 0.5 and second.start_time >= first.end_time
    assert here.read("result.json", "other")["start_time"] == second.start_time


def test_the_program_is_left_as_it_was(here: Project) -> None:
    before = (os.getcwd(), dict(os.environ), threading.active_count())
    BuildRunner("mock").run(configs_of(here)[0])
    assert (os.getcwd(), dict(os.environ), threading.active_count()) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


# the pipelines


def test_the_pipelines_run_alone(here: Project) -> None:
    here.plugin(
        "own.py", "from finnmake.plugins import analysis\n\n@analysis\ndef count(build):\n    return {}\n"
    )
    config = configs_of(here, transforms={"pre_proc": ["GiveUniqueNodeNames"], "post_proc": ["count"]})[0]
    runner = BuildRunner("mock")
    reads = runner.preprocessing_pipeline.run(config)
    assert config.model_path in reads[0]["files"]
    assert {path.name for path in here.folder("tiny").iterdir()} >= {"model.onnx", "processed_model.onnx"}
    assert runner.run(config).is_successful()
    done = runner.postprocessing_pipeline.run(config)
    assert (done.warnings, done.whole) == ([], True)
    assert (here.folder("tiny") / "postprocessing" / "count.json").exists()


# failures


def test_a_step_that_fails_is_in_the_result(here: Project) -> None:
    steps = ["step_tidy_up", {"step": "step_streamline", "fail": True}, *STEPS[2:]]
    config = configs_of(here, steps=steps)[0]
    with BuildRunner("mock") as runner:
        for _ in range(2):
            result = runner.run(config)
            assert result.status is BuildStatus.FAILED and result.error_category == "transform"
            assert "step_streamline" in (result.error_message or "") and result.logs == {"build": "build.log"}
    assert here.read("result.json", "tiny") == result.to_dict()


def test_a_configuration_of_another_backend_is_in_the_result(here: Project) -> None:
    result = BuildRunner("finn").run(configs_of(here)[0])
    assert (result.status, result.error_category) == (BuildStatus.FAILED, "config")
    assert "is for the backend mock" in (result.error_message or "") and result.tips


def test_a_configuration_that_is_not_what_its_content_id_says_is_in_the_result(here: Project) -> None:
    """It would be served for the one whose folder it has."""
    config = configs_of(here)[0]
    other = replace(config, config_flags={**config.config_flags, "target_fps": 7})
    result = BuildRunner("mock").run(other)
    assert (result.status, result.error_category) == (BuildStatus.FAILED, "config")
    assert "finnmake.variant" in result.tips[0] and not here.folder("tiny").exists()


def test_a_configuration_that_cannot_be_is_in_the_result(here: Project) -> None:
    config = configs_of(here)[0]
    runner = BuildRunner("mock")
    for changes in (
        {"config_flags": {**config.config_flags, "synth_clk_period_ns": "abc"}},
        {"global_config": {**config.global_config, "timeout_seconds": "x"}},
        {"global_config": {**config.global_config, "output_stage": "NOPE"}},
        {"transforms_by_stage": {"pre_proc": [{}]}},
    ):
        result = runner.run(replace(config, **changes))
        assert (result.status, result.error_category) == (BuildStatus.FAILED, "config")
        with pytest.raises(BlueprintError):
            runner.preprocessing_pipeline.run(replace(config, **changes))
    other = replace(config, config_flags={**config.config_flags, "target_fps": 7})
    with pytest.raises(BlueprintError, match="content id"):
        runner.preprocessing_pipeline.run(other)
    assert not here.folder("tiny").exists()


def test_a_variant_has_a_folder_of_its_own(here: Project) -> None:
    config = configs_of(here)[0]
    with BuildRunner("mock") as runner:
        before = runner.run(config)
        left = contents(here.folder("tiny"))
        after = runner.run(variant(config, "quick", config_flags={"target_fps": 9000}))
    assert before.metrics is not None and after.metrics is not None
    assert before.metrics.throughput != after.metrics.throughput
    assert contents(here.folder("tiny")) == left
    assert here.read("manifest.json", "tiny", "quick")["config_id"] == "quick"


def test_a_model_that_is_gone_is_in_the_result(here: Project) -> None:
    config = variant(configs_of(here)[0], "gone", model_path="models/gone.onnx")
    result = BuildRunner("mock").run(config)
    assert (result.status, result.error_category) == (BuildStatus.FAILED, "model_load")


def test_a_project_in_which_another_run_builds_is_in_the_result(here: Project) -> None:
    config = configs_of(here, steps=["step_tidy_up", {"step": "step_streamline", "sleep": 30}, *STEPS[2:]])[0]
    with here.start("build:config_001") as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            result = BuildRunner("mock").run(config)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert (result.status, result.error_category) == (BuildStatus.FAILED, "environment")
    assert f"another run is building in this folder (process {process.pid})" in (result.error_message or "")


def test_settings_that_are_wrong_are_in_the_result(here: Project) -> None:
    config = configs_of(here)[0]
    (here.root / "pyproject.toml").write_text("[tool.finnmake]\nblueprint = 7\n")
    result = BuildRunner("mock").run(config)
    assert result.status is BuildStatus.FAILED and "blueprint" in (result.error_message or "")


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_in_the_result(here: Project) -> None:
    config = configs_of(here)[0]
    (here.root / "builds").mkdir()
    (here.root / "builds").chmod(0o500)
    result = BuildRunner("mock").run(config)
    assert (result.status, result.error_category) == (BuildStatus.FAILED, "environment")


def test_a_file_in_the_way_of_the_outputs_is_in_the_result(here: Project) -> None:
    config = configs_of(here)[0]
    (here.root / "builds").write_text("")
    result = BuildRunner("mock").run(config)
    assert result.status is BuildStatus.FAILED and "builds" in (result.error_message or "")

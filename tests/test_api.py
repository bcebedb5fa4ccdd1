"""`forge` and `explore` from Python: the run of `doit explore`, in programs that live on after it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from finnmake import (
    CachingHook,
    ExplorationHook,
    ExplorationResult,
    LoggingHook,
    create_build_runner_factory,
    explore,
    forge,
)
from finnmake.errors import BlueprintError, FinnmakeError, WorkspaceError
from finnmake.exploration.tree import Segment
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from tests.explorations import STEPS, fields, folder, mock_space, record
from tests.projects import Project, contents

MOCK = create_build_runner_factory("mock")
BRANCH: Sequence[Any] = ["step_tidy_up", ["step_streamline", "step_convert_to_hw"], *STEPS[2:]]


@pytest.fixture
def here(empty_project: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Project:
    """A project whose store this process uses; the current folder is another one."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    empty_project.enter(monkeypatch, elsewhere)
    return empty_project


class Diary(ExplorationHook):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, ...]] = []

    def before_exploration(self, space: Any, configs: Sequence[BuildConfig]) -> None:
        self.told.append(("before_exploration", space.name, str(len(configs))))

    def after_exploration(self, result: ExplorationResult) -> None:
        self.told.append(("after_exploration", str(result.success_count)))

    def before_build(self, config: BuildConfig) -> None:
        self.told.append(("before_build", config.id))

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        self.told.append(("after_build", config.id, result.status.value))

    def before_segment(self, segment: Segment) -> None:
        self.told.append(("before_segment", segment.id))

    def after_segment(self, segment: Segment, error: str | None) -> None:
        self.told.append(("after_segment", segment.id))

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        self.told.append(("on_step", owner, step, event))

    def of(self, *events: str) -> list[tuple[str, ...]]:
        return [each for each in self.told if each[0] in events]


class Clumsy(ExplorationHook):
    """Raises, whatever it is told."""

    def before_exploration(self, space: Any, configs: Any) -> None:
        raise ValueError("before")

    def after_exploration(self, result: ExplorationResult) -> None:
        raise ValueError("after")

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        raise KeyError(config.id)

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        raise RuntimeError(step)


def space_of(project: Project, **changes: Any) -> Any:
    return forge(None, mock_space(project, **changes))


# as documented


EXAMPLE = """
from finnmake import forge, explore, create_build_runner_factory, LoggingHook, CachingHook
space = forge("models/digits_mlp_w2a2.onnx", "blueprints/digits.yaml")
results = explore(space, create_build_runner_factory("BACKEND"), hooks=[LoggingHook(), CachingHook()])
print(results.best_config.id, f"{results.success_count / results.evaluated_count:.0%}")
"""


@pytest.mark.parametrize(
    "backend", ["mock", pytest.param("finn", marks=[pytest.mark.finn, pytest.mark.slow])]
)
def test_the_example(empty_project: Project, backend: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXAMPLE.replace("BACKEND", backend)],
        cwd=empty_project.root,
        env=empty_project.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    best, share = done.stdout.splitlines()[-1].split()
    assert share == "100%" and best == record(empty_project, "digits")["summary"]["best_config"]
    assert "digits: 8 configurations" in done.stderr and "Traceback" not in done.stderr
    assert ("simulated" in done.stdout) == (backend == "mock")


def test_it_is_the_run_of_the_command_line(here: Project) -> None:
    found = explore(space_of(here))
    assert found.success_count == found.evaluated_count == 4
    assert found.to_dict() == json.loads(json.dumps(record(here)))
    assert here.succeed("explore").output.startswith("nothing to do")
    assert {**record(here), "duration_seconds": 0, "steps": 0, "summary": 0} == {
        **found.to_dict(),
        "duration_seconds": 0,
        "steps": 0,
        "summary": 0,
    }


def test_up_to_date_after_the_command_line(here: Project) -> None:
    mock_space(here)
    here.succeed("build")
    hook = CachingHook()
    found = explore(forge(None, here.root / "blueprints" / "tiny.yaml"), hooks=[hook])
    assert found.steps.up_to_date == 16 and (found.steps.ran, found.steps.shared) == (0, 0)
    assert hook.up_to_date == [f"config_00{number}" for number in range(1, 5)]
    assert hook.summary() == "0 steps ran, 0 from the store, 4 builds up to date"


def test_not_resumed_all_outputs_are_made_again(here: Project) -> None:
    space = space_of(here)
    explore(space)
    found = explore(space, resume=False)
    assert (found.steps.ran, found.steps.shared, found.steps.up_to_date) == (0, 16, 0)


def test_relative_paths_are_those_of_the_current_folder(
    here: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    mock_space(here)
    monkeypatch.chdir(here.root / "blueprints")
    space = forge("../models/digits_mlp_w2a2.onnx", "tiny.yaml")
    assert space.model_path == "models/digits_mlp_w2a2.onnx"
    assert explore(space).success_count == 4
    assert folder(here).is_dir()


def test_a_failure_from_another_folder_has_its_log(here: Project) -> None:
    steps = ["step_tidy_up", {"step": "step_streamline", "fail": True}, *STEPS[2:]]
    found = explore(space_of(here, steps=steps), workers=2)
    assert found.failures == {"transform": ["config_001"]}
    assert [each.status for each in found.results[1:]] == [BuildStatus.SKIPPED] * 3
    log = here.folder("tiny") / "build.log"
    assert "==== step_streamline (failed)\ntransform" not in log.read_text()
    assert "step step_streamline: simulated by" in log.read_text()
    assert list(Path.cwd().iterdir()) == []


# nothing stale in a long-lived process


@pytest.mark.finn
@pytest.mark.slow
def test_edits_between_two_explorations_are_seen(here: Project) -> None:
    """Of a plugin, of the model and of the blueprint, in one process."""
    text = (
        "from finnmake.plugins import step\n\n@step\ndef mark(model, cfg):\n"
        "    model.set_metadata_prop('mark', 'ONE')\n    return model\n"
    )
    plugin = here.plugin("mark.py", text)
    steps = ["step_qonnx_to_finn", "mark"]
    path = here.blueprint(config=fields(target_fps=1000, synth_clk_period_ns=5.0), steps=steps)
    model = here.root / "models" / "digits_mlp_w2a2.onnx"
    space = forge(None, path)
    final = here.folder("tiny") / "final_model.onnx"

    def explored() -> bytes:
        assert explore(space).success_count == 1
        return final.read_bytes()

    first = explored()
    assert b"ONE" in first
    plugin.write_text(text.replace("ONE", "TWO"))
    second = explored()
    assert b"TWO" in second and b"ONE" not in second
    model.write_bytes((here.root / "models" / "digits_cnn_w4a4.onnx").read_bytes())
    third = explored()
    assert b"TWO" in third and abs(len(third) - len(second)) > 1000
    here.blueprint(config=fields(target_fps=1000, synth_clk_period_ns=5.0), steps=[*steps, "step_tidy_up"])
    space = forge(None, path)
    assert explored() != third
    assert [each["name"] for each in here.read("manifest.json", "tiny")["steps"]][-1] == "step_tidy_up"


def test_a_removed_output_is_made_again(here: Project) -> None:
    space = space_of(here)
    explore(space)
    (here.folder("tiny") / "final_model.onnx").unlink()
    found = explore(space)
    assert (here.folder("tiny") / "final_model.onnx").exists()
    assert found.success_count == 4 and found.steps.ran == 0


# hooks


@pytest.mark.parametrize("workers", [1, 2])
def test_hooks_are_told_in_order(here: Project, workers: int) -> None:
    diary, caching = Diary(), CachingHook()
    found = explore(space_of(here, steps=BRANCH), hooks=[diary, caching], workers=workers)
    told = diary.told
    assert told[0] == ("before_exploration", "tiny", "8") and told[-1] == ("after_exploration", "8")
    for config in found.configs:
        assert told.count(("before_build", config.id)) == 1
        assert told.count(("after_build", config.id, "SUCCESS")) == 1
        assert told.index(("before_build", config.id)) < told.index(("after_build", config.id, "SUCCESS"))
    segments = [each[1] for each in diary.of("before_segment")]
    assert len(segments) == len(set(segments)) == 3
    assert sorted(segments) == sorted(each[1] for each in diary.of("after_segment"))
    done = [each for each in diary.of("on_step") if each[3] == "done"]
    assert len(done) == found.steps.ran == caching.ran.total() == 1 + 2 + 8 + 8
    for _, owner, step, _ in done:
        assert told.index(("on_step", owner, step, "run")) < told.index(("on_step", owner, step, "done"))
        start = ("before_segment", owner) if owner in segments else ("before_build", owner)
        assert told.index(start) < told.index(("on_step", owner, step, "run"))


def test_hooks_are_told_of_failures_and_of_those_not_reached(here: Project) -> None:
    diary = Diary()
    steps = ["step_tidy_up", {"step": "step_streamline", "fail": True}, *STEPS[2:]]
    explore(space_of(here, steps=steps), hooks=[diary], fail_fast=True)
    ended = {each[1]: each[2] for each in diary.of("after_build")}
    assert ended == {"config_001": "FAILED", **{f"config_00{number}": "SKIPPED" for number in (2, 3, 4)}}
    assert len(diary.of("after_build")) == 4


def test_a_raising_hook_harms_nothing(here: Project, capsys: pytest.CaptureFixture[str]) -> None:
    diary = Diary()
    found = explore(space_of(here), hooks=[Clumsy(), diary], workers=2)
    assert found.success_count == 4 and len(diary.of("after_build")) == 4
    shown = capsys.readouterr().out
    assert "warning: The hook Clumsy.before_exploration raised ValueError: before" in shown
    assert shown.count("Clumsy.on_step") == shown.count("Clumsy.after_build") == 1
    assert (folder(here) / "results.json").exists()


def test_the_logging_hook_logs(here: Project, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.explore")
    with caplog.at_level(logging.INFO, logger=logger.name):
        explore(space_of(here), hooks=[LoggingHook(logger)])
    lines = [each.getMessage() for each in caplog.records if each.name == logger.name]
    assert lines[0] == "tiny: 4 configurations"
    assert "config_004 SUCCESS" in "\n".join(lines) and "best config_00" in lines[-1]


# backends


@pytest.mark.finn
@pytest.mark.slow
def test_simulated_and_real_results_are_never_mixed(here: Project) -> None:
    """One blueprint for FINN, explored with the mock, with FINN and again, into the same folder."""
    steps = ["step_qonnx_to_finn", "step_tidy_up"]
    path = here.blueprint(config=fields(synth_clk_period_ns=5.0), steps=steps)
    shown = []
    for name in ("mock", "finn", "mock", "finn"):
        hook = CachingHook()
        found = explore(forge(None, path), create_build_runner_factory(name), hooks=[hook])
        assert found.simulated == (name == "mock") and found.success_count == 2
        assert hook.up_to_date == []
        assert record(here)["simulated"] == (name == "mock")
        for config in found.configs:
            assert here.read("manifest.json", "tiny", config.id)["backend"] == config.backend == name
            assert found.result_of(config.id).simulated == (name == "mock")
        shown.append({each.id: contents(here.folder("tiny", each.id)) for each in found.configs})
        assert found.steps.ran == (2 if len(shown) <= 2 else 0)
    assert shown[0] == shown[2] != shown[1] == shown[3]


def test_a_backend_that_does_not_go_so_far_is_refused(here: Project) -> None:
    path = here.blueprint(keys={"output_stage": "STITCHED_IP"})
    with pytest.raises(BlueprintError, match="the backend mock does not go as far as STITCHED_IP") as caught:
        explore(forge(None, path), MOCK)
    assert caught.value.where.line and "RTL" in caught.value.cure
    assert not (here.root / "builds" / "tiny").exists()


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(BlueprintError, match="mock"):
        create_build_runner_factory("vitis")


# what keeps an exploration from starting


def test_mistakes_in_a_blueprint_are_raised_all_at_once(here: Project) -> None:
    path = here.blueprint(keys={"speed": 1}, config={"target_fsp": 3})
    with pytest.raises(FinnmakeError) as caught:
        forge(None, path)
    assert "speed" in str(caught.value) and "target_fsp" in str(caught.value)


def test_a_project_without_settings_is_refused(here: Project) -> None:
    space = space_of(here)
    (here.root / "pyproject.toml").write_text("[tool.finnmake]\nblueprint = 7\n")
    with pytest.raises(WorkspaceError, match="blueprint"):
        explore(space)


def test_a_space_too_large_and_one_that_is_empty_are_refused(here: Project) -> None:
    for search, words in (({"max_combinations": 3}, "4 combinations are more"), ({}, "allow none of the 4")):
        space = space_of(here, keys={"search": search, "constraints": ["target_fps < 9"]})
        with pytest.raises(FinnmakeError, match=words):
            explore(space)


@pytest.mark.parametrize("workers", [0, -2])
def test_no_builds_at_once_are_refused(here: Project, workers: int) -> None:
    with pytest.raises(ValueError, match="at least one"):
        explore(space_of(here), workers=workers)


def test_a_folder_in_which_another_run_builds_is_refused(here: Project) -> None:
    steps = ["step_tidy_up", {"step": "step_streamline", "sleep": 30}, *STEPS[2:]]
    space = space_of(here, steps=steps)
    with here.start("explore") as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            with pytest.raises(
                WorkspaceError, match=f"another run is building in this folder .*{process.pid}"
            ):
                explore(space)
        finally:
            process.terminate()
            process.communicate(timeout=30)


# the program around it


@pytest.fixture
def handlers() -> Iterator[Mapping[int, Any]]:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


def test_the_program_is_left_as_it_was(here: Project, handlers: Mapping[int, Any]) -> None:
    """Signal handlers, current folder, arguments; the lock is free and no worker is left."""
    own = {signal.SIGTERM: lambda *_: None, signal.SIGINT: lambda *_: None}
    for number, handler in own.items():
        signal.signal(number, handler)
    before = (os.getcwd(), list(sys.argv), dict(os.environ), threading.active_count())
    explore(space_of(here))
    assert {number: signal.getsignal(number) for number in own} == own
    assert (os.getcwd(), list(sys.argv), dict(os.environ), threading.active_count()) == before
    assert here.succeed("build").output.startswith("nothing to do")  # in this folder, so the lock is free
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_in_two_threads_each_gets_its_own(here: Project, tmp_path: Path) -> None:
    other = Project.clone(tmp_path / "other", tmp_path / "store")
    spaces = {
        "tiny": space_of(here),
        "rates": forge(
            None,
            other.blueprint(
                "rates", keys={"backend": "mock"}, config=fields(target_fps=[1, 2, 3]), steps=STEPS
            ),
        ),
    }
    found: dict[str, ExplorationResult] = {}

    def run(name: str) -> None:
        found[name] = explore(spaces[name])

    threads = [threading.Thread(target=run, args=(name,)) for name in spaces]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {name: each.success_count for name, each in found.items()} == {"tiny": 4, "rates": 6}
    assert len(record(other, "rates")["results"]) == 6 and len(record(here)["results"]) == 4


def test_interrupted_it_raises_and_lets_go(here: Project) -> None:
    class Impatient(ExplorationHook):
        def before_build(self, config: BuildConfig) -> None:
            if config.id == "config_003":
                raise KeyboardInterrupt

    space = space_of(here)
    with pytest.raises(KeyboardInterrupt):
        explore(space, hooks=[Impatient()])
    assert not (folder(here) / "results.json").exists()
    found = explore(space)
    assert found.success_count == 4 and found.steps.up_to_date == 8

"""Hooks: all are told, none can harm, and those that come with finnmake say what happened."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
import threading
from typing import Any

import pytest

from finnmake.exploration.configs import iter_configs
from finnmake.exploration.hooks import CachingHook, ExplorationHook, Hooks
from finnmake.exploration.logging_hook import LoggingHook
from finnmake.exploration.results import ExplorationResult, StepCounts
from finnmake.exploration.tree import Segment, execution_tree
from finnmake.records import BuildMetrics, BuildResult, BuildStatus
from tests.exploration.spaces import small

SPACE = small({"target_fps": [1, 2, 3]})
CONFIGS = tuple(iter_configs(SPACE))
SEGMENT: Segment = execution_tree(CONFIGS).segments[0]
FAILURE = BuildResult(
    "config_002",
    BuildStatus.FAILED,
    duration_seconds=1.5,
    error_category="memory",
    error_message="no room\nTraceback",
)
SUCCESS = BuildResult("config_001", BuildStatus.SUCCESS, BuildMetrics(throughput=1.0), simulated=True)
SKIPPED = BuildResult("config_003", BuildStatus.SKIPPED, error_message="segment 12 failed")
RESULT = ExplorationResult.of(SPACE, CONFIGS, [SUCCESS, FAILURE, SKIPPED], StepCounts(2, 4), 9.0)

METHODS = [name for name in vars(ExplorationHook) if not name.startswith("_")]


def run(hook: ExplorationHook) -> None:
    """An exploration of three configurations: one built, one failed, one not reached."""
    hook.before_exploration(SPACE, CONFIGS)
    hook.before_segment(SEGMENT)
    hook.on_step(SEGMENT.id, "step_tidy_up", "run", 0.0)
    hook.on_step(SEGMENT.id, "step_tidy_up", "done", 0.25)
    hook.after_segment(SEGMENT, None)
    hook.after_segment(SEGMENT, "no room\nTraceback")
    hook.before_build(CONFIGS[0])
    hook.on_step("config_001", "step_tidy_up", "hit", 0.0)
    hook.after_build(CONFIGS[0], SUCCESS)
    hook.before_build(CONFIGS[1])
    hook.after_build(CONFIGS[1], FAILURE)
    hook.after_build(CONFIGS[2], SKIPPED)
    hook.after_exploration(RESULT)


class Recorder(ExplorationHook):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, tuple[Any, ...]]] = []


def _noting(name: str) -> Any:
    return lambda self, *args: self.told.append((name, args))


for _name in METHODS:
    setattr(Recorder, _name, _noting(_name))


class Broken(ExplorationHook):
    """Raises at each step."""

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        raise RuntimeError(f"no {event}")


def test_the_base_class_does_nothing() -> None:
    run(ExplorationHook())


def test_every_hook_is_told_everything_as_it_is() -> None:
    direct, first, second = Recorder(), Recorder(), Recorder()
    run(direct)
    run(Hooks([first, second]))
    assert first.told == second.told == direct.told
    assert {name for name, _ in direct.told} == set(METHODS)


def test_the_group_has_every_method_of_a_hook() -> None:
    assert [name for name in METHODS if name not in vars(Hooks)] == []


def test_a_hook_that_raises_harms_nothing_and_is_told_once() -> None:
    recorder = Recorder()
    hooks = Hooks([Broken(), recorder, Broken()])
    run(hooks)
    assert len(recorder.told) == 13
    assert hooks.warnings == ["The hook Broken.on_step raised RuntimeError: no run"] * 2


def test_an_interrupt_is_not_swallowed() -> None:
    class Stopped(ExplorationHook):
        def before_build(self, config: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hooks([Stopped()]).before_build(CONFIGS[0])


def test_a_line_of_logging_for_each_event(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    run(LoggingHook())
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "small: 3 configurations"),
        ("INFO", f"segment {SEGMENT.id} starts: 2 steps for 3 configurations"),
        ("DEBUG", f"{SEGMENT.id} step_tidy_up: run"),
        ("DEBUG", f"{SEGMENT.id} step_tidy_up: done, 0.25 s"),
        ("INFO", f"segment {SEGMENT.id} done"),
        ("ERROR", f"segment {SEGMENT.id} failed: no room"),
        ("INFO", "config_001 starts"),
        ("DEBUG", "config_001 step_tidy_up: hit"),
        ("INFO", "config_001 SUCCESS, 0.0 s (simulated)"),
        ("INFO", "config_002 starts"),
        ("ERROR", "config_002 FAILED, 1.5 s: memory: no room"),
        ("WARNING", "config_003 SKIPPED, 0.0 s: segment 12 failed"),
        ("INFO", "small: 1 of 3 built, 67 % of 6 steps did not run, 9.0 s (simulated)"),
    ]


def test_a_logger_and_a_level_can_be_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    LoggingHook(logging.getLogger("mine"), logging.WARNING).before_build(CONFIGS[0])
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("mine", "WARNING")


def test_where_no_logging_is_set_up_lines_go_to_standard_error() -> None:
    code = (
        "from finnmake.exploration.logging_hook import LoggingHook\n"
        "from tests.exploration.test_hooks import SPACE, CONFIGS\n"
        "LoggingHook(); LoggingHook().before_exploration(SPACE, CONFIGS)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.endswith(" INFO small: 3 configurations\n")
    assert done.stderr.count("\n") == 1


def test_caching_counts_what_came_from_the_store() -> None:
    hook = CachingHook()
    assert hook.summary() == "0 steps ran, 0 from the store, 0 builds up to date"
    run(hook)
    hook.on_step("config_001", "other", "hit", 0.0)
    hook.after_build(CONFIGS[2], BuildResult("config_003", BuildStatus.SUCCESS))
    assert hook.hits == {"config_001": 2}
    assert hook.ran == {SEGMENT.id: 1}
    assert hook.up_to_date == ["config_003"]
    assert hook.summary() == "1 steps ran, 2 from the store (67 %), 1 builds up to date"


def test_counts_and_warnings_are_whole_with_many_threads() -> None:
    caching = CachingHook()
    hooks = Hooks([caching, Broken()])

    def tell() -> None:
        for _ in range(500):
            hooks.on_step("config_001", "a", "hit", 0.0)

    threads = [threading.Thread(target=tell) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert caching.hits["config_001"] == 4000
    assert len(hooks.warnings) == 1


def test_hooks_take_what_the_base_class_takes() -> None:
    for kind in (LoggingHook, CachingHook):
        for name in METHODS:
            assert inspect.signature(getattr(kind, name)) == inspect.signature(getattr(ExplorationHook, name))

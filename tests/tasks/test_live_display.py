"""The live display on a real terminal: what is left of it is the plain lines, however the run ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import Project
from tests.terminal import Shown, resize, run_on_terminal

#: A run that takes seconds, of six configurations that share the first step.
STEPS = ["step_qonnx_to_finn", "step_tidy_up", "step_streamline"]
SLOW = {"backend": "mock", "mock": {"delay": 0.3}}
CONFIG = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": 10.0,
    "target_fps": 10000,
    "max_multithreshold_bit_width": [2, 3, 4, 5, 6, 7],
}

#: What of a line is another in each run.
_TIMES = re.compile(r" +\d+\.\d+ s")


def shown(project: Project, *arguments: str, **options: Any) -> Shown:
    """A run of the command line on a terminal."""
    command = [sys.executable, "-m", "finnmake", *arguments]
    environment = {**project.environment, **options.pop("environment", {})}
    return run_on_terminal(command, project.root, environment, **options)


@pytest.fixture
def slow_project(empty_project: Project) -> Project:
    empty_project.blueprint(keys=SLOW, config=CONFIG, steps=STEPS)
    return empty_project


def steady(lines: list[str]) -> list[str]:
    """Lines without times, in an order that threads have no part in; without what long runs are told."""
    return sorted(_TIMES.sub("", line) for line in lines if "s so far" not in line)


def once(condition: Callable[[str], bool], act: Callable[[subprocess.Popen[bytes], int], None]) -> Any:
    """Do something the first time that what was sent fulfils the condition."""
    done: list[bool] = []

    def watch(process: subprocess.Popen[bytes], terminal: int, sent: str) -> None:
        if not done and condition(sent):
            done.append(True)
            act(process, terminal)

    return watch


def test_what_is_left_on_the_screen_is_the_plain_lines(slow_project: Project, tmp_path: Path) -> None:
    live = shown(slow_project, "-n", "2", "build", columns=200)
    other = Project.clone(tmp_path / "other", tmp_path / "other_store")
    other.blueprint(keys=SLOW, config=CONFIG, steps=STEPS)
    plain = other.succeed("-n", "2", "build")
    assert live.code == 0
    assert steady(live.lines) == steady(plain.output.splitlines())
    assert live.lines[-1] == live.sent.rstrip("\r\n").rpartition("\n")[2].replace("\x1b[2K", "").strip()


def test_it_tells_how_far_the_run_is_and_what_runs(slow_project: Project) -> None:
    live = shown(slow_project, "-n", "2", "build")
    assert re.search(r"[1-5] of 6 built, \d+ % of steps from the store \(simulated\)", live.sent)
    assert re.search(r"  0:0\d  config_00\d  step_\w+ \(simulated\)", live.sent)
    slow_project.blueprint(keys=SLOW, config={**CONFIG, "max_multithreshold_bit_width": 9}, steps=STEPS)
    again = shown(slow_project, "build")
    assert re.search(r"0:0\d of 0:0\d  config_001  step_", again.sent)
    assert re.search(r"0 of 1 built, [^\r]*about \d+ s left", again.sent)


def test_the_cursor_is_never_hidden(slow_project: Project) -> None:
    assert "\x1b[?25l" not in shown(slow_project, "build").sent


@pytest.mark.parametrize("columns", [40, 20])
def test_a_narrow_terminal(slow_project: Project, columns: int) -> None:
    live = shown(slow_project, "-n", "2", "build", columns=columns)
    assert live.code == 0
    drawn = re.findall(r"\x1b\[1m(.*?)\x1b\[0m", live.sent)
    assert drawn and all(len(line) <= columns for line in drawn)
    assert re.findall(r"build:config_(\d+)", live.sent) == re.findall(
        r"build:config_(\d+)", "".join(live.screen.text)
    )
    assert "came from the store" in "".join(live.screen.text)


def test_a_terminal_that_becomes_smaller(slow_project: Project) -> None:
    watch = once(lambda sent: "of 6 built" in sent, lambda _, terminal: resize(terminal, 40))
    live = shown(slow_project, "-n", "2", "build", columns=120, watch=watch)
    assert live.code == 0
    last = re.findall(r"\x1b\[1m(.*?)\x1b\[0m", live.sent)[-1]
    assert len(last) <= 40
    assert live.lines[-1].endswith("s (simulated)")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_whole_lines(slow_project: Project, number: signal.Signals) -> None:
    watch = once(
        lambda sent: sent.count("build:config_") >= 2, lambda process, _: os.kill(process.pid, number)
    )
    live = shown(slow_project, "-n", "2", "build", watch=watch, columns=200)
    assert live.code == 130
    assert live.lines[-1] == "stopped; what was done is kept, and the next run goes on from there"
    assert not any(" of 6 built" in line or "0:0" in line for line in live.lines)
    assert "Traceback" not in live.sent and "\x1b[?25l" not in live.sent


def test_failures_are_told_at_once_and_counted(slow_project: Project) -> None:
    keys = {"backend": "mock", "mock": {"delay": 0.2, "failures": {"synthesis": 1.0}}}
    slow_project.blueprint(keys=keys, config=CONFIG, steps=STEPS)
    live = shown(slow_project, "-n", "2", "build", columns=200)
    assert live.code in (1, 2)
    assert re.search(r"0 of 6 built, \d failed", live.sent)
    assert sum(line.startswith("finn:config") and " FAILED" in line for line in live.lines) == 6


@pytest.mark.parametrize(
    "environment", [{"TERM": "dumb"}, {"CI": "1"}, {"TERM": ""}], ids=["dumb", "ci", "none"]
)
def test_plain_lines_where_nothing_can_be_drawn(slow_project: Project, environment: dict[str, str]) -> None:
    live = shown(slow_project, "build", environment=environment)
    assert live.code == 0 and "\x1b" not in live.sent


def test_no_colour_where_none_is_wanted(slow_project: Project) -> None:
    live = shown(slow_project, "build", environment={"NO_COLOR": "1"})
    assert " of 6 built" in live.sent
    assert not re.search(r"\x1b\[3\dm|\x1b\[9\dm", live.sent)


def test_a_quiet_run_says_one_line(slow_project: Project) -> None:
    live = shown(slow_project, "build", "--quiet")
    assert len(live.lines) == 1 and "came from the store" in live.lines[0]
    assert "\x1b" not in live.sent


def test_a_null_build_draws_nothing(slow_project: Project) -> None:
    slow_project.succeed("build:config_001")
    live = shown(slow_project, "build:config_001")
    assert live.sent == "nothing to do: everything is up to date (simulated)\r\n"


def test_the_line_of_an_exploration_counts_all(slow_project: Project) -> None:
    live = shown(slow_project, "explore", "-n", "2", columns=160)
    assert live.code == 0 and " of 6 built" in live.sent
    assert live.lines[-1].startswith("results: builds/tiny/exploration/")

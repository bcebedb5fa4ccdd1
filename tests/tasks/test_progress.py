"""What a run tells of itself on the way: counts, what runs, the slowest steps; the words of both displays."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.tasks.live_text import clock, frame
from finnmake.tasks.plain import Plain
from finnmake.tasks.progress import Progress, Running, View
from finnmake.tasks.schedule_forecast import Expected, Forecast


@dataclass
class Told:
    """A run with a clock of its own."""

    now: float = 0.0
    progress: Progress = field(default_factory=Progress)

    def __post_init__(self) -> None:
        self.progress = Progress(clock=lambda: self.now)

    def step(self, task: str, name: str, event: str, seconds: float = 0.0, config: str = "") -> None:
        self.progress.step(task, config or task.partition(":")[2], name, event, seconds)

    def run(self, task: str, name: str, seconds: float, config: str = "") -> None:
        self.step(task, name, "run", config=config)
        self.now += seconds
        self.step(task, name, "done", seconds, config)


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_run_that_only_begins_says_nothing(told: Told) -> None:
    assert told.progress.view() == View("", [])


def test_configurations_are_counted_by_how_they_end(told: Told) -> None:
    told.progress.wanted = 1200
    for number in range(1001):
        told.progress.built(f"config_{number}")
    told.progress.built("config_0")
    told.progress.failed("config_2001")
    told.progress.skipped("config_2002")
    told.progress.skipped("config_2003")
    assert told.progress.view().sentence == "1,001 of 1,200 built, 1 failed, 2 skipped"


def test_finn_alone_tells_how_many_steps_there_are(told: Told) -> None:
    told.run("segment:abc", "step_tidy_up", 0.1, "config_001")
    for config in ("config_001", "config_002", "config_003", "config_004"):
        told.step(f"finn:{config}", "step_tidy_up", "hit")
    told.run("analyze:config_001", "roofline", 0.1)
    progress = told.progress
    assert (progress.ran, progress.steps_ran, progress.met, progress.shared) == (2, 1, 4, 3)
    assert progress.view().sentence == "75 % of steps from the store"


def test_the_slowest_steps_are_those_that_took_more_than_a_second(told: Told) -> None:
    for number, seconds in enumerate([0.5, 3.0, 1.5, 9.0, 2.0, 0.9]):
        told.run("finn:config_001", f"step_{number}", seconds)
    assert [name for _, _, name in told.progress.slowest] == ["step_3", "step_1", "step_4"]
    quick = Told()
    quick.run("finn:config_001", "step_a", 1.0)
    assert quick.progress.slowest == []


def test_a_task_that_ended_runs_nothing(told: Told) -> None:
    told.step("finn:config_001", "step_streamline", "run")
    told.now = 3.0
    assert told.progress.running == [Running("finn:config_001", "config_001", "step_streamline", 3.0, None)]
    told.progress.task_ended("finn:config_001")
    assert told.progress.running == []


def test_what_is_left_is_told_with_what_runs(told: Told) -> None:
    steps = ("step_tidy_up", "step_streamline")
    told.progress.wanted = 1
    expected = Expected({"config_001": steps}, {}, {"step_tidy_up": 5.0, "step_streamline": 115.0})
    told.progress.expect(Forecast(expected, 1))
    told.step("segment:abc", "step_tidy_up", "load", config="config_001")
    told.now += 8.0  # what loading takes says nothing of builds
    assert "left" not in told.progress.view().sentence
    told.run("segment:abc", "step_tidy_up", 5.0, "config_001")
    told.step("segment:abc", "step_streamline", "run", config="config_001")
    told.now += 15.0
    view = told.progress.view()
    assert view.sentence == "0 of 1 built, about 2 min left"
    assert view.running == [Running("segment:abc", "config_001", "step_streamline", 15.0, 115.0)]


BUSY = View(
    "41 of 138 built, 2 failed, 87 % of steps from the store, about 3 min left",
    [
        Running("segment:1a2b3c4d5e6f", "config_042", "step_hw_codegen", 72.4, 140.0),
        Running("finn:config_7", "config_7", "step_streamline", 1.2, None),
        Running("finn:config_043", "config_043", "step_tidy_up", 0.1, 0.2),
    ],
)


def test_the_display_tells_how_far_and_what_runs_since_when() -> None:
    assert frame(BUSY, 100, 24) == [
        "41 of 138 built, 2 failed, 87 % of steps from the store, about 3 min left",
        "  1:12 of 2:20  config_042  step_hw_codegen",
        "  0:01          config_7    step_streamline",
        "  0:00 of 0:00  config_043  step_tidy_up",
    ]


def test_a_narrow_terminal_cuts_ends_off() -> None:
    assert frame(BUSY, 40, 24) == [
        "41 of 138 built, 2 failed, 87 % of step",
        "  1:12 of 2:20  config_042  step_hw_cod",
        "  0:01          config_7    step_stream",
        "  0:00 of 0:00  config_043  step_tidy_u",
    ]


def test_a_low_terminal_shows_those_that_run_longest() -> None:
    assert frame(BUSY, 100, 5)[1:] == [
        "  1:12 of 2:20  config_042  step_hw_codegen",
        "  0:01          config_7    step_streamline",
        "  and 1 more",
    ]


@settings(deadline=None)
@given(width=st.integers(1, 200), height=st.integers(1, 60), running=st.integers(0, 40))
def test_no_line_is_broken_and_half_the_terminal_is_left(width: int, height: int, running: int) -> None:
    lines = frame(View(BUSY.sentence, [BUSY.running[0]] * running), width, height)
    assert all(len(line) < max(2, width) for line in lines)
    assert len(lines) <= 2 + max(1, height // 2)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.9, "0:00"), (59.9, "0:59"), (61, "1:01"), (3600, "1:00:00"), (86399, "23:59:59")]
)
def test_a_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


# plain lines


@dataclass
class Watched:
    """Plain lines on a clock of their own."""

    view: View = field(default_factory=lambda: View("", []))
    now: float = 0.0
    plain: Plain = field(init=False)

    def __post_init__(self) -> None:
        self.plain = Plain(lambda: self.view, clock=lambda: self.now)

    def told(self, seconds: float, wanted: int = 1) -> list[str]:
        """What is said when the step has run for so many seconds."""
        self.now = seconds
        self.view = View("3 of 20 built", [Running("finn:config_001", "config_001", "step_x", seconds)])
        return self.plain.announcements(wanted)


def test_a_step_that_takes_long_is_told_at_ever_longer_intervals() -> None:
    watched = Watched()
    told = [second for second in range(40) if watched.told(second)]
    assert told == [2, 4, 8, 16, 32]
    line = f"{'finn:config_001':<24} {'step_x':<36} running, 64 s so far"
    assert watched.told(64) == [line]


def test_how_far_many_builds_have_come_is_told_every_half_minute() -> None:
    watched = Watched()
    told = [second for second in range(100) if "3 of 20 built" in watched.told(second, wanted=20)]
    assert told == [30, 60, 90]


def test_of_a_few_builds_it_is_not() -> None:
    watched = Watched()
    assert not any("built" in line for second in range(100) for line in watched.told(second, wanted=9))

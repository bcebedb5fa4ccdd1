"""Ctrl-C at any moment, and once more: a clean end, then an end at once."""

from __future__ import annotations

import dataclasses
import os
import random
import signal
import time
from pathlib import Path

import pytest

from finnmake.tasks.screen import Screen
from tests.explorations import fields, mock_space
from tests.projects import Project, Run
from tests.tasks.test_kill import gone, problems, processes_of
from tests.tasks.test_many_workspaces import built, differing, left_over, slow_first
from tests.waiting import holders, standing_still, until

pytestmark = pytest.mark.slow

#: Nine configurations.
SPACE = fields(synth_clk_period_ns=[4.0, 5.0, 10.0], target_fps=[100, 1000, 100000])

#: How often each kind is tried.
TURNS = 2

STOPPED = "stopped; what was done is kept, and the next run goes on from there\n"
AT_ONCE = "stopped at once; the next run tidies up and goes on from what was done\n"


def space(project: Project, delay: float) -> None:
    mock_space(project, config=SPACE, keys={"mock": {"delay": delay}})


def interrupted(project: Project, moments: list[float], number: int, *arguments: str) -> Run:
    """A run that gets a signal so many seconds after its first words, and after each other; gives its end."""
    with project.start(*arguments) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        for moment in moments:
            time.sleep(moment)
            if process.poll() is None:
                os.killpg(process.pid, number)
        sent = time.monotonic()
        output, _ = process.communicate(timeout=60)
    return Run(process.returncode, first + output, time.monotonic() - sent)


def wrong(project: Project, run: Run, wanted: Project) -> list[str]:
    """What is wrong after a run that was stopped, and with the next one."""
    found = list(problems(project))
    if run.code not in (0, 130) or "Traceback" in run.output or "Exception" in run.output:
        found.append(f"exit code {run.code}: {run.output}")
    if run.code == 130 and STOPPED not in run.output:
        found.append(f"it does not say so: {run.output}")
    if not gone(project.store, 20):
        found.append("workers are left")
    again = project.run("-n", "2", "build")
    if again.code != 0 or "Traceback" in again.output:
        found.append(f"the next run: exit code {again.code}: {again.output}")
    if twice := set(run.steps_by_task) & set(again.steps_by_task):
        found.append(f"ran again: {sorted(twice)}")
    found += left_over(project.store)
    return found + differing(built(project), built(wanted))


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("wanted")
    project = Project.clone(folder / "project", folder / "store")
    space(project, 0.05)
    project.succeed("-n", "2", "build")
    return project


@pytest.mark.parametrize("arguments", [["-n", "1", "build"], ["-n", "2", "build"], ["explore", "-n", "2"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_once_at_random_moments(
    tmp_path: Path, wanted: Project, number: signal.Signals, arguments: list[str]
) -> None:
    draw = random.Random(f"{number} {arguments}")
    found = []
    for turn in range(TURNS):
        project = Project.clone(tmp_path / f"{turn}" / "project", tmp_path / f"{turn}" / "store")
        space(project, 0.05)
        delay = draw.uniform(0, 1.5)
        run = interrupted(project, [delay], number, *arguments)
        found += [f"after {delay:.3f} s: {each}" for each in wrong(project, run, wanted)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("arguments", [["-n", "1", "build"], ["-n", "2", "build"]], ids=["one", "two"])
def test_twice_at_random_moments(tmp_path: Path, wanted: Project, arguments: list[str]) -> None:
    draw = random.Random(f"twice {arguments}")
    found = []
    for turn in range(TURNS):
        project = Project.clone(tmp_path / f"{turn}" / "project", tmp_path / f"{turn}" / "store")
        space(project, 0.05)
        moments = [draw.uniform(0, 1.0), draw.uniform(0, 0.6)]
        run = interrupted(project, moments, signal.SIGINT, *arguments)
        if AT_ONCE in run.output:
            run = dataclasses.replace(run, output=run.output.replace(AT_ONCE, STOPPED))
        found += [f"after {moments} s: {each}" for each in wrong(project, run, wanted)]
    assert not found, "\n".join(found)


def test_twice_does_not_wait_for_what_does_not_end(empty_project: Project) -> None:
    """The worker gets some seconds to end what it has started; who has no time for that asks again."""
    store = empty_project.store
    mock_space(empty_project, config=fields(synth_clk_period_ns=5.0, target_fps=100), steps=slow_first(30))
    with empty_project.start("build") as process:
        until(
            lambda: any(name.startswith("run-") for name in holders(store)) and len(processes_of(store)) == 2
        )
        with standing_still(processes_of(store)):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(1)
            assert process.poll() is None
            os.killpg(process.pid, signal.SIGINT)
            output, _ = process.communicate(timeout=3)
    assert process.returncode == 130
    assert AT_ONCE in output
    assert "Traceback" not in output
    assert gone(store, 20)
    mock_space(empty_project, config=fields(synth_clk_period_ns=5.0, target_fps=100), steps=slow_first(0))
    empty_project.succeed("build")
    assert left_over(store) == []


def test_signals_in_one_moment_are_one(empty_project: Project) -> None:
    """`timeout`, for one, tells the process, and once more its group."""
    mock_space(empty_project, config=fields(synth_clk_period_ns=5.0, target_fps=100), steps=slow_first(30))
    with empty_project.start("build") as process:
        until(lambda: any(name.startswith("run-") for name in holders(empty_project.store)))
        process.send_signal(signal.SIGTERM)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert STOPPED in output
    assert AT_ONCE not in output
    assert left_over(empty_project.store) == []


def test_that_it_was_stopped_is_the_last_that_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """A step may end while the run does."""
    screen = Screen()
    with pytest.raises(KeyboardInterrupt), screen.following([]):
        screen.line("one step")
        raise KeyboardInterrupt
    screen.line("another")
    with screen.following([]):
        screen.line("the next run")
    assert capsys.readouterr().out == "one step\nthe next run\n"

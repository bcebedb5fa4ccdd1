"""Standard output and error on a full disk, closed, or read by one who takes his time."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from typing import Any

import pytest

from finnmake.tasks.screen import Screen
from tests.explorations import built_space, mock_space
from tests.projects import Project
from tests.tasks.test_kill import processes_of
from tests.tasks.test_many_workspaces import slow_first
from tests.waiting import holders, standing_still, until

FULL = "/dev/full"

LOST = "ERROR: standard output: No space left on device: what was said is not there in full\n  -> "

pytestmark = pytest.mark.skipif(not os.path.exists(FULL), reason=f"needs {FULL}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four simulated configurations, built. Not to be changed."""
    return built_space(tmp_path_factory.mktemp("streams"))


def said(project: Project, *arguments: str, **streams: Any) -> tuple[int, str]:
    """Exit code and what stands on standard error, where that can be read."""
    command = [sys.executable, "-m", "finnmake", *arguments]
    with open(FULL, "w") as full:
        streams = {"stdout": full, "stderr": subprocess.PIPE} | streams
        done = subprocess.run(command, cwd=project.root, env=project.environment, text=True, **streams)
    return done.returncode, done.stderr or ""


@pytest.mark.parametrize(
    "command", ["list", "status", "plan", "build", "explore", "info build:config_001", "help"]
)
def test_what_cannot_be_said_is_told_on_standard_error(project: Project, command: str) -> None:
    code, errors = said(project, *command.split())
    assert code == 3
    assert errors.startswith(LOST) and "Traceback" not in errors


@pytest.mark.parametrize("both", [False, True], ids=["output", "both"])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_build_goes_on(empty_project: Project, jobs: str, both: bool) -> None:
    mock_space(empty_project)
    code, errors = said(empty_project, "-n", jobs, "build", **({"stderr": subprocess.STDOUT} if both else {}))
    assert code == 3
    assert "Traceback" not in errors
    assert "nothing to do" in empty_project.succeed("build").output


def test_a_failure_keeps_its_exit_code(empty_project: Project) -> None:
    mock_space(empty_project, steps=[{"step": "step_tidy_up", "fail": "memory"}])
    wanted = empty_project.run("build").code
    assert wanted not in (0, 3)
    assert said(empty_project, "build")[0] == wanted


@pytest.mark.slow
def test_ctrl_c_twice_ends_it(empty_project: Project) -> None:
    mock_space(empty_project, steps=slow_first(30))
    command = [sys.executable, "-m", "finnmake", "build"]
    place: Any = {"cwd": empty_project.root, "env": empty_project.environment, "start_new_session": True}
    with open(FULL, "w") as full, subprocess.Popen(command, stdout=full, stderr=full, **place) as process:
        until(lambda: any(name.startswith("run-") for name in holders(empty_project.store)))
        with standing_still(processes_of(empty_project.store)):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(1)
            os.killpg(process.pid, signal.SIGINT)
            assert process.wait(timeout=3) == 130


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)], ids=["output", "error", "all"])
def test_closed_streams_are_not_taken_for_files(empty_project: Project, closed: tuple[int, ...]) -> None:
    mock_space(empty_project)
    given = " ".join(f"{each}>&-" for each in closed)
    script = f"exec {sys.executable} -m finnmake build {given}"
    done = subprocess.run(["sh", "-c", script], cwd=empty_project.root, env=empty_project.environment)
    assert done.returncode == 0
    assert "nothing to do" in empty_project.succeed("build").output


def test_a_pipe_that_does_not_wait_gets_everything(project: Project) -> None:
    """As from programs that share theirs: what it does not take at once is written later."""
    wanted = project.succeed("list", "--all", "--deps").output
    reading, writing = os.pipe()
    assert len(wanted) > fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    os.set_blocking(writing, False)
    command = [sys.executable, "-m", "finnmake", "list", "--all", "--deps"]
    with subprocess.Popen(command, cwd=project.root, env=project.environment, stdout=writing) as process:
        os.close(writing)
        with open(reading, encoding="utf-8") as stream:
            time.sleep(0.5)
            assert sorted(stream.read().splitlines()) == sorted(wanted.splitlines())
    assert process.returncode == 0


def test_a_program_of_the_users_own_builds_on(monkeypatch: pytest.MonkeyPatch) -> None:
    full = open(FULL, "w")  # noqa: SIM115 (closing it fails)
    monkeypatch.setattr(sys, "stdout", full)
    Screen().line("built")
    with pytest.raises(OSError, match="No space left"):
        full.close()

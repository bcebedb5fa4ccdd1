"""Two runs in one folder: the second one says who is at it, and changes nothing."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from tests.explorations import fields, mock_space
from tests.projects import Project, sha256
from tests.tasks.test_many_workspaces import slow_first
from tests.waiting import holders, until

BUILD = ["-m", "finnmake", "-n", "2", "build"]
EXPLORE = ["-m", "finnmake", "explore"]

#: What a program of the user's does; it says how the build ended.
FROM_PYTHON = [
    "-c",
    textwrap.dedent(
        """
        import finnmake
        config = next(iter(finnmake.iter_configs(finnmake.forge(None, "tiny"))))
        result = finnmake.BuildRunner("mock").run(config)
        print(result.status.value, result.error_category, result.error_message)
        """
    ),
]

EXPLORE_FROM_PYTHON = ["-c", "import finnmake; finnmake.explore(finnmake.forge(None, 'tiny'))"]


def start(project: Project, arguments: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [project.python, *arguments],
        cwd=project.root,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def state(project: Project) -> tuple[dict[str, tuple[str, int]], list[Any]]:
    """Every file of project and store with its content and inode; of doit's state what it tells."""
    found = {
        str(path): (sha256(path), path.stat().st_ino)
        for top in (project.root, project.store)
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith(".doit.sqlite")
    }
    kept = project.root / "builds" / "tiny" / ".doit.sqlite"
    rows = []
    if kept.exists():
        with closing(sqlite3.connect(kept)) as connection:
            rows = connection.execute("SELECT * FROM tasks ORDER BY task").fetchall()
    return found, rows


@pytest.fixture(params=[BUILD, EXPLORE, FROM_PYTHON], ids=["build", "explore", "BuildRunner"])
def first(request: pytest.FixtureRequest, empty_project: Project) -> Iterator[subprocess.Popen[str]]:
    """A run in the middle of a step; it stands still, so that whatever changes is another one's doing."""
    mock_space(empty_project, config=fields(target_fps=1000), steps=slow_first(1000))
    with start(empty_project, request.param) as process:
        until(lambda: any(name.startswith("run-") for name in holders(empty_project.store)))
        until(lambda: list(empty_project.store.glob("tmp/run-*/reads*")))
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.mark.slow
def test_the_second_is_refused_and_changes_nothing(
    empty_project: Project, first: subprocess.Popen[str]
) -> None:
    before = state(empty_project)
    others = {"build": BUILD, "explore": EXPLORE, "BuildRunner": FROM_PYTHON, "API": EXPLORE_FROM_PYTHON}
    processes = {name: start(empty_project, arguments) for name, arguments in others.items()}
    said = {name: process.communicate(timeout=120)[0] for name, process in processes.items()}
    for name, output in said.items():
        assert f"another run is building in this folder (process {first.pid})" in output, (name, output)
    for name in ("build", "explore"):
        assert processes[name].returncode == 3
        assert "Traceback" not in said[name]
        assert "-> Wait for it, or stop it" in said[name]
    assert said["BuildRunner"].startswith("FAILED environment ")
    assert "WorkspaceError" in said["API"]
    assert state(empty_project) == before


@pytest.mark.slow
def test_what_only_looks_is_not_refused(empty_project: Project, first: subprocess.Popen[str]) -> None:
    before = state(empty_project)
    for arguments in (["list"], ["plan"], ["status"], ["tree"]):
        run = empty_project.run(*arguments)
        assert run.code in (0, 1), run.output
        assert "another run" not in run.output
    assert state(empty_project) == before


def test_of_four_at_once_one_builds(empty_project: Project) -> None:
    """None waits, and the one that has the folder is not disturbed."""
    mock_space(empty_project, config=fields(target_fps=1000), steps=slow_first(5))
    processes = [start(empty_project, BUILD) for _ in range(4)]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    codes = sorted(process.returncode for process in processes)
    assert codes == [0, 3, 3, 3], outputs
    assert sum("another run is building in this folder" in output for output in outputs) == 3
    assert "nothing to do" in empty_project.succeed("build").output


def test_lock_of_a_run_that_was_killed_is_free(empty_project: Project) -> None:
    mock_space(empty_project, config=fields(target_fps=1000), steps=slow_first(1000))
    with empty_project.start("build") as process:
        until(lambda: any(name.startswith("run-") for name in holders(empty_project.store)))
        process.kill()
        process.communicate()
    mock_space(empty_project, config=fields(target_fps=1000), steps=slow_first(0))
    empty_project.succeed("build")


def test_half_written_files_of_a_run_that_was_killed_go(empty_project: Project) -> None:
    """Each name is a file that becomes visible when it is whole; nobody else's are touched."""
    mock_space(empty_project, config=fields(target_fps=1000))
    empty_project.succeed("build")
    folder = empty_project.folder("tiny")
    left = [folder / ".report.html.0a1b2c3d", folder / "artifacts" / ".x.json.00000000"]
    own = [folder / ".report.html", folder / "report.html.0a1b2c3d", folder / ".x.0a1b2c3"]
    for path in (*left, *own):
        path.write_text("half")
    empty_project.succeed("build")
    assert all(path.exists() for path in (*left, *own)), "the run before had come to its end"
    (empty_project.root / "builds" / ".lock").write_text("4711\n")
    empty_project.succeed("build")
    assert [path.exists() for path in (*left, *own)] == [False] * 2 + [True] * 3
    assert (empty_project.root / "builds" / ".lock").read_text() == ""

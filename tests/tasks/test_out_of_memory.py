"""The kernel kills a step as its control group has no memory left: the step alone, and it says so."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.projects import Project, Run, contents
from tests.tasks.test_many_workspaces import differing

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: FINN takes some 300 MB.
LIMIT = 700 << 20

PLUGIN = """\
from finnmake.plugins import step

@step
def hungry(model, cfg):
    if cfg.target_fps == 1:
        hoard = [bytearray(b"x") * (1 << 24) for _ in range(100)]
    return model
"""


@pytest.fixture
def group() -> Iterator[Path]:
    """A control group whose processes share LIMIT of memory; skips where none can be made."""
    first = Path("/sys/fs/cgroup/memory")  # version 1; else version 2
    parent = first if first.is_dir() else Path("/sys/fs/cgroup")
    made = parent / f"finnmake-test-{os.getpid()}"
    try:
        made.mkdir()
        (made / ("memory.limit_in_bytes" if first.is_dir() else "memory.max")).write_text(str(LIMIT))
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    yield made
    made.rmdir()


def limited(project: Project, group: Path, *arguments: str) -> Run:
    """The command line in the group."""
    python = project.root / "limited"
    python.write_text(f'#!/bin/sh\necho $$ >{group}/cgroup.procs && exec {project.python} "$@"\n')
    python.chmod(0o755)
    with replace(project, python=str(python)).start(*arguments) as process:
        output, _ = process.communicate(timeout=300)
    return Run(process.returncode, output)


def test_the_step_fails_alone_and_the_next_run_is_right(
    empty_project: Project, group: Path, tmp_path: Path
) -> None:
    project = empty_project
    project.plugin("hungry.py", PLUGIN)
    project.blueprint(
        config={"fpga_part": "xc7z020clg400-1", "target_fps": [1, 2]}, steps=["step_tidy_up", "hungry"]
    )
    run = limited(project, group, "-n", "1", "--continue", "build")
    assert run.code in (1, 2), run.output
    assert "Traceback" not in run.output
    killed, other = (project.read("result.json", "tiny", f"config_00{each}") for each in (1, 2))
    assert "the worker was killed: most likely because memory ran out" in killed["error_message"]
    assert killed["error_category"] == "memory"
    assert other["status"] == "SUCCESS"

    project.succeed("build")
    fresh = Project(project.root, tmp_path / "other_store")
    built = contents(project.folder("tiny"))
    fresh.succeed("-n", "1", "build", "-a")
    assert differing(built, contents(project.folder("tiny"))) == []

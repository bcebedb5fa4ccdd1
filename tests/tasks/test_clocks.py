"""A clock that is wrong, or is set back and forth: an edit is seen, and what is up to date stays so."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from tests.explorations import mock_space
from tests.projects import Project
from tests.tasks.test_many_workspaces import built, differing

DAY = 86400

#: A Python whose main process lives CLOCK seconds from now; files get the times of the real clock. In the
#: words of such a process all that it has just written is of the future, or long ago.
SHIFTED = """\
#!{python}
import os, runpy, sys, time
shift = float(os.environ["CLOCK"])
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + shift
time.time_ns = lambda: real_ns() + int(shift * 1e9)
assert sys.argv[1] == "-m"
del sys.argv[:2]
sys.path.insert(0, os.getcwd())
runpy.run_module("finnmake", run_name="__main__", alter_sys=True)
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def shifted(empty_project: Project, tmp_path: Path) -> Project:
    """A project of one folding file, which the second of two steps reads, whose clock can be set."""
    python = tmp_path / "python"
    python.write_text(SHIFTED.format(python=empty_project.python))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    (empty_project.root / "folding.json").write_text('{"a": 1}')
    empty_project.python = str(python)
    config = {"fpga_part": "xc7z020clg400-1", "folding_config_file": "../folding.json"}
    steps = ["step_tidy_up", "step_apply_folding_config", "step_generate_estimate_reports"]
    mock_space(empty_project, config=config, steps=steps)
    return empty_project


def at(project: Project, shift: float) -> Project:
    project.extra["CLOCK"] = str(shift)
    return project


def edit(path: Path, text: str) -> None:
    """Other content of the same size, with the time stamps that the file had."""
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    "shifts",
    [(DAY, -DAY), (-10 * 365 * DAY, 10 * 365 * DAY)],
    ids=["back", "forth by years"],
)
def test_edits_are_seen_and_nothing_else_runs(shifted: Project, shifts: tuple[float, ...]) -> None:
    folding = shifted.root / "folding.json"
    at(shifted, shifts[0]).succeed("build")
    for number, shift in enumerate(shifts):
        at(shifted, shift)
        assert "nothing to do" in shifted.succeed("build").output
        edit(folding, f'{{"a": {number + 2}}}')
        run = shifted.succeed("build")
        assert run.steps == ["step_apply_folding_config", "step_generate_estimate_reports"]
        assert "nothing to do" in shifted.succeed("build").output
    edit(folding, '{"a": 1}')
    assert shifted.succeed("build").steps == []


@pytest.mark.parametrize("years", [-20, 20])
def test_files_of_another_time(shifted: Project, years: int) -> None:
    """As after a copy from a machine whose clock is wrong, or from an archive."""
    moment = time.time() + years * 365 * DAY
    for path in shifted.root.rglob("*"):
        if path.is_file():
            os.utime(path, (moment, moment))
    at(shifted, 0).succeed("build")
    assert "nothing to do" in shifted.succeed("build").output
    folding = shifted.root / "folding.json"
    for number in range(2, 4):
        edit(folding, f'{{"a": {number}}}')
        assert shifted.succeed("build").steps == [
            "step_apply_folding_config",
            "step_generate_estimate_reports",
        ]
    other = Project.clone(shifted.root.parent / "other", shifted.root.parent / "other_store")
    (other.root / "folding.json").write_text(folding.read_text())
    blueprint = "blueprints/tiny.yaml"
    (other.root / blueprint).write_text((shifted.root / blueprint).read_text())
    (other.root / "pyproject.toml").write_text((shifted.root / "pyproject.toml").read_text())
    other.succeed("build")
    assert differing(built(shifted), built(other)) == []


def test_clock_that_goes_back_during_a_build_gives_no_negative_time(shifted: Project, tmp_path: Path) -> None:
    """The times in result.json are for people: none is less than nothing."""
    python = tmp_path / "python"
    backwards = "time.time = lambda: real() - 3600 * (time.monotonic() - start)"
    text = python.read_text().replace("time.time = lambda: real() + shift", backwards)
    python.write_text(text.replace("shift = ", "start = time.monotonic()\nshift = "))
    at(shifted, 0).succeed("build")
    assert shifted.read("result.json", "tiny")["duration_seconds"] >= 0

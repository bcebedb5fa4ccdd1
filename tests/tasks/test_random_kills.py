"""Killed again and again, the command, its worker or both: each run goes on from where the last one was.

`FINNMAKE_TEST_KILLS` says how often; 200 take some minutes.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.explorations import fields, mock_space
from tests.projects import Project, Run, traces
from tests.tasks.test_kill import gone, problems, processes_of
from tests.tasks.test_many_workspaces import built, differing, left_over

pytestmark = pytest.mark.slow

KILLS = int(os.environ.get("FINNMAKE_TEST_KILLS", "20"))

#: Lines of this many projects of their own are killed at once.
LINES = 2

#: Twenty configurations: a run of them all takes about 2 s, half of it before the first step.
SPACE = fields(synth_clk_period_ns=[4.0, 5.0, 8.0, 10.0], target_fps=[100, 1000, 10000, 30000, 100000])
DELAY = {"mock": {"delay": 0.01}}


def end(process: subprocess.Popen[str], store: Path, whom: str) -> None:
    """Kill the command, its worker with what that has forked, or all of them."""
    if whom in ("worker", "both"):
        for pid in processes_of(store):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    if whom in ("main", "both"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def killed(project: Project, delay: float, whom: str) -> Run:
    """A run of which something is killed after so many seconds, unless it has ended before."""
    with project.start("-n", "2", "build") as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            end(process, project.store, whom)
        output, _ = process.communicate(timeout=120)
    return Run(process.returncode, output)


class Line:
    """One project that is killed many times; whenever all is built it begins again with an empty store."""

    def __init__(self, folder: Path, wanted: Project) -> None:
        self.folder = folder
        self.wanted = wanted
        self.builds = 0
        self.wrong: list[str] = []
        self.project = self.fresh()

    def fresh(self) -> Project:
        self.builds += 1
        here = self.folder / str(self.builds)
        project = Project.clone(here / "project", here / "store")
        mock_space(project, config=SPACE, keys=DELAY)
        return project

    def run(self, moments: Sequence[tuple[float, str]]) -> list[str]:
        """Survive all of them; gives what is wrong."""
        for delay, whom in moments:
            run = killed(self.project, delay, whom)
            found = list(problems(self.project))
            if (
                run.code not in ((0,) if whom == "worker" else (0, -signal.SIGKILL))
                or "Traceback" in run.output
            ):
                found.append(f"exit code {run.code}: {run.output}")
            self.wrong += [
                f"build {self.builds}, {whom} killed after {delay:.3f} s: {each}" for each in found
            ]
            if run.code == 0:
                self.check()
                self.project = self.fresh()
        run = self.project.run("build")
        if run.code != 0:
            self.wrong.append(f"build {self.builds}, the last run: exit code {run.code}: {run.output}")
        self.check()
        return self.wrong

    def check(self) -> None:
        """All is built: nothing is missing, nothing is there twice, nothing is left."""
        found = differing(built(self.project), built(self.wanted))
        if not gone(self.project.store, 20):
            found.append("workers are left")
        once = {key: len(names) for key, names in traces(self.wanted.store).items()}
        if {key: len(names) for key, names in traces(self.project.store).items()} != once:
            found.append("a step ran twice to its end")
        again = self.project.run("build")
        if "nothing to do" not in again.output:
            found.append(f"not up to date afterwards: {again.output}")
        self.wrong += [f"build {self.builds}: {each}" for each in found]


def test_killed_at_random_moments_nothing_is_lost_or_torn(tmp_path: Path) -> None:
    wanted = Project.clone(tmp_path / "wanted", tmp_path / "wanted_store")
    mock_space(wanted, config=SPACE, keys=DELAY)
    whole = wanted.succeed("-n", "2", "build").seconds
    started = time.monotonic()
    wanted.succeed("build")
    first = 0.6 * (time.monotonic() - started)  # what comes before is Python's own
    draw = random.Random(200)
    moments = [
        (draw.uniform(first, first + whole), draw.choice(["main", "main", "worker", "both"]))
        for _ in range(KILLS)
    ]
    lines = [Line(tmp_path / f"line_{number}", wanted) for number in range(LINES)]
    with ThreadPoolExecutor(LINES) as pool:
        jobs = [pool.submit(line.run, moments[number::LINES]) for number, line in enumerate(lines)]
        wrong = [each for job in jobs for each in job.result()]
    assert not wrong, "\n".join(wrong)
    assert sum(line.builds for line in lines) > LINES
    for line in lines:
        last = Project.clone(line.folder / "last", line.project.store)
        mock_space(last, config=SPACE, keys=DELAY)
        assert last.succeed("build").steps == []
        assert left_over(last.store) == []

"""Killed, stopped and crowded: the next run goes on from there."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from finnmake.engine.store import trace_digest
from tests.projects import Project, Run, contents, damaged_blobs

pytestmark = [pytest.mark.finn, pytest.mark.slow]

KILLS = 4

DAWDLE = """\
import os
import time
from pathlib import Path

from finnmake.plugins import step


@step
def dawdle(model, cfg):
    Path(os.environ["FINNMAKE_STORE"], "tmp", "dawdling").touch()
    if cfg.debug_fifo:
        time.sleep(60)
    return model
"""


def processes_of(store: Path) -> list[int]:
    """Workers of this store and their children: the store stands in their command line."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "finnmake.engine.worker" in words and str(store) in words:
                found.append(int(entry.name))
    return found


def gone(store: Path, seconds: float) -> bool:
    """Whether all workers of the store end within the time."""
    deadline = time.monotonic() + seconds
    while processes_of(store):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def trace_files(store: Path) -> dict[str, int]:
    """Every trace with the number of its file; a step that runs again would leave a new file."""
    return {str(path): path.stat().st_ino for path in (store / "actions").glob("*/*/*/*.json")}


def problems(project: Project) -> Iterator[str]:
    """What is not whole under its final name."""
    for path in (project.root / "builds").rglob("*.json"):
        try:
            json.loads(path.read_text())
        except ValueError:
            yield f"{path} is partial"
    for path in (project.store / "actions").glob("*/*/*/*.json"):
        if trace_digest(json.loads(path.read_text())) != path.stem.rpartition("-")[2]:
            yield f"{path} is partial"
    for path in damaged_blobs(project.store):
        yield f"{path} is partial"


def kill_at(project: Project, after_first_step: bool, delay: float) -> Run:
    """Start a build and kill its main process, and only that, after `delay` seconds."""
    with project.start("build:config_001") as process:
        assert process.stdout is not None
        lines = []
        while after_first_step and (line := process.stdout.readline()):
            lines.append(line)
            if line.endswith(" s\n") and "running" not in line:
                break
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        lines.append(process.stdout.read())
    return Run(process.returncode, "".join(lines))


def survive(folder: Path, after_first_step: bool, delay: float, wanted: dict[str, str]) -> list[str]:
    """Kill a build, run it again; gives all that is wrong."""
    project = Project.clone(folder / "project", folder / "store")
    killed = kill_at(project, after_first_step, delay)
    assert killed.code in (-signal.SIGKILL, 0), killed.output
    found = list(problems(project))
    before = trace_files(project.store)
    run = project.run("build:config_001")
    if run.code != 0 or "Traceback" in run.output:
        found.append(f"the next run failed: {run.output}")
    after = trace_files(project.store)
    found += [f"{path} ran twice" for path, number in before.items() if after.get(path) != number]
    found += [f"{step} ran twice" for step in set(killed.steps) & set(run.steps)]
    if len(run.steps) != len(after) - len(before):
        found.append(f"{len(run.steps)} steps ran, {len(after) - len(before)} traces are new")
    have = contents(project.folder())
    differing = sorted(name for name in {*have, *wanted} if have.get(name) != wanted.get(name))
    if differing:
        found.append(f"the outputs differ: {', '.join(differing)}")
    found += problems(project)
    if not gone(project.store, 20):
        found.append("workers are left")
    last = project.run("build:config_001")
    if "nothing to do" not in last.output:
        found.append(f"not up to date afterwards: {last.output}")
    return [f"killed after {delay:.3f} s: {problem}" for problem in found]


def test_killed_at_random_moments(cold_build: tuple[Project, Run], tmp_path: Path) -> None:
    """Every other moment is drawn from the part in which steps run, which is short beside FINN's import."""
    built, run = cold_build
    wanted = contents(built.folder())
    draw = random.Random(20)
    moments = [
        (late, draw.uniform(0, run.seconds / 3 if late else 1.3 * run.seconds))
        for late in (number % 2 == 1 for number in range(KILLS))
    ]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(survive, tmp_path / str(number), late, delay, wanted)
            for number, (late, delay) in enumerate(moments)
        ]
        found = [problem for job in jobs for problem in job.result()]
    assert found == []


def dawdling(project: Project, *, sleep: bool) -> None:
    """A blueprint of two configurations with a step that takes a minute."""
    project.plugin("dawdling.py", DAWDLE)
    config = {"fpga_part": "xc7z020clg400-1", "target_fps": [100, 200], "debug_fifo": sleep}
    project.blueprint(config=config, steps=["dawdle", "step_qonnx_to_finn"])


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


@pytest.mark.parametrize("threads", [[], ["-n", "2", "-P", "thread"]], ids=["serial", "threads"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_stopped_in_the_middle_of_a_step(
    project: Project, number: signal.Signals, threads: list[str]
) -> None:
    """Trap: doit loses its state on SIGTERM. Ctrl-C reaches the whole process group, SIGTERM one process."""
    dawdling(project, sleep=True)
    with project.start(*threads, "preprocess", "build") as process:
        wait_for(project.store / "tmp" / "dawdling")
        stopped = time.monotonic()
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        output, _ = process.communicate(timeout=30)
    assert time.monotonic() - stopped < 8
    assert process.returncode == 130, output
    assert "Traceback" not in output
    assert "stopped; what was done is kept" in output
    assert gone(project.store, 10)
    assert list(problems(project)) == []
    state = project.run("list", "--all", "-s").output
    assert "U preprocess:config_001" in state


def test_run_after_a_stop_goes_on(project: Project) -> None:
    dawdling(project, sleep=True)
    with project.start("build:config_001") as process:
        wait_for(project.store / "tmp" / "dawdling")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
    dawdling(project, sleep=False)
    run = project.succeed("build:config_001")
    assert run.steps == ["dawdle", "step_qonnx_to_finn"] or run.steps == ["dawdle"]
    assert "nothing to do" in project.succeed("build:config_001").output


def test_second_run_in_the_same_folder_is_refused(project: Project) -> None:
    dawdling(project, sleep=True)
    with project.start("build:config_001") as process:
        wait_for(project.store / "tmp" / "dawdling")
        try:
            run = project.fail("build:config_001")
            assert f"another run is building in this folder (process {process.pid})" in run.output
            assert "->" in run.output
            project.succeed("list")
        finally:
            process.terminate()
            process.communicate(timeout=30)


def test_two_clones_at_once_run_each_step_once(built: Project, tmp_path: Path) -> None:
    """Two cold builds beside each other on one store: what one runs, the other waits for and takes."""
    store = tmp_path / "store"
    clones = [Project.clone(tmp_path / name, store) for name in ("one", "two")]
    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(lambda clone: clone.run("build:config_001"), clones))
    assert [run.code for run in runs] == [0, 0], runs[0].output + runs[1].output
    assert not set(runs[0].steps) & set(runs[1].steps)
    for clone in clones:
        assert contents(clone.folder()) == contents(built.folder())

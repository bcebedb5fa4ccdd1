"""Many workspaces build at once on one store, and some are killed: each step runs once, nothing is torn."""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.explorations import fields, mock_space
from tests.projects import TIMED, Project, Run, contents, traces
from tests.tasks.test_kill import gone, problems
from tests.waiting import holders, until, waiting_for

WORKSPACES = 8

#: Files of doit's own.
STATE = (".doit.sqlite", ".doit.sqlite-wal", ".doit.sqlite-shm")

#: Six configurations of four steps: a run of them all by itself takes 1.5 s.
SPACE = fields(synth_clk_period_ns=[4.0, 5.0, 10.0], target_fps=[1000, 100000])
DELAY = {"mock": {"delay": 0.05}}


def built(project: Project, name: str = "tiny") -> dict[str, str]:
    """The files of every configuration, with their digests."""
    found = contents(project.root / "builds" / name, (*TIMED, *STATE))
    return {path: digest for path, digest in found.items() if not path.startswith("exploration/")}


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> list[str]:
    """The files that are not the same in two builds."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))


def left_over(store: Path) -> list[str]:
    """What lies in `tmp/` that a run has not tidied away."""
    return [path.name for path in (store / "tmp").glob("run-*")]


def killed(project: Project, delay: float, *arguments: str) -> Run:
    """A run that is killed so long (seconds) after its first words, unless it ends before."""
    with project.start(*arguments) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        try:
            process.wait(delay)
        except Exception:
            os.killpg(process.pid, signal.SIGKILL)
        output = first + process.stdout.read()
    return Run(process.returncode, output)


def work(project: Project, delays: Sequence[float], *arguments: str) -> list[Run]:
    """Runs of one workspace: some that are killed, the last one to its end."""
    runs = [killed(project, delay, *arguments) for delay in delays]
    return [*runs, project.run(*arguments)]


def crowd(folder: Path, draw: random.Random, longest: float) -> list[tuple[Project, list[float]]]:
    """Clones with one store; every other one is to be killed twice, up to so many seconds after it began."""
    clones = [Project.clone(folder / f"clone_{number}", folder / "store") for number in range(WORKSPACES)]
    return [
        (clone, [draw.uniform(0, longest) for _ in range(2 * (number % 2))])
        for number, clone in enumerate(clones)
    ]


@pytest.mark.slow
def test_eight_workspaces_of_which_four_are_killed_twice(tmp_path: Path) -> None:
    """A step that ran twice to its end leaves two traces, as a trace tells how long it took."""
    serial = Project.clone(tmp_path / "serial", tmp_path / "serial_store")
    mock_space(serial, config=SPACE, keys=DELAY)
    serial.succeed("-n", "1", "build")
    clones = crowd(tmp_path, random.Random(8), 2.0)
    for clone, _ in clones:
        mock_space(clone, config=SPACE, keys=DELAY)
    with ThreadPoolExecutor(WORKSPACES) as pool:
        runs = list(pool.map(lambda each: work(*each, "-n", "2", "build"), clones))
    store = tmp_path / "store"
    for (clone, _), of_clone in zip(clones, runs, strict=True):
        assert of_clone[-1].code == 0, of_clone[-1].output
        assert {run.code for run in of_clone[:-1]} <= {-signal.SIGKILL, 0}
        assert "Traceback" not in "".join(run.output for run in of_clone)
        assert differing(built(clone), built(serial)) == []
    kills = [run for of_clone in runs for run in of_clone if run.code == -signal.SIGKILL]
    assert kills, "none was killed in time"
    assert list(problems(clones[0][0])) == []
    once = {key: len(found) for key, found in traces(serial.store).items()}
    assert {key: len(found) for key, found in traces(store).items()} == once
    told = Counter(step for of_clone in runs for run in of_clone for step in run.steps_by_task)
    assert max(told.values()) == 1
    # What a run has done and not yet said when it is killed nobody says.
    assert sum(once.values()) - 2 * len(kills) <= sum(told.values()) <= sum(once.values())
    assert gone(store, 20)
    last = Project.clone(tmp_path / "last", store)
    mock_space(last, config=SPACE, keys=DELAY)
    assert last.succeed("build").steps == []
    assert differing(built(last), built(serial)) == []
    assert left_over(store) == []


ALONE = """\
import fcntl
import os
import time
from pathlib import Path

from finnmake.plugins import step


@step
def alone(model, cfg):
    # Seen by no trace: it lies in the store. The kernel frees it when this process is killed.
    place = Path(os.environ["FINNMAKE_STORE"], f"alone_{cfg.target_fps}")
    with open(place, "a") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            place.with_suffix(".twice").touch()
        time.sleep(0.4)
        held.write("ran\\n")
    return model
"""


@pytest.mark.slow
@pytest.mark.finn
def test_eight_workspaces_with_finn(tmp_path: Path) -> None:
    """No step is in two processes at a time, and none that ran to its end runs again."""
    store = tmp_path / "store"
    clones = crowd(tmp_path, random.Random(9), 1.0)
    config = {"fpga_part": "xc7z020clg400-1", "target_fps": [100, 200]}
    for clone, _ in clones:
        clone.plugin("alone.py", ALONE)
        clone.blueprint(config=config, steps=["step_tidy_up", "alone"])
    with ThreadPoolExecutor(WORKSPACES) as pool:
        runs = list(pool.map(lambda each: work(*each, "-n", "2", "build"), clones))
    assert [of_clone[-1].code for of_clone in runs] == [0] * WORKSPACES, runs
    assert list(store.glob("alone_*.twice")) == []
    kills = sum(run.code == -signal.SIGKILL for of_clone in runs for run in of_clone)
    for rate in (100, 200):
        assert 1 <= (store / f"alone_{rate}").read_text().count("ran\n") <= 1 + kills
    assert sorted(len(found) for found in traces(store).values()) == [1, 2]
    outputs = [built(clone) for clone, _ in clones]
    assert all(differing(each, outputs[0]) == [] for each in outputs)
    assert list(problems(clones[0][0])) == []


def test_lock_of_a_run_that_is_killed_goes_to_the_one_that_waits(tmp_path: Path) -> None:
    store = tmp_path / "store"
    clones = [Project.clone(tmp_path / name, store) for name in ("one", "other")]
    for clone in clones:
        mock_space(clone, config=fields(synth_clk_period_ns=5.0, target_fps=1000), steps=slow_first(4.0))
    with clones[0].start("build") as one, clones[1].start("build") as other:
        until(lambda: waiting_for(store))
        name = next(iter(waiting_for(store)))
        dead, alive = (one, other) if holders(store)[name] == one.pid else (other, one)
        os.killpg(dead.pid, signal.SIGKILL)
        output, _ = alive.communicate(timeout=120)
        said, _ = dead.communicate(timeout=30)
    assert alive.returncode == 0, output
    assert Run(0, said).steps == []
    assert Run(0, output).steps == ["step_tidy_up", "step_generate_estimate_reports"]
    assert gone(store, 20)
    assert list(problems(clones[0])) == []
    for clone in clones:
        assert clone.succeed("build").steps == []
    assert left_over(store) == []


def slow_first(seconds: float) -> list[object]:
    """Two steps, of which the first takes its time."""
    return [{"step": "step_tidy_up", "sleep": seconds}, "step_generate_estimate_reports"]

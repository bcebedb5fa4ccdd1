"""`doit worker`, and builds that follow one another on the same worker."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.explorations import STEPS, mock_space
from tests.projects import Project, contents


@pytest.fixture
def runtime_folder() -> Iterator[Path]:
    """For sockets, whose names have to be short."""
    folder = Path(tempfile.mkdtemp(prefix="warm-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def warm(empty_project: Project, runtime_folder: Path) -> Iterator[Project]:
    """A project whose workers stay."""
    mock_space(empty_project)
    empty_project.extra.update(FINNMAKE_WORKER_IDLE="5", XDG_RUNTIME_DIR=str(runtime_folder))
    yield empty_project
    empty_project.run("worker", "stop")


def workers(project: Project) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(project.succeed("worker", "status", "--json").output)
    return found


def test_without_any_it_says_so(warm: Project) -> None:
    assert warm.succeed("worker", "status").output == "no worker waits\n"
    assert workers(warm) == []
    assert warm.succeed("worker", "stop").output == "0 stopped\n"


def test_a_run_leaves_one_which_the_next_has(warm: Project) -> None:
    warm.succeed("blueprint=tiny", "build:config_001")
    (first,) = workers(warm)
    assert (first["state"], first["backend"], first["served"]) == ("idle", "finnmake.backends.mock", 1)
    assert (first["project"], first["store"]) == (str(warm.root), str(warm.store))
    warm.succeed("blueprint=tiny", "build:config_002")
    (second,) = workers(warm)
    assert second["pid"] == first["pid"] and second["served"] == 2
    line = warm.succeed("worker", "status").output
    assert line.split()[:3] == [str(first["pid"]), "idle", str(warm.root)] and "mock, " in line
    assert warm.succeed("worker", "stop").output == "1 stopped\n"
    assert workers(warm) == []


def test_the_outputs_are_those_of_a_worker_of_its_own(warm: Project, tmp_path: Path) -> None:
    for config in ("config_001", "config_002"):
        warm.succeed("blueprint=tiny", f"build:{config}")
    left = contents(warm.folder("tiny", "config_002"))
    assert workers(warm)[0]["served"] == 2
    warm.extra.update(FINNMAKE_WORKER_IDLE="0", FINNMAKE_STORE=str(tmp_path / "other store"))
    shutil.rmtree(warm.root / "builds")
    warm.succeed("blueprint=tiny", "build:config_002")
    assert contents(warm.folder("tiny", "config_002")) == left


def test_one_that_works_for_a_run_is_left_to_it(warm: Project) -> None:
    mock_space(warm, steps=[STEPS[0], {"step": STEPS[1], "sleep": 60}, *STEPS[2:]])
    with warm.start("blueprint=tiny", "build:config_001") as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert [each["state"] for each in workers(warm)] == ["working"]
        stopped = warm.run("worker", "stop")
        assert (stopped.code, stopped.output) == (1, "0 stopped, 1 at work for a run: end the run\n")
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    assert [each["state"] for each in workers(warm)] == ["idle"]


@pytest.mark.parametrize("variables", [{"CI": "true"}, {"FINNMAKE_WORKER_IDLE": "0"}], ids=["CI", "never"])
def test_none_is_left_where_none_is_wanted(warm: Project, variables: dict[str, str]) -> None:
    warm.extra.update(variables)
    warm.succeed("blueprint=tiny", "build:config_001")
    assert workers(warm) == []


@pytest.mark.parametrize("arguments", [(), ("start",), ("status", "stop")])
def test_what_it_does_not_do_is_refused(warm: Project, arguments: tuple[str, ...]) -> None:
    refused = warm.run("worker", *arguments)
    assert refused.code == 3 and "it takes one of status, stop" in refused.output


def test_a_time_that_is_none_is_refused(warm: Project) -> None:
    warm.extra["FINNMAKE_WORKER_IDLE"] = "soon"
    refused = warm.run("blueprint=tiny", "build:config_001")
    assert refused.code != 0 and "FINNMAKE_WORKER_IDLE: a worker cannot stay for 'soon'" in refused.output
    assert "Traceback" not in refused.output


@pytest.mark.finn
@pytest.mark.slow
def test_with_finn_an_edit_is_seen_and_finn_is_loaded_once(project: Project, runtime_folder: Path) -> None:
    project.extra.update(FINNMAKE_WORKER_IDLE="5", XDG_RUNTIME_DIR=str(runtime_folder))
    blueprint = project.root / "blueprints" / "digits.yaml"
    text = blueprint.read_text()
    try:
        for number, clock in enumerate(("4.0", "4.5")):
            blueprint.write_text(text.replace("[5.0, 10.0]", f"[{clock}, 10.0]"))
            run = project.succeed("build:config_001")
            assert run.steps == ["step_target_fps_parallelization", "step_generate_estimate_reports"]
            assert project.read("metrics.json")["clock_frequency"] == 1000 / float(clock)
            assert ("loading FINN" in run.output) == (number == 0)
        (worker,) = workers(project)
        assert worker["served"] == 2
    finally:
        project.run("worker", "stop")

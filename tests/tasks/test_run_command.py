"""`doit run`, which is behind `doit build`: the order of builds, how many at once, and how much is said."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from tests.projects import Project, Run, contents

MOCK = {"backend": "mock"}
CONFIG = {"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": 10.0, "target_fps": 10000}

#: Three configurations, of which the last takes longest.
SLEEPS = [0.0, 0.3, 0.6]


def sleeping(project: Project, width: int) -> None:
    """Write the blueprint; another width lets every step run again."""
    choices = [{"step": "step_tidy_up", "sleep": seconds} for seconds in SLEEPS]
    steps = ["step_qonnx_to_finn", choices, "step_streamline"]
    config = {**CONFIG, "max_multithreshold_bit_width": width}
    project.blueprint(keys=MOCK, config=config, steps=steps)


def several(project: Project, count: int) -> None:
    """Write a blueprint of so many configurations that share all steps but the last."""
    fps = {"from": 1000, "to": 1000 * count, "step": 1000}
    project.blueprint(keys=MOCK, config={**CONFIG, "target_fps": fps}, steps=["step_tidy_up", LAST])


LAST = "step_target_fps_parallelization"


def builds(run: Run) -> list[str]:
    """The configurations in the order in which they were built."""
    return re.findall(r"^build:(config_\d+)", run.output, re.M)


def test_a_configuration_is_finished_before_the_next_begins(empty_project: Project) -> None:
    several(empty_project, 4)
    run = empty_project.succeed("-n", "1", "build")
    lines = [line for line in run.output.splitlines() if f" {LAST} " in line or line.startswith("build:")]
    assert [line.split()[0] for line in lines[1:]] == [  # the first has run as part of the segment
        "build:config_001",
        *("finn:config_002", "build:config_002"),
        *("finn:config_003", "build:config_003"),
        *("finn:config_004", "build:config_004"),
    ]


def test_the_longest_configuration_goes_first_once_that_is_known(empty_project: Project) -> None:
    sleeping(empty_project, 4)
    first = empty_project.succeed("-n", "1", "build")
    sleeping(empty_project, 5)
    second = empty_project.succeed("-n", "1", "build")
    assert builds(first) == ["config_001", "config_002", "config_003"]
    assert builds(second) == ["config_003", "config_002", "config_001"]
    assert sorted(first.steps) == sorted(second.steps)


@pytest.mark.parametrize(
    "arguments", [("-n", "1"), ("-n", "2"), ("-n", "8"), ("-n", "auto"), ("-n", "0"), ()]
)
def test_the_number_of_jobs_changes_no_result(
    empty_project: Project, built_by_one: dict[str, str], arguments: Sequence[str]
) -> None:
    several(empty_project, 6)
    empty_project.succeed("build", *arguments)
    assert of_configs(empty_project) == built_by_one


@pytest.fixture(scope="module")
def built_by_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What six configurations come to, one after another."""
    folder = tmp_path_factory.mktemp("by_one")
    project = Project.clone(folder / "project", folder / "store")
    several(project, 6)
    project.succeed("-n", "1", "build")
    return of_configs(project)


def of_configs(project: Project) -> dict[str, str]:
    """The outputs of all configurations."""
    found = contents(project.root / "builds" / "tiny")
    return {name: digest for name, digest in found.items() if name.startswith("config_")}


def test_fewer_builds_at_once_where_memory_does_not_suffice(empty_project: Project) -> None:
    several(empty_project, 3)
    empty_project.succeed("build:config_001")
    for path in (empty_project.store / "history").glob("*.json"):
        runs = json.loads(path.read_text())
        path.write_text(json.dumps([[variant, seconds, 10**9] for variant, seconds, _ in runs]))
    run = empty_project.succeed("-n", "2", "build")
    assert "1 build at once instead of 2: a step took up to 953.7 GB in earlier runs" in run.output
    assert len(builds(run)) == 2


@pytest.mark.parametrize("given", ["two", "-1", "1.5"])
def test_a_number_of_jobs_that_is_none_is_refused(empty_project: Project, given: str) -> None:
    for command in ((), ("explore",)):
        run = empty_project.fail(*command, "-n", given)
        assert run.code == 3
        assert f"-n takes a whole number or auto, not {given!r}\n  -> Give how many" in run.output


def test_processes_for_tasks_are_refused(empty_project: Project) -> None:
    run = empty_project.fail("-n", "2", "-P", "process", "build")
    assert run.code == 3 and "run: -P takes thread, not 'process'" in run.output


def test_waveforms_of_what_has_none_are_refused_before_anything_runs(empty_project: Project) -> None:
    several(empty_project, 1)
    run = empty_project.fail("build", "--waves")
    assert run.code == 3 and "waveforms are of designs of the backend open_rtl" in run.output
    assert run.steps == []


# how much is said


@pytest.mark.parametrize("arguments", [("build", "--quiet"), ("-q", "build"), ("build", "-q", "-n", "2")])
def test_a_quiet_build_that_goes_well_says_one_line(empty_project: Project, arguments: Sequence[str]) -> None:
    several(empty_project, 2)
    run = empty_project.succeed(*arguments)
    assert re.fullmatch(r"3 steps ran, 1 came from the store, \d+\.\d s \(simulated\)\n", run.output)
    again = empty_project.succeed(*arguments)
    assert again.output == "nothing to do: everything is up to date (simulated)\n"


def test_a_quiet_exploration_says_one_line(empty_project: Project) -> None:
    several(empty_project, 2)
    run = empty_project.succeed("explore", "--quiet")
    assert re.fullmatch(r"3 steps ran, 1 came from the store, \d+\.\d s \(simulated\)\n", run.output)


def test_the_environment_can_ask_for_quiet(empty_project: Project) -> None:
    several(empty_project, 1)
    empty_project.extra["FINNMAKE_QUIET"] = "1"
    assert len(empty_project.succeed("build").output.splitlines()) == 1


def test_a_quiet_run_tells_of_failures(empty_project: Project) -> None:
    steps = ["step_tidy_up", {"step": LAST, "fail": "timing"}]
    empty_project.blueprint(keys=MOCK, config=CONFIG, steps=steps)
    run = empty_project.fail("build", "--quiet")
    lines = run.output.splitlines()
    assert re.match(r"finn:config_001 +FAILED", lines[0])
    assert any("category: timing, log: builds/tiny/" in line for line in lines)
    assert lines[-1].startswith("1 failed, ")
    assert not any(line.startswith("segment:") for line in lines)


def test_the_end_tells_failures_and_skipped_ones_again(empty_project: Project) -> None:
    fps = {"from": 1000, "to": 4000, "step": 1000}
    steps = ["step_tidy_up", {"step": "step_streamline", "fail": "memory"}, LAST]
    empty_project.blueprint(keys=MOCK, config={**CONFIG, "target_fps": fps}, steps=steps)
    run = empty_project.fail("-n", "1", "build")
    told = [line.removesuffix(" (simulated)") for line in run.output.splitlines()]
    failed, tip, log, skipped, last = told[-5:]
    assert failed.startswith("config_001 failed (memory): step_streamline: ")
    assert tip.startswith("  -> ")
    assert re.fullmatch(r"  log: builds/tiny/config_001/build\.log", log)
    assert skipped.startswith("3 skipped: not built: step_streamline, which it shares with config_")
    assert last.startswith("1 failed, 3 skipped, ")


@pytest.mark.parametrize("arguments", [("build", "--help"), ("help", "run"), ("explore", "--help")])
def test_help_tells_of_quiet_and_of_jobs(empty_project: Project, arguments: Sequence[str]) -> None:
    said = " ".join(empty_project.succeed(*arguments).output.split())
    assert "-q, --quiet only failures and the last line" in said
    assert "FINNMAKE_QUIET" in said
    assert "-n N, --process=N builds at once; auto, or 0, for as many as there are processors" in said


def test_options_of_a_users_own_task_stay_its_own(empty_project: Project) -> None:
    dodo = empty_project.root / "dodo.py"
    dodo.write_text(
        dodo.read_text()
        + "\n\ndef task_own():\n"
        + "    params = [{'name': 'word', 'long': 'word', 'default': 'none'}]\n"
        + "    return {'actions': [lambda word: print('said', word)], 'params': params}\n"
    )
    assert "said yes" in empty_project.succeed("own", "--word", "yes").output

"""`doit explore`: all is built, the ranking is right, and a second run, whoever asks, has nothing to do."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.explorations import fields, folder, mock_space, record, statuses, table
from tests.projects import Project, Run, contents

OBJECTIVES = (("throughput", 1), ("lut_utilization", -1), ("dsp_utilization", -1), ("bram_utilization", -1))


@pytest.fixture(scope="module")
def explored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    """The example space, explored with real FINN by two threads: not to be changed."""
    made = tmp_path_factory.mktemp("explored")
    project = Project.clone(made / "project", made / "store")
    return project, project.succeed("blueprint=digits_explore", "explore", "-n", "2")


def rows(project: Project) -> list[dict[str, Any]]:
    """The figures, out of each configuration's own metrics.json."""
    found = []
    for path in sorted((project.root / "builds" / "digits_explore").glob("config_*")):
        metrics = json.loads((path / "metrics.json").read_text())
        config = json.loads((path / "config.json").read_text())
        found.append({"config_id": path.name, **metrics, "flags": config["config_flags"]})
    return found


def beats(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better."""
    differences = [sense * (a[name] - b[name]) for name, sense in OBJECTIVES]
    return min(differences) >= 0 and max(differences) > 0


@pytest.mark.finn
@pytest.mark.slow
class TestWithFINN:
    def test_every_configuration_that_the_constraints_allow_is_built(
        self, explored: tuple[Project, Run]
    ) -> None:
        built = rows(explored[0])
        wanted = {
            (part, clock, rate, alone)
            for part, clock, rate, alone in itertools.product(
                ["xc7z020clg400-1", "xczu3eg-sbva484-1-e"],
                [8.0, 6.0, 4.0],
                [480000, 960000, 1920000, 3840000],
                [False, True],
            )
            if part != "xc7z020clg400-1" or clock > 4 or rate < 3840000
        }
        names = ("fpga_part", "synth_clk_period_ns", "target_fps", "standalone_thresholds")
        assert {tuple(row["flags"][name] for name in names) for row in built} == wanted
        assert len(built) == 3 * len(wanted) == 138
        assert set(statuses(explored[0], "digits_explore").values()) == {"SUCCESS"}

    def test_the_pareto_set_is_that_of_a_brute_force(self, explored: tuple[Project, Run]) -> None:
        built = rows(explored[0])
        feasible = [row for row in built if row["lut_utilization"] <= 0.2 and row["latency"] <= 6]
        assert 0 < len(feasible) < len(built)
        best = [row for row in feasible if not any(beats(other, row) for other in feasible)]
        summary = record(explored[0], "digits_explore")["summary"]
        assert summary["feasible"] == [row["config_id"] for row in feasible]
        assert summary["pareto"] == [row["config_id"] for row in best]
        first = min(best, key=lambda row: [-sense * row[name] for name, sense in OBJECTIVES])
        assert summary["best_config"] == first["config_id"]

    def test_a_configuration_over_a_limit_says_so(self, explored: tuple[Project, Run]) -> None:
        for row in rows(explored[0]):
            path = explored[0].folder("digits_explore", row["config_id"]) / "result.json"
            warnings = "".join(json.loads(path.read_text())["warnings"])
            assert ("breaks the limit latency <= 6" in warnings) == (row["latency"] > 6)

    def test_most_steps_are_shared_and_all_that_say_so_agree(self, explored: tuple[Project, Run]) -> None:
        project, run = explored
        found = record(project, "digits_explore")
        lengths = [
            len(json.loads((project.folder("digits_explore", each) / "manifest.json").read_text())["steps"])
            for each in statuses(project, "digits_explore")
        ]
        steps = found["steps"]
        assert steps["ran"] == len(run.steps)
        assert sum(steps.values()) == sum(lengths)
        assert found["summary"]["sharing"] == pytest.approx(1 - len(run.steps) / sum(lengths))
        assert found["summary"]["sharing"] >= 0.85
        assert (
            f"{sum(lengths):,} steps in all: {steps['ran']:,} ran, {steps['shared']:,} were shared"
            in run.output
        )
        assert f"({found['summary']['sharing']:.1%} did not run)" in run.output

    def test_the_three_tables_agree(self, explored: tuple[Project, Run]) -> None:
        place = folder(explored[0], "digits_explore")
        parquet = pd.read_parquet(place / "results.parquet")
        text = pd.read_csv(place / "results.csv", float_precision="round_trip")
        assert list(parquet.columns) == list(text.columns)
        assert (
            list(parquet.config_id) == list(text.config_id) == list(statuses(explored[0], "digits_explore"))
        )
        for row, metrics in zip(parquet.itertuples(), rows(explored[0]), strict=True):
            for name in ("throughput", "latency", "lut_utilization", "dsp_utilization", "bram_utilization"):
                assert getattr(row, name) == text[name][row.Index] == metrics[name]
            assert row.synth_clk_period_ns == metrics["flags"]["synth_clk_period_ns"]
        summary = record(explored[0], "digits_explore")["summary"]
        for name in ("feasible", "pareto"):
            for frame in (parquet, text):
                assert list(frame.config_id[frame[name].astype(bool)]) == summary[name]

    def test_nothing_says_simulated(self, explored: tuple[Project, Run]) -> None:
        project, run = explored
        assert "simulated" not in run.output
        assert record(project, "digits_explore")["simulated"] is False
        assert {row["simulated"] for row in table(project, "digits_explore")} == {"False"}

    def test_a_second_exploration_and_a_build_have_nothing_to_do(self, explored: tuple[Project, Run]) -> None:
        project, _ = explored
        before = record(project, "digits_explore")
        assert project.succeed("blueprint=digits_explore", "build").output.startswith("nothing to do")
        again = project.succeed("blueprint=digits_explore", "explore")
        after = record(project, "digits_explore")
        assert again.steps == []
        total = sum(before["steps"].values())
        assert after["steps"] == {"ran": 0, "shared": 0, "up_to_date": total}
        assert after["results"] == before["results"]


# the same run by other names


def test_build_after_explore_has_nothing_to_do_and_the_other_way_round(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    assert "nothing to do" in empty_project.succeed("build").output
    first = record(empty_project)
    mock_space(empty_project, config=fields(target_fps=[1000, 2000, 100000]))
    empty_project.succeed("build")
    assert record(empty_project) == first
    run = empty_project.succeed("explore")
    assert "nothing to do" in run.output and run.steps == []
    assert record(empty_project)["steps"] == {"ran": 0, "shared": 0, "up_to_date": 6 * 4}


def test_threads_come_to_the_same(empty_project: Project, tmp_path: Path) -> None:
    other = Project.clone(tmp_path / "other", tmp_path / "other-store")
    for project, workers in ((empty_project, ("-n", "1")), (other, ("-n", "2"))):
        mock_space(project)
        project.succeed("explore", *workers)
    assert table(empty_project) == table(other)
    assert record(empty_project)["steps"] == record(other)["steps"]
    for name in statuses(other):
        assert contents(other.folder("tiny", name)) == contents(empty_project.folder("tiny", name))


def test_restart_makes_all_outputs_again_from_the_store(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    before = table(empty_project)
    run = empty_project.succeed("explore", "--restart")
    assert run.steps == [] and "build:config_004" in run.output
    assert record(empty_project)["steps"] == {"ran": 0, "shared": 16, "up_to_date": 0}
    assert table(empty_project) == before


# interrupted and started again


def slow_space(project: Project) -> None:
    """Six configurations, each with a step of its own that takes 0.3 s."""
    steps = ["step_tidy_up", {"step": "step_target_fps_parallelization", "sleep": 0.3}]
    rates = [1000, 2000, 3000, 4000, 5000, 6000]
    mock_space(
        project,
        config=fields(synth_clk_period_ns=5.0, target_fps=rates),
        steps=[*steps, "step_generate_estimate_reports"],
    )


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The slow space, explored in one go. Not to be changed."""
    made = tmp_path_factory.mktemp("uninterrupted")
    project = Project.clone(made / "project", made / "store")
    slow_space(project)
    project.succeed("explore", "-n", "2")
    return project


@pytest.mark.parametrize(
    ("number", "workers"),
    [
        (signal.SIGINT, ("-n", "2")),
        (signal.SIGKILL, ("-n", "1")),
        (signal.SIGKILL, ("-n", "2")),
        (signal.SIGTERM, ("-n", "1")),
    ],
    ids=["SIGINT-threads", "SIGKILL", "SIGKILL-threads", "SIGTERM"],
)
def test_stopped_and_started_again_it_continues(
    empty_project: Project, uninterrupted: Project, number: signal.Signals, workers: Sequence[str]
) -> None:
    slow_space(empty_project)
    lines = []
    with empty_project.start("explore", *workers) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if line.startswith("build:"):  # one is done: the next are under way
                break
        if number is signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        lines.append(process.stdout.read())
    stopped = Run(process.returncode, "".join(lines))
    assert stopped.code in (130, -signal.SIGKILL), stopped.output
    assert "Traceback" not in stopped.output
    assert not (folder(empty_project) / "results.json").exists()
    deadline = time.monotonic() + 10
    while (again := empty_project.run("explore", *workers)).code == 3 and time.monotonic() < deadline:
        assert "another run is building" in again.output
    assert again.code == 0, again.output
    rate = "step_target_fps_parallelization"
    assert stopped.steps.count(rate) >= 1 and "step_tidy_up" not in again.steps
    assert stopped.steps.count(rate) + again.steps.count(rate) in range(5, 7)  # one may end as it is stopped
    assert table(uninterrupted) == table(empty_project)
    assert record(uninterrupted)["summary"]["pareto"] == record(empty_project)["summary"]["pareto"]
    assert "nothing to do" in empty_project.succeed("explore").output


# what may be said on the command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-n", "2", "tree"), "tree is a command\n  -> It comes first: doit tree"),
        (("build", "explore"), "explore takes no 'build'"),
        (("explore", "build:config_001"), "explore takes no 'build:config_001'\n  -> Single"),
        (("explore", "--faster"), "explore: option --faster not recognized\n  -> See `doit help explore`"),
        (("explore", "-r", "zero"), "option -r not recognized"),
        (("explore", "-P", "process"), "option -P not recognized"),
        (("explore", "-n"), "option -n requires argument"),
        (("explore", "-n", "two"), "-n takes a whole number or auto, not 'two'\n  -> Give"),
        (("explore", "-n", "-1"), "-n takes a whole number or auto, not '-1'"),
        (("blueprint=tyni", "explore"), "there is no blueprint 'tyni'"),
        (("blueprnt=tiny", "explore"), "there is no variable 'blueprnt'"),
        (("runtime=cloud", "explore"), "there is no runtime 'cloud'"),
    ],
    ids=" ".join,
)
def test_what_explore_does_not_take_is_refused_in_words(
    empty_project: Project, arguments: Sequence[str], words: str
) -> None:
    mock_space(empty_project)
    run = empty_project.fail(*arguments)
    assert run.code == 3
    assert words in run.output
    assert run.output.count("\n") <= 3
    assert not (empty_project.root / "builds" / "tiny" / "config_001").exists()


def test_all_mistakes_of_a_blueprint_are_told_with_their_places(empty_project: Project) -> None:
    (empty_project.root / "blueprints" / "bad.yaml").write_text(
        "name: bad\nmodel: ../models/digits_mlp_w2a2.onnx\nsearch: {max_builds: 0}\n"
        "design_space:\n  config: {synth_clk_period_ns: fast}\n  steps: [step_tidy_upp]\n"
    )
    run = empty_project.fail("blueprint=bad", "explore")
    assert run.code == 3
    for place in ("bad.yaml:3:22", "bad.yaml:5:33", "bad.yaml:6:11"):
        assert place in run.output


def test_help_tells_what_there_is_and_no_more(empty_project: Project) -> None:
    text = empty_project.succeed("help", "explore").output
    shown = set(re.findall(r"^ +(?:-\w \w+, )?--([\w-]+)", text, re.M))
    assert {"process", "fail-fast", "early-stop", "restart"} <= shown
    assert not shown & {"reporter", "parallel-type", "verbosity", "output-file"}
    assert "builds/<name>/exploration/" in text


def test_options_may_stand_before_the_command(empty_project: Project) -> None:
    mock_space(empty_project)
    assert "4 of 4 built" in empty_project.succeed("-n", "2", "explore").output
    assert "--early-stop" in empty_project.succeed("explore", "--help").output


def test_what_estimates_do_not_tell_is_said_at_the_start(empty_project: Project) -> None:
    keys = {"limits": ["total_power < 5"], "objectives": {"accuracy": "max", "throughput": "max"}}
    mock_space(empty_project, keys=keys)
    output = empty_project.succeed("explore", "--early-stop").output
    assert "warning: the limit 'total_power < 5' has no value at output_stage ESTIMATES" in output
    assert "warning: the objective accuracy has no value at output_stage ESTIMATES" in output
    assert "warning: nothing to stop early" in output


def test_a_limit_that_cannot_be_evaluated_fails_no_build(empty_project: Project) -> None:
    mock_space(empty_project, keys={"limits": ["1 / (throughput - throughput) > 0"]})
    output = empty_project.succeed("explore").output
    assert "4 of 4 built, 0 within the limits" in output
    assert "division by zero" in output

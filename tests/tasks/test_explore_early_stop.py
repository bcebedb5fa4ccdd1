"""Early stop: what estimates rule out goes no further, not even on behalf of others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tests.explorations import STEPS, fields, messages, mock_space, record, statuses, table
from tests.projects import Project

LATE = {"step": "step_hw_codegen", "sleep": 0.1}
WORKERS = pytest.mark.parametrize("workers", [("-n", "1"), ("-n", "2")], ids=["serial", "threads"])


def long_space(project: Project, steps: Sequence[Any] = (), **keys: Any) -> None:
    """Four configurations up to RTL; of config_001 and config_003 the latency is over the limit."""
    mock_space(
        project,
        steps=[*(steps or STEPS), LATE],
        keys={"output_stage": "RTL", "limits": ["latency < 100"], **keys},
    )


@WORKERS
@pytest.mark.parametrize("how", ["blueprint", "option"])
def test_what_is_ruled_out_never_meets_the_late_steps(
    empty_project: Project, how: str, workers: Sequence[str]
) -> None:
    """The first of all is among them: it must not run the steps that it shares with those that go on."""
    long_space(empty_project, search={"early_stop": how == "blueprint"})
    option = ["--early-stop"] if how == "option" else []
    run = empty_project.succeed("explore", *option, *workers)
    assert run.steps.count("step_hw_codegen") == 1
    assert run.steps.count("step_generate_estimate_reports") == 4
    assert statuses(empty_project) == {
        "config_001": "SKIPPED",
        "config_002": "SUCCESS",
        "config_003": "SKIPPED",
        "config_004": "SKIPPED",
    }
    words = messages(empty_project)
    assert words["config_001"].startswith("its estimates break the limit latency < 100 (latency = 279")
    assert (
        words["config_004"]
        == "its estimates are dominated by those of config_002 (throughput, lut_utilization)"
    )
    for config in ("config_001", "config_003", "config_004"):
        result = empty_project.read("result.json", "tiny", config)
        assert (result["status"], result["error_message"]) == ("SKIPPED", words[config])
        assert result["metrics"]["throughput"] > 0 and result["simulated"] is True
        assert not (empty_project.folder("tiny", config) / "final_model.onnx").exists()
    assert (empty_project.folder("tiny", "config_002") / "final_model.onnx").exists()
    steps = record(empty_project)["steps"]
    assert steps == {"ran": len(run.steps), "shared": 3 * 4 + 5 - len(run.steps), "up_to_date": 0}


@WORKERS
def test_again_nothing_runs_and_the_outcome_is_the_same(
    empty_project: Project, workers: Sequence[str]
) -> None:
    long_space(empty_project, search={"early_stop": True})
    empty_project.succeed("explore")
    before = table(empty_project)
    run = empty_project.succeed("explore", *workers)
    assert run.steps == [] and table(empty_project) == before
    assert record(empty_project)["steps"] == {"ran": 0, "shared": 0, "up_to_date": 3 * 4 + 5}


def test_the_outcome_is_that_of_building_all(empty_project: Project) -> None:
    """What is ruled out was not in the Pareto set, as far as estimates are the last word."""
    long_space(empty_project)
    empty_project.succeed("explore", "--early-stop")
    early = record(empty_project)["summary"]
    empty_project.succeed("explore")
    full = record(empty_project)["summary"]
    assert (early["pareto"], early["best_config"]) == (full["pareto"], full["best_config"])
    assert full["success_count"] == 4
    assert empty_project.read("result.json", "tiny", "config_001")["status"] == "SUCCESS"


def test_an_exploration_of_estimates_has_nothing_to_stop(empty_project: Project) -> None:
    mock_space(empty_project, keys={"limits": ["latency < 100"], "search": {"early_stop": True}})
    empty_project.succeed("explore")
    assert set(statuses(empty_project).values()) == {"SUCCESS"}
    assert record(empty_project)["summary"]["feasible"] == ["config_002", "config_004"]


@WORKERS
def test_all_may_be_ruled_out(empty_project: Project, workers: Sequence[str]) -> None:
    long_space(empty_project, limits=["latency < 1"])
    run = empty_project.succeed("explore", "--early-stop", *workers)
    assert "step_hw_codegen" not in run.steps
    assert set(statuses(empty_project).values()) == {"SKIPPED"}
    summary = record(empty_project)["summary"]
    assert (summary["evaluated_count"], summary["best_config"], summary["pareto"]) == (0, None, [])


@WORKERS
def test_a_failure_on_the_way_to_estimates(empty_project: Project, workers: Sequence[str]) -> None:
    steps = ["step_tidy_up", ["step_streamline", {"step": "step_convert_to_hw", "fail": True}], *STEPS[2:]]
    long_space(empty_project, steps)
    run = empty_project.fail("explore", "--early-stop", *workers)
    assert run.code == 1 and run.steps.count("step_hw_codegen") == 1
    found = statuses(empty_project)
    assert found.pop("config_003") == "SUCCESS"
    assert sorted(found.values()) == ["FAILED", *["SKIPPED"] * 6]  # with threads any may be the first
    assert record(empty_project)["summary"]["failures"].keys() == {"transform"}


@WORKERS
def test_fail_fast_stops_before_the_late_steps(empty_project: Project, workers: Sequence[str]) -> None:
    steps = ["step_tidy_up", ["step_streamline", {"step": "step_convert_to_hw", "fail": True}], *STEPS[2:]]
    long_space(empty_project, steps)
    run = empty_project.fail("explore", "--early-stop", "--fail-fast", *workers)
    assert run.code == 1 and "step_hw_codegen" not in run.steps
    assert sorted(statuses(empty_project).values()) == ["FAILED", *["SKIPPED"] * 7]


@pytest.mark.finn
@pytest.mark.slow
def test_with_finn(empty_project: Project) -> None:
    """Up to generated code: four configurations, of which FINN's estimates rule out some."""
    config = fields(synth_clk_period_ns=[5.0, 10.0], target_fps=[10000, 1000000])
    keys: Mapping[str, Any] = {
        "output_stage": "RTL",
        "limits": ["latency < 20"],
        "search": {"early_stop": True},
    }
    empty_project.blueprint(keys=keys, config=config)
    run = empty_project.succeed("explore", "-n", "2")
    assert "simulated" not in run.output
    found = statuses(empty_project)
    built = [name for name in found if found[name] == "SUCCESS"]
    assert built and len(built) < 4 == len(found)
    assert run.steps.count("step_hw_codegen") == len(built)
    for name, status in found.items():
        result = empty_project.read("result.json", "tiny", name)
        estimate = empty_project.read("estimate.json", "tiny", name)
        for metric in ("throughput", "latency", "lut_utilization"):
            assert result["metrics"][metric] == estimate[metric]
        if status == "SKIPPED":
            assert "its estimates" in result["error_message"]
        else:
            assert estimate["latency"] < 20
    before = table(empty_project)
    again = empty_project.succeed("explore")
    assert again.steps == [] and table(empty_project) == before


def test_what_is_built_to_its_end_stays(empty_project: Project) -> None:
    """Figures that took hours are not given away for estimates."""
    long_space(empty_project)
    empty_project.succeed("explore")
    before = table(empty_project)
    empty_project.succeed("explore", "--early-stop")
    assert table(empty_project) == before
    assert empty_project.read("result.json", "tiny", "config_001")["status"] == "SUCCESS"


def test_an_objective_that_estimates_do_not_tell_is_said(empty_project: Project) -> None:
    long_space(empty_project, objectives={"accuracy": "max", "throughput": "max"})
    run = empty_project.succeed("explore", "--early-stop")
    assert "estimates do not tell accuracy" in run.output
    assert list(statuses(empty_project).values()) == ["SKIPPED", "SUCCESS", "SKIPPED", "SUCCESS"]

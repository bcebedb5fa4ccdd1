"""Failures of an exploration: who failed, who was not built for it and why, and that the others go on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.explorations import STEPS, fields, messages, mock_space, record, statuses, table
from tests.projects import Project, traces

FAILING = {"step": "step_convert_to_hw", "fail": True}
WORKERS = pytest.mark.parametrize("workers", [("-n", "1"), ("-n", "2")], ids=["serial", "threads"])

#: A failure in one alternative of a branch, below a shared prefix: the even configurations.
BRANCH: Sequence[Any] = ["step_tidy_up", ["step_streamline", FAILING], *STEPS[2:]]

#: A step that fails for one value of a field, and reads it.
PICKY = """
from finnmake.plugins import step

@step
def picky(model, cfg):
    if cfg.target_fps == 1000:
        raise ValueError("this rate is too slow")
    return model
"""


def outcome(project: Project, config: str) -> dict[str, Any]:
    found: dict[str, Any] = project.read("result.json", "tiny", config)
    return found


@WORKERS
def test_a_failure_in_a_shared_segment(empty_project: Project, workers: Sequence[str]) -> None:
    """The first fails, what shares the step is skipped for that reason, siblings are built."""
    mock_space(empty_project, steps=BRANCH)
    run = empty_project.fail("explore", *workers)
    assert run.code == 1
    assert statuses(empty_project) == {
        **{f"config_00{number}": "SUCCESS" for number in (1, 3, 5, 7)},
        **{f"config_00{number}": "SKIPPED" for number in (4, 6, 8)},
        "config_002": "FAILED",
    }
    for number in (4, 6, 8):
        result = outcome(empty_project, f"config_00{number}")
        assert result["status"] == "SKIPPED"
        assert "step_convert_to_hw, which it shares with config_002, failed there" in result["error_message"]
        assert result["error_message"] == messages(empty_project)[f"config_00{number}"]
    failed = outcome(empty_project, "config_002")
    assert (failed["status"], failed["error_category"]) == ("FAILED", "transform")
    assert failed["tips"] == [
        "Nothing is wrong: take `fail`, or transform below `mock.failures`, out of the blueprint."
    ]
    assert "simulated by finnmake" in (empty_project.folder("tiny", "config_002") / "build.log").read_text()
    summary = record(empty_project)["summary"]
    assert summary["failures"] == {"transform": ["config_002"]}
    assert (summary["evaluated_count"], summary["success_count"], summary["skipped_count"]) == (5, 4, 3)
    assert not {row["config_id"] for row in table(empty_project) if row["feasible"] == "True"} & {
        f"config_00{number}" for number in (2, 4, 6, 8)
    }
    assert "failed (transform): config_002" in run.output and "skipped: 3" in run.output


@WORKERS
def test_a_failing_step_is_tried_once_a_run(empty_project: Project, workers: Sequence[str]) -> None:
    slow = {**FAILING, "sleep": 3}
    rates = [1000, 2000, 3000, 4000, 5000, 6000]
    config = fields(target_fps=rates, synth_clk_period_ns=5.0)
    mock_space(empty_project, config=config, steps=["step_tidy_up", slow, *STEPS[2:]])
    run = empty_project.fail("explore", *workers)
    assert list(statuses(empty_project).values()) == ["FAILED", *["SKIPPED"] * 5]
    assert run.output.count("the backend mock fails here") <= 2  # once for the first, once for all others
    assert run.seconds < 6 * 3
    assert run.steps == ["step_tidy_up"]


@pytest.mark.finn
@WORKERS
def test_a_failure_that_depends_on_a_field_is_that_of_its_values_alone(
    empty_project: Project, workers: Sequence[str]
) -> None:
    empty_project.plugin("picky.py", PICKY)
    config = fields(synth_clk_period_ns=[5.0, 10.0], target_fps=[1000, 2000, 3000])
    empty_project.blueprint(config=config, steps=["step_tidy_up", "picky"])
    assert empty_project.fail("explore", *workers).code == 1
    slow = [statuses(empty_project)[name] for name in ("config_001", "config_004")]
    assert sorted(slow) == ["FAILED", "SKIPPED"]
    assert list(statuses(empty_project).values()).count("SUCCESS") == 4
    assert "this rate is too slow" in "".join(messages(empty_project).values())


@WORKERS
def test_after_mending_it_is_built(empty_project: Project, workers: Sequence[str]) -> None:
    mock_space(empty_project, steps=BRANCH)
    before = empty_project.fail("explore", *workers)
    mended = ["step_tidy_up", ["step_streamline", "step_convert_to_hw"], *STEPS[2:]]
    mock_space(empty_project, steps=mended)
    run = empty_project.succeed("explore", *workers)
    assert set(statuses(empty_project).values()) == {"SUCCESS"}
    assert "step_tidy_up" not in run.steps and "step_tidy_up" in before.steps
    assert run.steps.count("step_convert_to_hw") == 1 and run.steps.count("step_streamline") == 0
    assert len(run.steps) == 1 + 4 + 4
    assert outcome(empty_project, "config_002")["status"] == "SUCCESS"


def test_a_failure_is_tried_again_in_the_next_run(empty_project: Project) -> None:
    mock_space(empty_project, steps=BRANCH)
    empty_project.fail("explore")
    again = empty_project.fail("explore")
    assert again.code == 1 and again.steps == []
    assert statuses(empty_project)["config_002"] == "FAILED"
    assert record(empty_project)["steps"] == {"ran": 0, "shared": 0, "up_to_date": 16}


def test_a_build_that_fails_now_is_no_success_of_before(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    mock_space(empty_project, steps=[*STEPS[:2], FAILING, *STEPS[2:]])
    empty_project.fail("explore")
    assert list(statuses(empty_project).values()) == ["FAILED", *["SKIPPED"] * 3]
    summary = record(empty_project)["summary"]
    assert (summary["success_count"], summary["pareto"], summary["best_config"]) == (0, [], None)
    mock_space(empty_project)
    run = empty_project.succeed("explore")
    assert run.steps == [] and set(statuses(empty_project).values()) == {"SUCCESS"}
    assert outcome(empty_project, "config_001")["status"] == "SUCCESS"


@WORKERS
@pytest.mark.parametrize("how", ["blueprint", "option"])
def test_fail_fast_stops_and_leaves_the_rest_alone(
    empty_project: Project, how: str, workers: Sequence[str]
) -> None:
    config = fields(target_fps=[1000, 2000, 3000, 4000])
    mock_space(empty_project, config=config)
    empty_project.succeed("explore")
    earlier = {name: outcome(empty_project, name) for name in statuses(empty_project)}
    steps = ["step_streamline", {"step": "step_target_fps_parallelization", "fail": True}, *STEPS[3:]]
    mock_space(empty_project, config=config, steps=steps, keys={"search": {"fail_fast": how == "blueprint"}})
    option = ["--fail-fast"] if how == "option" else []
    run = empty_project.fail("explore", *option, *workers)
    assert run.code == 1
    found = statuses(empty_project)
    assert found["config_001"] == "FAILED"
    assert "SUCCESS" not in found.values()
    words = messages(empty_project)
    untouched = [name for name in found if "not reached: the exploration stopped when" in words[name]]
    assert len(untouched) >= 4
    assert {name: outcome(empty_project, name) for name in untouched} == {
        name: earlier[name] for name in untouched
    }


@pytest.mark.parametrize("workers", [1, 2])
def test_fail_fast_names_who_failed_even_where_another_met_it_first(
    empty_project: Project, workers: int
) -> None:
    """A segment runs on behalf of its first configuration, and fails before that one's turn comes."""
    mock_space(empty_project, steps=BRANCH)
    empty_project.fail("explore", "--fail-fast", "-n", str(workers))
    summary = record(empty_project)["summary"]
    assert summary["failures"] == {"transform": ["config_002"]}
    assert outcome(empty_project, "config_002")["status"] == "FAILED"


def test_a_time_limit_for_the_whole_build(empty_project: Project) -> None:
    steps = ["step_tidy_up", {"step": "step_streamline", "sleep": [0, 30]}, *STEPS[2:]]
    config = fields(synth_clk_period_ns=5.0, target_fps=1000)
    mock_space(empty_project, config=config, steps=steps, keys={"search": {"timeout": 1}})
    run = empty_project.fail("explore")
    assert run.code == 1 and run.seconds < 20
    assert statuses(empty_project) == {"config_001": "SUCCESS", "config_002": "TIMEOUT"}
    assert outcome(empty_project, "config_002")["status"] == "TIMEOUT"
    assert record(empty_project)["summary"]["failures"] == {"timeout": ["config_002"]}
    assert "search.timeout" in "".join(outcome(empty_project, "config_002")["tips"])


def test_nothing_of_a_failure_is_kept_in_the_store(empty_project: Project) -> None:
    mock_space(empty_project, steps=["step_tidy_up", FAILING, *STEPS[2:]])
    empty_project.fail("explore")
    kept = [name for names in traces(empty_project.store).values() for name in names]
    assert len(kept) == 1  # of step_tidy_up


def test_a_model_that_is_none_fails_every_build_and_says_so(empty_project: Project) -> None:
    model = empty_project.root / "models" / "digits_mlp_w2a2.onnx"
    model.write_bytes(model.read_bytes()[:1000])
    mock_space(empty_project)
    run = empty_project.fail("explore")
    assert run.code in (1, 3)
    if run.code == 1:
        assert set(statuses(empty_project).values()) <= {"FAILED", "SKIPPED"}
        assert record(empty_project)["summary"]["failures"].keys() == {"model_load"}


def test_a_failing_analysis_is_a_warning(empty_project: Project) -> None:
    plugin = "from finnmake.plugins import analysis\n\n@analysis\ndef judge(build):\n    return {}\n"
    empty_project.plugin("judge.py", plugin)
    stages = {"post_proc": [{"name": "judge", "parameters": {"fail": True}}]}
    mock_space(empty_project, transforms=stages)
    empty_project.succeed("explore")
    for result in record(empty_project)["results"]:
        assert result["status"] == "SUCCESS"
        assert any("analysis judge" in warning for warning in result["warnings"])
    assert json.loads((empty_project.folder("tiny") / "postprocessing/warnings.json").read_text())


def test_fail_fast_counts_what_is_up_to_date(empty_project: Project) -> None:
    mock_space(empty_project, steps=["step_tidy_up", ["step_streamline", "step_convert_to_hw"], *STEPS[2:]])
    empty_project.succeed("explore")
    failing = {"step": "step_streamline", "fail": True}
    mock_space(empty_project, steps=["step_tidy_up", [failing, "step_convert_to_hw"], *STEPS[2:]])
    empty_project.fail("explore", "--fail-fast")
    found = list(statuses(empty_project).values())
    assert found.count("FAILED") == 1
    assert found.count("SUCCESS") == 4


def test_time_that_one_build_had_used_up_is_not_another_one_s(empty_project: Project) -> None:
    """The first build runs the shared step as well, and has too little left for the next one."""
    steps = [
        {"step": "step_tidy_up", "sleep": 1.2},
        {"step": "step_streamline", "sleep": 1.2},
        ["~", "step_convert_to_hw"],
        STEPS[-1],
    ]
    config = fields(synth_clk_period_ns=5.0, target_fps=1000)
    mock_space(empty_project, config=config, steps=steps, keys={"search": {"timeout": 2}})
    empty_project.fail("explore", "-n", "1")
    assert statuses(empty_project) == {"config_001": "TIMEOUT", "config_002": "SUCCESS"}


def test_a_failure_names_no_log_of_another_build(empty_project: Project) -> None:
    mock_space(empty_project)
    empty_project.succeed("explore")
    mock_space(empty_project, steps=[FAILING, *STEPS[1:]])
    empty_project.fail("explore")
    assert outcome(empty_project, "config_001")["logs"] == {"build": "build.log"}
    assert outcome(empty_project, "config_002")["logs"] == {}

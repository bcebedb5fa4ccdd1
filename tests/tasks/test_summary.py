"""The end of a run in words: failures with category, cause, tip and log; the slowest steps; the last line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from finnmake.records import BuildResult, BuildStatus
from finnmake.tasks.summary import (
    Outcome,
    Steps,
    failure_lines,
    last_line,
    report_line,
    slowest_lines,
)

GOLDEN = Path(__file__).parent / "data" / "summary.txt"


def result(number: int, status: BuildStatus, message: str, **values: Any) -> BuildResult:
    made = BuildResult(f"config_{number:03}", status, start_time=0.0)
    made.complete(status, 1.0, message)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def results() -> list[BuildResult]:
    shared = "not built: step_streamline, which it shares with config_002, failed there: memory ran out"
    return [
        result(1, BuildStatus.SUCCESS, ""),
        result(
            2,
            BuildStatus.FAILED,
            "step_streamline: memory ran out\n  -> not the cause",
            error_category="memory",
            tips=["Build fewer at once: -n 1.\nMore of this.", "Another tip."],
            logs={"build": "build.log"},
        ),
        result(3, BuildStatus.TIMEOUT, "step_hw_codegen: it took too long", error_category="timeout"),
        *(result(number, BuildStatus.SKIPPED, shared) for number in (4, 5)),
        result(6, BuildStatus.SKIPPED, "lut_utilization 1.2 breaks lut_utilization <= 1"),
        *(result(number, BuildStatus.FAILED, f"cause {number}: {'long ' * 50}") for number in range(10, 20)),
    ]


def test_all_that_is_said_at_the_end() -> None:
    found = {each.config_id: each for each in results()}
    lines = [
        *failure_lines(found, {config: f"builds/tiny/{config}" for config in found}),
        report_line(["builds/tiny/config_002/report.html", "builds/tiny/config_001/report.html"]),
        *slowest_lines([(72.34, "finn:config_001", "step_hw_codegen"), (1.5, "segment:ab", "step_tidy_up")]),
        last_line(Outcome(tasks=40, failures=12, skipped=3, unmet=60), Steps(25, 10, 93.21)),
    ]
    assert "\n".join(lines) + "\n" == GOLDEN.read_text()


def test_a_run_that_went_well_says_little() -> None:
    assert list(failure_lines({"config_001": results()[0]}, {})) == []
    assert list(slowest_lines([])) == []
    assert report_line(["a/report.html"]) == "report: a/report.html"
    assert last_line(Outcome(7, 0, 0, 0), Steps(1, 11, 3.0)) == "1 step ran, 11 came from the store, 3.0 s"


@pytest.mark.parametrize("message", ["", None])
def test_a_failure_without_words_is_still_told(message: str | None) -> None:
    silent = result(1, BuildStatus.FAILED, message or "")
    told = list(failure_lines({"config_001": silent, "config_002": results()[0]}, {}))
    assert told == ["config_001 failed (unknown): no cause is known"]


def test_a_failure_that_was_just_told_is_not_told_again() -> None:
    assert list(failure_lines({"config_002": results()[1]}, {})) == []

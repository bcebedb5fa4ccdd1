"""The end of a run in words: what failed and what to do, the slowest steps, what ran and what was shared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finnmake.records import BuildResult, BuildStatus

#: So many failures are told one by one.
_SHOWN = 10

#: The longest cause (characters).
_LONGEST = 160


@dataclass(frozen=True)
class Outcome:
    """What became of the tasks of a run: how many ran, failed, were skipped, were not reached."""

    tasks: int
    failures: int
    skipped: int
    unmet: int


@dataclass(frozen=True)
class Steps:
    """What became of the steps: how many ran, how many came from the store, how long all of it took."""

    ran: int
    shared: int
    seconds: float


def slowest_lines(slowest: Sequence[tuple[float, str, str]]) -> Iterator[str]:
    """The slowest steps: (seconds, task, step)."""
    if slowest:
        told = (f"{step} {seconds:.1f} s ({task})" for seconds, task, step in slowest)
        yield f"slowest: {', '.join(told)}"


def report_line(pages: Sequence[str]) -> str:
    """Where the reports are."""
    others = len(pages) - 1
    return f"report: {min(pages)}" + (f" and {others} more beside it" if others else "")


def failure_lines(results: Mapping[str, BuildResult], folders: Mapping[str, str]) -> Iterator[str]:
    """For each failure category, cause, tip and log; how many were skipped, by what they waited for.

    Nothing where a single configuration ended: all of it has just been told.

    Args:
        results: configuration id -> how it ended.
        folders: configuration id -> folder of its outputs, relative to the project.
    """
    if len(results) < 2:
        return
    failed = sorted(
        (each for each in results.values() if each.status in (BuildStatus.FAILED, BuildStatus.TIMEOUT)),
        key=lambda each: each.config_id,
    )
    for each in failed[:_SHOWN]:
        yield from _failure(each, folders.get(each.config_id, ""))
    if len(failed) > _SHOWN:
        yield f"… and {len(failed) - _SHOWN:,} more failed"
    yield from _skipped(each for each in results.values() if each.status is BuildStatus.SKIPPED)


def _failure(result: BuildResult, folder: str) -> Iterator[str]:
    yield f"{result.config_id} failed ({result.error_category or 'unknown'}): {_cause(result)}"
    if result.tips:
        yield f"  -> {_first_line(result.tips[0])}"
    if result.logs:
        yield f"  log: {folder}/{next(iter(result.logs.values()))}"


def _skipped(results: Iterable[BuildResult]) -> Iterator[str]:
    counted = Counter(_cause(each) for each in results)
    for cause, count in sorted(counted.items()):
        yield f"{count:,} skipped: {cause}"


def _cause(result: BuildResult) -> str:
    return _first_line(result.error_message or "no cause is known")


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …"


def last_line(outcome: Outcome, steps: Steps) -> str:
    """How many tasks failed, if any; the steps that ran and that came from the store; the time."""
    ran = "1 step" if steps.ran == 1 else f"{steps.ran} steps"
    text = f"{ran} ran, {steps.shared} came from the store, {steps.seconds:.1f} s"
    if not outcome.failures:
        return text
    beside = f", {outcome.skipped} skipped" if outcome.skipped else ""
    return f"{outcome.failures} failed{beside}, {outcome.unmet} tasks not reached; {text}"

"""What result.json tells of a build that failed, and what of its log is worth showing."""

from __future__ import annotations

from pathlib import Path

from finnmake.blueprint.schema import ON_ERROR, PASSTHROUGH
from finnmake.error_patterns import CATEGORIES
from finnmake.errors import FinnmakeError, StepError
from finnmake.records import BuildResult
from finnmake.runner.outputs import text_of

#: The page of a build that failed; the next that does not removes it.
FAILURE_PAGE = "failure.html"

#: How the part of build.log about the step that failed begins, after the step's name.
FAILED = " (failed)\n"

#: How Python begins to tell where an exception came from.
TRACEBACK = "Traceback (most recent call last):"

#: So many lines are kept of what a step printed, and so many of the traceback after it.
_LINES = 10

#: A line may be a tool's whole output.
_LONGEST = 400


def left_out(value: object) -> str | None:
    """What is to be said of a transform that failed and, by `on_error`, left the model as it was.

    Args:
        value: what a file holds in the folder that the backend keeps for these; None for any other file.
    """
    if not isinstance(value, dict) or value.get(ON_ERROR) != PASSTHROUGH:
        return None  # a transform's own file
    return f"transform {value.get('transform')} failed and was left out: {value.get('error')}"


def tell(result: BuildResult, error: FinnmakeError) -> None:
    """Write into the result what is known of the error."""
    result.error_category = error.category if error.category in CATEGORIES else "unknown"
    result.tips = [error.cure] if error.cure else []
    if isinstance(error, StepError):
        result.error_step = error.step
        result.error_node = error.node or None


def log_tail(log: Path) -> list[str]:
    """The last lines that the failed step printed, then the end of the traceback, each cut to a length.

    Args:
        log: build.log, which ends with what the failed step printed.
    """
    said = (text_of(log) or "").rpartition(FAILED)[2]
    printed, found, trace = said.partition(TRACEBACK)
    lines = [*_last(printed), *([found, *_last(trace)] if found else [])]
    return [line if len(line) <= _LONGEST else f"{line[:_LONGEST]} …" for line in lines]


def printed(tail: list[str]) -> list[str]:
    """Of a log's tail what the step and its tools printed, without Python's traceback."""
    return tail[: tail.index(TRACEBACK)] if TRACEBACK in tail else tail


def _last(text: str) -> list[str]:
    """The last lines that say something; Python underlines what it quotes."""
    return [line.rstrip() for line in text.splitlines() if line.strip(" ^~")][-_LINES:]


def default_category(kind: str, before_steps: bool) -> str:
    """The category of a failure whose message is not known, by what failed.

    Args:
        kind: `transform`, `step` or `analysis`.
        before_steps: whether it is a transform before the first step.
    """
    if before_steps:
        return "preprocessing"
    return {"transform": "transform", "analysis": "postprocessing"}.get(kind, "unknown")

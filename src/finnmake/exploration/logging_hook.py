"""LoggingHook: what happens in an exploration, in Python's logging."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from finnmake.exploration.hooks import ExplorationHook
from finnmake.records import BuildConfig, BuildResult, BuildStatus

if TYPE_CHECKING:
    from finnmake.blueprint.space import DesignSpace
    from finnmake.exploration.results import ExplorationResult
    from finnmake.exploration.tree import Segment


class LoggingHook(ExplorationHook):
    """A line of Python's logging for each event; steps one level lower than the rest.

    Args:
        logger: where to; `finnmake.explore` if not given. Where the program has set up no logging at all,
            that one writes to standard error.
        level: of what happens to builds and segments that go well; failures are errors.
    """

    def __init__(self, logger: logging.Logger | None = None, level: int = logging.INFO) -> None:
        self._logger = logger or logging.getLogger("finnmake.explore")
        self._level = level
        if logger is None and not self._logger.hasHandlers():
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
            self._logger.addHandler(handler)
            self._logger.setLevel(level)

    def before_exploration(self, space: DesignSpace, configs: Sequence[BuildConfig]) -> None:
        """How many configurations."""
        self._log("%s: %d configurations", space.name, len(configs))

    def after_exploration(self, result: ExplorationResult) -> None:
        """How many went well, the best, and what was shared."""
        best = f", best {result.best_config.id}" if result.best_config else ""
        self._log(
            "%s: %d of %d built%s, %.0f %% of %d steps did not run, %.1f s%s",
            result.design_space_id,
            result.success_count,
            len(result.results),
            best,
            100 * result.steps.sharing,
            result.steps.total,
            result.duration_seconds,
            _mark(result.simulated),
        )
        for warning in result.warnings:
            self._logger.warning("%s: %s", result.design_space_id, warning)

    def before_build(self, config: BuildConfig) -> None:
        """The configuration."""
        self._log("%s starts", config.id)

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        """Its status, and what went wrong."""
        message = (result.error_message or "").strip().partition("\n")[0]
        levels = {BuildStatus.SUCCESS: self._level, BuildStatus.SKIPPED: logging.WARNING}
        self._logger.log(
            levels.get(result.status, logging.ERROR),
            "%s %s, %.1f s%s%s",
            config.id,
            result.status.value,
            result.duration_seconds,
            _mark(result.simulated),
            "".join(f": {part}" for part in (result.error_category, message) if part),
        )

    def before_segment(self, segment: Segment) -> None:
        """The segment, and for how many."""
        self._log(
            "segment %s starts: %d steps for %d configurations",
            segment.id,
            len(segment.steps),
            len(segment.config_ids),
        )

    def after_segment(self, segment: Segment, error: str | None) -> None:
        """How it ended."""
        if error is None:
            self._log("segment %s done", segment.id)
        else:
            self._logger.error("segment %s failed: %s", segment.id, error.strip().partition("\n")[0])

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        """What happened to a step, one level lower."""
        took = f", {seconds:.2f} s" if event == "done" else ""
        self._logger.log(self._level - 10, "%s %s: %s%s", owner, step, event, took)

    def _log(self, text: str, *args: Any) -> None:
        self._logger.log(self._level, text, *args)


def _mark(simulated: bool) -> str:
    return " (simulated)" if simulated else ""

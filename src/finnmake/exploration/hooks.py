"""Hooks: what an exploration tells whoever listens, while it runs."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partialmethod
from typing import TYPE_CHECKING, Any

from finnmake.records import BuildConfig, BuildResult, BuildStatus

if TYPE_CHECKING:
    from finnmake.blueprint.space import DesignSpace
    from finnmake.exploration.results import ExplorationResult
    from finnmake.exploration.tree import Segment


class ExplorationHook:
    """A listener that does nothing: derive from it and write the methods that you need.

    They are called from several threads at once. What they raise is reported and harms no build.
    """

    def before_exploration(self, space: DesignSpace, configs: Sequence[BuildConfig]) -> None:
        """The configurations of a space are going to be built."""

    def after_exploration(self, result: ExplorationResult) -> None:
        """All is done."""

    def before_build(self, config: BuildConfig) -> None:
        """A configuration's build starts. Not called for one that is up to date already, or skipped."""

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        """A configuration's result is known; each has one."""

    def before_segment(self, segment: Segment) -> None:
        """The steps of a segment are going to run, or to come from the store."""

    def after_segment(self, segment: Segment, error: str | None) -> None:
        """A segment is done, or failed with this error."""

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        """Something happened to a step.

        Args:
            owner: the id of the configuration or segment that it belongs to.
            step: its name.
            event: `hit`: comes from the store; `load`: the toolchain is being loaded; `run`: starts; `done`:
                ran well.
            seconds: how long it ran; of `done` alone.
        """


class Hooks(ExplorationHook):
    """Several hooks as one: each is told all, whatever another one raises.

    Attributes:
        warnings: a sentence for each method of each hook that raised, however often it did.
    """

    def __init__(self, hooks: Iterable[ExplorationHook] = ()) -> None:
        self._hooks = list(hooks)
        self._lock = threading.Lock()
        self._known: set[tuple[int, str]] = set()
        self.warnings: list[str] = []

    def _tell(self, method: str, *args: Any) -> None:
        for number, hook in enumerate(self._hooks):
            try:
                getattr(hook, method)(*args)
            except Exception as error:  # a hook is somebody else's code: builds go on without it
                self._note(number, method, error)

    def _note(self, number: int, method: str, error: Exception) -> None:
        with self._lock:
            if (number, method) not in self._known:
                self._known.add((number, method))
                name = type(self._hooks[number]).__name__
                self.warnings.append(f"The hook {name}.{method} raised {type(error).__name__}: {error}")

    before_exploration = partialmethod(_tell, "before_exploration")
    after_exploration = partialmethod(_tell, "after_exploration")
    before_build = partialmethod(_tell, "before_build")
    after_build = partialmethod(_tell, "after_build")
    before_segment = partialmethod(_tell, "before_segment")
    after_segment = partialmethod(_tell, "after_segment")
    on_step = partialmethod(_tell, "on_step")


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


class CachingHook(ExplorationHook):
    """Counts where steps came from.

    Attributes:
        hits: configuration or segment -> steps that came from the store.
        ran: configuration or segment -> steps that ran well.
        up_to_date: ids of configurations whose builds needed nothing at all.
    """

    def __init__(self) -> None:
        self.hits: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.up_to_date: list[str] = []
        self._started: set[str] = set()
        self._lock = threading.Lock()

    def before_build(self, config: BuildConfig) -> None:
        """It is not up to date."""
        with self._lock:
            self._started.add(config.id)

    def after_build(self, config: BuildConfig, result: BuildResult) -> None:
        """A build that succeeded without having started was up to date."""
        with self._lock:
            if config.id not in self._started and result.is_successful():
                self.up_to_date.append(config.id)

    def on_step(self, owner: str, step: str, event: str, seconds: float) -> None:
        """Count hits and steps that ran."""
        counter = {"hit": self.hits, "done": self.ran}.get(event)
        if counter is not None:
            with self._lock:
                counter[owner] += 1

    def summary(self) -> str:
        """One line, e.g. `18 steps ran, 162 from the store (90 %), 3 builds up to date`."""
        with self._lock:
            ran, hits = self.ran.total(), self.hits.total()
            part = f" ({100 * hits / (ran + hits):.0f} %)" if ran + hits else ""
            return f"{ran} steps ran, {hits} from the store{part}, {len(self.up_to_date)} builds up to date"


def _mark(simulated: bool) -> str:
    return " (simulated)" if simulated else ""

"""Hooks: what an exploration tells whoever listens, while it runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partialmethod
from typing import TYPE_CHECKING, Any

from finnmake.records import BuildConfig, BuildResult

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

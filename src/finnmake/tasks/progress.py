"""How far a run has come: what ended, what runs, what came from the store, and the time that is left."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from finnmake.tasks.schedule_forecast import Forecast, duration

#: So many of the slowest steps are told at the end, and only those that took longer (seconds).
_SLOWEST = 3
_SLOW = 1.0


@dataclass(frozen=True)
class Running:
    """A step that runs.

    Attributes:
        task: the name of its task.
        config: the configuration that it runs for.
        step: its name.
        seconds: since it began.
        expected: seconds that it took in earlier runs; None where nothing is known.
    """

    task: str
    config: str
    step: str
    seconds: float
    expected: float | None = None


@dataclass(frozen=True)
class View:
    """A moment of a run: a sentence, and the steps that run, longest first."""

    sentence: str
    running: Sequence[Running]


@dataclass
class Progress:
    """Counts what a run tells. Not thread-safe: the screen's lock is held around every call.

    Attributes:
        clock: seconds of a clock that only goes forward.
        wanted: configurations that are built to their ends.
        ran: steps that ran.
        ran_beside: of these, analyses: they are not on the way to a final model.
        met: steps on the way to final models, whether they ran or came from the store.
    """

    clock: Callable[[], float] = time.monotonic
    wanted: int = 0
    ran: int = 0
    ran_beside: int = 0
    met: int = 0
    _built: set[str] = field(default_factory=set)
    _failed: set[str] = field(default_factory=set)
    _skipped: set[str] = field(default_factory=set)
    _running: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _slowest: list[tuple[float, str, str]] = field(default_factory=list)
    _forecast: Forecast | None = None
    _began: float | None = None
    _loading_since: float | None = None

    def expect(self, forecast: Forecast) -> None:
        """What is left can be told from now on."""
        self._forecast = forecast
        self._began = None

    def step(self, task: str, config: str, name: str, event: str, seconds: float) -> None:
        """Something happened to a step, as the engine tells its listener.

        `preprocess`, `segment` and `finn` meet the same steps: `finn` alone tells how many there are.
        """
        now = self.clock()
        group = task.partition(":")[0]
        self._running.pop(task, None)
        self._began = now if self._began is None else self._began
        if event == "load":
            self._loading_since = now
        elif event == "run":
            self._running[task] = (config, name, now)
            if self._loading_since is not None:  # what loading takes says nothing of configurations
                self._began += now - self._loading_since
                self._loading_since = None
        elif event == "done":
            self.ran += 1
            self.ran_beside += group == "analyze"
            heapq.heappush(self._slowest, (seconds, task, name))
            if len(self._slowest) > _SLOWEST:
                heapq.heappop(self._slowest)
            if self._forecast is not None:
                self._forecast.ran(name, seconds)
        if event in ("hit", "done") and group == "finn":
            self.met += 1
            if self._forecast is not None:
                self._forecast.passed(config, name)

    def task_ended(self, task: str) -> None:
        """No step of a task runs any more."""
        self._running.pop(task, None)

    def built(self, config: str) -> None:
        """A configuration is built, now or by an earlier run."""
        self._end(config, self._built)

    def failed(self, config: str) -> None:
        """A configuration failed."""
        self._end(config, self._failed)

    def skipped(self, config: str) -> None:
        """A configuration is not built further."""
        self._end(config, self._skipped)

    def _end(self, config: str, among: set[str]) -> None:
        among.add(config)
        if self._forecast is not None:
            self._forecast.ended(config)

    @property
    def steps_ran(self) -> int:
        """Steps on the way to final models that ran."""
        return self.ran - self.ran_beside

    @property
    def shared(self) -> int:
        """Steps on the way to final models that came from the store."""
        return max(0, self.met - self.steps_ran)

    @property
    def slowest(self) -> list[tuple[float, str, str]]:
        """(seconds, task, step) of the slowest steps, slowest first."""
        return sorted((each for each in self._slowest if each[0] > _SLOW), reverse=True)

    @property
    def running(self) -> list[Running]:
        """The steps that run, longest first."""
        now = self.clock()
        found = sorted(self._running.items(), key=lambda each: each[1][2])
        return [
            Running(task, config, step, now - since, self._usual(step))
            for task, (config, step, since) in found
        ]

    def _usual(self, step: str) -> float | None:
        return None if self._forecast is None else self._forecast.expected(step)

    def view(self) -> View:
        """This moment."""
        running = self.running
        parts = [f"{len(self._built):,} of {self.wanted:,} built"] if self.wanted else []
        parts += [f"{len(self._failed):,} failed"] if self._failed else []
        parts += [f"{len(self._skipped):,} skipped"] if self._skipped else []
        if self.met:
            parts.append(f"{self.shared / self.met:.0%} of steps from the store".replace("%", " %"))
        left = self._left(running)
        parts += [f"about {duration(left)} left"] if left is not None else []
        return View(", ".join(parts), running)

    def _left(self, running: Sequence[Running]) -> float | None:
        if self._forecast is None or self._began is None or self._loading_since is not None:
            return None
        at_work = [(each.step, each.seconds) for each in running]
        return self._forecast.left(at_work, self.clock() - self._began)

"""What a run says: a line for what happened, a live display where a terminal can, a summary at the end."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.errors import FinnmakeError
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from finnmake.tasks import live, plain

if TYPE_CHECKING:
    from finnmake.exploration.results import ExplorationResult
    from finnmake.tasks.progress import Progress, View
    from finnmake.tasks.schedule_forecast import Forecast
    from finnmake.tasks.summary import Outcome

#: What the worker loads unless the backend brings something else, and what that takes.
_FINN = "FINN"
_FINN_LOADS = "2 to 8 s"

#: Loaded as soon as something runs: that may take days, in which finnmake itself may change.
_SAID_LATER = (
    "finnmake.runner.failures",
    "finnmake.tasks.figures",
    "finnmake.tasks.live_text",
    "finnmake.tasks.misled_text",
    "finnmake.tasks.summary",
)

#: Ends every line of a run whose backend makes its results up.
_SIMULATED = " (simulated)"

#: A run is this old (seconds) before its display appears: most that find all in the store are over by then.
_APPEARS = 0.3

#: How long the last drawing may take (seconds): a terminal may be stopped.
_LAST_DRAWING = 2.0


def failure_text(result: BuildResult, error: FinnmakeError, folder: str) -> str:
    """The words for a build that failed: what, where, what to do, where to read on, the end of the log.

    Args:
        folder: the configuration's outputs, relative to the project.
    """
    from finnmake.runner.failures import FAILURE_PAGE, printed

    if result.status is BuildStatus.SKIPPED:
        return result.error_message or str(error)
    said = printed(result.log_tail)
    tail = ["  last lines of the log:", *(f"    {line}" for line in said)] if said else []
    return "\n".join([str(error), f"  page: {folder}/{FAILURE_PAGE}", *tail])


class Screen:
    """Lines on standard output, each whole, whichever thread they come from.

    What a run needs to say that finds everything up to date is little, so the rest is loaded when it is said.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._task = threading.local()
        self._needless: set[str] = set()
        self._plain = plain.Plain(self._view)
        self._live: live.Live | None = None
        self._wants_live = False
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()
        self._loading = False
        self._stopped = False
        self.started = time.monotonic()
        #: What the worker loads.
        self.tool = _FINN
        #: Where that is; empty for this machine as it is.
        self.place = ""
        #: Whether the backend makes its results up: every line says so.
        self.simulated = False
        #: Whether only failures and the last line are wanted.
        self.quiet = _truth(os.environ.get("FINNMAKE_QUIET", ""))
        self._reports: list[str] = []
        self._expected = 0
        self._wanted = 0
        self._ended = 0

    # lines

    def line(self, text: str, *, important: bool = False) -> None:
        """Write a line, or several; what cannot be written, as where nobody reads any more, ends no run.

        Args:
            important: whether it is written where only failures and the last line are wanted, too.
        """
        if self.quiet and not important:
            return
        if self.simulated:
            text = "\n".join(f"{each}{_SIMULATED}" if each.strip() else each for each in text.split("\n"))
        with self._lock, suppress(OSError):
            if not self._stopped:
                (self._live or self._plain).write(text)

    # what is told

    def expect(self, builds: int) -> None:
        """So many builds will end: each says which one it is."""
        self._expected = builds

    def forecast(self, forecast: Forecast) -> None:
        """Something is going to run, and this is what it will take."""
        with self._lock:
            self._progress.expect(forecast)
        self._start_watch()

    @functools.cached_property
    def _progress(self) -> Progress:
        """Made once something runs, or ends."""
        for name in _SAID_LATER:
            importlib.import_module(name)
        from finnmake.tasks.progress import Progress

        progress = Progress()
        for config_id in self._needless:
            progress.built(config_id)
        return progress

    @property
    def owner(self) -> str:
        """The configuration or segment of the task that this thread is about."""
        return getattr(self._task, "name", "").partition(":")[2]

    @property
    def steps_ran(self) -> int:
        """Steps on the way to final models that ran."""
        return self._progress.steps_ran

    @contextmanager
    def task(self, name: str, config: str = "") -> Iterator[None]:
        """What is told inside, in this thread, is about the task `name`, which works for a configuration."""
        self._task.name = name
        self._task.config = config or name.partition(":")[2]
        try:
            yield
        finally:
            with self._lock:
                self._progress.task_ended(name)

    def step(self, name: str, event: str, seconds: float) -> None:
        """The engine's listener."""
        task = getattr(self._task, "name", "")
        with self._lock:
            self._progress.step(task, getattr(self._task, "config", ""), name, event, seconds)
            first_load = event == "load" and not self._loading
            self._loading = self._loading or first_load
        if first_load and not self.simulated:
            takes = f" ({_FINN_LOADS})" if self.tool == _FINN else ""
            self.line(f"loading {self.tool}{self.place and ' '}{self.place}, once a run{takes}")
        elif event == "done":
            self.line(f"{task:<24} {name:<36} {seconds:8.2f} s")
        elif event == "run":
            self._start_watch()

    def up_to_date(self, config_id: str) -> None:
        """A build needs nothing."""
        with self._lock:
            self._needless.add(config_id)
            if "_progress" in vars(self):
                self._progress.built(config_id)

    def result(self, config: BuildConfig, result: BuildResult) -> None:
        """How a build ended, with the figures that matter."""
        from finnmake.tasks.figures import figures

        with self._lock:
            self._progress.built(config.id)
        self.line(f"{'build:' + config.id:<24} {figures(result.metrics)}{self._count_ended()}")
        self._reports.append(f"{config.output_dir}/report.html")
        for warning in result.warnings:
            self.line(f"{'':<24} warning: {warning}")

    def skipped(self, config: BuildConfig, reason: str) -> None:
        """A configuration that is not built further."""
        with self._lock:
            self._progress.skipped(config.id)
        self.line(f"{'build:' + config.id:<24} SKIPPED: {reason}{self._count_ended()}")

    def failure(self, task: str, message: str, *, skipped: bool) -> None:
        """A task that failed, or was skipped for another's failure, in words."""
        with self._lock:
            (self._progress.skipped if skipped else self._progress.failed)(task.partition(":")[2])
        how = (BuildStatus.SKIPPED if skipped else BuildStatus.FAILED).value
        self.line(f"{task:<24} {how}\n  {message.replace(chr(10), chr(10) + '  ')}", important=True)

    def _count_ended(self) -> str:
        with self._lock:
            self._ended += 1
            return f"  ({self._ended} of {self._expected})" if self._expected else ""

    # while it runs

    @contextmanager
    def following(self, builds: Sequence[str]) -> Iterator[None]:
        """A run of doit's, which builds these configurations: inside, what runs is shown.

        Where the run is stopped, a step may end meanwhile: that it was stopped is the last that is said.
        """
        with self._lock:
            self._stopped = False
            self._wanted = max(len(builds), self._expected)
        self._wants_live = live.able(sys.stdout) and not self.quiet
        self._closed = threading.Event()
        try:
            yield
        except KeyboardInterrupt:
            with self._lock:
                self._stopped = True
            raise
        finally:
            self.close()

    def _view(self) -> View:
        with self._lock:
            self._progress.wanted = self._wanted
            return self._progress.view()

    def _start_watch(self) -> None:
        with self._lock:
            if self._watch is None and not self.quiet and not self._closed.is_set():
                self._watch = threading.Thread(target=self._follow, args=(self._closed,), daemon=True)
                self._watch.start()

    def _follow(self, closed: threading.Event) -> None:
        """Tell of what runs, until the screen is closed; where the terminal is gone, the run goes on."""
        with suppress(OSError):
            if self._wants_live and not closed.wait(_APPEARS):
                display = self._appear(closed)
                while display is not None and not closed.wait(live.INTERVAL):
                    display.draw()
                return
            while not closed.wait(plain.INTERVAL):
                for text in self._plain.announcements(self._wanted):
                    self.line(text)

    def _appear(self, closed: threading.Event) -> live.Live | None:
        """Let the display take over; None where the run has ended meanwhile."""
        display = live.Live(sys.stdout, self._view, _SIMULATED if self.simulated else "")
        with self._lock:
            if closed.is_set():
                return None
            display.start()
            self._live = display
        return display

    def close(self) -> None:
        """Nothing runs any more: the display goes, and what is said from now on is written at once."""
        self._closed.set()
        with self._lock:
            watch, self._watch = self._watch, None
        if watch is not None:
            watch.join(_LAST_DRAWING)
        with self._lock:
            display, self._live = self._live, None
            if display is not None:
                with suppress(OSError):
                    display.close()

    # the end

    def exploration(self, found: ExplorationResult, folder: Path, warnings: Sequence[str]) -> None:
        """What an exploration came to: the best configurations, and where the tables are."""
        from finnmake.tasks.figures import ranking_lines
        from finnmake.tasks.misled_text import misled_lines

        for line in ranking_lines(found):
            self.line(line)
        for line in misled_lines(found):
            self.line(line)
        for warning in (*found.warnings, *warnings):
            self.line(f"warning: {warning}")
        estimates = ", estimates.csv" if found.misled else ""
        self.line(f"results: {folder}/ (results.csv, results.json, results.parquet{estimates})")

    def nothing_done(self) -> None:
        """The last line of a run that found everything up to date."""
        self.close()
        self.line("nothing to do: everything is up to date", important=True)

    def summary(
        self, outcome: Outcome, results: Mapping[str, BuildResult], folders: Mapping[str, str]
    ) -> None:
        """The last lines of a run that did something.

        Args:
            results: configuration id -> how it ended.
            folders: configuration id -> folder of its outputs, relative to the project.
        """
        from finnmake.tasks.summary import Steps, failure_lines, last_line, report_line, slowest_lines

        self.close()
        for line in failure_lines(results, folders):
            self.line(line)
        if self._reports:
            self.line(report_line(self._reports))
        for line in slowest_lines(self._progress.slowest):
            self.line(line)
        progress = self._progress
        steps = Steps(progress.ran, progress.shared, time.monotonic() - self.started)
        self.line(last_line(outcome, steps), important=True)


def _truth(text: str) -> bool:
    return text.lower() in ("1", "yes", "true", "on")

"""What a run says: one line for each step that ran, whole lines only, and a summary at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.errors import FinnmakeError
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from finnmake.runner.failures import FAILURE_PAGE, printed
from finnmake.tasks.figures import figures, ranking_lines

if TYPE_CHECKING:
    from finnmake.exploration.results import ExplorationResult

#: A step that takes longer than this (seconds) is announced while it runs.
_PATIENCE = 2.0

#: What the worker loads unless the backend brings something else, and what that takes.
_FINN = "FINN"
_FINN_LOADS = "2 to 8 s"

#: Ends every line of a run whose backend makes its results up.
_SIMULATED = " (simulated)"


def failure_text(result: BuildResult, error: FinnmakeError, folder: str) -> str:
    """The words for a build that failed: what, where, what to do, where to read on, the end of the log.

    Args:
        folder: the configuration's outputs, relative to the project.
    """
    if result.status is BuildStatus.SKIPPED:
        return result.error_message or str(error)
    said = printed(result.log_tail)
    tail = ["  last lines of the log:", *(f"    {line}" for line in said)] if said else []
    return "\n".join([str(error), f"  page: {folder}/{FAILURE_PAGE}", *tail])


class Screen:
    """Lines on standard output, each whole, whichever thread they come from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._task = threading.local()
        self._running: dict[str, tuple[str, float]] = {}
        self._watch: threading.Thread | None = None
        self._closed = threading.Event()
        self._loading = False
        self.started = time.monotonic()
        #: What the worker loads.
        self.tool = _FINN
        #: Where that is; empty for this machine as it is.
        self.place = ""
        #: Whether the backend makes its results up: every line says so.
        self.simulated = False
        #: Steps that ran.
        self.ran = 0
        self._built_of = 0
        self._ran_beside = 0
        self._reports: list[str] = []
        self._expected = 0
        self._ended = 0

    def line(self, text: str) -> None:
        """Write a line, or several; where nobody reads any more (`| head`), go on without a word."""
        if self.simulated:
            text = "\n".join(f"{each}{_SIMULATED}" if each.strip() else each for each in text.split("\n"))
        with self._lock, suppress(BrokenPipeError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

    def expect(self, builds: int) -> None:
        """So many builds will end: each says which one it is."""
        self._expected = builds

    @property
    def owner(self) -> str:
        """The configuration or segment of the task that this thread is about."""
        return getattr(self._task, "name", "").partition(":")[2]

    @property
    def steps_ran(self) -> int:
        """Steps on the way to final models that ran."""
        return self.ran - self._ran_beside

    @contextmanager
    def task(self, name: str) -> Iterator[None]:
        """What is told inside, in this thread, is about the task `name`."""
        self._task.name = name
        try:
            yield
        finally:
            self._running.pop(name, None)

    def step(self, name: str, event: str, seconds: float) -> None:
        """The engine's listener."""
        task = getattr(self._task, "name", "")
        with self._lock:
            self._running.pop(task, None)
            self._count(task.partition(":")[0], event)
            first_load = event == "load" and not self._loading
            self._loading = self._loading or first_load
            if event == "run":
                self._running[task] = (name, time.monotonic())
        if first_load and not self.simulated:
            takes = f" ({_FINN_LOADS})" if self.tool == _FINN else ""
            self.line(f"loading {self.tool}{self.place and ' '}{self.place}, once a run{takes}")
        elif event == "done":
            self.line(f"{task:<24} {name:<36} {seconds:8.2f} s")
        elif event == "run":
            self._start_watch()

    def _count(self, group: str, event: str) -> None:
        """`preprocess`, `segment` and `finn` meet the same steps: `finn` alone tells how many there are."""
        self.ran += event == "done"
        self._ran_beside += event == "done" and group == "analyze"
        self._built_of += event in ("hit", "done") and group == "finn"

    def _start_watch(self) -> None:
        if self._watch is None:
            self._watch = threading.Thread(target=self._announce, daemon=True)
            self._watch.start()

    def close(self) -> None:
        """Nothing runs any more: the watch ends."""
        self._closed.set()
        if self._watch is not None:
            self._watch.join()

    def _announce(self) -> None:
        """Say what runs, after 2 s and then at ever longer intervals."""
        told: dict[tuple[str, str], float] = {}
        while not self._closed.wait(0.5):
            with self._lock:
                running = dict(self._running)
            for task, (step, since) in running.items():
                taken = time.monotonic() - since
                if taken >= told.get((task, step), _PATIENCE):
                    told[task, step] = 2 * taken
                    self.line(f"{task:<24} {step:<36} running, {taken:.0f} s so far")

    def result(self, config: BuildConfig, result: BuildResult) -> None:
        """How a build ended, with the figures that matter."""
        self.line(f"{'build:' + config.id:<24} {figures(result.metrics)}{self._count_ended()}")
        self._reports.append(f"{config.output_dir}/report.html")
        for warning in result.warnings:
            self.line(f"{'':<24} warning: {warning}")

    def skipped(self, config: BuildConfig, reason: str) -> None:
        """A configuration that is not built further."""
        self.line(f"{'build:' + config.id:<24} SKIPPED: {reason}{self._count_ended()}")

    def _count_ended(self) -> str:
        with self._lock:
            self._ended += 1
            return f"  ({self._ended} of {self._expected})" if self._expected else ""

    def exploration(self, found: ExplorationResult, folder: Path, warnings: Sequence[str]) -> None:
        """What an exploration came to: the best configurations, and where the tables are."""
        for line in ranking_lines(found):
            self.line(line)
        for warning in (*found.warnings, *warnings):
            self.line(f"warning: {warning}")
        self.line(f"results: {folder}/ (results.csv, results.json, results.parquet)")

    def summary(self, tasks: int, failures: int, skipped: int, unmet: int) -> None:
        """The last line of a run, for tasks: how many ran, failed, were skipped, were not reached."""
        if not tasks and not failures:
            self.line("nothing to do: everything is up to date")
            return
        if self._reports:
            others = len(self._reports) - 1
            self.line(f"report: {min(self._reports)}" + (f" and {others} more beside it" if others else ""))
        shared = max(0, self._built_of - self.steps_ran)
        steps = "1 step" if self.ran == 1 else f"{self.ran} steps"
        text = f"{steps} ran, {shared} came from the store, {time.monotonic() - self.started:.1f} s"
        if failures:
            beside = f", {skipped} skipped" if skipped else ""
            text = f"{failures} failed{beside}, {unmet} tasks not reached; {text}"
        self.line(text)

"""What a run says: one line for each step that ran, whole lines only, and a summary at the end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from finnmake.records import BuildConfig, BuildMetrics, BuildResult

#: A step that takes longer than this (seconds) is announced while it runs.
_PATIENCE = 2.0


class Screen:
    """Lines on standard output, each whole, whichever thread they come from."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._task = threading.local()
        self._running: dict[str, tuple[str, float]] = {}
        self._watch: threading.Thread | None = None
        self._loading = False
        self.started = time.monotonic()
        #: Where FINN is loaded; empty for this machine as it is.
        self.place = ""
        #: Steps that ran.
        self.ran = 0
        self._built_of = 0
        self._ran_beside = 0
        self._reports: list[str] = []

    def line(self, text: str) -> None:
        """Write one line."""
        with self._lock:
            sys.stdout.write(text + "\n")
            sys.stdout.flush()

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
        if first_load:
            self.line(f"loading FINN{self.place and ' '}{self.place}, once a run (2 to 8 s)")
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

    def _announce(self) -> None:
        """Say what runs, after 2 s and then at ever longer intervals."""
        told: dict[tuple[str, str], float] = {}
        while True:
            time.sleep(0.5)
            with self._lock:
                running = dict(self._running)
            for task, (step, since) in running.items():
                taken = time.monotonic() - since
                if taken >= told.get((task, step), _PATIENCE):
                    told[task, step] = 2 * taken
                    self.line(f"{task:<24} {step:<36} running, {taken:.0f} s so far")

    def result(self, config: BuildConfig, result: BuildResult) -> None:
        """How a build ended, with the figures that matter."""
        self.line(f"{'build:' + config.id:<24} {figures(result.metrics)}")
        self._reports.append(f"{config.output_dir}/report.html")
        for warning in result.warnings:
            self.line(f"{'':<24} warning: {warning}")

    def summary(self, tasks: int, failures: int, unmet: int) -> None:
        """The last line of a run."""
        if not tasks and not failures:
            self.line("nothing to do: everything is up to date")
            return
        if self._reports:
            others = len(self._reports) - 1
            self.line(f"report: {min(self._reports)}" + (f" and {others} more beside it" if others else ""))
        shared = max(0, self._built_of - (self.ran - self._ran_beside))
        steps = "1 step" if self.ran == 1 else f"{self.ran} steps"
        text = f"{steps} ran, {shared} came from the store, {time.monotonic() - self.started:.1f} s"
        if failures:
            text = f"{failures} failed, {unmet} tasks not reached; {text}"
        self.line(text)


def figures(metrics: BuildMetrics | None) -> str:
    """Metrics in one line; what is not known is left out."""
    if metrics is None:
        return "no metrics"
    parts = [
        _figure(metrics.throughput, "{:,.0f} inferences/s"),
        _figure(metrics.latency, "{:,.2f} µs"),
        _figure(metrics.clock_frequency, "{:.0f} MHz"),
        _figure(metrics.lut_utilization, "LUT {:.1%}"),
        _figure(metrics.bram_utilization, "BRAM {:.1%}"),
        _figure(metrics.dsp_utilization, "DSP {:.1%}"),
    ]
    return "  ".join(part for part in parts if part)


def _figure(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)

"""The doit reporter: failures once each, where they happen; a summary at the end."""

from __future__ import annotations

from typing import Any

from doit.exceptions import BaseFail, UnmetDependency
from doit.reporter import ConsoleReporter

from finnmake.records import BuildStatus
from finnmake.tasks.workspace import workspace


class Reporter(ConsoleReporter):  # type: ignore[misc]
    """Says nothing of what is up to date; steps that run are told by the engine's listener."""

    desc = "steps that ran, failures, and a summary"

    def __init__(self, outstream: Any, options: dict[str, Any]) -> None:
        super().__init__(outstream, options)
        self._screen = workspace().screen
        self._told: set[str] = set()
        self._unmet = 0
        self._skipped = 0
        self._executed = 0

    def execute_task(self, task: Any) -> None:
        """An action starts."""
        self._executed += bool(task.actions)

    def skip_uptodate(self, task: Any) -> None:
        """Nothing to say; builds and estimates are counted."""
        group, _, config_id = task.name.partition(":")
        if group == "build" and config_id:
            workspace().up_to_date.add(config_id)
            self._screen.up_to_date(config_id)
        elif group == "estimate" and config_id:
            workspace().estimated.add(config_id)

    def add_failure(self, task: Any, fail: BaseFail) -> None:
        """Say what failed; a task that waited for it adds nothing, nor does the same trouble again."""
        if isinstance(fail, UnmetDependency):
            self._unmet += 1
            return
        self.failures.append({"task": task, "exception": fail})
        message = fail.get_msg().strip()
        shown = "the same as above" if message in self._told else message
        self._told.add(message)
        skipped = self._is_skipped(task.name)
        self._skipped += skipped
        self._screen.failure(task.name, shown, skipped=skipped)

    def _is_skipped(self, name: str) -> bool:
        """Whether the build that a task belongs to failed for another configuration, with which it shares."""
        result = workspace().results.get(name.partition(":")[2])
        return result is not None and result.status is BuildStatus.SKIPPED

    def complete_run(self) -> None:
        """The last lines."""
        for message in self.runtime_errors:
            self._screen.line(f"stopped: {message}", important=True)
        failed = len(self.failures) - self._skipped
        if not self._executed and not failed:
            self._screen.nothing_done()
            return
        from finnmake.tasks.summary import Outcome  # a run that finds all up to date needs it not

        ws = workspace()
        folders = {each.id: each.output_dir for each in ws.configs if each.id in ws.results}
        outcome = Outcome(self._executed, failed, self._skipped, self._unmet)
        self._screen.summary(outcome, ws.results, folders)

"""The worker's child that a flow uses, and what is said when a step does not come back from it well."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from finnmake.engine.pool import Job, JobDied, JobTimeout, WorkerPool
from finnmake.engine.state import StepCall, checked_reads, is_ref
from finnmake.engine.store import DamagedBlob
from finnmake.error_patterns import CATEGORIES
from finnmake.errors import StepError


class JobSlot:
    """The worker's child that one flow uses, started when first needed and renewed when it must be."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        self._open: tuple[AbstractContextManager[Job], Job] | None = None

    def __enter__(self) -> JobSlot:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def open(self) -> Job:
        """The child; a new one waits until the backend is loaded. Raises WorkerError."""
        if self._open is None:
            context = self._pool.job()
            self._open = (context, context.__enter__())
        return self._open[1]

    def drop(self) -> None:
        """Let the child go; the next step gets a new one."""
        if self._open is not None:
            context, _ = self._open
            self._open = None
            context.__exit__(None, None, None)

    def run(
        self, call: StepCall, request: Mapping[str, Any], timeout: float, log: Path, held: Sequence[int] = ()
    ) -> dict[str, Any]:
        """The answer of the child to a request that succeeded. Raises StepError, DamagedBlob.

        Args:
            timeout: seconds.
            held: locks that the child holds with this process.
        """
        try:
            answer = self._run(request, timeout, held)
        except JobDied as death:
            self.drop()
            raise _died(call, death, log) from death
        except JobTimeout as late:
            self.drop()
            raise StepError(
                call.name,
                f"no result after {timeout:g} s; the step and all it started were stopped",
                category="timeout",
                cure="Raise `timeout` or `search.timeout` in the blueprint, or look into the log.",
                log=log,
                timed_out=True,
            ) from late
        if answer.get("ok") is not True:
            self.drop()
            if is_ref(answer.get("damaged")):
                raise DamagedBlob(answer["damaged"])
            raise _failed(call, answer, log)
        if not answer.get("reusable"):
            self.drop()
        return answer

    def _run(self, request: Mapping[str, Any], timeout: float, held: Sequence[int]) -> dict[str, Any]:
        """The child's answer; one whose worker is lost, for a reason that is not its own, is asked again.

        Raises JobDied, JobTimeout.
        """
        try:
            return self.open().run(request, timeout, held)
        except JobDied as death:
            if not death.lost or death.memory:
                raise
        self.drop()
        return self.open().run(request, timeout, held)


def _failed(call: StepCall, answer: Mapping[str, Any], log: Path) -> StepError:
    """The error for a step that says itself that it failed."""
    category = answer.get("category")
    try:
        reads = checked_reads(answer.get("reads"))
    except ValueError:
        reads = None
    return StepError(
        call.name,
        str(answer.get("message", "it failed and does not say why")),
        category=category if isinstance(category, str) and category in CATEGORIES else "unknown",
        cure=str(answer.get("cure", "")),
        log=log,
        reads=reads,
        node=str(answer.get("node") or ""),
    )


def _died(call: StepCall, death: JobDied, log: Path) -> StepError:
    """The error for a child that ended in the middle of a step."""
    code = death.code
    if death.memory or code == -signal.SIGKILL:
        return StepError(
            call.name,
            f"the worker was killed: {death.memory or 'most likely because memory ran out'}",
            category="memory",
            cure="Run fewer builds at once (-n), or give the machine (or the container) more memory.",
            log=log,
        )
    if code is None:
        return StepError(
            call.name,
            f"the worker process ended in the middle of the step{': ' if death.why else ''}{death.why}",
            category="environment",
            cure="Run again: the steps before this one are kept.",
            log=log,
        )
    how = f"by {_signal_name(-code)}" if code < 0 else f"with exit code {code}"
    return StepError(
        call.name, f"the worker ended {how} in the middle of the step", cure="See the log.", log=log
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name
        return f"signal {number}"

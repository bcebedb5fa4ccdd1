"""The exception family: what the user can mend, where it is, and how."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Location(NamedTuple):
    """Where something is wrong: a file, a position in it (1-based) and the key or node concerned."""

    path: Path | None = None
    line: int | None = None
    column: int | None = None
    key: str | None = None

    def __str__(self) -> str:
        place = "" if self.path is None else str(self.path)
        if self.line is not None:
            place += f":{self.line}" if self.column is None else f":{self.line}:{self.column}"
        return ": ".join(part for part in (place, self.key or "") if part)


class FinnmakeError(Exception):
    """Something the user can mend: says what is wrong, where, and what to do.

    Args:
        message: what is wrong, one sentence.
        where: the file, line, key or node concerned.
        cure: what to do about it, one sentence.
    """

    category = "unknown"

    def __init__(self, message: str, *, where: Location | None = None, cure: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where or Location()
        self.cure = cure

    def located(self) -> str:
        """What is wrong and where, without the cure."""
        place = str(self.where)
        return f"{place}: {self.message}" if place else self.message

    def __str__(self) -> str:
        return f"{self.located()}\n  -> {self.cure}" if self.cure else self.located()


class BlueprintError(FinnmakeError):
    """A blueprint, or a file that it names, cannot be used as it is."""

    category = "config"


class ValidationError(BlueprintError):
    """Something is wrong with a design space as a whole, though each line of its blueprint can be read."""


class ModelError(FinnmakeError):
    """The ONNX model is missing, truncated or not a model."""

    category = "model_load"


class PluginError(FinnmakeError):
    """A plugin file cannot be read, or names two things alike."""

    category = "config"


class StoreError(FinnmakeError):
    """The store cannot be read or written."""

    category = "environment"


class WorkspaceError(FinnmakeError):
    """The project folder is not usable: another run holds it, or a setting is wrong."""

    category = "environment"


class WorkerError(FinnmakeError):
    """The worker process could not be started, or died outside a step."""

    category = "environment"


class ContainerError(WorkerError):
    """The container engine or the image cannot be used as it is."""


class ToolError(WorkerError):
    """A tool that a build needs is missing, of another version than pinned, or without its licence."""


class StepError(FinnmakeError):
    """A step failed: raised, returned no model, died or ran out of time.

    Args:
        step: name of the step, transform or analysis.
        message: the tool's own words.
        category: one of the keys of `error_patterns.CATEGORIES`.
        log: the step's log file, kept.
        timed_out: whether the deadline was the cause.
        reads: what it had read by then, as a trace keeps it; None where that is not known.
        node: the ONNX node concerned; empty where that is not known.
    """

    def __init__(
        self,
        step: str,
        message: str,
        *,
        category: str = "unknown",
        cure: str = "",
        log: Path | None = None,
        timed_out: bool = False,
        reads: Mapping[str, Any] | None = None,
        node: str = "",
    ) -> None:
        place = f"{step}, node {node}" if node and node not in message else step
        super().__init__(message, where=Location(key=place), cure=cure)
        self.step = step
        self.category = category
        self.log = log
        self.timed_out = timed_out
        self.reads = reads
        self.node = node

    def __str__(self) -> str:
        log = f", log: {self.log}" if self.log else ""
        return f"{super().__str__()}\n  category: {self.category}{log}"


class NodeFailure(Exception):
    """A backend's adapter knows more of an exception (its `__cause__`) than the exception says.

    Args:
        node: the ONNX node that it is about, empty where that is not known.
        remark: what to add to its words.
    """

    def __init__(self, node: str, remark: str = "") -> None:
        super().__init__(node, remark)
        self.node = node
        self.remark = remark


def from_os_error(error: OSError) -> FinnmakeError:
    """The same trouble in the user's words: a full disk, a folder without the right to write."""
    where = Location(path=Path(error.filename) if isinstance(error.filename, str) else None)
    words = error.strerror or str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StoreError(
            words, where=where, cure="Free space, or set FINNMAKE_STORE to a folder on a larger disk."
        )
    return StoreError(
        words, where=where, cure="Look at the rights of this file and of the folder it lies in."
    )

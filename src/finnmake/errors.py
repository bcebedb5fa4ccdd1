"""The exception family, and the table that turns a tool's message into a category and a tip."""

from __future__ import annotations

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Location:
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
        category: one of the keys of `CATEGORIES`.
        log: the step's log file, kept.
        timed_out: whether the deadline was the cause.
        reads: what it had read by then, as a trace keeps it; None where that is not known.
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
    ) -> None:
        super().__init__(message, where=Location(key=step), cure=cure)
        self.step = step
        self.category = category
        self.log = log
        self.timed_out = timed_out
        self.reads = reads

    def __str__(self) -> str:
        log = f", log: {self.log}" if self.log else ""
        return f"{super().__str__()}\n  category: {self.category}{log}"


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


#: What can go wrong in a build, in the words of a report.
CATEGORIES = {
    "model_load": "the model could not be read",
    "preprocessing": "a preprocessing transform failed",
    "transform": "a graph transformation failed",
    "kernel": "an operator has no hardware layer",
    "synthesis": "synthesis failed",
    "timing": "timing or simulation did not converge",
    "resource": "folding or bit widths do not fit",
    "memory": "memory or disk ran out",
    "environment": "a tool or variable is missing",
    "config": "the configuration is wrong",
    "postprocessing": "an analysis failed",
    "metrics": "a report could not be read",
    "timeout": "the deadline passed",
    "unknown": "an error that finnmake does not know",
}


@dataclass(frozen=True)
class ErrorPattern:
    """One message of a tool: a regular expression, its category and what to do."""

    pattern: str
    category: str
    tip: str


#: Messages that FINN, QONNX and the tools below them are known to print; the first match wins.
ERROR_PATTERNS = (
    ErrorPattern(
        r"XILINX_VIVADO (environment variable|was) not set|XSI not available",
        "environment",
        "This step needs Vivado: name it in pyproject.toml ([tool.finnmake.toolchain] vivado).",
    ),
    ErrorPattern(
        r"vivado(_hls)? not found in PATH|vitis_hls not found|Unable to find .*settings64\.sh",
        "environment",
        "Name Vivado in pyproject.toml ([tool.finnmake.toolchain] vivado), or source settings64.sh.",
    ),
    ErrorPattern(
        r"[Ee]rror parsing message( with type 'onnx\.ModelProto')?",
        "model_load",
        "The file is not a whole ONNX model: a truncated copy, or a Git-LFS pointer (git lfs pull).",
    ),
    ErrorPattern(
        r"Only Quant nodes with zero-point == 0",
        "transform",
        "Export the model with symmetric quantisers, or run ExtractQuantScaleZeroPt in pre_proc.",
    ),
    ErrorPattern(
        r"cycle-free graph violated|Only a single StreamingDataflowPartition supported"
        r"|Unsupported/unmapped layer\(s\) found in between",
        "kernel",
        "An operator has no hardware layer: the message or the log names the nodes left unmapped.",
    ),
    ErrorPattern(
        r"float division by zero|ZeroDivisionError",
        "config",
        "A batch size or clock period is 0: look at the model's input shape and synth_clk_period_ns.",
    ),
    ErrorPattern(
        r"Requirement \w+ divis[ai]ble by (PE|SIMD) is violated",
        "resource",
        "In the folding file PE must divide MH and SIMD must divide MW of the node.",
    ),
    ErrorPattern(
        r"Op has no such attribute",
        "config",
        "The folding or specialize-layers file sets an attribute that this operator does not have.",
    ),
    ErrorPattern(
        r"Couldn't resolve fpga_part|Either board or fpga_part must be specified",
        "config",
        "Set fpga_part, or a board that FINN knows.",
    ),
    ErrorPattern(
        r"AP_INT_MAX_W|[Bb]itwidth exceeds 32768",
        "resource",
        "A stream is too wide for HLS: lower PE*SIMD (target_fps) or the bit widths.",
    ),
    ErrorPattern(
        r"IPGen failed|IP definition not found|no bitfile found|res\.txt|HLS IP Generation failed"
        r"|make_project\.sh failed|no wrapper HDL found|did not produce report files",
        "synthesis",
        "Read the HLS or Vivado log named in the message; a missing licence ends here too.",
    ),
    ErrorPattern(
        r"[Ss]imulation timed out|LIVENESS_THRESHOLD",
        "timing",
        "Raise LIVENESS_THRESHOLD, or look for a FIFO that is too shallow.",
    ),
    ErrorPattern(
        r"No space left on device",
        "memory",
        "The disk is full: free space, or point FINNMAKE_STORE at a larger disk.",
    ),
    ErrorPattern(
        r"BlockingIOError.*Resource temporarily unavailable|can't start new thread",
        "environment",
        "Too many processes: raise pids in [tool.finnmake.container], or run fewer builds (-n).",
    ),
    ErrorPattern(r"MemoryError|Cannot allocate memory", "memory", "Run fewer builds at once (-n)."),
    ErrorPattern(
        r"Step \S+ is not a default step|No module named|cannot import name",
        "config",
        "A step or plugin names something that cannot be imported here.",
    ),
    ErrorPattern(
        r"stands in for the package",
        "environment",
        "This step needs a package that the lean toolchain leaves out: install it beside FINN.",
    ),
)


def classify(message: str, default: str = "unknown") -> tuple[str, str]:
    """The category and the tip for a tool's message; `default` and no tip where it is not known."""
    for entry in ERROR_PATTERNS:
        if re.search(entry.pattern, message):
            return entry.category, entry.tip
    return default, ""

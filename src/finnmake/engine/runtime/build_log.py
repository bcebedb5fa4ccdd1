"""What an engine says while it builds an image: kept in a file, told step by step, and read when it fails."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from finnmake.engine.runtime.client import cure_for_full_disk
from finnmake.errors import ContainerError, Location

#: How podman ("[1/2] STEP 2/5: RUN …") and docker ("Step 2/5 : RUN …") begin a step.
_STEP = re.compile(r"(?:\[(\d+/\d+)\] )?step (\d+/\d+) ?: (.*)", re.IGNORECASE)
_CACHED = re.compile(r"-+> Using cache\b")

#: A command of the Dockerfile is told up to this length, and its time if it took longer than this (seconds).
_BRIEF = 90
_WORTH_TELLING = 1.0

#: Without a word from the engine for this long (seconds), it is said that the step goes on.
_PATIENCE = 5.0

#: Lines of the log that an error shows.
_SHOWN = 12

#: What a step that failed said -> what to do.
_TIPS = (
    (
        r"DO NOT MATCH THE HASHES",
        "A package is not the one in requirements.lock: look at the package index, or lock again.",
    ),
    (
        r"Temporary failure (in name resolution|resolving)|Could not resolve|Name or service not known"
        r"|Could not connect to|Network is unreachable|Connection (timed out|refused)|Failed to fetch",
        "The network, or a server, cannot be reached from inside the build; try again when it can.",
    ),
    (
        r"Unable to locate package|has no installation candidate|Version '.*' for '.*' was not found",
        "The base does not have this Debian package: look at tool.finnmake.container.packages and base.",
    ),
    (
        r"Killed|exit(ed with)? (code|status):? 137|Cannot allocate memory",
        "Memory ran out: give the engine more.",
    ),
)


class BuildLog:
    """Takes the messages of a build.

    Args:
        path: the file that keeps them.
        listener: told of steps, a line at a time.
    """

    def __init__(self, path: Path, listener: Callable[[str], None]) -> None:
        self.path = path
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 (closed by `close`)
        self._listener = listener
        self._last: deque[str] = deque(maxlen=200)
        self._partial = ""
        self._step = self._instruction = ""
        self._cached = False
        self._began = self._told = time.monotonic()

    def take(self, message: Mapping[str, Any]) -> None:
        """One message. Raises ContainerError where it says that the build failed."""
        *lines, self._partial = (self._partial + str(message.get("stream") or "")).split("\n")
        for line in lines:
            self._line(line)
        if message.get("error"):
            self.fail(str(message["error"]))

    def tick(self) -> None:
        """Time passes: say so when nothing was said for long."""
        now = time.monotonic()
        if now - self._told >= _PATIENCE:
            self._tell(f"{self._step or 'waiting for the engine'}: {now - self._began:.0f} s so far")

    def close(self) -> None:
        """The build has ended."""
        if self._partial:
            self._line(self._partial)
            self._partial = ""
        self._end_step()
        self._file.close()

    def fail(self, said: str) -> NoReturn:
        """Raise ContainerError with the step, what it said last, and what to do."""
        if self._partial:
            self._line(self._partial)
            self._partial = ""
        self._file.write(f"{said}\n")
        text = "\n".join([*self._last, said])
        where = f" in {self._step} ({self._instruction})" if self._step else ""
        shown = "".join(f"\n    {line}" for line in list(self._last)[-_SHOWN:])
        self._step = ""
        raise ContainerError(
            f"the image cannot be built: it failed{where}{shown}\n    {said.strip()}",
            where=Location(path=self.path),
            cure=_cure(text),
        )

    def _line(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()
        text = line.strip()
        step = _STEP.match(text)
        if step:
            self._end_step()
            self._begin_step(*step.groups(default=""))
        elif _CACHED.match(text):
            self._cached = True
        elif text:
            self._last.append(text)
        self.tick()

    def _begin_step(self, stage: str, number: str, instruction: str) -> None:
        self._step = f"stage {stage}, step {number}" if stage else f"step {number}"
        words = " ".join(instruction.split())
        self._instruction = words if len(words) <= _BRIEF else f"{words[: _BRIEF - 1]}…"
        self._cached, self._began = False, time.monotonic()
        self._last.clear()
        self._tell(f"{self._step}: {self._instruction}")

    def _end_step(self) -> None:
        took = time.monotonic() - self._began
        if self._step and (self._cached or took >= _WORTH_TELLING):
            self._tell(f"{self._step}: {'cached' if self._cached else f'{took:.1f} s'}")
        self._step = ""

    def _tell(self, line: str) -> None:
        self._told = time.monotonic()
        self._listener(line)


def _cure(text: str) -> str:
    full = cure_for_full_disk(text)
    if full:
        return full
    for pattern, tip in _TIPS:
        if re.search(pattern, text):
            return tip
    return "The whole log is in the file named above."

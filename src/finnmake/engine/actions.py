"""The action cache of a store: under the key of an action one or more traces, a file each, never changed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from finnmake.engine.temporary import Temporary
from finnmake.hashing import canonical_json, digest_value

#: What the name of a trace stands for; and what stands for the rest of it.
_NAMED = ("reads", "output")
_CHECK = "check"


class Actions(Temporary):
    """Traces by action key."""

    def trace_names(self, key: str) -> list[str]:
        """The names of the traces under a key, in a stable order."""
        try:
            return sorted(name for name in os.listdir(self._trace_folder(key)) if name.endswith(".json"))
        except FileNotFoundError:
            return []

    def trace(self, key: str, name: str) -> tuple[Path, dict[str, Any]] | None:
        """A trace and its file; None where it is gone. A file that is no trace is put aside."""
        path = self._trace_folder(key) / name
        try:
            trace = checked_trace(path.read_bytes(), name)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, RecursionError, IsADirectoryError):
            with suppress(OSError):  # a store that can only be read
                self.drop_trace(path)
            return None
        return path, trace

    def _trace_folder(self, key: str) -> Path:
        return self.actions / key[:2] / key

    def add_trace(self, key: str, trace: Mapping[str, Any]) -> Path:
        """Keep a trace under `key`: a new file, visible only when whole."""
        folder = self._trace_folder(key)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{trace_digest(trace)}.json"
        self.write(path, canonical_json({**trace, _CHECK: _check(trace)}))
        return path

    def drop_trace(self, path: Path) -> None:
        """Put a trace aside whose output is gone or which cannot be read."""
        self.put_aside(path)


def checked_trace(data: bytes, name: str) -> dict[str, Any]:
    """What a trace's file of this name holds. Raises ValueError, KeyError, TypeError, RecursionError."""
    trace = json.loads(data)
    if trace_digest(trace) != name.removesuffix(".json") or trace.pop(_CHECK) != _check(trace):
        raise ValueError(name)
    return dict(trace)


def trace_digest(trace: Mapping[str, Any]) -> str:
    """The name of a trace: digest of what was read and what came of it, not of times and logs."""
    return digest_value("trace", {"reads": trace["reads"], "output": trace["output"]})


def _check(trace: Mapping[str, Any]) -> str:
    """Digest of all that the name of a trace does not stand for."""
    return digest_value("beside", {name: trace[name] for name in trace if name not in _NAMED})

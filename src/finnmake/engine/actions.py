"""The action cache of a store: under the key of an action one or more traces, a file each, never changed.

Configurations that differ in fields alone share the keys of the steps before any of these fields is read:
ten thousand of them leave ten thousand traces under one key. So traces lie in groups, and the names of groups
and traces tell, by digests, which fields were read with which values: who looks one up lists few, and reads
those that can hit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
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

    def trace_groups(self, key: str) -> set[str]:
        """The groups of traces under a key; see `place_of`."""
        return set(_listed(self._trace_folder(key)))

    def trace_names(self, key: str, group: str, values: str = "") -> list[str]:
        """The names of the traces in a group that begin with `values`, in a stable order."""
        found = _listed(self._trace_folder(key) / group)
        names = sorted(name for name in found if name.startswith(values) and name.endswith(".json"))
        return [f"{group}/{name}" for name in names]

    def all_traces(self, key: str) -> Iterator[str]:
        """The names of all traces under a key, in a stable order."""
        for group in sorted(self.trace_groups(key)):
            yield from self.trace_names(key, group)

    def trace(self, key: str, name: str) -> tuple[Path, dict[str, Any]] | None:
        """A trace and its file; None where it is gone. A file that is no trace is put aside."""
        path = self._trace_folder(key) / name
        try:
            trace = checked_trace(path.read_bytes(), path)
        except (FileNotFoundError, NotADirectoryError):
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
        path = self._trace_folder(key) / _name(trace)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.write(path, canonical_json({**trace, _CHECK: _check(trace)}))
        return path

    def drop_trace(self, path: Path) -> None:
        """Put a trace aside whose output is gone or which cannot be read."""
        self.put_aside(path)


def _listed(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def place_of(fields: Mapping[str, Any]) -> tuple[str, str]:
    """The group of the traces that read these fields with these values, and what their names begin with.

    A group has others, too, which read the same fields; there are at most 256 groups of these. What stands
    before the dash tells the fields.
    """
    names, values = digest_value("fields", sorted(fields)), digest_value("values", fields)
    return f"{names[:16]}-{values[:2]}", values[:16]


def _name(trace: Mapping[str, Any]) -> str:
    """The name of a trace under its key: what was read and what came of it, not times and logs."""
    group, values = place_of(trace["reads"]["fields"])
    return f"{group}/{values}-{trace_digest(trace)}.json"


def checked_trace(data: bytes, path: Path) -> dict[str, Any]:
    """What the file of a trace holds. Raises ValueError, KeyError, TypeError, RecursionError."""
    trace = json.loads(data)
    if f"{path.parent.name}/{path.name}" != _name(trace) or trace.pop(_CHECK) != _check(trace):
        raise ValueError(path.name)
    return dict(trace)


def trace_digest(trace: Mapping[str, Any]) -> str:
    """The name of a trace: digest of what was read and what came of it, not of times and logs."""
    return digest_value("trace", {"reads": trace["reads"], "output": trace["output"]})


def _check(trace: Mapping[str, Any]) -> str:
    """Digest of all that the name of a trace does not stand for."""
    return digest_value("beside", {name: trace[name] for name in trace if name not in _NAMED})

"""How long steps took and how much memory, in earlier runs: what the next one may expect of them.

Kept in the store as `history/<digest>.json`, a file for each backend and target. Nothing depends on it: a
file that is missing, damaged or older than another process's change costs an estimate, no more.
"""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finnmake.engine.state import StepCall
from finnmake.engine.store import Store
from finnmake.hashing import canonical_json, digest_value

#: So many runs of one step with one set of parameters count, and so many of one target are kept.
_LAST = 16
_KEPT = 128

#: No step takes as many seconds, or kB.
_ABSURD = 1e12

#: One run: digest of name and parameters, seconds, peak memory (kB).
_Run = tuple[str, float, int]


@dataclass(frozen=True)
class Expectation:
    """What a step is likely to take.

    Attributes:
        seconds: the median of the last runs.
        peak_rss_kb: the most that any of them took: who shares out memory wants the bad case.
        runs: how many they are.
    """

    seconds: float
    peak_rss_kb: int
    runs: int


class History:
    """The durations of steps on one store. Thread-safe.

    Args:
        store: where it is kept; old ones get the folder with the first note.
        backend: the adapter's name: what the mock takes says nothing of FINN.
    """

    def __init__(self, store: Store, backend: str) -> None:
        self._store = store
        self._backend = backend
        self._folder = store.root / "history"
        self._known: dict[Path, list[_Run]] = {}
        self._lock = threading.Lock()

    def expected(self, call: StepCall) -> Expectation | None:
        """Of the last runs with these parameters, else of the target with any; None where there are none."""
        path, variant = self._file(call), _variant(call)
        with self._lock:
            runs = self._known.get(path)
            if runs is None:
                runs = self._known[path] = _read(path)
        same = [run for run in runs if run[0] == variant] or runs
        last = same[-_LAST:]
        if not last:
            return None
        return Expectation(statistics.median(run[1] for run in last), max(run[2] for run in last), len(last))

    def note(self, call: StepCall, seconds: float, peak_rss_kb: int) -> None:
        """A step has run. Where it cannot be written, or another process writes at once, it may be lost."""
        run = _checked([_variant(call), seconds, peak_rss_kb])
        if run is None:
            return
        path = self._file(call)
        with self._lock:
            runs = self._known[path] = _trimmed([*_read(path), run])
            with suppress(OSError):
                self._write(path, runs)

    def _file(self, call: StepCall) -> Path:
        return self._folder / f"{digest_value('history', [self._backend, call.kind, call.target])[:32]}.json"

    def _write(self, path: Path, runs: Sequence[_Run]) -> None:
        self._folder.mkdir(exist_ok=True)
        temporary, stream = self._store.new_file()
        try:
            with stream:
                stream.write(canonical_json(list(runs)))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _variant(call: StepCall) -> str:
    """Tells one step from another of the same target; an analysis is given all of its configuration too."""
    parameters = call.parameters.get("parameters", {}) if call.kind == "analysis" else dict(call.parameters)
    return digest_value("variant", [call.name, parameters])[:16]


def _read(path: Path) -> list[_Run]:
    """The runs in a file, latest last; what is none is left out."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return []
    runs = map(_checked, found) if isinstance(found, list) else ()
    return [run for run in runs if run is not None]


def _checked(run: Any) -> _Run | None:
    """The run, or None for what cannot be one: a step's process tells of itself, and files may be damaged."""
    if not isinstance(run, (list, tuple)) or len(run) != 3 or not isinstance(run[0], str):
        return None
    if not all(type(each) in (int, float) and 0 <= each < _ABSURD for each in run[1:]):
        return None
    return run[0], float(run[1]), int(run[2])


def _trimmed(runs: Sequence[_Run]) -> list[_Run]:
    """Of each variant the last, and of all the last."""
    kept: list[_Run] = []
    counted: dict[str, int] = {}
    for run in reversed(runs):
        counted[run[0]] = counted.get(run[0], 0) + 1
        if counted[run[0]] <= _LAST and len(kept) < _KEPT:
            kept.append(run)
    return kept[::-1]

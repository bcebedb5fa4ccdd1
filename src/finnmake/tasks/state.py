"""doit's task state: SQLite in WAL mode, written through after each task, so that SIGKILL loses nothing."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile

from finnmake.tasks.fresh import RECORD, settle
from finnmake.tasks.known_digests import keep, recall
from finnmake.tasks.workspace import workspace

#: The last entry that doit sets when a task has succeeded: then the task is written.
_LAST = "deps:"

#: So many tasks are held at once, besides those that were written a moment ago.
_RECENT = 192

#: At most so many rows are read at once, and so many are held that nobody has asked for yet.
_AHEAD = 32
_WAITING = 224

#: After this time (s) a change of a file must show, also where clocks are coarse: see `engine.files`.
_YOUNG_SECONDS = 0.3

#: What a task gave, as its values and once more as its result.
_VALUES, _RESULT = "_values_:", "result:"


#: As `json.loads`, which also looks for what stands around a value.
_decode = json.JSONDecoder().raw_decode


class StateDB:
    """A doit backend. Rows are read when they are asked for: of ten thousand builds all would be too many."""

    desc = "SQLite in WAL mode, written after each task"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self.name = name
        self.codec = codec
        #: Of the tasks that doit asked for last.
        self._recent: dict[str, dict[str, Any]] = {}
        #: Rows behind those that were asked for, and how many of a group have been used since more were read.
        self._ahead: dict[str, str] = {}
        self._used: Counter[str] = Counter()
        #: Of those that this run wrote a moment ago, when it did (s).
        self._young: dict[str, tuple[float, dict[str, Any]]] = {}
        #: Configuration -> files of its own that its tasks of this run depended on.
        self._files: dict[str, list[str]] = {}
        self._lock = threading.RLock()
        self._connection = self._opened(Path(name))
        recall(self._connection, workspace().digests)

    def _opened(self, path: Path) -> sqlite3.Connection:
        """Open the file; one that is damaged is put aside: the store knows what was done."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return _open(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                _put_aside(path)
                return _open(path)
        except (OSError, sqlite3.Error) as error:
            raise InvalidDodoFile(
                f"{path}: the state of the tasks cannot be opened: {error}\n"
                f"  -> Give yourself the right to write in {path.parent}, or remove the file."
            ) from error

    def _task(self, task: str) -> dict[str, Any]:
        with self._lock:
            if task not in self._recent:
                while len(self._recent) >= _RECENT:
                    del self._recent[next(iter(self._recent))]
                self._recent[task] = _values(self._row(task))
            return self._recent[task]

    def _row(self, task: str) -> str | None:
        """What the file holds of a task; of a group asked for in order, the rows behind are read, too."""
        group = task.partition(":")[0]
        if task in self._ahead:
            self._used[group] += 1
        else:
            while len(self._ahead) > _WAITING:
                del self._ahead[next(iter(self._ahead))]
            self._ahead.update(self._rows(task, min(_AHEAD, 2 * (self._used[group] + 1))))
            self._used[group] = 0
        return self._ahead.pop(task, None)

    def _rows(self, task: str, count: int) -> list[tuple[str, str]]:
        """A task's row and those behind it; none where it has none, or the file turns out to be damaged."""
        try:
            return self._connection.execute(
                "SELECT task, data FROM tasks WHERE task >= ?1"
                " AND EXISTS (SELECT 1 FROM tasks WHERE task = ?1) ORDER BY task LIMIT ?2",
                (task, count),
            ).fetchall()
        except sqlite3.OperationalError:
            return []
        except sqlite3.DatabaseError:
            self._renew()
            return []

    def get(self, task_id: str, dependency: str) -> Any:
        """The value kept, or None."""
        task = self._recent.get(task_id) or self._task(task_id)
        found = task.get(dependency)
        return task.get(_VALUES) if found is None and dependency == _RESULT else found

    def set(self, task_id: str, dependency: str, value: Any) -> None:
        """Keep a value; the task is written with its last one, and what its action gave once, not twice."""
        task = self._task(task_id)
        if dependency == _RESULT and value == task.get(_VALUES):
            task.pop(_RESULT, None)
        else:
            task[dependency] = value
        if dependency == _LAST or dependency == "ignore:":
            self._write(task_id, task)

    def _write(self, task: str, values: dict[str, Any]) -> None:
        data = _row_of(values)
        with self._lock:
            if self._rows(task, 1) == [(task, data)]:
                return  # as of groups, with nothing to remember: a run that changes nothing writes nothing
            self._ahead.pop(task, None)
            self._change("REPLACE INTO tasks VALUES (?, ?)", task, data)
            self._young.pop(task, None)
            now = time.monotonic()
            self._young[task] = now, values
            self._settle(now - _YOUNG_SECONDS)

    def in_(self, task_id: str) -> bool:
        """Whether anything is kept of the task."""
        return bool(self._task(task_id))

    def remove(self, task_id: str) -> None:
        """Forget the task, at once."""
        with self._lock:
            for held in (self._recent, self._ahead, self._young):
                held.pop(task_id, None)
            self._change("DELETE FROM tasks WHERE task = ?", task_id)

    def remove_all(self) -> None:
        """Forget all tasks, at once."""
        with self._lock:
            self._recent, self._ahead, self._young = {}, {}, {}
            self._change("DELETE FROM tasks")

    def _change(self, statement: str, *values: str) -> None:
        """Write through, to a new file where that meets damage."""
        try:
            with self._connection:
                self._connection.execute(statement, values)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            self._renew()
            with self._connection:
                self._connection.execute(statement, values)

    def _renew(self) -> None:
        """Go on with a new file in place of a damaged one: what it held is in the store."""
        self._connection.close()
        _put_aside(Path(self.name))
        self._connection = _open(Path(self.name))

    def dump(self) -> None:
        """Close the file; everything is written already, but for what spares the next run some hashing."""
        with self._lock:
            self._settle(math.inf)
            keep(self._connection, workspace().digests)
            self._connection.close()

    def _forget_files(self, task: str, depends: Iterable[str]) -> None:
        """Let the digests of a configuration's own files go when its last task is done."""
        ws = workspace()
        group, _, config = task.partition(":")
        files = self._files.setdefault(config, [])
        files += [path for path in depends if path.startswith(f"{ws.folder}/")]
        if group == "build":
            for path in self._files.pop(config):
                ws.digests.forget(path)

    def _settle(self, before: float) -> None:
        """Write tasks of this run again of whose files more is known than when they ended.

        Args:
            before: of those that were written before that moment (s).
        """
        rows = []
        for task, (when, values) in list(self._young.items()):
            if when >= before:
                break
            del self._young[task]
            record = _record(values)
            if record is None:
                continue
            ws = workspace()
            if settle(record, ws.root, ws.digests):
                rows.append((task, _row_of(values)))
                self._ahead.pop(task, None)
            self._forget_files(task, record["depends"])
        if rows:
            with suppress(sqlite3.Error), self._connection:
                self._connection.executemany("REPLACE INTO tasks VALUES (?, ?)", rows)


def _record(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """What `fresh.record` gave; None for a task without."""
    given = values.get(_VALUES)
    return given.get(RECORD) if isinstance(given, dict) else None


def _depends(values: Mapping[str, Any]) -> dict[str, Any]:
    """The file dependencies in a task's record: path -> signature and digest."""
    record = _record(values)
    return record["depends"] if record else {}


def _row_of(values: Mapping[str, Any]) -> str:
    """A task's values as a row, less what doit keeps of its file dependencies if the record says the same."""
    depends = _depends(values)
    same = list(values.get(_LAST, ())) == list(depends)
    if depends and same and all(values.get(path) == digest for path, (_, digest) in depends.items()):
        values = {name: value for name, value in values.items() if name != _LAST and name not in depends}
    return json.dumps(values)


def _values(row: str | None) -> dict[str, Any]:
    """What a row holds; a damaged one counts as a task that never ran, which the store makes cheap."""
    try:
        values = _decode(row)[0] if row else {}
        if not isinstance(values, dict):
            return {}
        depends = _depends(values)
        if depends and _LAST not in values:
            values |= {_LAST: list(depends), **{path: digest for path, (_, digest) in depends.items()}}
        return values
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _put_aside(path: Path) -> None:
    """Call it `.damaged`; a journal of it would be another one's, and goes."""
    path.replace(path.with_name(path.name + ".damaged"))
    for journal in ("-wal", "-shm"):
        path.with_name(path.name + journal).unlink(missing_ok=True)


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS tasks (task TEXT PRIMARY KEY, data TEXT)")
        connection.execute("SELECT count(*) FROM tasks WHERE data IS NULL").fetchone()  # meets damage
        return connection
    except sqlite3.Error:
        connection.close()
        raise

"""doit's task state: SQLite in WAL mode, written through after each task, so that SIGKILL loses nothing."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from doit.exceptions import InvalidDodoFile

from finnmake.tasks.fresh import RECORD, settle
from finnmake.tasks.workspace import workspace

#: The last entry that doit sets when a task has succeeded: then the task is written.
_LAST = "deps:"

#: What a task gave, as its values and once more as its result.
_VALUES, _RESULT = "_values_:", "result:"


class StateDB:
    """A doit backend. Rows are read when first asked for, and kept."""

    desc = "SQLite in WAL mode, written after each task"

    def __init__(self, name: str, codec: Any, *, module_name: str | None = None) -> None:
        self.name = name
        self.codec = codec
        self._tasks: dict[str, dict[str, Any]] = {}
        self._written: set[str] = set()
        self._lock = threading.Lock()
        self._connection, self._rows = self._read(Path(name))

    def _read(self, path: Path) -> tuple[sqlite3.Connection, dict[str, str]]:
        """Open the file, and all rows; one that is damaged is put aside: the store knows what was done."""
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
        if task not in self._tasks:
            self._tasks[task] = _values(self._rows.get(task))
        return self._tasks[task]

    def get(self, task_id: str, dependency: str) -> Any:
        """The value kept, or None."""
        task = self._task(task_id)
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
            self._write(task_id, self._task(task_id))

    def _write(self, task: str, values: Mapping[str, Any]) -> None:
        data = json.dumps(values)
        if self._rows.get(task) == data:
            return  # as of groups, which have nothing to remember: a run that changes nothing writes nothing
        self._change("REPLACE INTO tasks VALUES (?, ?)", task, data)
        self._rows[task] = data
        self._written.add(task)

    def in_(self, task_id: str) -> bool:
        """Whether anything is kept of the task."""
        return bool(self._task(task_id))

    def remove(self, task_id: str) -> None:
        """Forget the task, at once."""
        self._tasks[task_id] = {}
        self._change("DELETE FROM tasks WHERE task = ?", task_id)
        self._rows.pop(task_id, None)

    def remove_all(self) -> None:
        """Forget all tasks, at once."""
        self._tasks = {}
        self._change("DELETE FROM tasks")
        self._rows = {}

    def _change(self, statement: str, *values: str) -> None:
        """Write through; where that meets damage which reading did not, all rows move to a new file."""
        with self._lock:
            try:
                with self._connection:
                    self._connection.execute(statement, values)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError:
                self._connection.close()
                _put_aside(Path(self.name))
                self._connection, _ = _open(Path(self.name))
                with self._connection:
                    self._connection.executemany("INSERT INTO tasks VALUES (?, ?)", self._rows.items())
                    self._connection.execute(statement, values)

    def dump(self) -> None:
        """Close the file; everything is written already, but for what spares the next run some hashing."""
        rows = [(task, json.dumps(self._tasks[task])) for task in self._written if self._settled(task)]
        if rows:
            with suppress(sqlite3.Error), self._connection:
                self._connection.executemany("REPLACE INTO tasks VALUES (?, ?)", rows)
        self._connection.close()

    def _settled(self, task: str) -> bool:
        """Whether more is known now of the files that a task of this run used than when it ended."""
        values = self._tasks[task].get(_VALUES)
        record = values.get(RECORD) if isinstance(values, dict) else None
        return record is not None and settle(record, workspace().root, workspace().digests)


def _values(row: str | None) -> dict[str, Any]:
    """What a row holds; a damaged one counts as a task that never ran, which the store makes cheap."""
    try:
        values = json.loads(row) if row else {}
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def _put_aside(path: Path) -> None:
    """Call it `.damaged`; a journal of it would be another one's, and goes."""
    path.replace(path.with_name(path.name + ".damaged"))
    for journal in ("-wal", "-shm"):
        path.with_name(path.name + journal).unlink(missing_ok=True)


def _open(path: Path) -> tuple[sqlite3.Connection, dict[str, str]]:
    connection = sqlite3.connect(path, timeout=30, check_same_thread=False)
    connection.text_factory = lambda data: data.decode(errors="replace")
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS tasks (task TEXT PRIMARY KEY, data TEXT)")
        return connection, dict(connection.execute("SELECT task, data FROM tasks"))
    except sqlite3.Error:
        connection.close()
        raise

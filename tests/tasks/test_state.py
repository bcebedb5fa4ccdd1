"""doit's task state: written after each task, safe from two processes and from damage."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from doit.exceptions import InvalidDodoFile

from finnmake.tasks.state import StateDB


def opened(path: Path) -> StateDB:
    return StateDB(str(path), None)


def succeed(state: StateDB, task: str, value: object) -> None:
    """What doit sets, in its order, when a task has succeeded."""
    state.set(task, "_values_:", {"value": value})
    state.set(task, "checker:", "ContentChecker")
    state.set(task, "deps:", ["a"])


def test_task_is_written_at_once(tmp_path: Path) -> None:
    """Trap: doit writes its state at the end of a run only, so that SIGKILL loses it."""
    succeed(opened(tmp_path / "state"), "one", 1)  # never dumped, as after SIGKILL
    assert opened(tmp_path / "state").get("one", "_values_:") == {"value": 1}


def test_half_a_task_is_not_written(tmp_path: Path) -> None:
    state = opened(tmp_path / "state")
    state.set("one", "_values_:", {"value": 1})
    assert not opened(tmp_path / "state").in_("one")


def test_two_at_once_lose_nothing(tmp_path: Path) -> None:
    """Trap: doit's dbm and json files keep the state of the run that ended last."""
    first, second = opened(tmp_path / "state"), opened(tmp_path / "state")
    succeed(first, "one", 1)
    succeed(second, "two", 2)
    first.dump()
    second.dump()
    found = opened(tmp_path / "state")
    assert [found.get(task, "_values_:")["value"] for task in ("one", "two")] == [1, 2]


def test_removed_task_is_forgotten_at_once(tmp_path: Path) -> None:
    state = opened(tmp_path / "state")
    succeed(state, "one", 1)
    succeed(state, "two", 2)
    state.remove("one")
    assert not state.in_("one")
    assert not opened(tmp_path / "state").in_("one")
    state.remove_all()
    assert not opened(tmp_path / "state").in_("two")


def test_ignored_task_is_written(tmp_path: Path) -> None:
    opened(tmp_path / "state").set("one", "ignore:", "1")
    assert opened(tmp_path / "state").get("one", "ignore:") == "1"


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    assert opened(tmp_path / "state").get("one", "deps:") is None


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 4000])
def test_damaged_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "state"
    path.write_bytes(content)
    state = opened(path)
    succeed(state, "one", 1)
    assert opened(path).in_("one")
    assert (tmp_path / "state.damaged").read_bytes() == content


def test_row_that_is_no_json_counts_as_unknown(tmp_path: Path) -> None:
    path = tmp_path / "state"
    succeed(opened(path), "one", 1)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE tasks SET data = ?", (json.dumps({"x": 1})[:-2],))
    connection.close()
    assert not opened(path).in_("one")


def test_truncated_database_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "state"
    state = opened(path)
    for number in range(200):
        succeed(state, f"task:{number}", "x" * 1000)
    state.dump()
    path.write_bytes(path.read_bytes()[:20000])
    succeed(opened(path), "one", 1)
    assert opened(path).in_("one")


def test_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidDodoFile, match="->"):
        opened(tmp_path / "file" / "state")

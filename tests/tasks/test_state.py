"""doit's task state: written after each task, safe from two processes and from damage."""

from __future__ import annotations

import json
import sqlite3
import time
import tracemalloc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doit.exceptions import InvalidDodoFile
from hypothesis import given
from hypothesis import strategies as st

from finnmake.engine.files import FileDigests, signature
from finnmake.tasks.fresh import settle
from finnmake.tasks.state import StateDB, _row_of, _values
from tests.explorations import STEPS, fields, mock_space
from tests.projects import Project


def opened(path: Path) -> StateDB:
    return StateDB(str(path), None)


def succeed(state: StateDB, task: str, value: object) -> None:
    """What doit sets, in its order, when a task has succeeded."""
    state.set(task, "_values_:", {"value": value})
    state.set(task, "checker:", "ContentChecker")
    state.set(task, "deps:", ["a"])


def statements(state: StateDB) -> list[str]:
    """The SELECTs of rows from here on."""
    found: list[str] = []
    state._connection.set_trace_callback(lambda each: found.append(each) if "ORDER BY" in each else None)
    return found


def fill(path: Path, count: int, value: str) -> None:
    """Write so many tasks."""
    state = opened(path)
    for number in range(count):
        succeed(state, f"task:{number}", value)
    state.dump()


def test_task_is_written_at_once(tmp_path: Path) -> None:
    """Trap: doit writes its state at the end of a run only, so that SIGKILL loses it."""
    succeed(opened(tmp_path / "state"), "one", 1)  # never dumped, as after SIGKILL
    assert opened(tmp_path / "state").get("one", "_values_:") == {"value": 1}


def test_what_is_known_is_not_written_again(tmp_path: Path) -> None:
    """A run that finds all up to date writes nothing: doit saves its groups in every run."""
    state = opened(tmp_path / "state")
    succeed(state, "group", {})
    state.dump()
    before = signature((tmp_path / "state").stat())
    again = opened(tmp_path / "state")
    succeed(again, "group", {})
    again.dump()
    assert signature((tmp_path / "state").stat()) == before
    assert again.get("group", "_values_:") == {"value": {}}


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


def test_few_tasks_are_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand builds have sixty thousand tasks, whose records would fill the memory."""
    monkeypatch.setattr("finnmake.tasks.state._YOUNG_SECONDS", 0.0)
    state, size, count = opened(tmp_path / "state"), 10_000, 2_000
    tracemalloc.start()
    try:
        for number in range(count):
            succeed(state, f"task:{number}", f"{number:0{size}}")
        for number in range(count):
            assert state.get(f"task:{number}", "_values_:") == {"value": f"{number:0{size}}"}
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < size * count / 4


def test_files_of_a_configuration_are_forgotten_with_its_last_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before: what a task that still runs has used is not to be looked at again."""
    folder, model = tmp_path / "builds" / "space", tmp_path / "model.onnx"
    inside = [folder / config / "manifest.json" for config in ("config_001", "config_002")]
    for path in (*inside, model):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("before")
    ws = SimpleNamespace(root=tmp_path, folder=folder, digests=FileDigests())
    monkeypatch.setattr("finnmake.tasks.state.workspace", lambda: ws)
    monkeypatch.setattr("finnmake.tasks.state._YOUNG_SECONDS", 0.0)
    seen = {path: ws.digests.first(path) for path in (*inside, model)}
    for path in seen:
        path.write_text("after")
    state = opened(tmp_path / "state")

    def ended(task: str, path: Path) -> None:
        depends = {str(each): list(seen[each]) for each in (path, model)}
        state.set(task, "_values_:", {"finnmake": {"depends": depends, "files": {}}})
        state.set(task, "deps:", [])
        succeed(state, "another", time.monotonic())

    ended("metrics:config_001", inside[0])
    assert {path: ws.digests.first(path) for path in seen} == seen
    ended("build:config_001", inside[0])
    assert [ws.digests.first(path) == was for path, was in seen.items()] == [False, True, True]


def test_damage_that_is_met_while_reading(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fill(path, 20, "x" * 20_000)
    again = opened(path)
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * len(data[8192:])
    path.write_bytes(data)
    for number in range(20):
        assert not again.in_(f"task:{number}")
    succeed(again, "one", 1)
    again.dump()
    assert opened(path).get("one", "_values_:") == {"value": 1}


def test_truncated_database_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "state"
    fill(path, 200, "x" * 1000)
    path.write_bytes(path.read_bytes()[:20000])
    succeed(opened(path), "one", 1)
    assert opened(path).in_("one")


def test_folder_that_cannot_be_made_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidDodoFile, match="->"):
        opened(tmp_path / "file" / "state")


def records(project: Project) -> dict[str, Any]:
    """What is kept of each task of `tiny`."""
    connection = sqlite3.connect(project.root / "builds" / "tiny" / ".doit.sqlite")
    rows = dict(connection.execute("SELECT task, data FROM tasks"))
    connection.close()
    values = {task: json.loads(data)["_values_:"] for task, data in rows.items()}
    return {task: kept["finnmake"] for task, kept in values.items() if "finnmake" in kept}


def test_what_was_too_young_to_be_trusted_is_known_at_the_end_of_the_run(empty_project: Project) -> None:
    """Tasks follow one another within milliseconds; without this each null build would hash their files."""
    slow = [*STEPS[:3], {"step": STEPS[3], "sleep": 0.4}]
    mock_space(empty_project, config=fields(synth_clk_period_ns=5.0), steps=slow)
    empty_project.succeed("-n", "1", "build")
    first = {task: kept for task, kept in records(empty_project).items() if task.endswith("config_001")}
    assert {"finn:config_001", "report:config_001", "build:config_001"} <= first.keys()
    for task, kept in first.items():
        young = [name for name, (known, sha) in kept["depends"].items() if known is None and sha is not None]
        assert young == [], task


def test_a_file_that_was_edited_meanwhile_stays_unknown(tmp_path: Path) -> None:
    digests = FileDigests()
    for name in ("same", "edited", "gone"):
        (tmp_path / name).write_text("before")
    kept = {
        "depends": {
            str(tmp_path / name): digests.first(tmp_path / name) for name in ("same", "edited", "gone")
        },
        "files": {},
    }
    assert all(known is None for known, _ in kept["depends"].values())
    (tmp_path / "edited").write_text("after!")
    (tmp_path / "gone").unlink()
    time.sleep(0.15)
    assert settle(kept, tmp_path, FileDigests())
    known = {Path(path).name: entry[0] for path, entry in kept["depends"].items()}
    assert known == {"same": signature((tmp_path / "same").stat()), "edited": None, "gone": None}
    assert not settle(kept, tmp_path, FileDigests())


def test_rows_are_read_ahead_where_tasks_are_asked_for_in_order(tmp_path: Path) -> None:
    state = opened(tmp_path / "state")
    names = [f"{group}:config_{number:03}" for number in range(100) for group in ("finn", "build")]
    for name in names:
        succeed(state, name, name)
    state.dump()
    again = opened(tmp_path / "state")
    asked = statements(again)
    assert [again.get(name, "_values_:") for name in names] == [{"value": name} for name in names]
    assert len(asked) <= len(names) // 10


def test_rows_are_not_read_ahead_in_vain(tmp_path: Path) -> None:
    names = [f"task:{number:03}" for number in range(200)]
    first = opened(tmp_path / "state")
    for name in names:
        succeed(first, name, name)
    first.dump()
    state = opened(tmp_path / "state")
    asked = statements(state)
    for name in reversed(names):
        assert state.get(name, "_values_:") == {"value": name}
    assert len(asked) == len(names)
    assert all(each.endswith("LIMIT 2") for each in asked)


def test_row_that_was_read_ahead_is_not_served_after_it_changed(tmp_path: Path) -> None:
    path = tmp_path / "state"
    names = [f"task:{number:02}" for number in range(12)]
    first = opened(path)
    for name in names:
        succeed(first, name, "old")
    first.dump()
    state = opened(path)
    for name in names[:3]:
        state.get(name, "_values_:")
    ahead = sorted(state._ahead)
    assert len(ahead) >= 3
    succeed(state, ahead[0], "new")
    state.remove(ahead[1])
    state._recent.clear()
    assert state.get(ahead[0], "_values_:") == {"value": "new"}
    assert not state.in_(ahead[1])
    state.remove_all()
    assert not state.in_(ahead[2])


paths = st.sampled_from(["/p/a", "/p/b", "/p/c", "/p/d"])
digests = st.sampled_from(["1" * 64, "2" * 64])
depends = st.dictionaries(paths, st.tuples(st.none(), digests).map(list), max_size=3)


@given(record=st.none() | depends, known=st.dictionaries(paths, digests, max_size=4), others=st.booleans())
def test_a_row_gives_what_doit_set(
    record: dict[str, Any] | None, known: dict[str, str], others: bool
) -> None:
    """File dependencies that the record tells of too are written once; of any others nothing is lost."""
    told = {"value": 1} if record is None else {"finnmake": {"depends": record}}
    names = [*(record or {}), *(["/p/else"] if others else [])]
    agreed = {path: digest for path, (_, digest) in (record or {}).items()}
    for found in (known, agreed, {**known, **agreed}):
        values = {"_values_:": told, "checker:": "ContentChecker", **found, "deps:": names}
        assert _values(_row_of(values)) == values
    if record and not others:
        assert "deps:" not in _row_of({"_values_:": told, **agreed, "deps:": names})

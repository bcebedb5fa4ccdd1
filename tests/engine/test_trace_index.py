"""The index of traces: it finds every trace that can hit, and none but these where there are many."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.engine import trace_index
from finnmake.engine.store import Store
from finnmake.engine.trace import ALL_FIELDS, field_value, fields_of
from finnmake.engine.trace_index import TraceIndex
from finnmake.hashing import canonical_json

KEY = "ab" * 32


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def add(store: Store, fields: Mapping[str, Any], mark: int = 0) -> str:
    """Leave a trace that read these fields; gives its name."""
    return store.add_trace(KEY, {"reads": {"fields": fields}, "output": mark}).name


def names(index: TraceIndex, flags: Mapping[str, Any]) -> set[str]:
    return {path.name for path, _ in index.matching(KEY, flags)}


def hits(store: Store, flags: Mapping[str, Any]) -> set[str]:
    """The traces whose fields are the same, by looking at all."""
    found = (store.trace(KEY, name) for name in store.all_traces(KEY))
    return {
        entry[0].name
        for entry in found
        if entry is not None
        and all(
            canonical_json(field_value(flags, field)) == canonical_json(value)
            for field, value in entry[1]["reads"]["fields"].items()
        )
    }


def test_no_trace_no_match(store: Store) -> None:
    assert names(TraceIndex(store), {"a": 1}) == set()
    assert TraceIndex(store).fields(KEY) is None


def test_of_many_few_are_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {each: add(store, {"fps": [each], "clock": [5.0]}) for each in range(600)}
    always = add(store, {"clock": [5.0]})
    add(store, {"fps": [7], "width": [8]})
    index = TraceIndex(store)
    read: list[str] = []
    whole = Store.trace

    def counted(self: Store, key: str, name: str) -> Any:
        read.append(name)
        return whole(self, key, name)

    monkeypatch.setattr(Store, "trace", counted)
    assert names(index, {"fps": 8, "clock": 5.0, "other": 1}) == {wanted[8], always}
    assert names(index, {"fps": 8, "clock": 6.0}) == set()
    assert index.fields(KEY) == {"fps", "clock", "width"}
    assert len(read) <= 5 and len(set(read)) == len(read)


def test_traces_of_other_processes_are_seen_at_once(store: Store) -> None:
    index = TraceIndex(store)
    for each in range(10):
        add(store, {"fps": [each]})
    assert names(index, {"fps": 77}) == set()
    new = add(Store(store.root).open(), {"fps": [77]})
    assert names(index, {"fps": 77}) == {new}
    (entry,) = index.matching(KEY, {"fps": 77})
    Store(store.root).open().drop_trace(entry[0])
    assert names(index, {"fps": 77}) == set()
    assert add(store, {"fps": [77]}) == new and names(index, {"fps": 77}) == {new}


def test_a_trace_removed_while_it_is_looked_at_is_no_match(store: Store) -> None:
    for each in range(10):
        add(store, {"fps": [1]}, mark=each)
    found = TraceIndex(store).matching(KEY, {"fps": 1})
    next(found)
    for name in store.all_traces(KEY):
        (store.root / "actions" / KEY[:2] / KEY / name).unlink(missing_ok=True)
    assert list(found) == []


def test_damaged_traces_are_no_match_and_harm_no_other(store: Store) -> None:
    wanted = [add(store, {"fps": [1]}, mark=each) for each in range(8)]
    folder = next((store.root / "actions").glob(f"*/{KEY}/*"))
    (folder / wanted[0]).write_text("{")
    (folder / wanted[1]).write_text("[]")
    (folder / ("0" * 64 + ".json")).write_text('{"reads": 3}')
    values = wanted[0].partition("-")[0]
    for number, reads in enumerate(("nothing", {"fields": ["fps"]}, {"fields": 3}, {"fields": None}, {})):
        (folder / f"{values}-{number:064}.json").write_text(json.dumps({"reads": reads, "output": 0}))
    store.add_trace(KEY, {"reads": {"fields": ["fps"]}, "output": 0})
    (folder.parent / "file").write_text("")
    (folder.parent / "nothing-00").mkdir()
    index = TraceIndex(store)
    assert names(index, {"fps": 1}) == set(wanted[2:])
    assert index.fields(KEY) == {"fps"}


@pytest.mark.parametrize("value", [1, 1.0, True, "1", [1], None, {"a": 1}], ids=repr)
def test_values_that_python_calls_equal_are_kept_apart(store: Store, value: Any) -> None:
    everything = [1, 1.0, True, "1", [1], None, {"a": 1}]
    found = {canonical_json(each): add(store, {"fps": [each]}) for each in everything}
    assert len(found) == len(everything)
    assert names(TraceIndex(store), {"fps": value}) == {found[canonical_json(value)]}


def test_a_field_that_is_not_set_is_not_null(store: Store) -> None:
    unset, null, *_ = [
        add(store, {"fps": []}),
        add(store, {"fps": [None]}),
        *(add(store, {"x": [n]}) for n in range(5)),
    ]
    index = TraceIndex(store)
    assert names(index, {}) == {unset}
    assert names(index, {"fps": None}) == {null}


_flags = st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 0.0, False, 1, "x"]), max_size=3)
_reads = st.lists(st.sampled_from(["a", "b", "c", ALL_FIELDS]), max_size=3, unique=True)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_flags, _reads), max_size=15), st.lists(_flags, min_size=1, max_size=4))
def test_every_trace_that_can_hit_is_found(
    tmp_path_factory: pytest.TempPathFactory,
    made: Sequence[tuple[Mapping[str, Any], Sequence[str]]],
    asked: Sequence[Mapping[str, Any]],
) -> None:
    """Whatever fields the steps read, in one index that grows, and with many none that cannot."""
    store = Store(tmp_path_factory.mktemp("store")).open()
    index = TraceIndex(store)
    for mark, (flags, read) in enumerate(made):
        add(store, fields_of(flags, dict.fromkeys(read)), mark)
        for question in (flags, *asked):
            assert names(index, question) == hits(store, question)
    assert index.fields(KEY) == ({name for _, read in made for name in read} if made else None)


def test_asked_from_many_threads_while_traces_come(store: Store) -> None:
    index = TraceIndex(store)
    wrong: list[Exception] = []

    def ask() -> None:
        try:
            for each in range(60):
                for _, trace in index.matching(KEY, {"fps": each}):
                    assert trace["reads"]["fields"]["fps"][0] in range(60)
        except Exception as error:  # told in the main thread
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    added = {each: add(store, {"fps": [each]}) for each in range(60)}
    for thread in threads:
        thread.join()
    assert wrong == []
    assert all(names(index, {"fps": each}) == {name} for each, name in added.items())


def test_a_trace_is_read_once_and_never_found_when_it_is_gone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = [add(store, {"a": [value]}) for value in range(2)]
    index, opened = TraceIndex(store), store.trace
    read: list[str] = []

    def trace(key: str, name: str) -> tuple[Path, dict[str, Any]] | None:
        read.append(name)
        return opened(key, name)

    monkeypatch.setattr(store, "trace", trace)
    first = list(index.matching(KEY, {"a": 1}))
    assert list(index.matching(KEY, {"a": 1})) == first
    assert [path.name for path, _ in first] == [added[1]]
    assert len(read) == len(set(read))
    first[0][0].unlink()
    assert list(index.matching(KEY, {"a": 1})) == []


def test_only_so_many_traces_are_kept_in_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_index, "_KEPT", 3)
    for value in range(10):
        add(store, {"a": [value]})
    index = TraceIndex(store)
    for value in range(10):
        assert len(list(index.matching(KEY, {"a": value}))) == 1
    assert len(index._read) == 3

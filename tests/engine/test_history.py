"""What earlier runs tell of how long a step takes."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.engine.history import Expectation, History
from finnmake.engine.state import StepCall
from finnmake.engine.store import Store

CALL = StepCall("a", "step", "m:a", {"x": 1}, 0)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def files(store: Store) -> list[Path]:
    return sorted((store.root / "history").glob("*"))


def test_nothing_is_expected_of_what_never_ran(store: Store) -> None:
    assert History(store, "finn").expected(CALL) is None
    assert not (store.root / "history").exists(), "a question changes nothing"


def test_the_median_of_what_ran_and_the_most_memory(store: Store) -> None:
    history = History(store, "finn")
    for seconds, peak in ((1.0, 10), (9.0, 30), (2.0, 20)):
        history.note(CALL, seconds, peak)
    assert history.expected(CALL) == Expectation(2.0, 30, 3)
    assert History(store, "finn").expected(CALL) == Expectation(2.0, 30, 3)


def test_the_last_runs_count(store: Store) -> None:
    history = History(store, "finn")
    for _ in range(50):
        history.note(CALL, 100.0, 1)
    for _ in range(16):
        history.note(CALL, 1.0, 1)
    assert history.expected(CALL) == Expectation(1.0, 1, 16)


def test_backends_never_mix(store: Store) -> None:
    History(store, "mock").note(CALL, 0.001, 1)
    assert History(store, "finn").expected(CALL) is None


def test_the_same_parameters_go_before_others(store: Store) -> None:
    history = History(store, "finn")
    history.note(CALL, 1.0, 1)
    history.note(replace(CALL, parameters={"x": 2}), 5.0, 1)
    assert history.expected(CALL) == Expectation(1.0, 1, 1)
    assert history.expected(replace(CALL, parameters={"x": 3}, position=7)) == Expectation(3.0, 1, 2)
    assert history.expected(replace(CALL, target="m:b")) is None


def test_one_configuration_tells_of_another_s_analysis(store: Store) -> None:
    given = {"parameters": {"k": 1}, "config": {"id": "config_001"}, "metrics": {}}
    analysis = replace(CALL, kind="analysis", parameters=given)
    history = History(store, "finn")
    history.note(analysis, 1.0, 1)
    other = replace(analysis, parameters={**given, "config": {"id": "config_002"}})
    history.note(replace(analysis, parameters={**given, "parameters": {"k": 2}}), 9.0, 1)
    assert history.expected(other) == Expectation(1.0, 1, 1)


def test_many_variants_leave_a_file_of_bounded_size(store: Store) -> None:
    history = History(store, "finn")
    for x in range(400):
        history.note(replace(CALL, parameters={"x": x}), float(x), 1)
    (path,) = files(store)
    assert len(json.loads(path.read_bytes())) == 128
    assert history.expected(replace(CALL, parameters={"x": 399})) == Expectation(399.0, 1, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{}", "null", "[1, 2]", '[["v", 1]]', '[["v", "1", 1]]', '[["v", NaN, 1]]', "[" * 9999),
        *('[["v", -1, 1]]', '[["v", 1e999, 1]]', f'[["v", 1, {10**400}]]', '[["v", true, 1]]', "\0\xff"),
    ],
)
def test_garbage_is_as_nothing_and_is_replaced(store: Store, text: str) -> None:
    History(store, "finn").note(CALL, 1.0, 1)
    (path,) = files(store)
    path.write_text(text, encoding="latin-1")
    assert History(store, "finn").expected(CALL) is None
    history = History(store, "finn")
    history.note(CALL, 2.0, 2)
    assert history.expected(CALL) == History(store, "finn").expected(CALL) == Expectation(2.0, 2, 1)


@given(seconds=st.one_of(st.floats(), st.integers(), st.text(), st.none()), peak=st.one_of(st.integers()))
def test_what_a_step_says_of_itself_breaks_nothing(tmp_path_factory, seconds, peak) -> None:
    history = History(Store(tmp_path_factory.mktemp("store") / "store").open(), "finn")
    history.note(CALL, seconds, peak)
    found = history.expected(CALL)
    assert found is None or (found.seconds >= 0 and found.peak_rss_kb >= 0)


def test_what_cannot_be_written_is_no_error(store: Store) -> None:
    (store.root / "history").write_text("")
    history = History(store, "finn")
    history.note(CALL, 1.0, 1)
    assert history.expected(CALL) == Expectation(1.0, 1, 1)
    assert list(store.tmp.iterdir()) == []


def test_notes_at_once_leave_a_whole_file(store: Store) -> None:
    def many() -> None:
        history = History(store, "finn")
        for _ in range(30):
            history.note(CALL, 1.0, 1)

    threads = [threading.Thread(target=many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(files(store)) == 1
    assert History(store, "finn").expected(CALL) == Expectation(1.0, 1, 16)


def test_the_engine_notes_what_ran_and_not_what_came_from_the_store(bench) -> None:
    bench.step("return model")
    (outcome,) = bench.run("p:f")
    expected = bench.engine.history.expected(outcome.call)
    assert expected == Expectation(outcome.trace["info"]["seconds"], outcome.trace["info"]["peak_rss_kb"], 1)
    (hit,) = bench.run("p:f")
    assert hit.hit and bench.engine.history.expected(outcome.call) == expected


def test_a_step_that_failed_is_not_noted(bench) -> None:
    from finnmake.errors import StepError

    bench.step("raise ValueError")
    with pytest.raises(StepError):
        bench.run("p:f")
    assert bench.engine.history.expected(bench.flow("p:f").calls[0]) is None

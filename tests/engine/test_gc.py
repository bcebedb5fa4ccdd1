"""What a clean-up removes, and that it never removes what is needed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.engine import gc
from finnmake.engine.store import Store
from tests.engine.filled import DAY, Made, add, flow, manifest, project, step_call, traces, whole


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


@pytest.fixture
def own(store: Store, tmp_path: Path) -> Path:
    return project(store, tmp_path / "own")


def clean(store: Store, own: Path, days: float = 0.0, **wish: object) -> gc.Plan:
    store.close()
    with_it = Store(store.root).open_to_clean()
    try:
        found = gc.plan(with_it, own, gc.Wish(days, **wish), lambda *_: None)  # type: ignore[arg-type]
        assert gc.carry_out(with_it, found, lambda *_: None) == []
    finally:
        with_it.close()
    return found


def blobs(store: Store) -> int:
    return len(list(store.blobs.glob("*/*")))


# what stays


def test_what_a_build_took_stays_and_the_rest_goes(store, own):
    kept, other = flow(store, 4, 1, 90, analysis=True), flow(store, 4, 2, 90, analysis=True)
    manifest(own, "config_001", kept)
    found = clean(store, own)
    assert traces(store) == set(kept.traces)
    assert all(whole(store, path) for path in kept.traces)
    assert found.needed == 5
    assert set(other.traces) - set(kept.traces) == {Path(each.path) for each in found.traces}
    assert {path.name for path in store.work.iterdir()} == set(kept.after.work)


def test_another_project_counts_wherever_it_lies(store, own, tmp_path):
    made = flow(store, 3, 1, 90)
    manifest(project(store, tmp_path / "deep/other"), "config_001", made)
    clean(store, own)
    assert traces(store) == set(made.traces)


def test_project_that_was_never_noted_counts_where_it_is_at_hand(store, tmp_path):
    made = flow(store, 3, 1, 90)
    (tmp_path / "new").mkdir()
    manifest(tmp_path / "new", "config_001", made)
    clean(store, tmp_path / "new")
    assert traces(store) == set(made.traces)


def test_what_was_used_of_late_stays(store, own):
    new, old = flow(store, 3, 2, 5), flow(store, 3, 4, 50)
    clean(store, own, days=30)
    assert traces(store) == {new.traces[2], *new.traces[:2]} - ({*old.traces[:2]})
    assert whole(store, new.traces[2])


def test_time_stamps_of_the_future_count_as_new(store, own):
    made = flow(store, 3, 1, -400)
    clean(store, own)
    assert traces(store) == set(made.traces)


def test_results_of_one_action_are_kept_where_it_is_not_known_which_was_taken(store, own):
    one, two = flow(store, 3, 1, 90), flow(store, 3, 2, 90)
    path = manifest(own, "config_001", one)
    told = json.loads(path.read_text())
    told["steps"][2]["output"] = "0" * 64
    path.write_text(json.dumps(told))
    clean(store, own)
    assert traces(store) == {*one.traces, *two.traces}


def test_steps_of_segments_stay(store, own):
    made = flow(store, 3, 1, 90)
    (own / "builds/b/segments").mkdir(parents=True)
    keys = [step["action_key"] for step in made.steps[:2]]
    (own / "builds/b/segments/s.json").write_text(json.dumps({"action_keys": keys}))
    clean(store, own)
    assert traces(store) == set(made.traces[:2])


def test_folders_that_are_going_to_be_removed_need_nothing(store, own):
    made = flow(store, 3, 1, 90)
    path = manifest(own, "config_009", made)
    clean(store, own, without={path.parent})
    assert traces(store) == set()
    assert blobs(store) == 0


# projects that cannot be seen


def test_project_that_was_removed_needs_nothing(store, own, tmp_path):
    other = project(store, tmp_path / "other")
    manifest(other, "config_001", flow(store, 3, 1, 90))
    shutil.rmtree(other)
    found = clean(store, own)
    assert traces(store) == set()
    assert list(found.projects.gone.values()) == [str(other)]
    assert len(list(store.roots.iterdir())) == 1


@pytest.mark.parametrize("change", [{"machine": "elsewhere"}, {"top": [1, 1]}, {"device": 1}])
def test_project_that_may_come_back_keeps_what_was_used_since_it_was_noted(store, own, tmp_path, change):
    other = project(store, tmp_path / "other")
    note = next(path for path in store.roots.iterdir() if str(other) in path.read_text())
    told = {**json.loads(note.read_text()), **change, "since": time.time() - 40 * DAY}
    shutil.rmtree(other)
    from finnmake.engine.roots import Root

    note.unlink()
    (store.roots / Root(**told).name).write_text(json.dumps(told))
    used, older = flow(store, 3, 2, 35), flow(store, 4, 4, 80)
    found = clean(store, own)
    assert set(used.traces) - set(older.traces) <= traces(store)
    assert older.traces[3] not in traces(store)
    assert [str(other) in path for path, _ in found.projects.unsure.values()] == [True]
    assert len(list(store.roots.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"path": "/x"}'])
def test_damaged_note_keeps_everything(store, own, content):
    made = flow(store, 3, 1, 900)
    (store.roots / ("0" * 64)).write_bytes(content)
    found = clean(store, own)
    assert traces(store) == set(made.traces)
    assert "damaged" in next(iter(found.projects.unsure.values()))[0]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"steps": 1}', b"\xff"])
def test_manifest_that_cannot_be_read_keeps_what_was_used_since(store, own, content):
    made = flow(store, 3, 1, 0)
    manifest(own, "config_001", made).write_bytes(content)
    found = clean(store, own)
    assert traces(store) == set(made.traces)
    assert len(found.unreadable) == 1


# too much


def test_least_recently_used_goes_first_and_of_one_run_the_last_steps(store, own):
    old, new = flow(store, 4, 2, 20), flow(store, 5, 4, 2)
    everything = gc.plan(store, own, gc.Wish(30), lambda *_: None).holds
    found = clean(store, own, days=30, size=everything - 1)
    assert [Path(each.path) for each in found.traces] == [old.traces[3]]
    found = clean(store, own, days=30, size=found.holds - 2 * found.traces[0].size)
    assert {Path(each.path) for each in found.traces} <= {old.traces[2], new.traces[4]}


def test_what_builds_need_goes_only_when_everything_may(store, own):
    made = flow(store, 3, 1, 0)
    manifest(own, "config_001", made)
    clean(store, own, size=0)
    assert traces(store) == set(made.traces)
    clean(store, own, size=0, everything=True)
    assert traces(store) == set()
    assert blobs(store) == 0
    assert all(folder.parent == store.actions for folder in store.actions.rglob("*"))


def test_a_limit_is_met_where_it_can_be(store, own):
    for value in range(2, 12):
        flow(store, 5, value, value)
    limit = gc.plan(store, own, gc.Wish(30), lambda *_: None).holds // 2
    clean(store, own, days=30, size=limit)
    holds = sum(
        path.stat().st_size
        for folder in (store.actions, store.blobs, store.work)
        for path in folder.rglob("*")
        if path.is_file()
    )
    assert limit / 2 < holds <= limit


# litter


def test_what_runs_left_behind_goes(store, own):
    for folder in (store.quarantine, store.locks, store.root / "history", store.root / "parts/some"):
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "x").write_text("x")
    (store.root / "parts/some/used").write_text("x")
    old = time.time() - 40 * DAY
    for name in ("history/x", "parts/some/x"):
        os.utime(store.root / name, (old, old))
    flow(store, 3, 1, 0).traces[0].write_bytes(b"garbage")
    found = clean(store, own, days=30)
    assert os.listdir(store.locks) == ["store"]
    assert os.listdir(store.root / "history") == []
    assert os.listdir(store.root / "parts/some") == ["used"]
    assert len(os.listdir(store.quarantine)) == 2, "damaged things are put aside for a while"
    assert len(found.broken) == 1
    clean(store, own, days=0)
    assert os.listdir(store.quarantine) == []


def test_lock_that_somebody_holds_stays(store, own):
    with Store(store.root).lock("held"):
        clean(store, own)
        assert sorted(os.listdir(store.locks)) == ["held", "store"]


def test_bytes_that_an_output_still_holds_are_not_counted_as_free(store, own, tmp_path):
    ref = store.put_bytes(b"x" * 1000)
    alone = store.put_bytes(b"y" * 10)
    os.link(store.blob_path(ref), tmp_path / "output")
    found = clean(store, own)
    assert set(found.blobs) == {ref[:64], alone[:64]}
    assert found.frees == 10


# dying


KILLED = """
import os, sys
from pathlib import Path
from finnmake.engine import gc
from finnmake.engine.store import Store
store = Store(Path(sys.argv[1])).open_to_clean()
found = gc.plan(store, Path(sys.argv[2]), gc.Wish(0), lambda *_: None)
gc.carry_out(store, found, lambda what, done: os.kill(os.getpid(), 9) if done == int(sys.argv[3]) else None)
"""


@pytest.mark.parametrize("after", [1, 2, 5, 9, 14, 25])
def test_killed_clean_up_leaves_a_whole_store(store, own, after):
    kept = flow(store, 4, 1, 90, analysis=True)
    manifest(own, "config_001", kept)
    for value in (2, 3, 5):
        flow(store, 5, value, 90)
    store.close()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(store.root), str(own), str(after)], check=False
    )
    assert killed.returncode == -9
    assert all(whole(store, path) for path in traces(store))
    assert set(kept.traces) <= traces(store)
    clean(store, own)
    assert traces(store) == set(kept.traces)
    assert all(whole(store, path) for path in kept.traces)


# anything


BUILDS = st.lists(
    st.tuples(
        st.integers(0, 2),  # whose; 2 is nobody's
        st.integers(1, 5),  # steps
        st.integers(1, 5),  # value of the field
        st.sampled_from([0.5, 10.0, 29.0, 31.0, 300.0]),  # days since it was used
        st.booleans(),  # analysed
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(builds=BUILDS, days=st.sampled_from([0.0, 5.0, 30.0]), share=st.sampled_from([None, 0.0, 0.5, 2.0]))
def test_every_trace_that_stays_is_whole_and_all_that_is_needed_stays(builds, days, share):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder, "store")).open()
        places = [project(store, Path(folder, name)) for name in ("a", "b")]
        needed: list[Made] = []
        for number, (whose, depth, value, age, analysed) in enumerate(builds):
            made = flow(store, depth, value, age, analysed and whose < 2)
            if whose < 2:
                manifest(places[whose], f"config_{number:03}", made)
                needed.append(made)
        held = {each: each.stat().st_mtime for each in traces(store)}
        limit = None
        if share is not None:
            limit = int(share * gc.plan(store, places[0], gc.Wish(days), lambda *_: None).holds)
        clean(store, places[0], days, size=limit)
        left = traces(store)
        wanted = {path for made in needed for path in made.traces}
        recent = {path for path, used in held.items() if used >= time.time() - days * DAY}
        assert wanted <= left
        assert left <= wanted | recent
        assert limit is not None or left == wanted | recent
        assert all(whole(store, path) for path in left)
        assert gc.plan(store, places[0], gc.Wish(days, limit), lambda *_: None).blobs == {}


def test_analysis_of_another_toolchain_or_state_is_none_of_the_build(store, own):
    made = flow(store, 3, 2, 90, analysis=True)
    manifest(own, "config_001", made)
    inputs = {"after/x.onnx": made.after.model}
    stray, _, _ = add(store, step_call("look", 9, "analysis", inputs), made.after, 2, 90)
    clean(store, own)
    assert traces(store) == set(made.traces)
    assert not stray.exists()

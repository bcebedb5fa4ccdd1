"""`verify` finds whatever is damaged in a store, and puts it aside so that it is made again."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from finnmake.engine.store import Store
from finnmake.engine.verify import Findings, Verifier
from finnmake.engine.verify_builds import expected_outputs
from tests.engine.filled import flow, traces, whole


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


def verify(store: Store) -> Findings:
    verifier = Verifier(store, lambda *_: None)
    verifier.run()
    return verifier.found


def flip(path: Path, draw: random.Random) -> None:
    """Change one bit as a disk does: sizes and times stay."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(before.st_mode & 0o777)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def put_aside(store: Store) -> int:
    return len(list(store.quarantine.iterdir()))


def test_whole_store_is_whole_and_unchanged(store):
    made = flow(store, 5, 1, 1, analysis=True)
    found = verify(store)
    assert (found.damaged, found.incomplete) == ([], 0)
    assert found.checked["result"] == len(made.traces)
    assert all(whole(store, path) for path in made.traces)
    assert put_aside(store) == 0


def test_every_flipped_bit_is_found(store):
    for value in range(2, 22):
        flow(store, 5, value, 1, analysis=True)
    draw = random.Random(6)
    files = sorted([*traces(store), *store.blobs.glob("*/*")])
    chosen = draw.sample([path for path in files if path.stat().st_size], 100)
    for path in chosen:
        flip(path, draw)
    found = verify(store)
    assert {each.path for each in found.damaged} == set(chosen)
    assert not any(path.exists() for path in chosen)
    assert verify(store).damaged == []
    for path in traces(store):
        said = json.loads(path.read_text())
        assert store.has(said["output"]["model"])
        assert all(store.has(entry) for entry in store.read_tree(said["output"]["tree"]).values())


@pytest.mark.parametrize("field", ["seconds", "name", "position", "output", "value"])
def test_every_part_of_a_trace_counts(store, field):
    path = flow(store, 3, 1, 1).traces[0]
    said = json.loads(path.read_text())
    if field == "seconds":
        said["info"]["seconds"] = 2.0
    elif field in ("name", "position"):
        said["step"][field] = 7
    elif field == "output":
        said["output"]["model"] = "0" * 64 + "-1"
    else:
        said["reads"]["fields"]["a"] = [9]
    path.write_text(json.dumps(said, sort_keys=True, separators=(",", ":")))
    assert [each.path for each in verify(store).damaged] == [path]


def test_another_spelling_of_a_trace_is_damage(store):
    path = flow(store, 1, 1, 1).traces[0]
    path.write_bytes(path.read_bytes().replace(b'"seconds":1.0', b'"seconds":1.00'))
    assert [each.path for each in verify(store).damaged] == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_trace_that_is_none_is_put_aside(store, content):
    path = flow(store, 1, 1, 1).traces[0]
    path.write_bytes(content)
    assert [each.path for each in verify(store).damaged] == [path]
    assert not path.exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_put_aside(store, make: Callable[[Path], None]):
    path = store.blob_path(store.put_bytes(b"x"))
    path.unlink()
    make(path)
    assert [each.path for each in verify(store).damaged] == [path]
    assert not os.path.lexists(path)


def test_results_whose_files_are_missing_are_put_aside_and_logs_may_be(store):
    made, other = flow(store, 3, 1, 1), flow(store, 3, 2, 1)
    said = json.loads(made.traces[2].read_text())
    store.blob_path(said["output"]["model"]).unlink()
    store.blob_path(json.loads(other.traces[2].read_text())["info"]["log"]).unlink()
    found = verify(store)
    assert (found.damaged, found.incomplete) == ([], 1)
    assert traces(store) == {*made.traces[:2], *other.traces}


def test_damaged_file_of_a_build_folder_goes_and_strange_ones_stay(store):
    made = flow(store, 3, 1, 1)
    folder = store.work / next(iter(made.after.work))
    (folder / "gen.c").write_text("damaged")
    (folder / "other.c").write_text("of a run that was killed")
    found = verify(store)
    assert [(each.what, each.path) for each in found.damaged] == [("folder", folder / "gen.c")]
    assert os.listdir(folder) == ["other.c"]


def test_build_folder_in_which_a_step_works_is_left_to_it(store):
    made = flow(store, 3, 1, 1)
    name = next(iter(made.after.work))
    (store.work / name / "gen.c").write_text("half")
    with store.lock(f"work-{name}"):
        found = verify(store)
    assert found.damaged == []
    assert (store.work / name / "gen.c").read_text() == "half"


def test_runs_may_go_on_meanwhile(store):
    stop = threading.Event()
    refs: list[str] = []

    def put() -> None:
        while not stop.is_set():
            refs.append(store.put_bytes(b"%d" % len(refs)))

    for value in range(2, 12):
        flow(store, 4, value, 1)
    thread = threading.Thread(target=put)
    thread.start()
    try:
        found = verify(store)
    finally:
        stop.set()
        thread.join()
    assert (found.damaged, found.incomplete) == ([], 0)
    assert all(store.has(ref) for ref in refs)


# outputs


@pytest.fixture
def build(store: Store, tmp_path: Path) -> Path:
    """A project with the outputs of one build."""
    folder = tmp_path / "project/builds/b/config_001"
    refs = {name: store.put_bytes(name.encode() * 400_000) for name in ("final", "report", "model")}
    for name, path in (("final", "final_model.onnx"), ("report", "artifacts/r"), ("model", "model.onnx")):
        store.place(refs[name], folder / path)
    told = {"steps": [{"output": refs["final"][:64]}], "outputs": {"r": refs["report"][:64]}}
    (folder / "manifest.json").write_text(json.dumps(told))
    return folder


def outputs(store: Store, build: Path) -> list[str]:
    verifier = Verifier(store, lambda *_: None)
    verifier.run()
    verifier.outputs(expected_outputs(build.parents[2]))
    found = [each.path for each in verifier.found.damaged if each.what == "output"]
    return sorted(path.relative_to(build).as_posix() for path in found)


def test_outputs_that_are_right_stay(store, build):
    assert outputs(store, build) == []
    assert (build / "final_model.onnx").exists()


@pytest.mark.parametrize("name", ["final_model.onnx", "artifacts/r", "model.onnx"])
def test_damaged_output_is_found_also_where_it_is_the_blob(store, build, name):
    flip(build / name, random.Random(1))
    assert outputs(store, build) == [name]
    assert not (build / name).exists()
    assert verify(store).damaged == []


def test_missing_output_and_unreadable_manifest_are_damage(store, build):
    (build / "artifacts/r").unlink()
    assert outputs(store, build) == ["artifacts/r"]
    (build / "manifest.json").write_text("{")
    assert outputs(store, build) == ["manifest.json"]


def test_model_of_a_later_build_that_failed_is_no_damage(store, build):
    store.place(store.put_bytes(b"another model"), build / "model.onnx")
    assert outputs(store, build) == []


def test_output_on_another_disk_is_put_aside_too(store, build, monkeypatch):
    flip(build / "artifacts/r", random.Random(1))

    def elsewhere(self: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "replace", elsewhere)
    assert "artifacts/r" in outputs(store, build)
    assert not (build / "artifacts/r").exists()
    assert (store.quarantine / "r").exists()

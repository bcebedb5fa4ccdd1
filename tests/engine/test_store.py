"""The store: whole or not there, whatever happens."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from finnmake.engine.folders import clone, remove_tree
from finnmake.engine.store import DamagedBlob, Store, trace_digest
from finnmake.engine.temporary import default_root
from finnmake.engine.trace_index import TraceIndex
from finnmake.errors import StoreError


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").open()


TRACE = {"reads": {"fields": {}}, "output": {"model": "m"}, "info": {"seconds": 1}}
KEY = "ab" * 32


def traces(store: Store, key: str) -> list[tuple[Path, dict[str, Any]]]:
    """The traces under a key, each with its file."""
    found = (store.trace(key, name) for name in store.all_traces(key))
    return [each for each in found if each is not None]


# the folder


def test_root_is_chosen_by_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("FINNMAKE_STORE", str(tmp_path / "s"))
    assert default_root() == tmp_path / "s"
    monkeypatch.delenv("FINNMAKE_STORE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_root() == tmp_path / "finnmake"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_root() == tmp_path / ".cache/finnmake"


def test_another_layout_is_refused_and_left_alone(tmp_path):
    (tmp_path / "VERSION").write_bytes(b"\xff9\n")
    with pytest.raises(StoreError, match="layout"):
        Store(tmp_path).open()
    assert not (tmp_path / "blobs").exists()
    assert (tmp_path / "VERSION").read_bytes() == b"\xff9\n"


def test_store_that_cannot_be_written_is_an_error_with_a_cure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="FINNMAKE_STORE"):
        Store(tmp_path / "file").open()


# blobs


def test_blobs_are_named_by_content_and_read_only(store):
    ref = store.put_bytes(b"hello")
    assert store.put_bytes(b"hello") == ref
    assert store.read(ref) == b"hello"
    assert store.blob_path(ref).stat().st_mode & 0o777 == 0o444
    assert store.put_bytes(b"") != ref
    assert list(store.tmp.iterdir()) == []


def test_file_that_is_kept_stays_as_it_is(store, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"hello")
    assert store.put_file(path) == store.put_bytes(b"hello")
    path.write_bytes(b"other")
    assert store.read(store.put_bytes(b"hello")) == b"hello"


@pytest.mark.parametrize("content", [b"hellp", b"he", b""])
def test_damaged_blob_is_put_aside(store, content):
    ref = store.put_bytes(b"hello")
    path = store.blob_path(ref)
    path.chmod(0o644)
    path.write_bytes(content)
    with pytest.raises(DamagedBlob) as caught:
        store.read(ref)
    assert caught.value.ref == ref
    assert [kept.read_bytes() for kept in store.quarantine.iterdir()] == [content]
    assert store.put_bytes(b"hello") == ref
    assert store.read(ref) == b"hello"


def test_touched_blob_that_is_right_stays(store):
    ref = store.put_bytes(b"hello")
    os.utime(store.blob_path(ref))
    assert store.has(ref)
    assert list(store.quarantine.iterdir()) == []


def test_missing_blob_is_damaged(store):
    with pytest.raises(DamagedBlob):
        store.read("a" * 64 + "-1")


def test_full_disk_leaves_nothing_in_tmp(store, monkeypatch):
    def full(self, data):
        with open(self, "wb") as stream:
            stream.write(data[:2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="space"):
        store.put_bytes(b"hello")
    with pytest.raises(OSError, match="space"):
        store.add_trace(KEY, TRACE)
    assert list(store.tmp.iterdir()) == []


def test_threads_keep_the_same_content(store):
    refs: list[str] = []
    threads = [
        threading.Thread(target=lambda: refs.extend(store.put_bytes(b"%d" % n) for n in range(200)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refs) == 1200
    assert len(set(refs)) == 200
    assert all(store.has(ref) for ref in refs)


# placing


def test_placed_file_is_read_only_and_replaces_what_was_there(store, tmp_path):
    target = tmp_path / "out/x"
    store.place(store.put_bytes(b"one"), target)
    store.place(store.put_bytes(b"two"), target)
    assert target.read_bytes() == b"two"
    assert target.stat().st_mode & 0o777 == 0o444
    assert os.listdir(target.parent) == ["x"]


def test_large_executable_keeps_its_bit_and_large_blob_its_mode(store, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"x" * (2 << 20))
    plain = store.pack(source)
    source.chmod(0o755)
    executable = store.pack(source)
    store.place(plain, tmp_path / "plain")
    store.place(executable, tmp_path / "executable")
    assert (tmp_path / "plain").stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "executable").stat().st_mode & 0o777 == 0o555
    assert store.blob_path(plain).stat().st_mode & 0o777 == 0o444


def test_edit_through_a_hard_link_is_noticed(store, tmp_path):
    source = tmp_path / "x"
    source.write_bytes(b"x" * (2 << 20))
    entry = store.pack(source)
    store.place(entry, tmp_path / "placed")
    (tmp_path / "placed").chmod(0o644)
    with (tmp_path / "placed").open("r+b") as stream:
        stream.write(b"y")
    linked = (tmp_path / "placed").stat().st_ino == store.blob_path(entry).stat().st_ino
    assert store.has(entry) is not linked


def test_place_of_a_damaged_blob_leaves_what_was_there(store, tmp_path):
    target = tmp_path / "x"
    target.write_text("old")
    with pytest.raises(DamagedBlob):
        store.place("a" * 64 + "-1", target)
    assert target.read_text() == "old"


def test_restore_makes_the_folder_what_the_listing_says(store, tmp_path):
    tree = {"a/b": store.put_bytes(b"ab"), "c": store.put_bytes(b"c") + "+x"}
    listing = store.put_tree(tree)
    folder = tmp_path / "work"
    store.restore(listing, folder)
    kept = (folder / "a/b").stat().st_ino
    (folder / "c").chmod(0o644)
    (folder / "other").write_text("")
    (folder / "link").symlink_to("c")
    store.restore(listing, folder)
    assert sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()) == ["a/b", "c"]
    assert (folder / "c").stat().st_mode & 0o100
    assert (folder / "a/b").stat().st_ino == kept


def test_restore_in_two_threads(store, tmp_path):
    listing = store.put_tree({f"{n}": store.put_bytes(b"%d" % n) for n in range(100)})
    errors: list[Exception] = []

    def restore() -> None:
        try:
            store.restore(listing, tmp_path / "work")
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=restore) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(os.listdir(tmp_path / "work")) == 100


# traces


def test_traces_of_a_key_accumulate(store):
    other = {**TRACE, "output": {"model": "n"}}
    store.add_trace(KEY, TRACE)
    store.add_trace(KEY, {**TRACE, "info": {"seconds": 2}})
    store.add_trace(KEY, other)
    found = {path.stem.rpartition("-")[2]: trace for path, trace in traces(store, KEY)}
    assert set(found) == {trace_digest(TRACE), trace_digest(other)}
    assert traces(store, "cd" * 32) == []


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"null", b"\xff", b'{"reads": {}, "output": {}}']
)
def test_file_that_is_no_trace_is_put_aside(store, content):
    path = store.add_trace(KEY, TRACE)
    bad = path.with_name("0" * 64 + ".json")
    bad.write_bytes(content)
    path.write_bytes(path.read_bytes()[:-10])
    assert traces(store, KEY) == []
    assert os.listdir(path.parent) == []
    assert len(list(store.quarantine.iterdir())) == 2


# locks and folders


def test_lock_lets_one_in_at_a_time(store):
    inside, most = 0, 0
    guard = threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        for _ in range(50):
            with store.lock("x"):
                with guard:
                    inside += 1
                    most = max(most, inside)
                with guard:
                    inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_sweep_removes_what_the_dead_left_and_nothing_else(store):
    code = (
        "import sys; from pathlib import Path; from finnmake.engine.store import Store\n"
        "store = Store(Path(sys.argv[1])); folder = store.new_folder(); (folder / 'x').write_text('x')\n"
        "store._own_name().write_text('half a blob')"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True)
    mine = store.new_folder()
    log = store.tmp / "log-1"
    log.touch()
    assert len(os.listdir(store.tmp)) == 4
    store.sweep()
    assert set(store.tmp.iterdir()) == {mine, log}


def test_sweep_leaves_what_is_about_to_become_a_blob(store, monkeypatch):
    blob = store.tmp / "run-elsewhere-1-x"
    blob.touch()
    os.utime(blob, (1, 1))
    store.sweep()
    assert blob.exists()
    later = time.time() + 8 * 86400
    monkeypatch.setattr(time, "time", lambda: later)
    store.sweep()
    assert not blob.exists()


def test_sweep_goes_on_where_a_file_has_just_gone(store, monkeypatch):
    for name in "abc":
        (store.tmp / f"run-elsewhere-1-{name}").touch()
    found = store._left()
    (store.tmp / "run-elsewhere-1-a").unlink()
    (store.tmp / "run-elsewhere-1-b").rename(store.blobs / "b")
    monkeypatch.setattr(store, "_left", lambda: found)
    store.sweep()
    assert os.listdir(store.tmp) == ["run-elsewhere-1-c"]


def test_sweep_takes_pipes_and_links_for_what_they_are(store, tmp_path):
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "run-elsewhere-1-x").touch()
    os.mkfifo(store._own_name())
    store._own_name().symlink_to(keep)
    store.sweep(os.getpid())
    assert os.listdir(store.tmp) == []
    store.tmp.rmdir()
    store.tmp.symlink_to(keep)
    store.sweep_owner("elsewhere")
    assert os.listdir(keep) == ["run-elsewhere-1-x"]
    with pytest.raises(StoreError, match="link"):
        store.open()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_blob_that_is_no_file_is_put_aside(store, make):
    ref = store.put_bytes(b"")
    store.blob_path(ref).unlink()
    make(store.blob_path(ref))
    with pytest.raises(DamagedBlob):
        store.read(ref)
    assert store.put_bytes(b"") == ref
    assert store.read(ref) == b""


def test_restore_replaces_whatever_stands_in_the_way(store, tmp_path):
    listing = store.put_tree({"a/b": store.put_bytes(b"ab"), "c": store.put_bytes(b"c")})
    home, folder = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    (home / "b").write_text("mine")
    folder.mkdir()
    (folder / "a").symlink_to(home)
    (folder / "other").symlink_to(home)
    os.mkfifo(folder / "c")
    os.mkfifo(folder / "d")
    store.restore(listing, folder)
    (folder / "c").unlink()
    (folder / "c/deep").mkdir(parents=True)
    (folder / "c/deep/link").symlink_to(home)
    (folder / "c/deep").chmod(0o555)
    store.restore(listing, folder)
    assert sorted(os.listdir(folder)) == ["a", "c"]
    assert (folder / "a/b").read_text() == "ab"
    assert (folder / "c").read_text() == "c"
    assert (home / "b").read_text() == "mine"
    (folder / "a/b").unlink()
    (folder / "a").rmdir()
    (folder / "c").unlink()
    folder.rmdir()
    folder.symlink_to(home)
    store.restore(listing, folder)
    assert not folder.is_symlink()
    assert os.listdir(home) == ["b"]


def test_remove_tree_takes_read_only_parts_and_never_follows_links(tmp_path):
    keep = tmp_path / "keep"
    keep.mkdir(mode=0o555)
    (tmp_path / "gone/deep").mkdir(parents=True)
    (tmp_path / "gone/deep/x").write_text("x")
    (tmp_path / "gone/link").symlink_to(keep)
    (tmp_path / "gone/deep").chmod(0o555)
    (tmp_path / "link").symlink_to(keep)
    remove_tree(tmp_path / "gone")
    remove_tree(tmp_path / "link")
    remove_tree(tmp_path / "never")
    assert os.listdir(tmp_path) == ["keep"]
    assert keep.stat().st_mode & 0o777 == 0o555


def test_clone_never_writes_over_a_file(tmp_path):
    for name in "ab":
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        clone(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"


def test_opening_and_looking_up_list_few_folders_and_no_large_ones(store, monkeypatch):
    """However many actions and blobs a store has, it opens and looks up as fast."""
    for rate in range(2000):
        store.add_trace(KEY, {**TRACE, "reads": {**TRACE["reads"], "fields": {"rate": [rate]}}})
    store.put_bytes(b"x")
    listed: list[str] = []
    for name in ("listdir", "scandir"):
        real = getattr(os, name)

        def noted(path=".", real=real):
            listed.append(os.fspath(path))
            return real(path)

        monkeypatch.setattr(os, name, noted)
    again = Store(store.root).open()
    again.sweep()
    assert listed == [str(store.tmp)]
    listed.clear()
    index = TraceIndex(again)
    (found,) = index.matching(KEY, {"rate": 7})
    assert found[1]["reads"]["fields"] == {"rate": [7]}
    assert list(index.matching("cd" * 32, {})) == []
    monkeypatch.undo()
    assert len(listed) <= 4
    assert all(len(os.listdir(folder)) <= 256 for folder in listed if os.path.exists(folder))

"""Digests of files: right at once, and remembered only when that is safe."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from finnmake.engine import files
from finnmake.engine.files import FileDigests, digest_listing, settled, signature
from finnmake.hashing import digest_bytes


def test_same_size_and_mtime_with_other_content_is_seen(tmp_path):
    path = tmp_path / "x"
    digests = FileDigests()
    for text in (b"one", b"two", b"thr"):
        path.write_bytes(text)
        os.utime(path, ns=(1, 1))
        assert digests.digest(path) == digest_bytes(text)


def test_replacement_by_rename_is_seen(tmp_path):
    digests = FileDigests()
    for name, text in (("a", b"one"), ("b", b"two")):
        (tmp_path / name).write_bytes(text)
        (tmp_path / name).replace(tmp_path / "x")
        assert digests.digest(tmp_path / "x") == digest_bytes(text)


def test_quick_edits_are_all_seen(tmp_path):
    path = tmp_path / "x"
    digests = FileDigests()
    for number in range(300):
        text = b"%03d" % number
        path.write_bytes(text)
        assert digests.digest(path) == digest_bytes(text)


@pytest.fixture
def reads(monkeypatch):
    done: list[Path] = []
    real = files.digest_file
    monkeypatch.setattr(files, "digest_file", lambda path: done.append(path) or real(path))
    return done


def test_settled_file_is_read_once(tmp_path, reads, monkeypatch):
    (tmp_path / "x").write_text("x")
    later = time.time_ns() + 10**9
    monkeypatch.setattr(files.time, "time_ns", lambda: later)
    digests = FileDigests()
    assert digests.digest(tmp_path / "x") == digests.digest(str(tmp_path / "x"))
    assert len(reads) == 1


def test_young_file_and_file_from_the_future_are_read_again(tmp_path, reads):
    digests = FileDigests()
    (tmp_path / "x").write_text("x")
    digests.digest(tmp_path / "x")
    ahead = time.time_ns() + 10**12
    os.utime(tmp_path / "x", ns=(ahead, ahead))
    digests.digest(tmp_path / "x")
    digests.digest(tmp_path / "x")
    assert len(reads) == 3


def test_digest_of_an_earlier_run_counts_while_the_signature_does(tmp_path):
    path = tmp_path / "x"
    path.write_text("x")
    digests = FileDigests()
    digests.remember(path, signature(path.stat()), "known")
    assert digests.digest(path) == "known"
    path.write_text("longer")
    assert digests.digest(path) == digest_bytes(b"longer")


def test_first_sight_of_a_file_stays(tmp_path):
    digests = FileDigests()
    assert digests.first(tmp_path / "x") == (None, None)
    (tmp_path / "x").write_text("x")
    assert digests.first(tmp_path / "x") == (None, None)
    assert digests.digest(tmp_path / "x") == digest_bytes(b"x")


def test_a_file_that_was_forgotten_is_looked_at_anew(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    digests = FileDigests()
    seen = digests.first(path)
    path.write_text("after")
    assert digests.first(path) == seen
    digests.forget(path)
    assert digests.first(path)[1] == digest_bytes(b"after")
    digests.forget(tmp_path / "never seen")


def test_what_is_no_file_has_no_digest(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "broken").symlink_to("nowhere")
    for name in ("", "pipe", "broken", "missing", "pipe/x"):
        assert FileDigests().digest(tmp_path / name) is None


def test_listing_is_the_names(tmp_path):
    assert digest_listing(tmp_path / "none") is None
    empty = digest_listing(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    assert digest_listing(tmp_path) == empty
    (tmp_path / "b").write_text("1")
    one = digest_listing(tmp_path)
    (tmp_path / "b").write_text("2")
    assert digest_listing(tmp_path) == one != empty


def test_settled():
    assert settled((1, 5, 5, 1), 5 + 10**9)
    assert not settled((1, 5, 10**9, 1), 5 + 10**9)

"""How doit sees that a file dependency changed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from finnmake.engine import files
from finnmake.engine.files import FileDigests
from finnmake.tasks import checker as module
from finnmake.tasks.checker import ContentChecker


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Call it to begin what is a new run to the checker."""

    def begin() -> ContentChecker:
        now = SimpleNamespace(digests=FileDigests())
        monkeypatch.setattr(module, "workspace", lambda: now)
        return ContentChecker()

    yield begin


@pytest.fixture
def old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose time stamps are old enough to be trusted."""
    monkeypatch.setattr(files, "_RACY_NS", 0)
    path = tmp_path / "file"
    path.write_text("one")
    return path


def state_of(checker: ContentChecker, path: Path) -> object:
    checker.info(str(path))
    return checker.get_state(str(path), None)


def modified(checker: ContentChecker, path: Path, state: object) -> bool:
    return checker.check_modified(str(path), checker.info(str(path)), state)


def test_same_content_is_not_modified(run, old_file: Path) -> None:
    state = state_of(run(), old_file)
    old_file.write_text("one")
    assert not modified(run(), old_file, state)


def test_same_size_and_time_with_other_content_is_modified(run, old_file: Path) -> None:
    """Trap: doit compares time and size first and looks no further."""
    state = state_of(run(), old_file)
    before = old_file.stat()
    old_file.write_text("two")
    os.utime(old_file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert modified(run(), old_file, state)


def test_edit_during_the_run_is_not_what_was_used(run, old_file: Path) -> None:
    """Trap: doit looks at the file after the action, so that an edit meanwhile counts as used."""
    checker = run()
    checker.info(str(old_file))  # before the action
    old_file.write_text("edited meanwhile")
    state = checker.get_state(str(old_file), None)  # after the action
    assert modified(run(), old_file, state)


def test_file_of_many_tasks_is_hashed_once(run, old_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap: doit hashes a 50 MB dependency of 50 tasks 50 times."""
    hashed = []
    monkeypatch.setattr(files, "digest_file", lambda path: hashed.append(path) or "0" * 64)
    checker = run()
    for _ in range(50):
        modified(checker, old_file, [None, "1" * 64])
        state_of(checker, old_file)
    assert hashed == [old_file]


def test_state_that_did_not_change_is_not_written_again(run, old_file: Path) -> None:
    state = state_of(run(), old_file)
    checker = run()
    checker.info(str(old_file))
    assert checker.get_state(str(old_file), state) is None

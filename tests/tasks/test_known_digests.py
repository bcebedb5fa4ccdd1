"""Digests of finnmake's own modules are kept from run to run, and count only for the files as they were."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import pytest

from finnmake.engine.files import _RACY_NS, FileDigests
from finnmake.hashing import digest_file
from finnmake.tasks import known_digests
from finnmake.tasks.known_digests import keep, recall
from tests.explorations import mock_space
from tests.projects import Project


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of the package, old enough for its signature to be trusted."""
    monkeypatch.setattr(known_digests, "PACKAGE", tmp_path / "package")
    path = tmp_path / "package/part/module.py"
    path.parent.mkdir(parents=True)
    path.write_text("a = 1\n")
    time.sleep(2 * _RACY_NS / 1e9)
    return path


@pytest.fixture
def connection(tmp_path: Path) -> sqlite3.Connection:
    return sqlite3.connect(tmp_path / "state")


def recalled(connection: sqlite3.Connection) -> FileDigests:
    digests = FileDigests()
    recall(connection, digests)
    return digests


def kept(connection: sqlite3.Connection, *paths: Path) -> None:
    digests = FileDigests()
    for path in paths:
        assert digests.digest(path)
    keep(connection, digests)


def test_what_was_worked_out_is_not_read_again(
    module: Path, connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(connection, module)
    digests = recalled(connection)
    expected = digest_file(module)
    monkeypatch.setattr("finnmake.engine.files.digest_file", lambda path: pytest.fail(f"read {path}"))
    assert digests.digest(module) == expected
    assert list(digests.worked_out(str(module.parent))) == []


def test_an_edit_is_seen_whatever_its_time_stamp_says(module: Path, connection: sqlite3.Connection) -> None:
    kept(connection, module)
    before = module.stat()
    module.write_text("a = 2\n")
    os.utime(module, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert recalled(connection).digest(module) == digest_file(module)


def test_a_new_digest_takes_the_place_of_the_old_one(module: Path, connection: sqlite3.Connection) -> None:
    kept(connection, module)
    module.write_text("a = 23\n")
    time.sleep(2 * _RACY_NS / 1e9)
    digests = recalled(connection)
    assert digests.digest(module) == digest_file(module)
    keep(connection, digests)
    rows = connection.execute("SELECT path, digest FROM digests").fetchall()
    assert rows == [(str(module), digest_file(module))]


def test_files_of_others_are_not_kept(module: Path, connection: sqlite3.Connection, tmp_path: Path) -> None:
    other = tmp_path / "package.py"
    other.write_text("a = 1\n")
    time.sleep(2 * _RACY_NS / 1e9)
    kept(connection, module, other)
    assert connection.execute("SELECT path FROM digests").fetchall() == [(str(module),)]


def test_another_table_of_the_name_does_no_harm(module: Path, connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE digests (path TEXT)")
    connection.execute("INSERT INTO digests VALUES ('x')")
    connection.commit()
    digests = recalled(connection)
    assert digests.digest(module) == digest_file(module)
    keep(connection, digests)


def test_runs_keep_them(project: Project) -> None:
    mock_space(project)
    project.succeed("build")
    with sqlite3.connect(project.folder("tiny", ".doit.sqlite")) as connection:
        rows = dict(connection.execute("SELECT path, digest FROM digests"))
    connection.close()
    own = [path for path in rows if path.endswith("/engine/state.py")]
    assert own and all(rows[path] == digest_file(Path(path)) for path in own)

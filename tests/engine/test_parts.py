"""Results of parts of steps: what was written, or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finnmake.engine.parts import Parts


def test_what_was_put_is_got(tmp_path: Path) -> None:
    parts = Parts(tmp_path / "some")
    assert parts.get("a" * 64) is None
    parts.put("a" * 64, b"data\nof two lines")
    assert parts.get("a" * 64) == b"data\nof two lines"
    assert os.listdir(tmp_path / "some") == ["a" * 64]


@pytest.mark.parametrize("damage", [b"", b"data", b"0" * 64 + b"\ndata", None], ids=repr)
def test_what_is_damaged_counts_as_none(tmp_path: Path, damage: bytes | None) -> None:
    parts = Parts(tmp_path)
    parts.put("key", b"data")
    path = tmp_path / "key"
    path.write_bytes(path.read_bytes()[:-1] + b"!" if damage is None else damage)
    assert parts.get("key") is None
    parts.put("key", b"data")
    assert parts.get("key") == b"data"


def test_being_read_counts_as_use(tmp_path: Path) -> None:
    parts = Parts(tmp_path)
    parts.put("key", b"data")
    os.utime(tmp_path / "key", (1, 1))
    parts.get("key")
    assert (tmp_path / "key").stat().st_mtime > 1


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    parts = Parts(tmp_path / "file")
    parts.put("key", b"data")
    assert parts.get("key") is None

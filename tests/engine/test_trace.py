"""Whether what was read is the same now, and where it first differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnmake.engine.files import FileDigests, digest_listing
from finnmake.engine.paths import absolute, portable
from finnmake.engine.trace import ALL_FIELDS, fields_of, first_difference, presence
from finnmake.hashing import canonical_json, digest_bytes

NOTHING = {"fields": {}, "files": {}, "listings": {}, "presence": {}}


def difference(project: Path, flags=None, **reads):
    return first_difference({**NOTHING, **reads}, flags or {}, project, FileDigests(), ["/store", "/venv"])


def test_nothing_read_never_differs(tmp_path):
    assert difference(tmp_path) is None


@pytest.mark.parametrize(
    ("read", "now", "same"),
    [
        ([1], {"a": 1}, True),
        ([1], {"a": 2}, False),
        ([1], {"a": 1.0}, False),
        ([1], {"a": True}, False),
        ([1], {}, False),
        ([], {}, True),
        ([], {"a": None}, False),
        ([None], {}, False),
        ([{"x": [1, 2]}], {"a": {"x": (1, 2)}}, True),
        ([float("nan")], {"a": float("nan")}, True),
    ],
)
def test_fields(tmp_path, read, now, same):
    assert difference(tmp_path, now, fields={"a": read}) == (None if same else ("field", "a"))


def test_all_fields(tmp_path):
    fields = fields_of({"a": 1, "b": 2}, {ALL_FIELDS: True})
    assert difference(tmp_path, {"b": 3, "a": 1}, fields=fields) is None
    assert difference(tmp_path, {"a": 1}, fields=fields) == ("field", ALL_FIELDS)


def test_files_listings_and_presence(tmp_path):
    (tmp_path / "x").write_text("x")
    assert difference(tmp_path, files={"x": digest_bytes(b"x"), "y": None}) is None
    assert difference(tmp_path, files={"x": digest_bytes(b"y")}) == ("file", "x")
    assert difference(tmp_path, files={"x": None}) == ("file", "x")
    assert difference(tmp_path, listings={".": digest_listing(tmp_path), "n": None}) is None
    assert difference(tmp_path, listings={".": "?"}) == ("folder", ".")
    assert difference(tmp_path, presence={"x": "file 1", ".": "folder", "n": "missing"}) is None
    assert difference(tmp_path, presence={"x": "file 2"}) == ("presence of", "x")
    assert difference(tmp_path, presence={"x": "folder"}) == ("presence of", "x")
    assert presence(tmp_path / "x" / "y") == "missing"


@pytest.mark.parametrize(("path", "key"), [("/p/x/y", "x/y"), ("/p", "."), ("/pq", "/pq"), ("/q/x", "/q/x")])
def test_names_are_those_of_every_checkout(path, key):
    assert portable(path, "/p") == key
    assert Path(absolute(key, Path("/p"))) == Path(path)


def test_name_that_is_no_unicode_has_one_spelling():
    assert canonical_json({"\udcff": 1}) == b'{"\xed\xb3\xbf":1}'

"""What a step hands on: only what a store can hold is taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from finnmake.engine.state import State, checked_info, checked_reads, checked_tree, is_ref

REF = "a" * 64 + "-12"
WORK = "b" * 32
GOOD: dict[str, Any] = {"model": REF, "tree": REF, "work": {WORK: REF}, "overrides": {"x": [1]}}
READS: dict[str, Any] = {"fields": {}, "files": {"x": None}, "listings": {}, "presence": {}}


def test_record_comes_back():
    assert State.from_dict(GOOD).to_dict() == GOOD


@pytest.mark.parametrize(
    "change",
    [
        {"model": "../x"},
        {"model": REF + "\n"},
        {"model": REF + "+x"},
        {"model": None},
        {"tree": "A" * 64 + "-1"},
        {"tree": "a" * 64 + "-١"},
        {"work": [WORK]},
        {"work": {"../" + "b" * 29: REF}},
        {"work": {"": REF}},
        {"work": {WORK: "x"}},
        {"overrides": []},
        {"more": 1},
    ],
)
def test_record_that_cannot_be_is_refused(change):
    with pytest.raises(ValueError, match="the step's result"):
        State.from_dict({**GOOD, **change})


@pytest.mark.parametrize("value", [None, [], "x", 1, {}])
def test_what_is_no_record_is_refused(value):
    for check in (State.from_dict, checked_reads, checked_info):
        with pytest.raises(ValueError, match="the step's"):
            check(value)


def test_listing_of_plain_names_is_taken():
    tree = {"a/b.c": REF, "...": REF, "a/\udcff\n": REF + "+x", "-": REF}
    assert checked_tree(tree) == tree
    assert checked_tree({}) == {}


@pytest.mark.parametrize(
    "name", ["", "/etc/x", "..", "../x", "a/../../x", "a/..", ".", "./x", "a//b", "a/", "a\0b", "\ud800"]
)
def test_name_outside_the_folder_is_refused(name):
    with pytest.raises(ValueError):
        checked_tree({"fine": REF, name: REF})


@pytest.mark.parametrize("tree", [[], None, {"x": "y"}, {"x": None}, {"a": REF, "a/b/c": REF}])
def test_what_is_no_listing_is_refused(tree):
    with pytest.raises(ValueError, match="the step's result"):
        checked_tree(tree)


@pytest.mark.parametrize("change", [{"files": []}, {"presence": {"a\0": "file"}}, {"paths": 1}])
def test_reads_that_cannot_be_are_refused(change):
    assert checked_reads(READS) == READS
    with pytest.raises(ValueError):
        checked_reads({**READS, **change})


def test_refs():
    assert is_ref(REF)
    assert not is_ref([REF])
    assert not is_ref(REF + "+x")

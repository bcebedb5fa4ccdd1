"""What is told to differ is what was edited, and nothing is told where a trace hits."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.engine.explain import (
    LONGEST_TEXT,
    Comparison,
    Difference,
    changed_lines,
    keep_texts,
    kept_text,
    nearest,
    parts,
    steps_changed,
)
from finnmake.engine.explain_flow import RUN, STORE, UNKNOWN, Foresight
from finnmake.engine.explain_store import StoreView
from finnmake.engine.files import FileDigests, digest_listing
from finnmake.engine.store import DamagedBlob, Store
from finnmake.engine.trace import fields_of, first_difference, presence
from finnmake.hashing import digest_bytes
from tests.engine.conftest import TOOLCHAIN

NAMES = ("a.txt", "b.py", "sub/c.json", "sub/d.bin")
FIELDS = ("clock", "target", "part")

values = st.one_of(st.integers(0, 3), st.booleans(), st.floats(0, 3), st.none(), st.text("ab", max_size=3))
contents = st.one_of(
    st.none(), st.text(alphabet="ab\n\0é", max_size=12).map(str.encode), st.binary(max_size=4)
)
flags = st.dictionaries(st.sampled_from(FIELDS), values)
trees = st.fixed_dictionaries(dict.fromkeys(NAMES, contents))


def laid_out(root: Path, tree: dict[str, bytes | None]) -> None:
    for name, content in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)


def reads_of(root: Path, wanted: dict[str, Any], given_flags: dict[str, Any]) -> dict[str, Any]:
    digests = FileDigests()
    return {
        "fields": fields_of(given_flags, dict.fromkeys(wanted["fields"])),
        "files": {name: digests.digest(root / name) for name in wanted["files"]},
        "listings": {name: digest_listing(root / name) for name in wanted["listings"]},
        "presence": {name: presence(root / name) for name in wanted["presence"]},
    }


wanted_reads = st.fixed_dictionaries(
    {
        "fields": st.sets(st.sampled_from([*FIELDS, "*"])),
        "files": st.sets(st.sampled_from(NAMES)),
        "listings": st.sets(st.sampled_from([".", "sub"])),
        "presence": st.sets(st.sampled_from(NAMES)),
    }
)


@given(wanted=wanted_reads, before=trees, after=trees, then=flags, now=flags)
def test_what_differs_is_told_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, wanted: Any, before: Any, after: Any, then: Any, now: Any
) -> None:
    root = tmp_path_factory.mktemp("project")
    store = Store(root / "store").open()
    laid_out(root / "p", before)
    reads = reads_of(root / "p", wanted, then)
    keep_texts(store, reads, root / "p")
    laid_out(root / "p", after)
    found = Comparison(store, root / "p", FileDigests()).reads(reads, now, [])
    hit = first_difference(reads, now, root / "p", FileDigests(), []) is None
    assert hit == (not found)
    assert {each.name for each in found if each.kind == "file"} == {
        name for name in wanted["files"] if before[name] != after[name]
    }
    assert {each.name for each in found if each.kind == "field"} == {
        name
        for name in wanted["fields"] - {"*"}
        if repr([then.get(name, "absent")]) != repr([now.get(name, "absent")])
    }
    for each in found:
        for lines in each.lines:
            texts = before[each.name].decode().splitlines(), after[each.name].decode().splitlines()
            assert list(lines.new) == texts[1][lines.first - 1 : lines.last]
            assert set(lines.old) <= set(texts[0])


def test_one_file_is_told_once() -> None:
    root = Path(os.devnull).parent
    found = Comparison(Store(root), root / "none", FileDigests()).reads(
        {"fields": {}, "files": {"x": "a" * 64}, "listings": {}, "presence": {"x": "file 3", "y": "folder"}},
        {},
        [],
    )
    assert [(each.kind, each.name) for each in found] == [("file", "x"), ("presence", "y")]


@pytest.mark.parametrize(
    ("old", "new", "first", "last"),
    [
        ("a\nb\nc\n", "a\nB\nc\n", 2, 2),
        ("a\nb\n", "a\nx\ny\nb\n", 2, 3),
        ("a\nb\nc\n", "a\nc\n", 2, 1),
        ("", "a\n", 1, 1),
    ],
)
def test_line_ranges(old: str, new: str, first: int, last: int) -> None:
    (lines,) = changed_lines(old, new)
    assert (lines.first, lines.last) == (first, last)


def test_texts_that_steps_read_are_kept_and_nothing_else(tmp_path: Path) -> None:
    store, project = Store(tmp_path / "store").open(), tmp_path / "p"
    project.mkdir()
    files = {
        "text.py": b"x = 1\n",
        "binary": b"\0\1",
        "latin": b"\xe9",
        "long.txt": b"x" * (LONGEST_TEXT + 1),
        "edited.py": b"old",
    }
    for name, content in files.items():
        (project / name).write_bytes(content)
    digests = {name: digest_bytes(content) for name, content in files.items()}
    (project / "edited.py").write_bytes(b"new")
    outside = tmp_path / "outside.txt"
    outside.write_text("x")
    others = {str(outside): digest_bytes(b"x"), "gone": digest_bytes(b"?"), "nothing": None}
    keep_texts(store, {"files": {**digests, **others}}, project)
    assert kept_text(store, digests["text.py"]) == "x = 1\n"
    assert len(list(store.blobs.glob("*/*"))) == 1


def test_a_kept_text_that_is_damaged_is_none(tmp_path: Path) -> None:
    store = Store(tmp_path / "store").open()
    digest = store.put_bytes(b"text")[:64]
    store.blob_path(digest).chmod(0o644)
    store.blob_path(digest).write_bytes(b"TEXT")
    assert kept_text(store, digest) is None
    assert kept_text(store, "0" * 64) is None


def test_nested_parts_are_named_by_their_paths() -> None:
    old = {"python": "3.11", "packages": {"numpy": "1", "onnx": "1"}, "empty": {}}
    new = {"python": "3.11", "packages": {"numpy": "2", "rich": "1"}, "empty": {}}
    found = parts(old, new, "toolchain")
    assert [(each.name, each.old, each.new) for each in found] == [
        ("packages.numpy", "1", "2"),
        ("packages.onnx", "1", None),
        ("packages.rich", None, "1"),
    ]


def test_values_are_compared_as_json() -> None:
    assert [each.name for each in parts({"a": 1, "b": 1.5}, {"a": 1.0, "b": 1.5}, "field")] == ["a"]


def test_steps_that_came_and_went() -> None:
    found = list(steps_changed(["a", "b", "c"], ["a", "x", "y", "c", "d"]))
    assert [(each.name, each.old, each.new) for each in found] == [
        ("steps 2 to 3", ["b"], ["x", "y"]),
        ("step 5", None, ["d"]),
    ]


def test_the_nearest_has_the_fewest_differences() -> None:
    one, two = [Difference("field", "a")], [Difference("field", "a"), Difference("field", "b")]
    assert nearest([("x", two), ("y", one), ("z", one)]) == ("y", one)
    assert nearest([]) is None


# what a flow would do


def foreseen(bench: Any, *targets: str, **given_flags: Any) -> list[str]:
    view = StoreView(bench.store.root).look()
    foresight = Foresight(view, bench.root, TOOLCHAIN, FileDigests(), bench.pool.places.fixed)
    flow = bench.flow(*targets, **given_flags)

    def needed(walked: Any) -> Any:
        for each in walked[-1:]:
            yield each.after.model
            yield from view.read_tree(each.after.tree).values()

    return [each.how for each in foresight.look(flow, needed)]


def test_a_flow_that_never_ran(bench: Any) -> None:
    bench.step("return model")
    assert foreseen(bench, "p:f", "p:f") == [RUN, UNKNOWN]


def test_a_flow_that_ran_and_one_that_was_edited(bench: Any) -> None:
    bench.step("return [*model, 'a']", "a")
    bench.step("return [*model, str(config['x'])]", "b")
    bench.run("a:f", "b:f", "a:f", x=1)
    assert foreseen(bench, "a:f", "b:f", "a:f", x=1) == [STORE] * 3
    assert foreseen(bench, "a:f", "b:f", "a:f", x=2) == [STORE, RUN, UNKNOWN]
    assert bench.hits("a:f", "b:f", "a:f", x=2) == [True, False, False]


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("how", ["missing", "damaged"])
def test_damaged_results_are_foreseen_as_a_run_meets_them(bench: Any, at: int, how: str) -> None:
    for name in "abc":
        bench.step(f"return [*model, '{name}']", name)
    outcomes = bench.run("a:f", "b:f", "c:f")
    path = bench.store.blob_path(outcomes[at].state.model)
    if how == "missing":
        path.unlink()
    else:
        path.chmod(0o644)
        path.write_bytes(b"x" * path.stat().st_size)
    hows = foreseen(bench, "a:f", "b:f", "c:f")
    assert path.exists() == (how == "damaged"), "nothing is put aside"
    while True:
        again = bench.run("a:f", "b:f", "c:f")
        try:
            bench.store.read(again[-1].state.model)  # as placing it does
            break
        except DamagedBlob as damaged:
            assert bench.engine.discard(damaged)
    assert [each.hit for each in again] == [each == STORE for each in hows]


def test_looking_at_a_store_that_is_not_there_makes_none(tmp_path: Path) -> None:
    view = StoreView(tmp_path / "none").look()
    ref = view.put_bytes(b"x")
    assert view.has(ref) and view.read(ref) == b"x"
    assert not view.has("0" * 64 + "-1")
    assert not (tmp_path / "none").exists()


def test_a_store_of_another_layout_is_refused(tmp_path: Path) -> None:
    from finnmake.errors import StoreError

    (tmp_path / "VERSION").write_text("99")
    with pytest.raises(StoreError, match="layout '99'"):
        StoreView(tmp_path).look()

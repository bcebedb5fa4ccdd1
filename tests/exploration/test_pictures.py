"""Pictures of the execution tree: golden files, what is left out of large ones, and names of any kind.

After a wanted change, write the golden files anew: `python tests/exploration/test_pictures.py`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.blueprint.slots import FIELD, STEP, TRANSFORM, HWCompilerSpace, Slot
from finnmake.blueprint.space import DesignSpace, SearchConfig
from finnmake.errors import WorkspaceError
from finnmake.exploration.drawing import Detail, Drawing, Node, collapsed, entry_text, printable
from finnmake.exploration.pictures import ascii_tree, dot_tree
from finnmake.exploration.tree import ExecutionTree, space_tree

DATA = Path(__file__).parent / "data"
TEMPLATES = Path(__file__).parents[2] / "templates"
NO_LIMIT = Detail(everything=True)

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")


def step(*options: tuple[Any, ...]) -> Slot:
    return Slot(STEP, "", options, "design_space.steps")


def design_space(*slots: Slot, model: str = "models/net.onnx", name: str = "small") -> DesignSpace:
    return DesignSpace(
        name=name,
        path=Path("/project/blueprints/small.yaml"),
        model_path=model,
        hw_compiler_space=HWCompilerSpace(slots),
        search_config=SearchConfig(),
        backend="finn",
        global_config={"output_stage": "ESTIMATES", "timeout_seconds": None},
    )


def whole(space: DesignSpace) -> ExecutionTree:
    return space_tree(space, range(space.size))


SMALL = design_space(
    Slot(FIELD, "target_fps", (1000, 2000, 3000), "design_space.config.target_fps"),
    Slot(TRANSFORM, "pre_proc", (("GiveUniqueNodeNames",),), "design_space.transforms.pre_proc[0]"),
    *(step((f"step_{name}",)) for name in ("a", "b", "c", "d", "e", "f")),
    step(("mine",), ()),
    step(({"step": "my.quantise", "parameters": {"bits": 4}},), ({"step": "my.quantise", "parameters": {}},)),
    step(("step_z",)),
)

#: 10,000 leaves behind four forks.
LARGE = design_space(*(step(*((f"step_{fork}_{n}",) for n in range(10))) for fork in range(4)))

#: Golden file -> its text.
GOLDEN = {
    "tree.txt": lambda: ascii_tree(SMALL, whole(SMALL), width=80),
    "tree_all_ascii.txt": lambda: ascii_tree(SMALL, whole(SMALL), width=80, detail=NO_LIMIT, ascii_only=True),
    "tree_cut.txt": lambda: ascii_tree(LARGE, whole(LARGE), width=80, detail=Detail(depth=2)),
    "tree.dot": lambda: dot_tree(SMALL, whole(SMALL), TEMPLATES),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden(name: str) -> None:
    assert GOLDEN[name]() == (DATA / name).read_text(encoding="utf-8")


def nodes(space: DesignSpace, detail: Detail) -> list[Node]:
    return list(Drawing(whole(space), detail).root(space).walk())


def number(shown: str) -> int:
    return int(shown.replace(",", ""))


@st.composite
def spaces(draw: st.DrawFn) -> DesignSpace:
    """Up to four forks, with steps that may be alike or missing."""
    option = st.lists(st.sampled_from("abcdef"), max_size=3).map(tuple)
    options = st.lists(option, min_size=1, max_size=4, unique=True)
    return design_space(*(step(*chosen) for chosen in draw(st.lists(options, max_size=4))))


@given(spaces())
def test_everything_means_every_segment_once_and_every_configuration_at_its_leaf(space: DesignSpace) -> None:
    tree = whole(space)
    drawn = nodes(space, NO_LIMIT)
    assert [node.key for node in drawn if node.kind == "segment"] == [each.id for each in tree.segments]
    leaves = {node.key.removesuffix("_leaf"): node.title.split(", ") for node in drawn if node.kind == "leaf"}
    assert {config: leaf for leaf, configs in leaves.items() for config in configs} == tree.leaves


@given(spaces(), st.none() | st.integers(1, 4))
def test_a_picture_is_short_or_says_what_it_leaves_out(space: DesignSpace, depth: int | None) -> None:
    tree = whole(space)
    drawn = nodes(space, Detail(depth))
    assert len({node.key for node in drawn}) == len(drawn)
    segments = [node for node in drawn if node.kind == "segment"]
    left_out = sum(number(node.title.split()[1]) for node in drawn if node.kind == "more")
    assert len(segments) + left_out == len(tree.segments)
    text = ascii_tree(space, tree, width=80, detail=Detail(depth))
    assert text.count("\n") <= 160
    assert ("left out" in text) == (left_out > 0)


@given(spaces())
def test_what_is_left_out_names_its_configurations(space: DesignSpace) -> None:
    """With one level drawn, the lines about the others add up to all configurations that go on."""
    tree = whole(space)
    roots = [segment for segment in tree.segments if segment.parent_id is None]
    going_on = sum(
        len(set(segment.config_ids) - {id_ for id_, leaf in tree.leaves.items() if leaf == segment.id})
        for segment in roots
    )
    more = [node for node in nodes(space, Detail(depth=1)) if node.kind == "more"]
    assert sum(number(node.title.split()[-2]) for node in more) == going_on


def test_a_large_tree_is_cut_to_a_few_screens_and_reaches_its_leaves() -> None:
    text = ascii_tree(LARGE, whole(LARGE), width=100)
    assert 50 < text.count("\n") < 160
    assert "config_00001" in text
    assert "8,888 more segments, 8,000 configurations" in text
    assert "10,000 configurations, 11,110 segments." in text


def test_a_very_deep_tree_is_cut_at_its_depth() -> None:
    """Every step is a choice between going on and ending here: a chain of 300 segments."""
    tree = space_tree(design_space(step(*(("a",) * n for n in range(1, 301)))), range(300))
    text = ascii_tree(SMALL, tree, width=80)
    assert text.count("\n") < 160
    assert "more segments" in text
    assert "300 configurations, 300 segments." in text


def test_a_space_without_steps() -> None:
    space = design_space()
    assert "no steps" in ascii_tree(space, whole(space), width=80)
    assert "0.0% come from sharing" in ascii_tree(space, whole(space), width=80)


def test_no_configurations() -> None:
    text = ascii_tree(SMALL, ExecutionTree((), {}), width=80)
    assert text.startswith("models/net.onnx\n\n0 configurations, 0 segments.")


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([0], "config_001"),
        ([0, 2], "config_001, config_003"),
        ([0, 1, 2, 3], "config_001 … config_004 (4)"),
        ([0, 2, 4, 6], "4 of config_001 … config_007"),
    ],
)
def test_ids_are_collapsed(positions: list[int], words: str) -> None:
    space = design_space(Slot(FIELD, "target_fps", tuple(range(10)), "design_space.config.target_fps"))
    root = Drawing(space_tree(space, positions), Detail()).root(space)
    assert [node.title for node in root.walk() if node.kind == "leaf"] == [words]


def test_many_steps_are_collapsed_unless_all_are_asked_for() -> None:
    steps = tuple(f"step_{n}" for n in range(12))
    assert collapsed(steps) == ("step_0 … step_11 (12 steps)",)
    space = design_space(step(steps))
    assert "step_5" not in ascii_tree(space, whole(space), width=80)
    assert "step_5" in ascii_tree(space, whole(space), width=80, detail=NO_LIMIT)


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("step_tidy_up", "step_tidy_up"),
        ({"step": "mine", "parameters": {}}, "mine"),
        ({"name": "Mine", "parameters": {"scale": 2, "mode": "a"}}, 'Mine(scale=2, mode="a")'),
        ({"step": "mine", "parameters": {"x": "y" * 99}}, 'mine(x="' + "y" * 56 + "…)"),
    ],
)
def test_an_entry_in_words(entry: Any, text: str) -> None:
    assert entry_text(entry) == text


@given(st.text(min_size=1))
def test_no_name_breaks_a_line(name: str) -> None:
    assert printable(name).isprintable()
    space = design_space(step(("a",)), model=name)
    text = ascii_tree(space, whole(space), width=4000, ascii_only=True)
    assert text.isascii()
    assert len(text.splitlines()) == len(ascii_tree(SMALL, whole(space), width=4000).splitlines())


@pytest.mark.parametrize("width", [1, 20, 60, 300])
def test_any_width_will_do(width: int) -> None:
    for line in ascii_tree(SMALL, whole(SMALL), width=width).splitlines():
        assert len(line) <= max(width, 60)
        assert line == line.rstrip()


HOSTILE = [
    'quo"te',
    "back\\slash\\",
    "\\N \\G \\l",
    "<b>bold</b>",
    "a & b &amp; &lt;",
    "line\nbreak",
    "tab\there",
    "{a|b}",
    "größe µ 量",
    "-->]]>",
    "semi;colon",
    "nul\x00",
    "half\ud800",
]


@needs_dot
@pytest.mark.parametrize("name", HOSTILE)
def test_graphviz_shows_any_name_as_it_is(name: str) -> None:
    space = design_space(step((name,), ("x", name)), model=name, name=name)
    text = dot_tree(space, whole(space), TEMPLATES)
    done = subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    shown = [element.text for element in ElementTree.fromstring(done.stdout).iter() if element.text]
    words = [" ".join(each.split()) for each in shown]
    assert words.count(" ".join(printable(name).split())) >= 4


@needs_dot
def test_graphviz_draws_every_node_and_arrow() -> None:
    done = subprocess.run(
        ["dot", "-Tplain"], input=GOLDEN["tree.dot"]().encode(), capture_output=True, check=True
    )
    kinds = [line.split()[0] for line in done.stdout.decode().splitlines() if line]
    drawn = nodes(SMALL, Detail())
    assert kinds.count("node") == len(drawn)
    assert kinds.count("edge") == len(drawn) - 1


def test_a_template_that_is_missing_or_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"tree\.dot\.j2"):
        dot_tree(SMALL, whole(SMALL), tmp_path)
    (tmp_path / "tree.dot.j2").write_text("{{ nonesuch }}")
    with pytest.raises(WorkspaceError, match="nonesuch"):
        dot_tree(SMALL, whole(SMALL), tmp_path)
    (tmp_path / "tree.dot.j2").write_text("\n{% if %}")
    with pytest.raises(WorkspaceError, match=r"tree\.dot\.j2:2"):
        dot_tree(SMALL, whole(SMALL), tmp_path)


def write_golden() -> None:
    DATA.mkdir(exist_ok=True)
    for name, text in GOLDEN.items():
        (DATA / name).write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    write_golden()

"""The execution tree: every configuration has one leaf, and no prefix appears twice."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.configs import allowed_positions, config_ids, iter_configs
from finnmake.exploration.tree import ExecutionTree, Segment, chain, execution_tree, segments, space_tree
from finnmake.hashing import canonical_json
from finnmake.records import BuildConfig
from tests.exploration.spaces import fields, random_spaces, space_of, steps, transforms


def config(
    number: int, steps: tuple[Any, ...], *, model: str = "m.onnx", pre: tuple[Any, ...] = ()
) -> BuildConfig:
    return BuildConfig(
        id=f"config_{number:03d}",
        design_space_id="small",
        content_id="",
        model_path=model,
        kernels=(),
        transforms_by_stage={"pre_proc": list(pre), "post_proc": ["late"]},
        build_steps=steps,
        config_flags={"target_fps": number},
        global_config={},
        backend="finn",
        output_dir="",
        combination_index=number,
        total_combinations=0,
    )


def shapes(found: list[Segment]) -> list[tuple[tuple[Any, ...], tuple[str, ...]]]:
    return [(segment.steps, segment.config_ids) for segment in found]


def test_configurations_that_differ_in_fields_only_are_one_segment() -> None:
    found = segments(config(number, ("a", "b"), pre=("t",)) for number in range(3))
    assert shapes(found) == [(("t", "a", "b"), ("config_000", "config_001", "config_002"))]
    assert found[0].parent_id is None


def test_a_branch_starts_segments() -> None:
    found = segments([config(0, ("a", "b", "c")), config(1, ("a", "x"))])
    assert shapes(found) == [
        (("a",), ("config_000", "config_001")),
        (("b", "c"), ("config_000",)),
        (("x",), ("config_001",)),
    ]
    assert found[1].parent_id == found[2].parent_id == found[0].id


def test_a_chain_that_ends_inside_another_ends_a_segment() -> None:
    tree = execution_tree([config(0, ("a",)), config(1, ("a", "b"))])
    assert [segment.steps for segment in tree.path_to(tree.leaves["config_000"])] == [("a",)]
    assert [segment.steps for segment in tree.path_to(tree.leaves["config_001"])] == [("a",), ("b",)]


def test_places_on_the_way_of_a_configuration_are_counted_in_steps() -> None:
    tree = execution_tree([config(0, ("a", "b", "c")), config(1, ("a", "b", "d", "e"))])
    shared, own = tree.path_to(tree.leaves["config_001"])
    assert (tree.depth(shared.id), tree.depth(own.id)) == (2, 4)
    found = [tree.last_within("config_001", depth) for depth in range(6)]
    assert found == [None, None, shared.id, shared.id, own.id, own.id]


def test_other_parameters_are_another_entry() -> None:
    one, two = ({"step": "a", "parameters": {"x": x}} for x in (1, 2))
    assert shapes(segments([config(0, (one,)), config(1, (two,)), config(2, (one,))])) == [
        ((one,), ("config_000", "config_002")),
        ((two,), ("config_001",)),
    ]


def test_each_model_has_its_own_tree() -> None:
    found = segments([config(0, ("a",)), config(1, ("a",), model="n.onnx")])
    assert [segment.parent_id for segment in found] == [None, None]
    assert len({segment.id for segment in found}) == 2


def test_no_configurations_no_segments() -> None:
    assert execution_tree([]) == ExecutionTree((), {})


def test_an_id_depends_on_its_own_path_only() -> None:
    alone = segments([config(0, ("a", "b")), config(1, ("a", "c"))])
    among = segments([config(0, ("a", "b")), config(1, ("a", "c")), config(2, ("z",), model="n.onnx")])
    assert [segment.id for segment in alone] == [segment.id for segment in among[:3]]


entries = st.sampled_from(["a", "b", "c"]) | st.builds(
    lambda value: {"step": "a", "parameters": {"x": value}}, st.integers(0, 1)
)
chains = st.lists(
    st.tuples(st.lists(entries, max_size=3), st.lists(entries, max_size=4), st.sampled_from("mn")),
    max_size=12,
)
forests = chains.map(
    lambda found: [
        config(number, tuple(steps), model=model, pre=tuple(pre))
        for number, (pre, steps, model) in enumerate(found)
    ]
)


@settings(deadline=None)
@given(forests)
def test_the_segments_to_the_leaf_are_the_chain(configs: list[BuildConfig]) -> None:
    tree = execution_tree(configs)
    assert set(tree.leaves) == {entry.id for entry in configs}
    for entry in configs:
        path = tree.path_to(tree.leaves[entry.id])
        assert tuple(step for segment in path for step in segment.steps) == chain(entry)
        assert {segment.model_path for segment in path} == {entry.model_path}


@settings(deadline=None)
@given(forests)
def test_a_configuration_is_below_the_segments_of_its_path_only(configs: list[BuildConfig]) -> None:
    tree = execution_tree(configs)
    for entry in configs:
        below = [segment for segment in tree.segments if entry.id in segment.config_ids]
        assert below == tree.path_to(tree.leaves[entry.id])


@settings(deadline=None)
@given(forests)
def test_no_prefix_appears_twice(configs: list[BuildConfig]) -> None:
    tree = execution_tree(configs)
    assert len(tree.by_id) == len(tree.segments)
    by_parent: dict[tuple[str, str | None], list[Segment]] = {}
    for segment in tree.segments:
        by_parent.setdefault((segment.model_path, segment.parent_id), []).append(segment)
    for siblings in by_parent.values():
        first = [repr(segment.steps[:1]) for segment in siblings]
        assert len(set(first)) == len(first)


@settings(deadline=None)
@given(forests)
def test_a_segment_goes_on_as_far_as_it_can(configs: list[BuildConfig]) -> None:
    tree = execution_tree(configs)
    ends = set(tree.leaves.values())
    for segment in tree.segments:
        children = [other for other in tree.segments if other.parent_id == segment.id]
        assert segment.id in ends or len(children) > 1


@settings(deadline=None)
@given(forests)
def test_a_parent_stands_before_its_children(configs: list[BuildConfig]) -> None:
    seen: set[str | None] = {None}
    for segment in segments(configs):
        assert segment.parent_id in seen
        seen.add(segment.id)


@settings(deadline=None)
@given(forests)
def test_every_prefix_is_in_the_tree_exactly_once(configs: list[BuildConfig]) -> None:
    tree = execution_tree(configs)
    prefixes = {
        canonical_json([entry.model_path, chain(entry)[:length]])
        for entry in configs
        for length in range(1, len(chain(entry)) + 1)
    }
    found = [
        canonical_json([segment.model_path, [*before, *segment.steps[:length]]])
        for segment in tree.segments
        for before in [[step for above in tree.path_to(segment.id)[:-1] for step in above.steps]]
        for length in range(1, len(segment.steps) + 1)
    ]
    assert sorted(found) == sorted(prefixes)
    assert tree.entries == len(prefixes)
    assert tree.entries_unshared == sum(len(chain(entry)) for entry in configs)


@settings(deadline=None)
@given(random_spaces())
def test_the_tree_of_a_space_is_that_of_its_configurations(space: DesignSpace) -> None:
    tree = space_tree(space, allowed_positions(space))
    assert tree == execution_tree(iter_configs(space))
    assert sorted(tree.leaves) == sorted(config_ids(space))


@settings(deadline=None)
@given(random_spaces(constrained=False), st.data())
def test_a_leaf_keeps_its_id_whatever_else_is_built(space: DesignSpace, data: st.DataObject) -> None:
    some = sorted(data.draw(st.sets(st.integers(0, space.size - 1))))
    whole = space_tree(space, range(space.size))
    for config_id, leaf in space_tree(space, some).leaves.items():
        assert leaf == whole.leaves[config_id]


def test_what_a_branch_below_a_shared_prefix_builds_is_all_of_its_children() -> None:
    space = space_of(
        [
            *fields({"target_fps": [1, 2]}),
            *transforms("pre_proc", [["t"]]),
            *steps([["a"]], [["b"], ["c"], []], [["d"]]),
        ]
    )
    tree = space_tree(space, range(space.size))
    assert shapes(list(tree.segments)) == [
        (("t", "a"), tuple(f"config_{n:03d}" for n in range(1, 7))),
        (("b", "d"), ("config_001", "config_004")),
        (("c", "d"), ("config_002", "config_005")),
        (("d",), ("config_003", "config_006")),
    ]
    assert (tree.entries, tree.entries_unshared) == (7, 22)
    assert tree.sharing == 1 - 7 / 22


def test_a_named_stage_stands_where_the_steps_say() -> None:
    space = space_of(
        [*transforms("late", [["x"], ["y"]]), *steps([["a"]], [[{"stage": "late"}]], [["b"]])],
        stages=("pre_proc", "late", "post_proc"),
    )
    assert [chain(entry) for entry in iter_configs(space)] == [("a", "x", "b"), ("a", "y", "b")]

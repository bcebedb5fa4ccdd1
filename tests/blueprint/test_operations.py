"""Step operations: what each does to the list, across files, and what is said of a missing target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blueprint_samples import GOOD, KnownParts, marked

from finnmake.blueprint.loader import forge
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog, step_list
from finnmake.errors import BlueprintError

Read = Callable[[str | bytes], DesignSpace]

HEAD = "name: small\nmodel: ../models/net.onnx\n"


def steps(read: Read, written: str, more: str = "") -> tuple[Any, ...]:
    """The options of every place in the list."""
    return read(f"{HEAD}design_space:\n  steps: {written}\n{more}").hw_compiler_space.steps


def fixed(*names: Any) -> tuple[Any, ...]:
    return tuple(((name,),) for name in names)


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        ("{after: a.a, insert: a.x}", fixed("a.a", "a.x", "a.b", "a.c")),
        ("{before: a.b, insert: a.x}", fixed("a.a", "a.x", "a.b", "a.c")),
        ("{after: a.c, insert: [a.x, a.y]}", fixed("a.a", "a.b", "a.c", "a.x", "a.y")),
        ("{replace: a.b, with: a.x}", fixed("a.a", "a.x", "a.c")),
        ("{replace: a.b, with: [a.x, a.y]}", fixed("a.a", "a.x", "a.y", "a.c")),
        ("{remove: a.b}", fixed("a.a", "a.c")),
        ("{at_start: {insert: a.x}}", fixed("a.x", "a.a", "a.b", "a.c")),
        ("{at_end: {insert: [a.x, a.y]}}", fixed("a.a", "a.b", "a.c", "a.x", "a.y")),
        ("{after: a.a, insert: [[a.x, a.y]]}", (*fixed("a.a"), (("a.x",), ("a.y",)), *fixed("a.b", "a.c"))),
        ("{after: a.a, insert: ~a.x}", (*fixed("a.a"), (("a.x",), ()), *fixed("a.b", "a.c"))),
        (
            "{replace: a.b, with: {step: a.x, k: 1}}",
            fixed("a.a", {"step": "a.x", "parameters": {"k": 1}}, "a.c"),
        ),
    ],
)
def test_each_operation(read: Read, operation: str, result: tuple[Any, ...]) -> None:
    assert steps(read, f"[a.a, a.b, a.c, {operation}]") == result


def test_operations_apply_in_the_written_order_wherever_they_stand(read: Read) -> None:
    assert steps(
        read, "[{at_end: {insert: a.x}}, a.a, {after: a.x, insert: a.y}, a.b, {remove: a.x}]"
    ) == fixed("a.a", "a.b", "a.y")


def test_a_target_is_a_step_whatever_its_parameters(read: Read) -> None:
    assert steps(read, "[{step: a.a, k: 1}, ~a.b, {remove: a.a}, {remove: a.b}, a.c]") == fixed("a.c")


def test_a_target_may_be_a_stage(read: Read) -> None:
    found = steps(
        read, "[a.a, {stage: mid}, {after: mid, insert: a.x}]", "  transforms: {mid: [FoldConstants]}\n"
    )
    assert found == fixed("a.a", {"stage": "mid"}, "a.x")


@pytest.mark.parametrize("target", ["[a.a, ~, [a.b, a.c]]", '[a.a, "~", [a.b, a.c]]'])
def test_a_target_may_be_a_branch_as_it_is_written(read: Read, target: str) -> None:
    assert steps(read, f"[[a.a, ~, [a.b, a.c]], a.d, {{remove: {target}}}]") == fixed("a.d")


def test_operations_alone_apply_to_the_default_list(read: Read) -> None:
    default = step_list("estimate_only_dataflow_steps")
    space = read(GOOD + "  steps: [{remove: step_tidy_up}, {at_end: {insert: a.x}}]\n")
    assert space.hw_compiler_space.steps == fixed(
        *(each for each in default if each != "step_tidy_up"), "a.x"
    )


def test_default_in_a_list_says_that_operations_start_from_it(read: Read) -> None:
    with pytest.raises(BlueprintError, match="'default' is no step, and cannot stand in a list") as caught:
        steps(read, "[default, {after: step_tidy_up, insert: a.x}]")
    assert "operations alone starts from the default steps" in caught.value.cure
    assert caught.value.where.line is not None


def test_operations_on_the_default_list_need_a_device(read: Read) -> None:
    with pytest.raises(BlueprintError, match="FINN's default steps need a device"):
        steps(read, "[{remove: step_tidy_up}]")


@pytest.fixture
def chain(project: Path) -> Callable[..., tuple[Any, ...]]:
    """The steps of the last of some lists, each of which extends the one before."""

    def reading(*lists: str) -> tuple[Any, ...]:
        for at, written in enumerate(lists):
            extends = f"extends: b{at - 1}.yaml\n" if at else ""
            space = f"design_space:\n  config: {{fpga_part: xc7z020clg400-1}}\n  {written}\n"
            (project / f"blueprints/b{at}.yaml").write_text(f"{HEAD}{extends}{space}")
        file = Path(f"blueprints/b{len(lists) - 1}.yaml")
        return forge(file, project, known=FinnCatalog(), known_parts=KnownParts()).hw_compiler_space.steps

    return reading


def test_a_child_changes_the_parents_list(chain: Callable[..., tuple[Any, ...]]) -> None:
    assert chain("steps: [a.a, a.b]", "steps: [{remove: a.a}]") == fixed("a.b")
    assert chain(
        "steps: [a.a, a.b]", "steps: [{after: a.a, insert: a.x}]", "steps: [{after: a.x, insert: a.y}]"
    ) == fixed("a.a", "a.x", "a.y", "a.b")
    assert chain("steps: [a.a, a.b]", "kernels:", "steps: [{remove: a.a}]") == fixed("a.b")


def test_a_list_with_steps_takes_the_place_of_the_parents(chain: Callable[..., tuple[Any, ...]]) -> None:
    assert chain("steps: [a.a, a.b]", "steps: [a.c, {at_end: {insert: a.d}}]") == fixed("a.c", "a.d")
    assert chain("steps: [a.a]", "steps: []") == ()
    default = fixed(*step_list("estimate_only_dataflow_steps"))
    assert chain("steps: [a.a]", "steps: default") == default
    assert chain("steps: [a.a]", "steps: null") == default
    assert chain("steps: [{remove: step_tidy_up}]", "steps: default") == default


def test_the_parents_operations_on_the_default_list_are_kept(chain: Callable[..., tuple[Any, ...]]) -> None:
    found = chain("steps: [{remove: step_tidy_up}]", "steps: [{replace: step_streamline, with: a.x}]")
    assert found[:2] == fixed("step_qonnx_to_finn", "a.x")


def test_the_slots_say_which_line_a_step_stands_in(read: Read) -> None:
    space = read(GOOD + "  steps: [a.a, {after: a.a, insert: [a.x, [a.y, a.z]]}]\n")
    keys = [slot.key for slot in space.hw_compiler_space.slots if slot.kind == "step"]
    prefix = "design_space.steps"
    assert keys == [f"{prefix}[0]", f"{prefix}[1].insert[0]", f"{prefix}[1].insert[1]"]
    assert str(space.lines[keys[2]]) == f"blueprints/small.yaml:6:43: {keys[2]}"


WRONG = {
    "absent": (
        "[step_tidy_up, {remove: §step_tidy}]",
        "design_space.steps[1].remove: 'step_tidy' does not stand in the list of steps",
        "Did you mean step_tidy_up?",
    ),
    "absent, unlike any": (
        "[step_tidy_up, [a.a, ~], {after: §mystery, insert: a.b}]",
        "design_space.steps[2].after: 'mystery' does not stand in the list of steps",
        "The list is step_tidy_up, [a.a, ~].",
    ),
    "of an empty list": (
        "[a.a, {remove: a.a}, {remove: §a.a}]",
        "design_space.steps[2].remove: 'a.a' does not stand in the list of steps",
        "The list is empty.",
    ),
    "inside a branch": (
        "[[a.a, [a.b, [a.c, ~]]], {remove: §a.c}]",
        "design_space.steps[1].remove: 'a.c' stands inside the branch in blueprints/small.yaml:4 only",
        "Name the whole branch as it is written there.",
    ),
    "more than once": (
        "[a.a, a.a, {remove: §a.a}]",
        "design_space.steps[2].remove: 'a.a' stands 2 times in the list of steps: "
        "blueprints/small.yaml:4 and blueprints/small.yaml:4",
        "Write the list out.",
    ),
    "a branch otherwise written": (
        "[[a.a, a.b], {remove: §[a.b, a.a]}]",
        "design_space.steps[1].remove: [a.b, a.a] does not stand in the list of steps",
        "The list is [a.a, a.b].",
    ),
    "no target": (
        "[a.a, {remove: §}]",
        "design_space.steps[1].remove: found nothing (null), wanted the name of a step or stage in the "
        "list, or a branch as it is written there",
        "",
    ),
    "a mapping": (
        "[a.a, {remove: §{step: a.a}}]",
        "design_space.steps[1].remove: found a mapping, wanted the name of a step or stage in the "
        "list, or a branch as it is written there",
        "",
    ),
    "nothing to insert": (
        "[a.a, §{after: a.a}]",
        "design_space.steps[1]: the key 'insert' is missing",
        "Write a step, or a list of steps: `insert: my_step`.",
    ),
    "null to insert": (
        "[a.a, {replace: a.a, with: §null}]",
        "design_space.steps[1].with: there is nothing to put there",
        "Write a step, or a list of steps: `with: my_step`.",
    ),
    "another key": (
        "[a.a, {remove: a.a, §wiht: a.b}]",
        "design_space.steps[1].wiht: unknown key 'wiht'",
        "The keys here are remove.",
    ),
    "two operations": (
        "[a.a, {after: a.a, §before: a.a, insert: a.b}]",
        "design_space.steps[1].before: unknown key 'before'",
        "The keys here are after, insert.",
    ),
    "at_start without insert": (
        "[a.a, {at_start: §a.b}]",
        "design_space.steps[1].at_start: found the text 'a.b', wanted {insert: ...}",
        "",
    ),
    "inside a branch itself": (
        "[a.a, [§{remove: a.a}, ~]]",
        "design_space.steps[1][0]: the operation 'remove' inside a branch or another operation",
        "Write it as an item of design_space.steps itself.",
    ),
    "unknown step inserted": (
        "[a.a, {after: a.a, insert: [§step_tidy]}]",
        "design_space.steps[1].insert[0]: unknown step 'step_tidy'",
        "Did you mean step_tidy_up? Your own steps live in plugins/*.py.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_an_operation(read: Read, case: str) -> None:
    written, message, cure = WRONG[case]
    text, place = marked(f"{HEAD}design_space:\n  steps: {written}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    assert str(caught.value) == f"blueprints/small.yaml:{place}: {message}" + (
        f"\n  -> {cure}" if cure else ""
    )


def test_an_operation_that_was_wrong_is_named_in_its_own_file(chain: Callable[..., tuple[Any, ...]]) -> None:
    with pytest.raises(BlueprintError, match=r"^blueprints/b1\.yaml:6:20: design_space\.steps\[0\]\.remove"):
        chain("steps: [a.a]", "steps: [{remove: a.c}]", "steps: [{remove: a.a}]")


def test_a_chain_of_lists_that_grow_has_an_end(chain: Callable[..., tuple[Any, ...]]) -> None:
    many = ", ".join(["a.a"] * 60_000)
    with pytest.raises(BlueprintError, match=r"^blueprints/b1\.yaml:6:\d+: .*: more than 100,000 steps"):
        chain(f"steps: [{many}]", f"steps: [{{at_end: {{insert: [{many}]}}}}]")

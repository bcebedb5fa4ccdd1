"""Branches, optional steps, sequences, parameter axes and stages: what stands at each place, and mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from blueprint_samples import GOOD, marked

from finnmake.blueprint.slots import entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError

Read = Callable[[str | bytes], DesignSpace]

HEAD = "name: small\nmodel: ../models/net.onnx\ndesign_space:\n"


def with_parameters(step: str, **parameters: Any) -> dict[str, Any]:
    return {"step": step, "parameters": parameters}


PLACES: dict[str, tuple[Any, ...]] = {
    "a.a": (("a.a",),),
    "~a.a": (("a.a",), ()),
    "[a.a]": (("a.a",),),
    "[a.a, a.b]": (("a.a",), ("a.b",)),
    "[a.a, ~]": (("a.a",), ()),
    "[~, a.a]": ((), ("a.a",)),
    "[null, a.a]": ((), ("a.a",)),
    '["~", a.a]': ((), ("a.a",)),
    "[~a.a, a.b]": (("a.a",), (), ("a.b",)),
    "[[a.a, a.b]]": (("a.a", "a.b"),),
    "[[a.a, a.b], a.c, ~]": (("a.a", "a.b"), ("a.c",), ()),
    "[[a.a, [a.b, [a.c, a.d], ~]], a.e]": (("a.a", "a.b"), ("a.a", "a.c", "a.d"), ("a.a",), ("a.e",)),
    "[[~a.a, ~a.b]]": (("a.a", "a.b"), ("a.a",), ("a.b",), ()),
    "{step: a.a, k: 1}": ((with_parameters("a.a", k=1),),),
    "{step: a.a, k: [1]}": ((with_parameters("a.a", k=1),),),
    "{step: a.a, k: [1, 2]}": ((with_parameters("a.a", k=1),), (with_parameters("a.a", k=2),)),
    "{step: a.a, k: [[1, 2]]}": ((with_parameters("a.a", k=[1, 2]),),),
    "{step: a.a, k: [[]]}": ((with_parameters("a.a", k=[]),),),
    "{step: a.a, k: [[1], [2, 3]]}": (
        (with_parameters("a.a", k=[1]),),
        (with_parameters("a.a", k=[2, 3]),),
    ),
    "{step: a.a, k: null}": ((with_parameters("a.a", k=None),),),
    "{step: a.a, k: {x: [1, 2]}}": ((with_parameters("a.a", k={"x": [1, 2]}),),),
    "{step: a.a, parameters: {k: [1, 2]}, l: [x, y]}": tuple(
        (with_parameters("a.a", k=k, l=text),) for k in (1, 2) for text in "xy"
    ),
    "[{step: a.a, k: [1, 2]}, ~]": ((with_parameters("a.a", k=1),), (with_parameters("a.a", k=2),), ()),
    "[[a.b, {step: a.a, k: [1, 2]}]]": (
        ("a.b", with_parameters("a.a", k=1)),
        ("a.b", with_parameters("a.a", k=2)),
    ),
}


@pytest.mark.parametrize("written", PLACES)
def test_what_stands_at_a_place(read: Read, written: str) -> None:
    space = read(f"{HEAD}  steps: [a.first, {written}]\n")
    assert space.hw_compiler_space.steps == ((("a.first",),), PLACES[written])
    assert space.get_total_combinations() == len(PLACES[written])


TRANSFORMS: dict[str, tuple[Any, ...]] = {
    "FoldConstants": (("FoldConstants",),),
    "~FoldConstants": (("FoldConstants",), ()),
    "[FoldConstants, a.T, ~]": (("FoldConstants",), ("a.T",), ()),
    "[[FoldConstants, ~a.T], a.U]": (("FoldConstants", "a.T"), ("FoldConstants",), ("a.U",)),
    "{name: a.T, parameters: {k: [1, 2]}}": tuple(
        ({"name": "a.T", "parameters": {"k": value}},) for value in (1, 2)
    ),
    "{name: a.T, parameters: {}}": (("a.T",),),
}


@pytest.mark.parametrize("stage", ["pre_proc", "post_proc", "mid-way_2"])
@pytest.mark.parametrize("written", TRANSFORMS)
def test_transforms_likewise(read: Read, written: str, stage: str) -> None:
    written = written.replace("FoldConstants", "a.Fold") if stage == "post_proc" else written
    expected = TRANSFORMS[written.replace("a.Fold", "FoldConstants")]
    if stage == "post_proc":
        expected = tuple(
            tuple("a.Fold" if entry == "FoldConstants" else entry for entry in option) for option in expected
        )
    steps = "[{stage: mid-way_2}]" if stage == "mid-way_2" else "[]"
    space = read(f"{HEAD}  transforms: {{{stage}: [a.first, {written}]}}\n  steps: {steps}\n")
    assert space.hw_compiler_space.transforms[stage] == ((("a.first",),), expected)


def test_stages_stand_in_the_written_order_between_those_that_always_are(read: Read) -> None:
    steps = "  steps: [{stage: a}, {stage: b}]\n"
    space = read(HEAD + "  transforms: {b: [a.T], a: []}\n" + steps)
    assert space.hw_compiler_space.stages == ("pre_proc", "b", "a", "post_proc")
    space = read(HEAD + "  transforms: {b: , post_proc: , pre_proc: , a: [a.T]}\n" + steps)
    assert space.hw_compiler_space.stages == ("b", "post_proc", "pre_proc", "a")


@pytest.mark.parametrize(
    "steps", ["[[{stage: mid}, ~]]", "[[[a.a, {stage: mid}], a.b]]", "[[{stage: mid}, [{stage: mid}, a.a]]]"]
)
def test_a_stage_may_stand_in_a_branch(read: Read, steps: str) -> None:
    space = read(f"{HEAD}  transforms: {{mid: [FoldConstants]}}\n  steps: {steps}\n")
    assert {"stage": "mid"} in next(iter(space)).build_steps


def test_kinds_of_names_follow_from_the_stage(read: Read) -> None:
    for stage in ("pre_proc", "mid"):
        with pytest.raises(BlueprintError, match="unknown transform 'nothing'"):
            read(f"{HEAD}  transforms: {{{stage}: [nothing]}}\n  steps: [{{stage: mid}}]\n")
    with pytest.raises(BlueprintError, match="unknown analysis 'nothing'"):
        read(f"{HEAD}  transforms: {{post_proc: [nothing]}}\n  steps: []\n")


def many(text: str, count: int) -> str:
    return ", ".join([text] * count)


PLUGINS = "live in plugins/*.py."
WRONG = {
    "nothing outside a branch": (
        "steps: [§~]",
        "design_space.steps[0]: nothing (~) stands for an alternative only",
        "Write it into a branch, e.g. [my_step, ~], or take it out.",
    ),
    "nothing as text": (
        'steps: [a.a, §"~"]',
        "design_space.steps[1]: nothing (~) stands for an alternative only",
        "Write it into a branch, e.g. [my_step, ~], or take it out.",
    ),
    "nothing in a sequence": (
        "steps: [[[a.a, §~], a.b]]",
        "design_space.steps[0][0][1]: nothing (~) stands for an alternative only",
        "Write it into a branch, e.g. [my_step, ~], or take it out.",
    ),
    "nothing among transforms": (
        "transforms: {pre_proc: [§null]}\n  steps: []",
        "design_space.transforms.pre_proc[0]: nothing (~) stands for an alternative only",
        "Write it into a branch, e.g. [my_transform, ~], or take it out.",
    ),
    "empty branch": (
        "steps: [§[]]",
        "design_space.steps[0]: the branch has no alternatives",
        "Write one, or take it out.",
    ),
    "empty sequence": (
        "steps: [[a.a, §[]]]",
        "design_space.steps[0][1]: the sequence is empty",
        "Write ~ for nothing, or take it out.",
    ),
    "alternative twice": (
        "steps: [[a.a, a.b, §a.a]]",
        "design_space.steps[0][2]: 'a.a' is already among the alternatives",
        "Take one of them out.",
    ),
    "sequence twice": (
        "steps: [[[a.a, ~a.b], §[a.a, a.b]]]",
        "design_space.steps[0][1]: 'a.a' + 'a.b' is already among the alternatives",
        "Take one of them out.",
    ),
    "nothing twice": (
        "steps: [[~a.a, §~]]",
        "design_space.steps[0][1]: nothing (~) is already among the alternatives",
        "Take one of them out.",
    ),
    "unknown in a sequence": (
        "steps: [[[a.a, [§step_tidy, ~]], a.b]]",
        "design_space.steps[0][0][1][0]: unknown step 'step_tidy'",
        f"Did you mean step_tidy_up? Your own steps {PLUGINS}",
    ),
    "unknown optional": (
        "steps: [§~step_tidy]",
        "design_space.steps[0]: unknown step 'step_tidy'",
        f"Did you mean step_tidy_up? Your own steps {PLUGINS}",
    ),
    "no values of a parameter": (
        "steps: [{step: a.a, k: §[]}]",
        "design_space.steps[0].k: the axis has no values",
        "Write one; a parameter that is a list: [[]].",
    ),
    "value twice": (
        "steps: [{step: a.a, k: [1, §1]}]",
        "design_space.steps[0].k[1]: 1 is already on the axis",
        "Take one of them out.",
    ),
    "parameter beside a transform": (
        "transforms: {pre_proc: [{name: a.T, §k: 1}]}\n  steps: []",
        "design_space.transforms.pre_proc[0].k: unknown key 'k'",
        "The keys here are name, parameters, on_error.",
    ),
    "stage that is not there": (
        "transforms: {mid: [a.T]}\n  steps: [{stage: mid}, {stage: §mit}]",
        "design_space.steps[1].stage: there is no stage 'mit' to stand here",
        "Did you mean mid?",
    ),
    "stage unlike any": (
        "steps: [{stage: §mid}]",
        "design_space.steps[0].stage: there is no stage 'mid' to stand here",
        "Write its transforms: design_space.transforms.mid.",
    ),
    "stage with more": (
        "transforms: {mid: [a.T]}\n  steps: [{stage: mid}, {stage: mid, §k: 1}]",
        "design_space.steps[1].k: unknown key 'k'",
        "The keys here are stage.",
    ),
    "stage nowhere": (
        "transforms: {§mid: [a.T]}\n  steps: [a.a]",
        "design_space.transforms.mid: the stage 'mid' stands nowhere among the steps",
        "Else write {stage: mid} into design_space.steps.",
    ),
    "stage twice": (
        "transforms: {§mid: [a.T]}\n  steps: [[{stage: mid}, ~], {stage: mid}]",
        "design_space.transforms.mid: the stage 'mid' stands more than once among the steps",
        "Keep one of its places, or write a stage for each.",
    ),
    "stage twice in a sequence": (
        "transforms: {§mid: [a.T]}\n  steps: [[[{stage: mid}, {stage: mid}], ~]]",
        "design_space.transforms.mid: the stage 'mid' stands more than once among the steps",
        "Keep one of its places, or write a stage for each.",
    ),
    "stage among transforms": (
        "transforms: {pre_proc: [§{stage: mid}]}\n  steps: []",
        "design_space.transforms.pre_proc[0]: the key 'name' is missing",
        "Name the transform: `name: ...`.",
    ),
    "name of a stage": (
        'transforms: {§"a b": []}\n  steps: [{stage: "a b"}]',
        "design_space.transforms.a b: 'a b' cannot be the name of a stage",
        "Use letters, digits, '_' and '-' only.",
    ),
    "stage named as a field": (
        "transforms: {§target_fps: []}\n  steps: [{stage: target_fps}]",
        "design_space.transforms.target_fps: 'target_fps' cannot be the name of a stage: "
        "constraints mean something else by it",
        "Take another name.",
    ),
    "too many alternatives": (
        f"steps: [§[[{many('~a.a', 14)}]]]",
        "design_space.steps[0]: 16,384 alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "a great many alternatives": (
        f"steps: [§[[{many('~a.a', 10_000)}]]]",
        "design_space.steps[0]: 1,048,576 alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "too many values of parameters": (
        f"steps: [§{{step: a.a, {', '.join(f'k{at}: [1, 2]' for at in range(14))}}}]",
        "design_space.steps[0]: 16,384 alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "far too many values of parameters": (
        f"steps: [§{{step: a.a, {', '.join(f'k{at}: [1, 2]' for at in range(5000))}}}]",
        "design_space.steps[0]: far too many alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "many behind a mistake": (
        f"steps: [§[[[], {many('[a.a, a.b]', 30)}]]]",
        "design_space.steps[0]: 1,048,576 alternatives",
        "At one place there may be 10,000: write fewer, or several places.",
    ),
    "too many entries": (
        f"steps: [§[[{many('~a.a', 13)}, {many('a.b', 1000)}]]]",
        "design_space.steps[0]: 8,245,248 entries in all alternatives together",
        "At one place there may be 1,000,000.",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong(read: Read, case: str) -> None:
    written, message, cure = WRONG[case]
    text, place = marked(f"{HEAD}  {written}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    assert str(caught.value) == f"blueprints/small.yaml:{place}: {message}\n  -> {cure}"


def test_as_many_alternatives_as_there_may_be(read: Read) -> None:
    values = ", ".join(map(str, range(10_000)))
    assert read(f"{HEAD}  steps: [{{step: a.a, k: [{values}]}}]\n").get_total_combinations() == 10_000


def test_branches_may_be_nested_as_deep_as_values(read: Read) -> None:
    levels = 17
    space = read(f"{HEAD}  steps: [{'[a.a, [a.b, ' * levels}[a.c, ~]{']]' * levels}]\n")
    assert space.get_total_combinations() == levels + 2


ANALYSES = GOOD + "  transforms: {post_proc: "


@pytest.mark.parametrize(
    "written",
    [
        "[a.f, §a.f]",
        "[a.f, §{name: a.f, parameters: {k: 1}}]",
        "[a.f, a.g, §[a.g, {name: a.f, parameters: {k: 1}}]]",
        "[~a.f, §~a.f]",
        "[[a.f, ~], §[a.g, [a.h, a.f]]]",
        "[§[[a.f, {name: a.f, parameters: {k: 1}}], a.g]]",
    ],
)
def test_an_analysis_that_one_configuration_could_hold_twice(read: Read, written: str) -> None:
    text, place = marked(f"{ANALYSES}{written}}}\n")
    with pytest.raises(BlueprintError) as caught:
        read(text)
    errors = [line for line in str(caught.value).splitlines() if "the analysis 'a.f' twice" in line]
    assert len(errors) == 1 or "'a.g' twice" in str(caught.value)
    assert errors[0].startswith(f"blueprints/small.yaml:{place}: design_space.transforms.post_proc[")
    assert "both would write postprocessing/a.f.json" in errors[0]
    assert "-> Keep one of the two, or make them alternatives of one branch." in str(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "[a.f, a.g]",
        "[{name: a.f, parameters: {k: [1, 2]}}]",
        "[[a.f, {name: a.f, parameters: {k: 1}}, [a.g, a.f], ~], a.h]",
    ],
)
def test_an_analysis_may_stand_in_several_alternatives_of_one_place(read: Read, written: str) -> None:
    for point in read(f"{ANALYSES}{written}}}\n"):
        names = [entry_name(entry) for entry in point.transforms_by_stage["post_proc"]]
        assert len(set(names)) == len(names)


def test_a_transform_may_stand_twice(read: Read) -> None:
    space = read(f"{ANALYSES.replace('post_proc', 'pre_proc')}[a.T, a.T]}}\n")
    assert space.hw_compiler_space.transforms["pre_proc"] == ((("a.T",),), (("a.T",),))

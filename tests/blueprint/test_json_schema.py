"""The schema for editors: it is the one committed, and never stricter than the loader."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import fastjsonschema
import pytest
import yaml
from blueprint_samples import GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.blueprint import schema, tables
from finnmake.blueprint.document import read_document
from finnmake.blueprint.json_schema import SCHEMA_FILE, as_text, json_schema
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError, Location

FIELDS = sorted(set(tables.config_field_names()) - set(schema.REFUSED_FIELDS))

_validate = fastjsonschema.compile(json_schema())


def is_valid(text: str) -> bool:
    """Whether the schema takes the values that the loader reads."""
    try:
        _validate(read_document(text, Location()).plain())
    except fastjsonschema.JsonSchemaValueException:
        return False
    return True


def test_the_committed_file_is_up_to_date() -> None:
    assert SCHEMA_FILE.read_text() == as_text(json_schema()) + "\n", (
        "run python -m finnmake.blueprint.json_schema"
    )


def test_the_text_is_the_schema() -> None:
    assert json.loads(as_text(json_schema())) == json_schema()


def test_every_key_has_its_schema() -> None:
    top = json_schema()["properties"]
    space = top["design_space"]["properties"]
    definitions = json_schema()["definitions"]
    assert tuple(top) == schema.TOP_KEYS
    assert tuple(space) == schema.SPACE_KEYS
    assert tuple(space["transforms"]["properties"]) == tuple(schema.STAGES)
    assert sorted(space["config"]["properties"]) == FIELDS
    assert tuple(top["search"]["properties"]) == schema.SEARCH_KEYS
    assert tuple(top["objectives"]["properties"]) == schema.METRICS
    assert tuple(definitions["range"]["properties"]) == schema.RANGE_KEYS
    assert tuple(definitions["kernels"]["properties"]) == tuple(tables.kernel_names())
    operations = [item["required"] for item in definitions["step_item"]["anyOf"] if "required" in item]
    assert operations == [
        [key, inner] if inner and not key.startswith("at_") else [key]
        for key, inner in schema.OPERATIONS.items()
    ]
    for kernel in tables.kernel_names():
        (mapping,) = [form for form in definitions[f"kernel_{kernel}"]["anyOf"] if "properties" in form]
        assert tuple(mapping["properties"]) == schema.KERNEL_KEYS


def mappings(value: Any) -> Iterator[dict[str, Any]]:
    """All mappings inside a value."""
    if isinstance(value, dict):
        yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from mappings(child)


def test_every_key_but_a_kernels_own_is_explained() -> None:
    kernels = list(tables.kernel_names())
    own = {*kernels, *(name for kernel in kernels for name in tables.kernel_attributes(kernel))}
    whole = json_schema()
    rules = [
        whole.pop("else"),
        *(whole["definitions"].pop(f"whole_{each}") for each in ("design_space", "search")),
    ]
    assert all(rules)
    for part in mappings(whole):
        properties = part["properties"] if "additionalProperties" in part else {}
        assert [
            key for key, value in properties.items() if key not in own and "description" not in value
        ] == []


def test_nothing_refers_to_what_there_is_not_and_nothing_is_there_for_nothing() -> None:
    used = {part["$ref"].removeprefix("#/definitions/") for part in mappings(json_schema()) if "$ref" in part}
    assert used == set(json_schema()["definitions"])


ACCEPTED = {
    "the least": GOOD,
    "nothing written": GOOD
    + "  transforms:\n  steps:\n  kernels:\nversion:\ndescription:\nextends:\nbackend:\ntimeout:\n"
    + "output_stage:\nconstraints:\nobjectives:\nlimits:\nsearch:\n",
    "the version": GOOD + "version: 1\n",
    "axes": GOOD
    + "    target_fps: [10, null]\n    synth_clk_period_ns: [5, 2.5]\n    board: [U250, Ultra96]\n",
    "ranges": GOOD
    + "    target_fps: {from: 10, to: 1000, factor: 10}\n"
    + "    synth_clk_period_ns: {from: 5, to: 2.5, step: -0.5}\n",
    "a field of lists": GOOD + "    signature: [1, 2]\n",
    "an axis of lists": GOOD + "    verify_steps: [[initial_python], [], null]\n",
    "a mapping as a value": GOOD + "    partitioning_configuration: {from: 1, to: 2}\n",
    "a dotted step": GOOD + "  steps: [step_tidy_up, my.step, {step: my.step, a: 1}]\n",
    "branches": GOOD
    + "  steps: [[my.a, ~], [[my.a, my.b], {step: my.c, x: [1, 2]}], ['~', [[my.a, my.b], my.c]], ~my.d]\n",
    "operations": GOOD
    + "  steps: [{after: step_tidy_up, insert: my.a}, {before: step_streamline, insert: [my.b, [my.c, ~]]}, "
    + "{replace: step_convert_to_hw, with: {step: my.d, x: 1}}, {remove: my.a}, "
    + "{at_start: {insert: [[my.e, my.f]]}}, {at_end: {insert: [my.g]}}, {remove: [my.c, ~]}]\n",
    "a named stage": GOOD
    + "  transforms: {mine-1: [FoldConstants, ~my.T]}\n  steps: [my.a, [{stage: mine-1}, ~]]\n",
    "a transform that may fail": GOOD
    + "  transforms: {pre_proc: [{name: my.T, on_error: passthrough}, [{name: my.T, on_error: fail}, ~]]}\n",
    "parameters": GOOD + "  transforms: {pre_proc: [{name: my.T, parameters: {a: [1]}}, FoldConstants]}\n",
    "alternatives": GOOD
    + "  transforms: {pre_proc: [[my.T, ~, [my.U, FoldConstants]]], post_proc: [~my.a]}\n",
    "the steps of a list": GOOD + "  steps: []\n",
    "kernels": GOOD
    + "  kernels:\n    Pool:\n    Thresholding: Thresholding_rtl\n    VVAU: [VVAU_rtl, VVAU_hls]\n"
    + "    MVAU: {choose: [MVAU_hls, [MVAU_rtl, MVAU_hls]], attributes: {resType: [lut, dsp]}}\n"
    + "    Requant: {priority: [Requant_rtl, Requant_hls]}\n",
    "a list of kernels": GOOD
    + "  kernels: [Pool, MVAU: {attributes: {ram_style: block}}, {VVAU: VVAU_hls}]\n",
    "an exploration": GOOD
    + "    target_fps: [10, 20]\nconstraints: [target_fps > 10]\nobjectives: {latency: min}\n"
    + "limits: [lut_utilization <= 0.7]\nsearch: {max_builds: 3, fail_fast: true, early_stop: false, "
    + "timeout: 60, seed: 0, max_combinations: 10, strategy: exhaustive}\n",
    "a slow mock that fails": GOOD + "mock: {delay: 0.5, failures: {synthesis: 0.1, timing: ~}}\n",
    "another name of a backend": GOOD + "backend: legacy_finn\n",
    "a sample": GOOD + "search: {strategy: random, samples: 3, seed: 7}\n",
}

REFUSED = {
    "no name": GOOD.replace("name: small\n", ""),
    "no model": GOOD.replace("model: ../models/net.onnx\n", ""),
    "a name with a space": GOOD.replace("small", "a b"),
    "a list": "[1, 2]",
    "another version": GOOD + "version: 2\n",
    "a version as text": GOOD + "version: '1'\n",
    "an unknown key": GOOD + "modle: x\n",
    "an unknown key of the space": GOOD + "  step: default\n",
    "an unknown field": GOOD + "    target_fsp: 10\n",
    "a field that finnmake sets": GOOD + "    output_dir: x\n",
    "a stage that there is not": GOOD + "output_stage: ESTIMATE\n",
    "a backend by number": GOOD + "backend: 1\n",
    "an unknown key of the mock": GOOD + "mock: {delays: 1}\n",
    "a wait that never ends": GOOD + "mock: {delay: 100000}\n",
    "a failure that there is not": GOOD + "mock: {failures: {simulation: 0.1}}\n",
    "more failures than builds": GOOD + "mock: {failures: {synthesis: 1.5}}\n",
    "no time": GOOD + "timeout: 0\n",
    "text for a number": GOOD + "    target_fps: fast\n",
    "a number for text": GOOD + "description: 3\n",
    "a number for true or false": GOOD + "    mlo: 1\n",
    "a clock of 0": GOOD + "    synth_clk_period_ns: 0\n",
    "a wrong value on an axis": GOOD + "    synth_clk_period_ns: [5.0, fast]\n",
    "an axis without values": GOOD + "    target_fps: []\n",
    "a value twice": GOOD + "    synth_clk_period_ns: [5, 5.0]\n",
    "a choice that there is not": GOOD + "    large_fifo_mem_style: lutram\n",
    "an item that is no choice": GOOD + "    verify_steps: [all]\n",
    "an unknown board": GOOD + "    board: Pynq-Z3\n",
    "a range without an end": GOOD + "    target_fps: {from: 1, step: 1}\n",
    "a range without a step": GOOD + "    target_fps: {from: 1, to: 2}\n",
    "a range with both": GOOD + "    target_fps: {from: 1, to: 2, step: 1, factor: 2}\n",
    "a range with another key": GOOD + "    target_fps: {from: 1, to: 2, by: 1}\n",
    "a range of text": GOOD + "    target_fps: {from: low, to: 2, step: 1}\n",
    "a range of boards": GOOD + "    board: {from: U50, to: U250, step: 1}\n",
    "a range in a list": GOOD + "    target_fps: [{from: 1, to: 2, step: 1}]\n",
    "steps that are no list": GOOD + "  steps: step_tidy_up\n",
    "a step without a name": GOOD + "  steps: [{parameters: {a: 1}}]\n",
    "a step that is a number": GOOD + "  steps: [1]\n",
    "nothing for a step": GOOD + "  steps: [step_tidy_up, ~]\n",
    "nothing for a step, in quotes": GOOD + "  steps: [step_tidy_up, '~']\n",
    "a branch of nothing": GOOD + "  steps: [[]]\n",
    "a stage with parameters": GOOD + "  transforms: {mine: []}\n  steps: [{stage: mine, a: 1}]\n",
    "an operation with another key": GOOD + "  steps: [{after: step_tidy_up, inser: my.a}]\n",
    "an operation with nothing": GOOD + "  steps: [{after: step_tidy_up}]\n",
    "a replacement that inserts": GOOD + "  steps: [{replace: step_tidy_up, insert: my.a}]\n",
    "an operation in a branch": GOOD + "  steps: [[{remove: step_tidy_up}, my.a]]\n",
    "at the start what": GOOD + "  steps: [{at_start: my.a}]\n",
    "a stage's name with a space": GOOD + "  transforms: {my stage: []}\n",
    "a stage that is a mapping": GOOD + "  transforms: {pre_proc: {name: FoldConstants}}\n",
    "a parameter beside a transform": GOOD + "  transforms: {pre_proc: [{name: FoldConstants, a: 1}]}\n",
    "another word for failing": GOOD + "  transforms: {pre_proc: [{name: FoldConstants, on_error: skip}]}\n",
    "an analysis that may fail": GOOD + "  transforms: {post_proc: [{name: my.a, on_error: passthrough}]}\n",
    "parameters that are a list": GOOD
    + "  transforms: {pre_proc: [{name: FoldConstants, parameters: [1]}]}\n",
    "a step among transforms": GOOD + "  transforms: {pre_proc: [{step: step_tidy_up}]}\n",
    "a kernel that there is not": GOOD + "  kernels: {MVU: }\n",
    "a kernel in a list that there is not": GOOD + "  kernels: [MVU]\n",
    "two kernels in one item": GOOD + "  kernels: [{MVAU: , Pool: }]\n",
    "a backend of another kernel": GOOD + "  kernels: {MVAU: VVAU_rtl}\n",
    "no backends": GOOD + "  kernels: {MVAU: []}\n",
    "a backend twice": GOOD + "  kernels: {MVAU: [MVAU_hls, MVAU_hls]}\n",
    "a choice of no backends": GOOD + "  kernels: {MVAU: {choose: []}}\n",
    "an unknown key of a kernel": GOOD + "  kernels: {MVAU: {chose: [MVAU_hls]}}\n",
    "an unknown attribute": GOOD + "  kernels: {MVAU: {attributes: {ramstyle: block}}}\n",
    "a value that an attribute does not take": GOOD + "  kernels: {MVAU: {attributes: {ram_style: lut}}}\n",
    "text for an attribute": GOOD + "  kernels: {Thresholding: {attributes: {depth_trigger_bram: one}}}\n",
    "constraints that are text": GOOD + "constraints: target_fps > 1\n",
    "a constraint that is a number": GOOD + "constraints: [1]\n",
    "an unknown metric": GOOD + "objectives: {speed: max}\n",
    "an objective that is neither": GOOD + "objectives: {latency: less}\n",
    "limits that are a mapping": GOOD + "limits: {latency: 1}\n",
    "an unknown key of the search": GOOD + "search: {sample: 3}\n",
    "an unknown strategy": GOOD + "search: {strategy: greedy}\n",
    "a sample of no size": GOOD + "search: {strategy: random}\n",
    "a sample of nothing": GOOD + "search: {strategy: random, samples: 0}\n",
    "a number for a flag": GOOD + "search: {fail_fast: 1}\n",
}

Read = Callable[[str], DesignSpace]


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_loader_takes_is_valid(read: Read, text: str) -> None:
    read(text)
    assert is_valid(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_the_loader_refuses_for_its_structure_is_not(read: Read, text: str) -> None:
    with pytest.raises(BlueprintError):
        read(text)
    assert not is_valid(text)


def test_a_plugins_names_are_not_forbidden() -> None:
    assert is_valid(GOOD + "  steps: [mine]\n  transforms: {pre_proc: [Mine], post_proc: [mine]}\n")


def test_a_blueprint_that_extends_another_need_not_be_whole() -> None:
    assert is_valid(
        "name: a\nextends: b.yaml\ndesign_space: {config: {target_fps: {to: 9}, mlo: null}}\n"
        "search: {strategy: random}\n"
    )


def test_a_blueprint_for_others_to_extend_needs_neither_name_nor_model() -> None:
    assert is_valid("design_space: {config: {target_fps: 9}}\n")


def values_of(kind: FieldType) -> st.SearchStrategy[Any]:
    """Values of the type, and some of another."""
    by_type: dict[str, st.SearchStrategy[Any]] = {
        "float": st.integers(-1, 9) | st.floats(-1, 9),
        "int": st.integers(-1, 9) | st.just(1.0),
        "bool": st.booleans() | st.integers(0, 1),
        "str": st.sampled_from(["xc7z020clg400-1", "U250", "a"]),
        "path": st.just("../models/folding.json"),
        "enum": st.sampled_from([*kind.choices, "a"]),
        "dict": st.dictionaries(st.sampled_from("ab"), st.integers()),
        "any": st.none() | st.integers() | st.lists(st.integers(), max_size=1),
    }
    if kind.type == "list":
        assert kind.item is not None
        return st.none() | st.lists(values_of(kind.item), max_size=2)
    return st.none() | by_type[kind.type]


@st.composite
def fields(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(FIELDS))
    kind = tables.config_field(name)
    assert kind is not None
    return {name: draw(values_of(kind) | st.lists(values_of(kind), max_size=3) | RANGES)}


#: Mostly whole ranges.
RANGES = st.fixed_dictionaries(
    {"from": st.integers(1, 4) | st.floats(1, 4), "to": st.integers(1, 9)},
    optional={"step": st.integers(-1, 2), "factor": st.sampled_from([2, 0.5, 1])},
)


def places(names: st.SearchStrategy[str], key: str) -> st.SearchStrategy[Any]:
    """Items of a list of steps or transforms: names, parameters, branches, sequences, and wrong ones."""
    parameters = st.dictionaries(
        st.sampled_from("ab"), st.integers(0, 1) | st.lists(st.integers(0, 1), max_size=2)
    )
    named = st.builds(lambda name, more: {key: name, "parameters": more}, names, parameters)
    entry = names | named | names.map("~{}".format) | st.sampled_from([{"stage": "mine"}, {}, 1])
    nothing = st.sampled_from([None, "~"])
    return st.recursive(entry, lambda inner: st.lists(inner | nothing, max_size=3), max_leaves=5)


STEPS = places(st.sampled_from(["my.a", "my.b", "step_streamline"]), "step")
TRANSFORMS = places(st.sampled_from(["my.T", "FoldConstants"]), "name")
TARGETS = st.sampled_from(["step_tidy_up", "step_streamline", "my.a", ["my.a", None], 1])
OPERATIONS = st.one_of(
    st.builds(
        lambda key, at, new: {key: at, "insert": new}, st.sampled_from(["after", "before"]), TARGETS, STEPS
    ),
    st.builds(lambda at, new: {"replace": at, "with": new}, TARGETS, STEPS | st.lists(STEPS)),
    TARGETS.map(lambda at: {"remove": at}),
    st.builds(lambda key, new: {key: {"insert": new}}, st.sampled_from(["at_start", "at_end"]), STEPS),
)
BACKENDS = st.sampled_from(["MVAU_hls", "MVAU_rtl", "Pool_hls"])
CHOICES = BACKENDS | st.lists(BACKENDS, max_size=2)
ATTRIBUTES = st.fixed_dictionaries(
    {},
    optional={
        "ram_style": st.sampled_from(["block", "none", ["block", "auto"], []]),
        "depth_trigger_bram": st.sampled_from([1, [1], [[1], [2]], [[1, 2]]]),
        "pumpedCompute": st.sampled_from([0, 1, True, [0, 1]]),
        "other": st.just(1),
    },
)
KERNEL = (
    st.none()
    | CHOICES
    | st.fixed_dictionaries(
        {},
        optional={
            "choose": st.lists(CHOICES, max_size=3),
            "priority": CHOICES,
            "attributes": st.none() | ATTRIBUTES,
        },
    )
)
SPACES = st.fixed_dictionaries(
    {},
    optional={
        "transforms": st.dictionaries(
            st.sampled_from(["pre_proc", "mine", "a b"]), st.none() | st.lists(TRANSFORMS, max_size=3)
        ),
        "steps": st.sampled_from([None, "default"])
        | st.lists(STEPS | OPERATIONS, max_size=3)
        | st.lists(OPERATIONS, max_size=3)
        | st.lists(STEPS, max_size=2).map(lambda steps: [*steps, {"stage": "mine"}]),
        "kernels": st.dictionaries(st.sampled_from(["MVAU", "Pool", "Mvau"]), KERNEL)
        | st.lists(st.sampled_from(["MVAU", "VVAU"]) | KERNEL.map(lambda spec: {"MVAU": spec}), max_size=2),
    },
)
NUMBERS = st.none() | st.integers(-1, 3)
EXPLORATIONS = st.fixed_dictionaries(
    {},
    optional={
        "version": st.sampled_from([1, 2, None, True]),
        "extends": st.none(),
        "constraints": st.none()
        | st.lists(st.sampled_from(["fpga_part != 'a'", "1 > 0", "", "x"]), max_size=2),
        "objectives": st.none()
        | st.dictionaries(st.sampled_from(["latency", "speed"]), st.sampled_from(["max", "less"])),
        "limits": st.none() | st.lists(st.sampled_from(["latency < 1", "speed < 1"]), max_size=2),
        "search": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "strategy": st.sampled_from([None, "random", "exhaustive", "none"]),
                **dict.fromkeys(["samples", "seed", "max_builds", "max_combinations", "timeout"], NUMBERS),
                **dict.fromkeys(["fail_fast", "early_stop"], st.none() | st.booleans()),
            },
        ),
    },
)


def check(read: Read, space: dict[str, Any], rest: dict[str, Any]) -> None:
    whole = {"name": "small", "model": "../models/net.onnx", "design_space": space, **rest}
    text = yaml.safe_dump(whole, sort_keys=False)
    try:
        read(text)
    except BlueprintError:
        return
    assert is_valid(text)


DEVICE = {"fpga_part": "xc7z020clg400-1"}
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)


@many
@given(fields())
def test_its_fields_are_never_stricter_than_the_loader(read: Read, config: dict[str, Any]) -> None:
    check(read, {"config": {**DEVICE, **config}}, {})


@many
@given(SPACES, EXPLORATIONS)
def test_it_is_never_stricter_than_the_loader(
    read: Read, space: dict[str, Any], rest: dict[str, Any]
) -> None:
    check(read, {"config": DEVICE, **space}, rest)

"""The schema for editors: it is the one committed, and never stricter than the loader."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
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

BLUEPRINTS = sorted((Path(__file__).parents[2] / "blueprints").glob("*.yaml"))
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
    assert SCHEMA_FILE.read_text() == as_text(json_schema()), "run python -m finnmake.blueprint.json_schema"


def test_every_key_has_its_schema() -> None:
    top = json.loads(SCHEMA_FILE.read_text())["properties"]
    space = top["design_space"]["properties"]
    assert tuple(top) == schema.TOP_KEYS
    assert tuple(space) == schema.SPACE_KEYS
    assert tuple(space["transforms"]["properties"]) == tuple(schema.STAGES)
    assert sorted(space["config"]["properties"]) == FIELDS


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.name)
def test_the_blueprints_of_the_project_are_valid_and_name_the_schema(path: Path) -> None:
    text = path.read_text()
    assert is_valid(text)
    modeline, _, _ = text.partition("\n")
    name = modeline.removeprefix("# yaml-language-server: $schema=")
    assert (path.parent / name).resolve() == SCHEMA_FILE


ACCEPTED = {
    "the least": GOOD,
    "nothing written": GOOD + "  transforms:\n  steps:\ndescription:\nbackend:\ntimeout:\noutput_stage:\n",
    "axes": GOOD
    + "    target_fps: [10, null]\n    synth_clk_period_ns: [5, 2.5]\n    board: [U250, Ultra96]\n",
    "a field of lists": GOOD + "    signature: [1, 2]\n",
    "an axis of lists": GOOD + "    verify_steps: [[initial_python], [], null]\n",
    "a dotted step": GOOD + "  steps: [step_tidy_up, my.step, {step: my.step, a: 1}]\n",
    "parameters": GOOD + "  transforms: {pre_proc: [{name: my.T, parameters: {a: [1]}}, FoldConstants]}\n",
    "the steps of a list": GOOD + "  steps: []\n",
}

REFUSED = {
    "no name": GOOD.replace("name: small\n", ""),
    "no model": GOOD.replace("model: ../models/net.onnx\n", ""),
    "a name with a space": GOOD.replace("small", "a b"),
    "a list": "[1, 2]",
    "an unknown key": GOOD + "modle: x\n",
    "an unknown key of the space": GOOD + "  step: default\n",
    "an unknown field": GOOD + "    target_fsp: 10\n",
    "a field that finnmake sets": GOOD + "    output_dir: x\n",
    "a stage that there is not": GOOD + "output_stage: ESTIMATE\n",
    "a backend that there is not": GOOD + "backend: vivado\n",
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
    "steps that are no list": GOOD + "  steps: step_tidy_up\n",
    "a step without a name": GOOD + "  steps: [{parameters: {a: 1}}]\n",
    "a step that is a number": GOOD + "  steps: [1]\n",
    "an unknown stage of transforms": GOOD + "  transforms: {pre: []}\n",
    "a parameter beside a transform": GOOD + "  transforms: {pre_proc: [{name: FoldConstants, a: 1}]}\n",
    "parameters that are a list": GOOD
    + "  transforms: {pre_proc: [{name: FoldConstants, parameters: [1]}]}\n",
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
    return {name: draw(values_of(kind) | st.lists(values_of(kind), max_size=3))}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(fields())
def test_it_is_never_stricter_than_the_loader(read: Read, config: dict[str, Any]) -> None:
    device = {"fpga_part": "xc7z020clg400-1", **config}
    text = yaml.safe_dump(
        {"name": "small", "model": "../models/net.onnx", "design_space": {"config": device}}
    )
    try:
        read(text)
    except BlueprintError:
        return
    assert is_valid(text)

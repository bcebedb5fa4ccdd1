"""Writes `docs/blueprint.schema.json`: what a blueprint may hold, for editors.

    python -m finnmake.blueprint.json_schema

Run it after a change of the schema or of FINN's tables. It is JSON Schema draft-07, which the YAML language
server knows best. It is never stricter than the loader, which also looks names and files up, and merges a
blueprint with what it extends: what may come from another file is not asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finnmake.blueprint import descriptions, schema, tables
from finnmake.blueprint.json_entries import entry_definitions
from finnmake.blueprint.json_parts import (
    Schema,
    described,
    list_of,
    mapping,
    one_of,
    or_null,
    reference,
    takes_null,
)
from finnmake.blueprint.space import MAX_COMBINATIONS
from finnmake.blueprint.tables import FieldType
from finnmake.error_patterns import CATEGORIES

#: In the project.
SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "blueprint.schema.json"

_TYPES = {
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
    "path": "string",
    "list": "array",
    "dict": "object",
}

#: Types of node attributes that are lists -> the type of an item.
_LISTS = {"ints": "int", "floats": "float", "strings": "str"}

#: Columns of the file.
_WIDTH = 110

_NUMBER = {"type": ["number", "null"]}
_POSITIVE = {"type": ["integer", "null"], "minimum": 1}
_FLAG = {"type": ["boolean", "null"], "default": False}


def json_schema() -> Schema:
    """The schema of a whole blueprint."""
    whole = reference("whole_design_space")
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "finnmake blueprint",
        **mapping(described(_top(), descriptions.TOP)),
        # A blueprint that only others extend has neither, or what it likes of the two.
        "anyOf": [
            {"required": ["name", "model"]},
            {"required": ["name", "extends"]},
            {"not": {"anyOf": [{"required": ["name"]}, {"required": ["model"]}]}},
        ],
        "if": {"required": ["extends"]},
        "else": {"properties": {"design_space": whole, "search": reference("whole_search")}},
        "definitions": {
            **entry_definitions(),
            **_attribute_types(),
            **_kernels(),
            "range": mapping(described(dict.fromkeys(schema.RANGE_KEYS, _NUMBER), descriptions.RANGE)),
            "expressions": {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}},
            "whole_design_space": _whole_design_space(),
            "whole_range": _whole_range(),
            "whole_search": _whole_search(),
        },
    }


def as_text(value: Any, indent: str = "") -> str:
    """The schema as it is committed: JSON, with values on one line where they fit."""
    line = json.dumps(value)
    if len(indent) + len(line) <= _WIDTH or not isinstance(value, (dict, list)):
        return line
    deeper = indent + " "
    if isinstance(value, dict):
        parts = [f"{json.dumps(key)}: {as_text(item, deeper)}" for key, item in value.items()]
        opening, closing = "{", "}"
    else:
        parts = [as_text(item, deeper) for item in value]
        opening, closing = "[", "]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"


def _top() -> Schema:
    return {
        "version": {"enum": [schema.VERSION, None]},
        "name": {"type": "string", "pattern": f"^{schema.NAME.pattern}$"},
        "description": or_null(_value(schema.TEXT)),
        "model": or_null({"type": "string"}),
        "extends": or_null({"type": "string"}),
        "backend": _backend(),
        "output_stage": or_null(_value(schema.OUTPUT_STAGE)),
        "timeout": or_null({**_bounded("timeout", schema.SECONDS), "default": schema.DEFAULT_TIMEOUT}),
        "mock": or_null(_mock()),
        "design_space": or_null(_design_space()),
        "constraints": {
            "allOf": [reference("expressions")],
            "examples": [["synth_clk_period_ns >= 4 or target_fps < 10000"]],
        },
        "objectives": or_null(_objectives()),
        "limits": {"allOf": [reference("expressions")], "examples": [["lut_utilization <= 0.7"]]},
        "search": or_null(_search()),
    }


def _backend() -> Schema:
    """Any name: it may be of an installed package."""
    own = [*schema.BACKEND_STAGES, *schema.BACKEND_ALIASES]
    return {"type": ["string", "null"], "examples": own, "default": "finn"}


def _mock() -> Schema:
    rate = or_null(_bounded("failures", FieldType("float")))
    parts = {
        "delay": or_null({**_bounded("delay", FieldType("float")), "default": 0}),
        "failures": or_null(mapping(described(dict.fromkeys(schema.MOCK_FAILURES, rate), CATEGORIES))),
    }
    return mapping(described(parts, descriptions.MOCK))


def _objectives() -> Schema:
    choice = {"enum": [*schema.DIRECTIONS, None]}
    properties = described(dict.fromkeys(schema.METRICS, choice), descriptions.METRICS)
    return {**mapping(properties), "default": dict(schema.DEFAULT_OBJECTIVES)}


def _search() -> Schema:
    parts = {
        "strategy": {"enum": [*schema.STRATEGIES, None], "default": "exhaustive"},
        "samples": _POSITIVE,
        "seed": {"type": ["integer", "null"], "minimum": 0, "default": 0},
        "max_builds": _POSITIVE,
        "max_combinations": {**_POSITIVE, "default": MAX_COMBINATIONS},
        "fail_fast": _FLAG,
        "early_stop": _FLAG,
        "timeout": _POSITIVE,
    }
    return mapping(described(parts, descriptions.SEARCH))


def _design_space() -> Schema:
    fields = described({name: _field(name) for name in _settable()}, descriptions.FIELDS)
    stages = {"pre_proc": list_of("transform_place"), "post_proc": list_of("analysis_place")}
    transforms = mapping(described(stages, descriptions.STAGES))
    named = {
        f"^{schema.NAME.pattern}$": {
            "description": "Transforms, applied where {stage: NAME} stands among the steps.",
            **list_of("transform_place"),
        }
    }
    steps = one_of({"enum": ["default", None]}, {"type": "array", "items": reference("step_item")})
    listed = {"allOf": [reference("kernels")], "minProperties": 1, "maxProperties": 1}
    kernel = one_of({"enum": list(tables.kernel_names())}, listed)
    parts = {
        "config": or_null(mapping(fields)),
        # Of the properties that match the pattern, pre_proc and post_proc are described by themselves.
        "transforms": or_null({**transforms, "patternProperties": _others(named, stages)}),
        "steps": {**steps, "default": "default"},
        "kernels": one_of({"type": "null"}, reference("kernels"), {"type": "array", "items": kernel}),
    }
    return mapping(described(parts, descriptions.SPACE))


def _others(patterns: Schema, names: Mapping[str, Any]) -> Schema:
    """Patterns that no one of the names matches."""
    excluded = "|".join(names)
    return {f"^(?!(?:{excluded})$){pattern.removeprefix('^')}": value for pattern, value in patterns.items()}


def _settable() -> list[str]:
    """The fields of FINN's configuration that a blueprint may set."""
    return [name for name in tables.config_field_names() if name not in schema.REFUSED_FIELDS]


def _field(name: str) -> Schema:
    """One value of a field, an axis of them, or a range."""
    kind = tables.config_field(name)
    assert kind is not None
    value = _bounded(name, kind)
    if name == "board":
        value = or_null({"enum": sorted(tables.boards())})
    if name == "fpga_part":
        value["examples"] = sorted(set(tables.boards().values()))
    ranges = [reference("range")] if kind.type in ("int", "float") else []
    # In a blueprint that extends another, null takes out what that one sets.
    nothing = [] if takes_null(value) else [{"type": "null"}]
    return one_of(
        value, {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}, *ranges, *nothing
    )


def _bounded(name: str, kind: FieldType) -> Schema:
    bound = schema.BOUNDS.get(name)
    if bound is None:
        return _value(kind)
    most = {} if bound.most is None else {"maximum": bound.most}
    return {**_value(kind), "exclusiveMinimum" if bound.open else "minimum": bound.least, **most}


def _value(kind: FieldType) -> Schema:
    """One value of the type."""
    if kind.type == "any":
        return {}
    value: Schema = {"enum": list(kind.choices)} if kind.type == "enum" else {"type": _TYPES[kind.type]}
    if kind.item is not None:
        value["items"] = _value(kind.item)
    return or_null(value) if kind.optional else value


def _kernels() -> Schema:
    """`kernels`, and for each kernel what may be said of it, and its backends in an order of preference."""
    found: Schema = {}
    for name in tables.kernel_names():
        backend: Schema = {"enum": list(tables.kernel_backends(name))}
        found[f"backends_{name}"] = {"type": "array", "items": backend, "minItems": 1, "uniqueItems": True}
        found[f"kernel_{name}"] = _kernel(name, backend)
    kernels = mapping({name: reference(f"kernel_{name}") for name in tables.kernel_names()})
    return {**found, "kernels": kernels}


def _kernel(name: str, backend: Schema) -> Schema:
    priority = reference(f"backends_{name}")
    attributes = {each: _attribute(name, each) for each in tables.kernel_attributes(name)}
    parts = {
        "choose": {"type": ["array", "null"], "items": one_of(backend, priority), "minItems": 1},
        "priority": one_of(priority, {"type": "null"}),
        "attributes": or_null(mapping(attributes)),
    }
    return one_of(or_null(backend), priority, mapping(described(parts, descriptions.KERNELS)))


def _attribute(kernel: str, name: str) -> Schema:
    return reference(_attribute_type(kernel, name)[0])


def _attribute_types() -> Schema:
    """A definition for each type of attribute: many kernels have the same."""
    return dict(
        _attribute_type(kernel, name)
        for kernel in tables.kernel_names()
        for name in tables.kernel_attributes(kernel)
    )


def _attribute_type(kernel: str, name: str) -> tuple[str, Schema]:
    """The name of the definition, e.g. `attribute_auto_dsp_lut`, and what it says: a value or an axis."""
    kind = tables.kernel_attribute(kernel, name)
    assert kind is not None
    value: Schema = {"type": _TYPES[_LISTS.get(kind.type, kind.type)]}
    if kind.choices:
        value = {"enum": list(kind.choices)}
    if kind.type in _LISTS:
        value = {"type": "array", "items": value}
    axis = {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}
    return "_".join(["attribute", *map(str, kind.choices or [kind.type])]), one_of(or_null(value), axis)


def _whole_design_space() -> Schema:
    """What ranges must have where nothing can come from another file."""
    numbers = [name for name in _settable() if _is_number(name)]
    return {"properties": {"config": {"properties": dict.fromkeys(numbers, reference("whole_range"))}}}


def _whole_range() -> Schema:
    """Both ends, and how to get from one to the other; what is no range passes."""
    one_way = [{"required": ["step"]}, {"required": ["factor"]}]
    return {"if": {"type": "object"}, "then": {"required": ["from", "to"], "oneOf": one_way}}


def _is_number(field: str) -> bool:
    kind = tables.config_field(field)
    return kind is not None and kind.type in ("int", "float")


def _whole_search() -> Schema:
    """What `search` must have where nothing can come from another file."""
    random = {"properties": {"strategy": {"const": "random"}}, "required": ["strategy"]}
    return {"if": random, "then": {"required": ["samples"]}}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(as_text(json_schema()) + "\n", encoding="utf-8")

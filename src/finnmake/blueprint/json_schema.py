"""Writes `docs/blueprint.schema.json`: what a blueprint may hold, for editors.

    python -m finnmake.blueprint.json_schema

Run it after a change of the schema or of FINN's tables. It is JSON Schema draft-07, which the YAML language
server knows best. It is never stricter than the loader, which also looks names and files up.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finnmake.blueprint import schema, tables
from finnmake.blueprint.tables import FieldType

#: In the project.
SCHEMA_FILE = Path(__file__).parents[3] / "docs" / "blueprint.schema.json"

_Schema = dict[str, Any]

_TYPES = {
    "float": "number",
    "int": "integer",
    "bool": "boolean",
    "str": "string",
    "path": "string",
    "list": "array",
    "dict": "object",
}


def json_schema() -> _Schema:
    """The schema of a whole blueprint."""
    top = {
        "name": {"type": "string", "pattern": f"^{schema.NAME.pattern}$"},
        "description": _or_null(_value(schema.TEXT)),
        "model": {"type": "string"},
        "backend": _or_null({"enum": list(schema.BACKENDS), "default": "finn"}),
        "output_stage": _or_null(_value(schema.OUTPUT_STAGE)),
        "timeout": _or_null({**_bounded("timeout", schema.SECONDS), "default": schema.DEFAULT_TIMEOUT}),
        "design_space": _or_null(_design_space()),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "finnmake blueprint",
        **_mapping(_described(top)),
        "required": ["name", "model"],
        "definitions": {
            "step": _entry("step", tables.step_names(), others=True),
            "transform": _entry("name", tables.transform_names()),
            "analysis": _entry("name", ()),
        },
    }


def as_text(value: _Schema) -> str:
    """The schema as it is committed."""
    return json.dumps(value, indent=1) + "\n"


def _design_space() -> _Schema:
    stages = {stage: _entries(kind) for stage, kind in schema.STAGES.items()}
    steps = {"anyOf": [{"enum": ["default", None]}, {"type": "array", "items": _reference("step")}]}
    parts = {
        "config": _or_null(_mapping({name: _field(name) for name in _settable()})),
        "transforms": _or_null(_mapping(_described(stages))),
        "steps": {**steps, "default": "default"},
    }
    return _mapping(_described(parts))


def _settable() -> list[str]:
    """The fields of FINN's configuration that a blueprint may set."""
    return [name for name in tables.config_field_names() if name not in schema.REFUSED_FIELDS]


def _field(name: str) -> _Schema:
    """One value of a field, or an axis of them."""
    kind = tables.config_field(name)
    assert kind is not None
    value = _bounded(name, kind)
    if name == "board":
        value = _or_null({"enum": sorted(tables.boards())})
    if name == "fpga_part":
        value["examples"] = sorted(set(tables.boards().values()))
    return {"anyOf": [value, {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}]}


def _bounded(name: str, kind: FieldType) -> _Schema:
    bound = schema.BOUNDS.get(name)
    if bound is None:
        return _value(kind)
    return {**_value(kind), "exclusiveMinimum" if bound.open else "minimum": bound.least}


def _value(kind: FieldType) -> _Schema:
    """One value of the type."""
    if kind.type == "any":
        return {}
    value: _Schema = {"enum": list(kind.choices)} if kind.type == "enum" else {"type": _TYPES[kind.type]}
    if kind.item is not None:
        value["items"] = _value(kind.item)
    return _or_null(value) if kind.optional else value


def _or_null(value: _Schema) -> _Schema:
    """The same, and null, which stands for `not written`."""
    if "enum" in value:
        return {**value, "enum": [*value["enum"], None]}
    return {**value, "type": [value["type"], "null"]}


def _mapping(properties: _Schema) -> _Schema:
    """A mapping with these keys and no others."""
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _entries(kind: str) -> _Schema:
    return {"type": ["array", "null"], "items": _reference(kind)}


def _reference(definition: str) -> _Schema:
    return {"$ref": f"#/definitions/{definition}"}


def _entry(key: str, known: Iterable[str], *, others: bool = False) -> _Schema:
    """A name, or a mapping of the name and its parameters; `others`: they may stand beside the name.

    The known names are suggestions: plugins have more, and any dotted name may stand there.
    """
    suggestions = sorted(known)
    name: _Schema = {"type": "string"}
    if suggestions:
        name = {"anyOf": [{"enum": suggestions}, name]}
    properties = {key: name, "parameters": {"type": ["object", "null"]}}
    mapping = {"type": "object", "properties": properties, "required": [key], "additionalProperties": others}
    return {"anyOf": [name, mapping]}


_DESCRIPTIONS = {
    "name": "Names the folder of the outputs, builds/<name>/.",
    "description": "For people.",
    "model": "The QONNX model; relative to this file.",
    "backend": "What makes FPGA outputs of the model.",
    "output_stage": "How far a build goes.",
    "timeout": "Seconds that one step may take.",
    "design_space": "Everything that the model is to be built with.",
    "config": "Fields of FINN's DataflowBuildConfig. A list is an axis: configurations are all combinations.",
    "transforms": "What is applied before the steps, and to the finished build.",
    "pre_proc": "Transforms, applied before the steps.",
    "post_proc": "Analyses of the finished build.",
    "steps": "`default`, FINN's list for the output stage, or a list of steps.",
}


def _described(properties: _Schema) -> _Schema:
    return {key: {"description": _DESCRIPTIONS[key], **value} for key, value in properties.items()}


if __name__ == "__main__":
    SCHEMA_FILE.write_text(as_text(json_schema()), encoding="utf-8")

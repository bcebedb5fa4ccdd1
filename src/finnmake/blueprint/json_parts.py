"""Small pieces of JSON Schema, for `json_schema` and `json_entries`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = dict[str, Any]


def reference(definition: str) -> Schema:
    """What a definition of the same file says."""
    return {"$ref": f"#/definitions/{definition}"}


def mapping(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    """A mapping with these keys and no others."""
    found: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**found, "required": list(required)} if required else found


def list_of(definition: str) -> Schema:
    """A list of what the definition describes, or null."""
    return {"type": ["array", "null"], "items": reference(definition)}


def one_of(*choices: Schema) -> Schema:
    """Any of some; a choice of choices is made flat."""
    flat: list[Schema] = []
    for choice in choices:
        flat += choice["anyOf"] if list(choice) == ["anyOf"] else [choice]
    return {"anyOf": flat} if len(flat) > 1 else flat[0]


def or_null(value: Schema) -> Schema:
    """The same, and null, which stands for `not written`."""
    if takes_null(value):
        return value
    if "enum" in value:
        return {**value, "enum": [*value["enum"], None]}
    return {**value, "type": [value["type"], "null"]}


def takes_null(value: Schema) -> bool:
    """Whether null is allowed already, as far as can be seen from the outside."""
    return None in value.get("enum", ()) or "null" in value.get("type", ()) or not value


def described(properties: Schema, sentences: Mapping[str, str]) -> Schema:
    """The properties with what they mean. Editors do not see what stands beside a `$ref`: it is wrapped."""
    return {
        key: {"description": sentences[key], **({"allOf": [value]} if "$ref" in value else value)}
        for key, value in properties.items()
    }

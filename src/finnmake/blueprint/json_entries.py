"""JSON Schema of what stands in the lists of steps and transforms."""

from __future__ import annotations

from collections.abc import Iterable

from finnmake.blueprint import descriptions, schema, tables
from finnmake.blueprint.json_parts import Schema, described, mapping, one_of, reference

#: Any name but "~", which is nothing. Known names are suggestions: plugins have more.
_NAME: Schema = {"type": "string", "minLength": 1, "pattern": "^(?!~$)"}

_NOTHING: Schema = {"enum": [None, "~"]}

#: A transform's key beside name and parameters.
_REACTION: Schema = {schema.ON_ERROR: {"enum": [*schema.REACTION.choices, None]}}

#: A step's name, or a branch as it is written.
_TARGET = one_of(_NAME, {"type": "array", "minItems": 1})


def entry_definitions() -> Schema:
    """The definitions `step_item`, `transform_place`, `analysis_place` and those that they use.

    A place is what one item of a list may be; inside a branch it may be nothing, or a list, too.
    """
    step = one_of(
        reference("step_name"),
        {**_with_parameters("step"), "additionalProperties": True},
        mapping(described({"stage": {"type": "string"}}, descriptions.ENTRIES), ("stage",)),
    )
    return {
        "step_name": _name(tables.step_names()),
        "transform_name": _name(tables.transform_names()),
        "analysis_name": _name(()),
        **_places("step", step),
        **_places("transform", one_of(reference("transform_name"), _with_parameters("name", _REACTION))),
        **_places("analysis", one_of(reference("analysis_name"), _with_parameters("name"))),
        "step_item": one_of(reference("step_place"), *_operations()),
        "inserted": one_of(reference("step_place"), {"type": "array", "items": reference("step_place")}),
    }


def _name(known: Iterable[str]) -> Schema:
    suggestions = sorted(known)
    return one_of({"enum": suggestions}, _NAME) if suggestions else _NAME


def _with_parameters(key: str, others: Schema | None = None) -> Schema:
    properties = {key: _NAME, "parameters": {"type": ["object", "null"]}, **(others or {})}
    if key == "step":
        properties["step"] = reference("step_name")
    return mapping(described(properties, descriptions.ENTRIES), (key,))


def _places(kind: str, entry: Schema) -> Schema:
    """A place is an entry, or a branch: a list of alternatives, of which a list is a sequence of places."""
    branch = {"type": "array", "minItems": 1, "items": reference(f"{kind}_alternative")}
    sequence = {"type": "array", "minItems": 1, "items": reference(f"{kind}_place")}
    return {
        f"{kind}_entry": entry,
        f"{kind}_place": one_of(reference(f"{kind}_entry"), branch),
        f"{kind}_alternative": one_of(_NOTHING, reference(f"{kind}_entry"), sequence),
    }


def _operations() -> list[Schema]:
    inserted = reference("inserted")
    at_end = mapping(described({"insert": inserted}, descriptions.OPERATIONS), ("insert",))
    forms: tuple[Schema, ...] = (
        {"after": _TARGET, "insert": inserted},
        {"before": _TARGET, "insert": inserted},
        {"replace": _TARGET, "with": inserted},
        {"remove": _TARGET},
        {"at_start": at_end},
        {"at_end": at_end},
    )
    return [mapping(described(form, descriptions.OPERATIONS), tuple(form)) for form in forms]

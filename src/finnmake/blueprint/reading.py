"""Values of a blueprint, read by their types; and the messages for those that are none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from finnmake.blueprint import tables
from finnmake.blueprint.document import Item, shortened
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.schema import BOUNDS, NAME, REFUSED_FIELDS, TEXT, TOP_KEYS, Bound
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError


def wrong(item: Item, wanted: str, cure: str = "") -> BlueprintError:
    """The error for a value of another type than wanted."""
    return BlueprintError(f"found {_found(item.value)}, wanted {wanted}", where=item.where, cure=cure)


def unknown_key(item: Item, key: str, known: Collection[str]) -> BlueprintError:
    """The error for a key that is not among `known`, with the nearest or the right place for it."""
    cure = did_you_mean(key, known)
    if not cure and tables.config_field(key) is not None and key not in REFUSED_FIELDS:
        cure = f"{key} is a field of FINN's configuration: write it below design_space.config."
    if not cure and len(known) <= len(TOP_KEYS):
        cure = f"The keys here are {', '.join(known)}."
    return BlueprintError(f"unknown key {key!r}", where=item.key_where, cure=cure)


def read_name(item: Item) -> str:
    """The name of a design space, which is also a folder's. Raises BlueprintError."""
    name: str = read_value(item, TEXT)
    if not NAME.fullmatch(name):
        raise BlueprintError(
            f"{name!r} cannot be a name", where=item.where, cure="Use letters, digits, '_' and '-' only."
        )
    return name


def read_mapping(item: Item) -> Mapping[str, Item]:
    """The entries of a mapping; of `null` none. Raises BlueprintError."""
    if item.value is None:
        return {}
    if not isinstance(item.value, dict):
        raise wrong(item, "a mapping (key: value)")
    return item.value


def read_list(item: Item) -> list[Item]:
    """The items of a list; of `null` none. Raises BlueprintError."""
    if item.value is None:
        return []
    if not isinstance(item.value, list):
        raise wrong(item, "a list")
    return item.value


def read_number(item: Item, kind: FieldType, bound: Bound) -> Any:
    """A number within its bound. Raises BlueprintError."""
    value = read_value(item, kind)
    if value is not None and not bound.holds(value):
        raise BlueprintError(f"{value} is out of range", where=item.where, cure=f"It must be {bound}.")
    return value


def read_field(item: Item, name: str, kind: FieldType) -> Any:
    """One value of a field of `DataflowBuildConfig`, as JSON. Raises BlueprintError."""
    bound = BOUNDS.get(name)
    return read_value(item, kind) if bound is None else read_number(item, kind, bound)


def read_value(item: Item, kind: FieldType) -> Any:
    """A value of the type, as JSON; a float where a number is wanted. Raises BlueprintError."""
    if kind.type == "any" or (item.value is None and kind.optional):
        return item.plain()
    if kind.type == "enum":
        return _read_choice(item, kind)
    if kind.type == "float":
        return _read_float(item, kind)
    if not _is_of(item.value, kind):
        raise wrong(item, _wanted(kind), _cure(item, kind))
    if kind.type == "list" and kind.item is not None:
        return [read_value(child, kind.item) for child in item.value]
    return item.plain()


_PYTHON_TYPES = {
    "int": int,
    "bool": bool,
    "str": str,
    "path": str,
    "list": list,
    "dict": dict,
}


def _is_of(value: Any, kind: FieldType) -> bool:
    """Whether the value is of the type itself: true is no whole number."""
    return type(value) is _PYTHON_TYPES[kind.type]


def _read_float(item: Item, kind: FieldType) -> float:
    if type(item.value) not in (int, float):
        raise wrong(item, _wanted(kind), _cure(item, kind))
    try:
        return float(item.value)
    except OverflowError:
        raise BlueprintError("the number is too large", where=item.where) from None


def _read_choice(item: Item, kind: FieldType) -> Any:
    if item.value not in kind.choices or isinstance(item.value, bool):
        cure = did_you_mean(item.value, map(str, kind.choices)) if isinstance(item.value, str) else ""
        raise wrong(item, _wanted(kind), cure or _cure(item, kind))
    return item.value


def _cure(item: Item, kind: FieldType) -> str:
    """What helps against YAML's guesses: numbers in quotes, and words that YAML takes for something else."""
    if isinstance(item.value, str) and kind.type in ("int", "float", "bool"):
        return "Write it without quotes and unit." if item.value[:1].isdigit() else ""
    if isinstance(item.value, (bool, int, float)) and kind.type in ("str", "path", "enum"):
        return "Put it in quotes."
    return ""


def _wanted(kind: FieldType) -> str:
    wanted = _WANTED[kind.type]
    if kind.type == "enum":
        wanted = f"one of {', '.join(map(str, kind.choices))}"
    if kind.type == "list" and kind.item is not None and kind.item.type != "any":
        wanted = f"a list, each item {_wanted(kind.item)}"
    return f"{wanted} or null" if kind.optional else wanted


_WANTED = {
    "float": "a number",
    "int": "a whole number",
    "bool": "true or false",
    "str": "text",
    "path": "a path",
    "enum": "a choice",
    "list": "a list",
    "dict": "a mapping",
}


def _found(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"the {'whole number' if isinstance(value, int) else 'number'} {shortened(str(value))}"
    if isinstance(value, str):
        return f"the text {shortened(repr(value))}"
    return "a list" if isinstance(value, list) else "a mapping"

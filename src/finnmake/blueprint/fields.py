"""`design_space.config`: fields of FINN's `DataflowBuildConfig`, each one value, an axis or a range."""

from __future__ import annotations

from typing import Any

from finnmake.blueprint import open_rtl_steps, reading, schema, tables
from finnmake.blueprint.context import Context
from finnmake.blueprint.document import Item
from finnmake.blueprint.names import did_you_mean, question
from finnmake.blueprint.ranges import read_range
from finnmake.blueprint.slots import FIELD, Slot
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError

_PART_FORM = "Write the part as Vivado does, e.g. xc7z020clg400-1 or xczu3eg-sbva484-1-e."

_NUMBERS = ("int", "float")


def read_config(item: Item, context: Context) -> list[Slot]:
    """The fields in the written order; what is wrong is noted in the context."""
    slots = []
    entries = None
    with context.problems.collecting():
        entries = reading.read_mapping(item)
    for name, entry in (entries or {}).items():
        with context.problems.collecting():
            options = _options(name, entry, context)
            slots.append(Slot(FIELD, name, options, entry.where.key or name))
    return slots


def with_defaults(fields: list[Slot], backend: str) -> list[Slot]:
    """The fields, and behind them those that the backend sets where the blueprint does not."""
    written = {slot.name for slot in fields}
    defaults = open_rtl_steps.FIELDS if backend == open_rtl_steps.OPEN_RTL else {}
    added = (
        Slot(FIELD, name, (value,), f"design_space.config.{name}")
        for name, value in defaults.items()
        if name not in written
    )
    return [*fields, *added]


def _options(name: str, item: Item, context: Context) -> tuple[Any, ...]:
    kind = _field_type(name, item)
    if is_axis(item, kind.depth):
        if not item.value:
            raise BlueprintError(
                "the axis has no values", where=item.where, cure="Write one, or take the key out."
            )
        return context.distinct(item.value, lambda child: [_value(name, child, kind, context)], "on the axis")
    if isinstance(item.value, dict) and kind.type in _NUMBERS:
        values = read_range(item, whole=kind.type == "int")
        return tuple(_value(name, Item(value, item.where, item.key_where), kind, context) for value in values)
    return (_value(name, item, kind, context),)


def _field_type(name: str, item: Item) -> FieldType:
    """The type of a field that a blueprint may set. Raises BlueprintError."""
    if name in schema.REFUSED_FIELDS:
        reason, cure = schema.REFUSED_FIELDS[name]
        raise BlueprintError(f"{name} cannot be set here: {reason}", where=item.key_where, cure=cure)
    kind = tables.config_field(name)
    if kind is None:
        raise reading.unknown_key(item, name, tuple(tables.config_field_names()))
    return kind


def is_axis(item: Item, depth: int) -> bool:
    """Whether there is one list more than a value has, which has `depth` of them one inside the other."""
    return _depth(item, depth + 1) > depth


def _depth(item: Item, most: int) -> int:
    """How many lists are one inside the other, up to `most`."""
    if not isinstance(item.value, list) or most == 0:
        return 0
    return 1 + max((_depth(child, most - 1) for child in item.value), default=0)


def _value(name: str, item: Item, kind: FieldType, context: Context) -> Any:
    if isinstance(item.value, dict) and {"from", "to"} <= item.value.keys():
        _refuse_range(item, kind)
    value = reading.read_field(item, name, kind)
    if value is None:
        return None
    if kind.type == "path":
        return context.paths.file(value, item.where)
    if name == "board":
        _check_board(value, item)
    if name == "fpga_part":
        _check_part(value, item, context)
    return value


def _refuse_range(item: Item, kind: FieldType) -> None:
    if kind.type in _NUMBERS:
        raise BlueprintError(
            "a range stands in a list", where=item.where, cure="Write the range alone, or its values out."
        )
    if kind.type != "dict":
        raise BlueprintError(
            "a range of something else than numbers", where=item.where, cure="Write the values as a list."
        )


def _check_board(board: str, item: Item) -> None:
    known = tables.boards()
    if board not in known:
        cure = did_you_mean(board, known) or f"FINN knows {', '.join(sorted(known))}."
        raise BlueprintError(f"unknown board {board!r}", where=item.where, cure=cure)


def _check_part(part: str, item: Item, context: Context) -> None:
    if context.known_parts is None or context.known_parts.is_known_part(part):
        return
    cure = question(context.known_parts.known_parts_hint(part))
    raise BlueprintError(f"unknown part {part!r}", where=item.where, cure=cure or _PART_FORM)

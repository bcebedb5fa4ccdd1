"""What varies in a design space, as columns of a table: a name, and a short value for each option."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finnmake.blueprint.slots import FIELD, KERNEL, Slot, entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.ranking import METRICS

#: Columns of a table of results that every space has: before the axes, and behind them.
FIRST_COLUMNS = ("config_id", "content_id", "status", "simulated", "feasible", "pareto")
LAST_COLUMNS = (*METRICS, "duration_seconds", "error_category", "error_message")

#: What an option without a step is called, one with it, and a kernel without a named backend.
NOTHING, USED, ANY_BACKEND = "skip", "used", "any"


@dataclass(frozen=True)
class Axis:
    """A column.

    Attributes:
        column: a field's name, `MVAU`, `MVAU.ram_style`, the name of a step that is optional or whose
            parameters vary, or the key of any other branch, e.g. `steps[3]`.
        slot: the index of the slot that it belongs to; a kernel's may have several columns.
        values: what each option of the slot says there: JSON scalars.
    """

    column: str
    slot: int
    values: tuple[Any, ...]


def space_axes(space: DesignSpace) -> tuple[Axis, ...]:
    """The columns of everything that varies, in the order of the slots, each with a name of its own."""
    taken = {*FIRST_COLUMNS, *LAST_COLUMNS}
    found = []
    for at, slot in enumerate(space.hw_compiler_space.slots):
        if slot.is_axis:
            for wished, values in _columns(slot):
                column = _unused(wished, taken)
                taken.add(column)
                found.append(Axis(column, at, tuple(values)))
    return tuple(found)


def values_at(space: DesignSpace, axes: Sequence[Axis], position: int) -> tuple[Any, ...]:
    """The values of these axes of the space at a position of the product."""
    choices = space.hw_compiler_space.choices(position, (axis.slot for axis in axes))
    return tuple(axis.values[choice] for axis, choice in zip(axes, choices, strict=True))


def _columns(slot: Slot) -> Iterator[tuple[str, list[Any]]]:
    if slot.kind == FIELD:
        yield slot.name, _scalars(slot.options)
    elif slot.kind == KERNEL:
        yield from _kernel_columns(slot)
    else:
        yield _branch_column(slot)


def _branch_column(slot: Slot) -> tuple[str, list[Any]]:
    """Of one step or transform in all options its name, and its parameters; else the key, and the names."""
    names = {entry_name(entry) for option in slot.options for entry in option}
    if len(names) > 1 or any(len(option) > 1 for option in slot.options):
        return slot.key.removeprefix("design_space."), _texts(slot.options)
    (name,) = names
    shown = [text.removeprefix(name).strip("()") or USED for text in _texts(slot.options)]
    return name, shown if len(set(shown)) == len(shown) else _texts(slot.options)


def _kernel_columns(slot: Slot) -> Iterator[tuple[str, list[Any]]]:
    """The backends, in order of priority, and each attribute, as far as they vary."""
    backends = [" > ".join(option["backends"]) or ANY_BACKEND for option in slot.options]
    if len(set(backends)) > 1:
        yield slot.name, backends
    for name in dict.fromkeys(name for option in slot.options for name in option["attributes"]):
        values = _scalars([option["attributes"].get(name) for option in slot.options])
        if len(set(map(_json, values))) > 1:
            yield f"{slot.name}.{name}", values


def _texts(options: Sequence[Sequence[Any]]) -> list[str]:
    """`a + quantise(bits=4)`: the entries of each option, with parameters that vary; JSON if ambiguous."""
    varying = _varying(entry for option in options for entry in option)
    texts = [" + ".join(_entry_text(entry, varying) for entry in option) or NOTHING for option in options]
    return texts if len(set(texts)) == len(texts) else [_json(option) for option in options]


def _varying(entries: Iterator[Any]) -> set[tuple[str, str]]:
    """(entry, parameter) where entries of one name differ."""
    seen: dict[str, list[Mapping[str, Any]]] = {}
    for entry in entries:
        seen.setdefault(entry_name(entry), []).append(_parameters(entry))
    return {
        (name, parameter)
        for name, given in seen.items()
        for parameter in {key for each in given for key in each}
        if len({_json([each.get(parameter), parameter in each]) for each in given}) > 1
    }


def _entry_text(entry: Any, varying: Collection[tuple[str, str]]) -> str:
    name = entry_name(entry)
    shown = ", ".join(
        f"{parameter}={_scalar(value)}"
        for parameter, value in sorted(_parameters(entry).items())
        if (name, parameter) in varying
    )
    label = f"stage:{name}" if isinstance(entry, Mapping) and "stage" in entry else name
    return f"{label}({shown})" if shown else label


def _parameters(entry: Any) -> Mapping[str, Any]:
    return entry.get("parameters") or {} if isinstance(entry, Mapping) else {}


def _scalars(options: Sequence[Any]) -> list[Any]:
    """The values, with text for lists and mappings; all JSON where a text reads like one of these."""
    values = [_scalar(option) for option in options]
    alike = len(set(map(_json, values))) < len(set(map(_json, options)))
    return list(map(_json, options)) if alike else values


def _scalar(value: Any) -> Any:
    """The value itself, or the text of a list or mapping."""
    return _json(value) if isinstance(value, (list, tuple, Mapping)) else value


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _unused(wished: str, taken: Collection[str]) -> str:
    """The name, or `name (2)` … where it is taken."""
    name, number = wished, 1
    while name in taken:
        number += 1
        name = f"{wished} ({number})"
    return name

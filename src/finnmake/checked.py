"""Checks the fields of a record: which values each may hold, and the words for one that it may not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: So much of a value is shown in a message.
_SHOWN = 60


def figure(unit: str, most: float = sys.float_info.max, *, default: float | None = None) -> Any:
    """A field of a dataclass: a number from 0 to `most`, in `unit`; None too where that is the default."""
    return field(default=default, metadata={"unit": unit, "most": most})


def validate(record: DataclassInstance) -> None:
    """Raise ValueError for the first field that holds what it may not: field, value and what is allowed.

    Looks at figures, and at fields whose annotation is in `ALLOWED`.
    """
    for each in fields(record):
        value = getattr(record, each.name)
        if "unit" in each.metadata:
            if not _in_range(each, value):
                raise refusal(each.name, value, _range(each))
        elif each.type in ALLOWED:
            allowed, fits = ALLOWED[each.type]
            if not fits(value):
                raise refusal(each.name, value, allowed)


def arguments(kind: type[DataclassInstance], data: Any) -> dict[str, Any]:
    """The fields of a record of `kind`, from what may be anything: a mapping with the fields that it needs.

    Raises ValueError for a field that is missing or that the record does not have.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a {kind.__name__} is a mapping, not {shown(data)}")
    known = {each.name: each.default is MISSING and each.default_factory is MISSING for each in fields(kind)}
    for name in data:
        if name not in known:
            raise ValueError(f"a {kind.__name__} has no {shown(name)}: allowed is {', '.join(known)}")
    for name, needed in known.items():
        if needed and name not in data:
            raise ValueError(f"{name} is missing, which every {kind.__name__} has")
    return dict(data)


def shown(value: Any) -> str:
    """A value for a message, however long it is."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deeply; an integer with too many digits to print
        text = f"one {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def refusal(name: str, value: Any, allowed: str) -> ValueError:
    """The error for a field that holds what it may not."""
    return ValueError(f"{name} is {shown(value)}: allowed is {allowed}")


def _in_range(figure: Field[Any], value: Any) -> bool:
    if value is None:
        return figure.default is None
    return _is_number(value, figure.metadata["most"])


def _is_number(value: Any, most: float) -> bool:
    """Whether it is a number from 0 to `most`."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and bool(0 <= value <= most)  # no comparison holds for NaN


def _range(figure: Field[Any]) -> str:
    """What a figure may be."""
    unit, most = figure.metadata["unit"], figure.metadata["most"]
    words = (
        f"a number from 0 to {most:g}" if most < sys.float_info.max else f"a finite number from 0 ({unit})"
    )
    return words + (" or null" if figure.default is None else "")


def _each(values: Any, kind: type) -> bool:
    return all(isinstance(value, kind) for value in values)


def _texts(values: Any) -> bool:
    return _each(values, str)


#: Annotation of a field -> what it may hold, and the test for it.
ALLOWED: Mapping[Any, tuple[str, Callable[[Any], bool]]] = {
    "bool": ("true or false", lambda value: isinstance(value, bool)),
    "float": ("a finite number from 0", lambda value: _is_number(value, sys.float_info.max)),
    "int": ("a whole number from 0", lambda value: type(value) is int and value >= 0),
    "str": ("text", lambda value: isinstance(value, str)),
    "str | None": ("text or null", lambda value: value is None or isinstance(value, str)),
    "list[str]": ("a list of texts", lambda value: isinstance(value, list) and _texts(value)),
    "dict[str, str]": (
        "a mapping from text to text",
        lambda value: isinstance(value, dict) and _texts(value) and _texts(value.values()),
    ),
    "dict[str, Any]": ("a mapping from text", lambda value: isinstance(value, dict) and _texts(value)),
    "Mapping[str, Any]": ("a mapping from text", lambda value: isinstance(value, Mapping) and _texts(value)),
    "Mapping[str, list[Any]]": (
        "a mapping from text to lists",
        lambda value: isinstance(value, Mapping) and _texts(value) and _each(value.values(), list),
    ),
    "Mapping[str, Mapping[str, Any]]": (
        "a mapping from text to mappings",
        lambda value: isinstance(value, Mapping) and _texts(value) and _each(value.values(), Mapping),
    ),
}

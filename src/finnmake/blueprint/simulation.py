"""`mock` of a blueprint: how slow the backend of that name is, and how often its builds fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnmake.blueprint import reading, schema
from finnmake.blueprint.document import Item
from finnmake.blueprint.problems import Problems
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError

_NUMBER = FieldType("float")


def read_mock(item: Item, problems: Problems) -> dict[str, Any]:
    """`{delay: SECONDS, failures: {CATEGORY: RATE}}`, as far as it is written; what is wrong is noted."""
    entries: Mapping[str, Item] = {}
    with problems.collecting():
        entries = reading.read_mapping(item)
    found: dict[str, Any] = {}
    for key, entry in entries.items():
        with problems.collecting():
            if key == "delay" and entry.value is not None:
                found[key] = reading.read_number(entry, _NUMBER, schema.BOUNDS[key])
            elif key == "failures":
                found[key] = _failures(entry, problems)
    return {key: value for key, value in found.items() if value}


def _failures(item: Item, problems: Problems) -> dict[str, float]:
    """Category -> the part of the builds that fails with it. Raises BlueprintError."""
    rates = {}
    for category, entry in reading.read_mapping(item).items():
        with problems.collecting():
            if category not in schema.MOCK_FAILURES:
                raise reading.unknown_key(entry, category, schema.MOCK_FAILURES)
            if entry.value is not None:
                rates[category] = reading.read_number(entry, _NUMBER, schema.BOUNDS["failures"])
    if sum(rates.values()) > 1:
        raise BlueprintError(
            f"the rates add up to {sum(rates.values()):g}",
            where=item.where,
            cure="All builds together are 1: lower one of them.",
        )
    return rates

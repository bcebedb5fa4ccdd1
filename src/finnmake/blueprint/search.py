"""`search`, `constraints`, `objectives` and `limits` of a blueprint: how its design space is explored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from finnmake.blueprint import reading, schema, tables
from finnmake.blueprint.document import Item, keyed
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.problems import Problems
from finnmake.blueprint.space import SearchConfig
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError

if TYPE_CHECKING:
    from finnmake.blueprint.expressions import Expression

_NUMBER = FieldType("int")
_FLAG = FieldType("bool")
_STRATEGY = FieldType("enum", choices=schema.STRATEGIES)
_DIRECTION = FieldType("enum", choices=schema.DIRECTIONS)

#: Key of `search` -> type of its value; its name in `SearchConfig` where that is another.
_TYPES = {
    "strategy": _STRATEGY,
    "samples": _NUMBER,
    "seed": _NUMBER,
    "max_builds": _NUMBER,
    "max_combinations": _NUMBER,
    "fail_fast": _FLAG,
    "early_stop": _FLAG,
    "timeout": _NUMBER,
}
_NAMES = {"timeout": "timeout_seconds"}


def read_search(item: Item, problems: Problems) -> SearchConfig:
    """How the space is explored; unknown keys were refused before, what else is wrong is noted."""
    found: dict[str, Any] = {}
    entries: Mapping[str, Item] = {}
    with problems.collecting():
        entries = reading.read_mapping(item)
    for key, entry in entries.items():
        if key in _TYPES and entry.value is not None:
            with problems.collecting():
                found[_NAMES.get(key, key)] = _setting(key, entry)
    with problems.collecting():
        _check_samples(item, entries)
    return SearchConfig(**found)


def _setting(key: str, item: Item) -> Any:
    bound = schema.BOUNDS.get(key)
    return (
        reading.read_value(item, _TYPES[key])
        if bound is None
        else reading.read_number(item, _TYPES[key], bound)
    )


def _check_samples(item: Item, entries: Mapping[str, Item]) -> None:
    """Samples are for a random search, and it needs them."""
    strategy, samples = (
        entry if entry is not None and entry.value is not None else None
        for entry in (entries.get("strategy"), entries.get("samples"))
    )
    random = strategy is not None and strategy.value == "random"
    if random and samples is None:
        raise BlueprintError(
            "a random search needs the number of samples",
            where=keyed(item.where, "search.samples"),
            cure="Write `samples: 100`.",
        )
    if samples is not None and not random:
        raise BlueprintError(
            "samples are for a random search only",
            where=samples.key_where,
            cure="Write `strategy: random`, or take the samples out; max_builds limits any search.",
        )


def read_expressions(
    item: Item, known: Collection[str], what: str, problems: Problems
) -> tuple[Expression, ...]:
    """The expressions of a list, over the names `known`, each of which is a `what`.

    Of these names only the fields that are true or false can be a condition by themselves.
    """
    from finnmake.blueprint.expressions import Expression  # many blueprints have none

    kinds = {name: tables.config_field(name) for name in known}
    truths = [name for name, kind in kinds.items() if kind is not None and kind.type == "bool"]
    found = []
    with problems.collecting():
        for child in reading.read_list(item):
            with problems.collecting():
                text = reading.read_value(child, schema.TEXT)
                found.append(Expression.read(text, child.where, known, what, truths))
    return tuple(found)


def read_objectives(item: Item, problems: Problems) -> tuple[tuple[str, str], ...]:
    """(metric, `max` or `min`) in the written order."""
    found = []
    with problems.collecting():
        entries = reading.read_mapping(item)
        if not entries:
            raise BlueprintError(
                "there is no objective",
                where=item.where,
                cure="Write one, e.g. `throughput: max`, or no key.",
            )
        for metric, entry in entries.items():
            with problems.collecting():
                _check_metric(metric, entry)
                found.append((metric, reading.read_value(entry, _DIRECTION)))
    return tuple(found)


def _check_metric(name: str, item: Item) -> None:
    if name not in schema.METRICS:
        cure = did_you_mean(name, schema.METRICS) or f"There are {', '.join(schema.METRICS)}."
        raise BlueprintError(f"unknown metric {name!r}", where=item.key_where, cure=cure)

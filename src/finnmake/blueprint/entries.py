"""Steps and transforms of a blueprint -> slots: names, parameters, optional ones, branches, sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from math import prod
from typing import Any, NamedTuple

from finnmake.blueprint import reading, schema
from finnmake.blueprint.context import Context, refuse_many
from finnmake.blueprint.document import Item
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.parameters import check_parameters
from finnmake.blueprint.slots import Slot
from finnmake.errors import BlueprintError

#: Stands before the name of what is optional; alone, and like null, for nothing.
OPTIONAL = "~"

#: Entries of all alternatives of one place together.
_MOST_ENTRIES = 1_000_000

#: What an alternative is: entries one after the other.
_Sequence = tuple[Any, ...]


class EntryReader(NamedTuple):
    """Reads the entries of one list.

    Attributes:
        context: of this reading.
        slot_kind: `step` or `transform`.
        kind: of the names: `step`, `transform` or `analysis`.
        name_key: the key of the name where there are parameters: `step` or `name`.
        stages: named stages that may stand among the entries; `None` where none may.
    """

    context: Context
    slot_kind: str
    kind: str
    name_key: str
    stages: Sequence[str] | None = None

    def slots(self, items: Sequence[Item], name: str = "") -> list[Slot]:
        """A slot for each item; what is wrong is noted in the context."""
        slots = []
        for item in items:
            with self.context.problems.collecting():
                count, entries = _weigh(item)
                refuse_many(count, item, "alternatives")
                if entries > _MOST_ENTRIES:
                    raise BlueprintError(
                        f"{entries:,} entries in all alternatives together",
                        where=item.where,
                        cure=f"At one place there may be {_MOST_ENTRIES:,}.",
                    )
                slots.append(Slot(self.slot_kind, name, self._place(item), item.where.key or ""))
        return slots

    def _place(self, item: Item) -> tuple[_Sequence, ...]:
        """The alternatives of an item of a list. Raises BlueprintError."""
        if _is_nothing(item):
            raise BlueprintError(
                "nothing (~) stands for an alternative only",
                where=item.where,
                cure=f"Write it into a branch, e.g. [my_{self.kind}, ~], or take it out.",
            )
        if isinstance(item.value, list):
            return self._branch(item)
        if isinstance(item.value, str) and item.value.startswith(OPTIONAL):
            return (self._alone(item, item.value.removeprefix(OPTIONAL)),), ()
        return tuple((entry,) for entry in self._entries(item))

    def _branch(self, item: Item) -> tuple[_Sequence, ...]:
        if not item.value:
            raise BlueprintError(
                "the branch has no alternatives", where=item.where, cure="Write one, or take it out."
            )
        return self.context.distinct(item.value, self._alternatives, "among the alternatives")

    def _alternatives(self, item: Item) -> tuple[_Sequence, ...]:
        """What an item of a branch adds to it. Raises BlueprintError."""
        if _is_nothing(item):
            return ((),)
        if not isinstance(item.value, list):
            return self._place(item)
        if not item.value:
            raise BlueprintError(
                "the sequence is empty", where=item.where, cure="Write ~ for nothing, or take it out."
            )
        places = []
        for child in item.value:
            with self.context.problems.collecting():
                places.append(self._place(child))
        if len(places) < len(item.value):
            return ()  # what is left would say less than was weighed
        return tuple(tuple(chain.from_iterable(parts)) for parts in product(*places))

    def _entries(self, item: Item) -> list[Any]:
        """The entry with all values of its parameters. Raises BlueprintError."""
        if isinstance(item.value, str):
            return [self._alone(item, item.value)]
        if not isinstance(item.value, dict):
            raise reading.wrong(
                item, f"the name of a {self.kind}, or {{{self.name_key}: ..., parameters: {{...}}}}"
            )
        if self.name_key in item.value:
            return self._entries_with_parameters(item)
        if self.stages is not None and "stage" in item.value:
            return [self._stage(item, self.stages)]
        raise self._unnamed(item)

    def _alone(self, item: Item, name: str) -> str:
        """A name without parameters. Raises BlueprintError where it leads nowhere, or needs some."""
        self.context.checked_name(item, self.kind, name)
        check_parameters(self.context.known, self.kind, name, item, {})
        return name

    def _unnamed(self, item: Item) -> BlueprintError:
        operation = next((key for key in schema.OPERATIONS if key in item.value), None)
        if operation is not None and self.stages is not None:
            return BlueprintError(
                f"the operation {operation!r} inside a branch or another operation",
                where=item.where,
                cure="Write it as an item of design_space.steps itself.",
            )
        return BlueprintError(
            f"the key {self.name_key!r} is missing",
            where=item.where,
            cure=f"Name the {self.kind}: `{self.name_key}: ...`.",
        )

    def _stage(self, item: Item, stages: Sequence[str]) -> dict[str, str]:
        for key, entry in item.value.items():
            if key != "stage":
                raise reading.unknown_key(entry, key, ("stage",))
        named = item.value["stage"]
        stage: str = reading.read_value(named, schema.TEXT)
        if stage not in stages:
            raise BlueprintError(
                f"there is no stage {stage!r} to stand here",
                where=named.where,
                cure=did_you_mean(stage, stages) or f"Write its transforms: design_space.transforms.{stage}.",
            )
        return {"stage": stage}

    def _entries_with_parameters(self, item: Item) -> list[Any]:
        named = item.value[self.name_key]
        name = self.context.checked_name(named, self.kind, reading.read_value(named, schema.TEXT))
        reaction = self._reaction(item)
        parameters = _parameters(item, self.name_key, self._other_keys)
        check_parameters(self.context.known, self.kind, name, item, parameters)
        axes = [self._values(entry) for entry in parameters.values()]
        combinations = (dict(zip(parameters, values, strict=True)) for values in product(*axes))
        return [
            {self.name_key: name, **({"parameters": values} if values else {}), **reaction}
            if values or reaction
            else name
            for values in combinations
        ]

    @property
    def _other_keys(self) -> tuple[str, ...]:
        """Keys beside name and parameters."""
        return (schema.ON_ERROR,) if self.kind == "transform" else ()

    def _reaction(self, item: Item) -> dict[str, str]:
        """What happens where the transform fails, if that is not the default. Raises BlueprintError."""
        said = item.value.get(schema.ON_ERROR) if self.kind == "transform" else None
        if said is None or said.value is None:
            return {}
        reaction: str = reading.read_value(said, schema.REACTION)
        return {} if reaction == schema.FAIL else {schema.ON_ERROR: reaction}

    def _values(self, item: Item) -> tuple[Any, ...]:
        """The values of a parameter: those of a list, or the one. Raises BlueprintError."""
        if not isinstance(item.value, list):
            return (item.plain(),)
        if not item.value:
            raise BlueprintError(
                "the axis has no values",
                where=item.where,
                cure="Write one; a parameter that is a list: [[]].",
            )
        return self.context.distinct(item.value, lambda child: [child.plain()], "on the axis")


def _is_nothing(item: Item) -> bool:
    return item.value is None or item.value == OPTIONAL


def _parameters(item: Item, name_key: str, other_keys: Sequence[str]) -> Mapping[str, Item]:
    """The keyword arguments of an entry; those of a step may also stand beside its name."""
    entries = {key: entry for key, entry in item.value.items() if key not in (name_key, *other_keys)}
    below = entries.pop("parameters", None)
    parameters = {} if below is None else dict(reading.read_mapping(below))
    for key, entry in entries.items():
        if name_key != "step":
            raise reading.unknown_key(entry, key, (name_key, "parameters", *other_keys))
        if key in parameters:
            raise BlueprintError(
                f"the parameter {key!r} is given twice", where=entry.key_where, cure="Keep one of the two."
            )
        parameters[key] = entry
    return parameters


def _weigh(item: Item, inside: bool = False) -> tuple[int, int]:
    """(alternatives, entries in all of them) of an item of a list, or `inside` a branch."""
    if _is_nothing(item):
        return 1, 0
    if isinstance(item.value, str):
        return (2, 1) if item.value.startswith(OPTIONAL) else (1, 1)
    if isinstance(item.value, dict):
        count = prod(map(_length, _parameter_items(item)))
        return count, count
    if not isinstance(item.value, list):
        return 1, 1
    weights = [_weigh(child, inside=not inside) for child in item.value]
    if not inside:
        return max(1, sum(count for count, _ in weights)), sum(entries for _, entries in weights)
    count, entries = 1, 0
    for own_count, own_entries in weights:
        count, entries = count * own_count, entries * own_count + own_entries * count
        if count > _MOST_ENTRIES:
            break  # enough to refuse it; the numbers would only grow
    return count, entries


def _parameter_items(item: Item) -> Iterator[Item]:
    for key, entry in item.value.items():
        if key == "parameters" and isinstance(entry.value, dict):
            yield from entry.value.values()
        else:
            yield entry


def _length(item: Item) -> int:
    return max(1, len(item.value)) if isinstance(item.value, list) else 1

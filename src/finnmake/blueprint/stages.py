"""`design_space.transforms`: stages before, among and after the steps, and where those among them stand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from finnmake.blueprint import reading, schema, tables
from finnmake.blueprint.context import Context
from finnmake.blueprint.document import Item
from finnmake.blueprint.entries import EntryReader
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.slots import TRANSFORM, Slot, entry_name
from finnmake.errors import BlueprintError, Location

#: Names of other things in constraints.
_TAKEN = ("steps",)


def read_stages(item: Item, context: Context) -> dict[str, Item]:
    """Stage -> its entries, in the written order; names that cannot be one are noted in the context."""
    entries: Mapping[str, Item] = {}
    found = {}
    with context.problems.collecting():
        entries = reading.read_mapping(item)
    for stage, entry in entries.items():
        with context.problems.collecting():
            found[stage] = entry
            _check_stage_name(stage, entry)
    return found


def _check_stage_name(stage: str, item: Item) -> None:
    if not schema.NAME.fullmatch(stage):
        raise BlueprintError(
            f"{stage!r} cannot be the name of a stage",
            where=item.key_where,
            cure="Use letters, digits, '_' and '-' only.",
        )
    if stage in _TAKEN or tables.config_field(stage) is not None or stage in tables.kernel_names():
        raise BlueprintError(
            f"{stage!r} cannot be the name of a stage: constraints mean something else by it",
            where=item.key_where,
            cure="Take another name.",
        )


def read_transforms(stages: Mapping[str, Item], context: Context) -> list[Slot]:
    """The entries of all stages; what is wrong is noted in the context."""
    slots = []
    for stage, item in stages.items():
        kind = schema.STAGES.get(stage, "transform")
        with context.problems.collecting():
            items = reading.read_list(item)
            found = EntryReader(context, TRANSFORM, kind, "name").slots(items, stage)
            slots += found
            if kind == "analysis":
                _check_analyses(found, items, context)
    return slots


def _check_analyses(slots: Sequence[Slot], items: Sequence[Item], context: Context) -> None:
    """Note the analyses that one combination could hold twice: the second would overwrite the first."""
    places = {item.where.key: item.where for item in items}
    seen: dict[str, Location] = {}
    for slot in slots:
        where = places[slot.key]
        counts: Counter[str] = Counter()
        for option in slot.options:
            counts |= Counter(map(entry_name, option))
        for name, count in counts.items():
            with context.problems.collecting():
                if count > 1 or name in seen:
                    first = f", first in {_line(seen[name])}" if name in seen else ""
                    raise BlueprintError(
                        f"one configuration could hold the analysis {name!r} twice{first}: "
                        f"both would write postprocessing/{name}.json",
                        where=where,
                        cure="Keep one of the two, or make them alternatives of one branch.",
                    )
        seen = dict.fromkeys(counts, where) | seen


def _line(where: Location) -> str:
    return f"{where.path}:{where.line}"


def all_stages(written: Iterable[str]) -> tuple[str, ...]:
    """The stages in the written order, and those that always are."""
    first, last = schema.STAGES
    stages = list(written)
    before = [] if first in stages else [first]
    after = [] if last in stages else [last]
    return *before, *stages, *after


def check_places(stages: Mapping[str, Item], steps: Sequence[Slot], context: Context) -> None:
    """Note the named stages that stand nowhere among the steps, or more than once in some combination."""
    for stage, item in stages.items():
        if stage in schema.STAGES:
            continue
        counts = [
            max(option.count({"stage": stage}) for option in slot.options) for slot in steps if slot.options
        ]
        with context.problems.collecting():
            if not any(counts):
                near = did_you_mean(stage, schema.STAGES)
                raise BlueprintError(
                    f"the stage {stage!r} stands nowhere among the steps",
                    where=item.key_where,
                    cure=f"{near} Else write {{stage: {stage}}} into design_space.steps.".strip(),
                )
            if sum(counts) > 1:
                raise BlueprintError(
                    f"the stage {stage!r} stands more than once among the steps",
                    where=item.key_where,
                    cure="Keep one of its places, or write a stage for each.",
                )

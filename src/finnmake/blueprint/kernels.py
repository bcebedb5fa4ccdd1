"""`design_space.kernels`: which backends FINN's hardware layers get, and attributes of their nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any

from finnmake.blueprint import brainsmith_steps, reading, schema, tables
from finnmake.blueprint.context import Context, refuse_many
from finnmake.blueprint.document import Item
from finnmake.blueprint.fields import is_axis
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.slots import KERNEL, Slot, entry_name
from finnmake.blueprint.tables import FieldType
from finnmake.errors import BlueprintError

#: Types of node attributes in ONNX -> types of values.
_TYPES = {
    "int": FieldType("int"),
    "float": FieldType("float"),
    "str": FieldType("str"),
    "ints": FieldType("list", item=FieldType("int")),
    "floats": FieldType("list", item=FieldType("float")),
    "strings": FieldType("list", item=FieldType("str")),
}

#: Backends in order of priority; empty for FINN's own choice.
_Priority = tuple[str, ...]


def read_kernels(item: Item, context: Context) -> list[Slot]:
    """The kernels in the written order; what is wrong is noted in the context."""
    slots: dict[str, Slot] = {}
    with context.problems.collecting():
        for name, named, spec in _written(item, context):
            with context.problems.collecting():
                if name in slots:
                    raise BlueprintError(
                        f"the kernel {name!r} is given twice",
                        where=named.key_where,
                        cure="Keep one of the two.",
                    )
                _check_kernel(name, named)
                slots[name] = Slot(KERNEL, name, _options(name, spec, context), named.where.key or name)
    return list(slots.values())


def check_read(item: Item, kernels: Sequence[Slot], steps: Sequence[Slot], context: Context) -> None:
    """Raises BlueprintError where kernels are given, and no combination has the step that reads them.

    A kernel by its name alone is FINN's choice, which FINN takes without that step too.
    """
    said = any(option["backends"] or option["attributes"] for slot in kernels for option in slot.options)
    names = {entry_name(entry) for slot in steps for option in slot.options for entry in option}
    readers = (tables.SPECIALIZE_STEP, brainsmith_steps.SPECIALIZE_STEP)
    if said and all(context.known.find("step", name) not in readers for name in names):
        step = tables.SPECIALIZE_STEP.rpartition(":")[2]
        raise BlueprintError(
            f"nothing would read the kernels: {step} stands nowhere among the steps",
            where=item.key_where,
            cure=f"Add {step} to design_space.steps, or take the kernels out.",
        )


def _written(item: Item, context: Context) -> Iterator[tuple[str, Item, Item]]:
    """(name, where it stands, what is said of it) of each kernel. Raises BlueprintError."""
    if not isinstance(item.value, list):
        yield from ((name, entry, entry) for name, entry in reading.read_mapping(item).items())
        return
    for child in item.value:
        with context.problems.collecting():
            if isinstance(child.value, str):
                yield child.value, child, Item(None, child.where, child.key_where)
            elif isinstance(child.value, dict) and len(child.value) == 1:
                ((name, entry),) = child.value.items()
                yield name, entry, entry
            else:
                raise reading.wrong(child, "the name of a kernel, or {KERNEL: its backends}")


def _check_kernel(name: str, item: Item) -> None:
    known = tuple(tables.kernel_names())
    if name not in known:
        cure = did_you_mean(name, known) or f"FINN's kernels are {', '.join(sorted(known))}."
        raise BlueprintError(f"unknown kernel {name!r}", where=item.key_where, cure=cure)


def _options(kernel: str, item: Item, context: Context) -> tuple[dict[str, Any], ...]:
    """The options of a kernel, its attributes varying fastest. Raises BlueprintError."""
    entries: Mapping[str, Item] = {}
    if isinstance(item.value, dict):
        entries = item.value
        backends = _chosen(kernel, item, context)
    else:
        backends = [() if item.value is None else _priority(kernel, item, context)]
    attributes = _attributes(kernel, entries.get("attributes"), backends, context)
    refuse_many(len(backends) * prod(map(len, attributes.values())), item, "alternatives")
    return tuple(
        {"backends": list(priority), "attributes": dict(zip(attributes, values, strict=True))}
        for priority in backends
        for values in product(*attributes.values())
    )


def _chosen(kernel: str, item: Item, context: Context) -> list[_Priority]:
    """The alternatives of a spec with keys: those of `choose`, or the one of `priority`, or FINN's choice."""
    entries = item.value
    for key, entry in entries.items():
        if key not in schema.KERNEL_KEYS:
            raise reading.unknown_key(entry, key, schema.KERNEL_KEYS)
    choose, priority = (_present(entries, key) for key in ("choose", "priority"))
    if choose is not None and priority is not None:
        raise BlueprintError(
            "both choose and priority",
            where=priority.key_where,
            cure="Write priorities into choose, as lists.",
        )
    if priority is not None:
        if not isinstance(priority.value, list):
            raise reading.wrong(priority, "a list of backends in order of priority")
        return [_priority(kernel, priority, context)]
    if choose is None:
        return [()]
    if not isinstance(choose.value, list) or not choose.value:
        raise reading.wrong(choose, "a list of backends, or of lists of them in order of priority")
    found = context.distinct(
        choose.value, lambda child: [_priority(kernel, child, context)], "among the alternatives"
    )
    return list(found)


def _present(entries: Mapping[str, Item], key: str) -> Item | None:
    entry = entries.get(key)
    return None if entry is None or entry.value is None else entry


def _priority(kernel: str, item: Item, context: Context) -> _Priority:
    """One backend, or a list of them in order of priority. Raises BlueprintError."""
    if isinstance(item.value, list):
        if not item.value:
            raise reading.wrong(item, "at least one backend")
        return context.distinct(item.value, lambda child: [_backend(kernel, child)], "in the list")
    return (_backend(kernel, item),)


def _backend(kernel: str, item: Item) -> str:
    known = tables.kernel_backends(kernel)
    if not isinstance(item.value, str):
        raise reading.wrong(item, f"a backend: {' or '.join(known)}")
    if item.value not in known:
        cure = did_you_mean(item.value, known) or f"It has {' and '.join(known)}."
        raise BlueprintError(
            f"the kernel {kernel} has no backend {item.value!r}", where=item.where, cure=cure
        )
    return item.value


def _attributes(
    kernel: str, item: Item | None, backends: list[_Priority], context: Context
) -> dict[str, tuple[Any, ...]]:
    """Attribute -> its values. What is wrong is noted in the context."""
    found: dict[str, tuple[Any, ...]] = {}
    for name, entry in ({} if item is None else reading.read_mapping(item)).items():
        with context.problems.collecting():
            found[name] = _attribute(kernel, name, entry, backends, context)
    return found


def _attribute(
    kernel: str, name: str, item: Item, backends: list[_Priority], context: Context
) -> tuple[Any, ...]:
    attribute = tables.kernel_attribute(kernel, name)
    if attribute is None:
        if name in tables.FOLDING_ATTRIBUTES:
            raise BlueprintError(
                f"{name} is folding, which comes after the kernels",
                where=item.key_where,
                cure="Set target_fps or folding_config_file below design_space.config.",
            )
        known = tuple(tables.kernel_attributes(kernel))
        cure = did_you_mean(name, known) or f"It has {', '.join(sorted(known)) or 'none that can be set'}."
        raise BlueprintError(
            f"the kernel {kernel} has no attribute {name!r} that can be chosen",
            where=item.key_where,
            cure=cure,
        )
    named = {backend for priority in backends for backend in priority}
    if named and not named & set(attribute.backends):
        raise BlueprintError(
            f"{' and '.join(sorted(named))} has no attribute {name!r}",
            where=item.key_where,
            cure=f"Only {' and '.join(attribute.backends)} has it.",
        )
    kind = _TYPES[attribute.type]
    if attribute.choices:
        kind = FieldType("enum", choices=attribute.choices)  # type: ignore[arg-type]
    if not is_axis(item, kind.depth):
        return (reading.read_value(item, kind),)
    if not item.value:
        raise BlueprintError(
            "the axis has no values", where=item.where, cure="Write one, or take the key out."
        )
    return context.distinct(item.value, lambda child: [reading.read_value(child, kind)], "on the axis")

"""Step operations: `{after: X, insert: …}` and the like, applied to a list of steps as it is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from finnmake.blueprint import reading, schema
from finnmake.blueprint.document import Item, shortened
from finnmake.blueprint.entries import OPTIONAL
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.problems import Problems
from finnmake.errors import BlueprintError

#: What `design_space.steps` says for FINN's own list.
DEFAULT = "default"

#: So many places are shown of a target that stands in more.
_SHOWN = 3

#: Steps that lists and operations may make together; operations could double them again and again.
_MOST_STEPS = 100_000


def resolve_steps(
    layers: Sequence[Item], default: Callable[[], list[Item]], problems: Problems
) -> list[Item]:
    """The list of steps of a blueprint and those that it extends.

    Args:
        layers: `design_space.steps` of each file that writes it, the oldest first.
        default: gives FINN's own list; called where the steps are based on it.
        problems: notes what is wrong.
    """
    base: list[Item] | None = None
    waiting: list[Item] = []
    for layer in layers:
        with problems.collecting():
            if layer.value in (None, DEFAULT):
                base, waiting = None, []
                continue
            if not isinstance(layer.value, list):
                raise reading.wrong(layer, f"`{DEFAULT}` or a list of steps")
            operations = [item for item in layer.value if is_operation(item)]
            plain = [item for item in layer.value if not is_operation(item)]
            if (named := next((item for item in plain if item.value == DEFAULT), None)) is not None:
                base, waiting = [], []  # nothing more is to be said of the list
                raise BlueprintError(
                    f"{DEFAULT!r} is no step, and cannot stand in a list",
                    where=named.where,
                    cure="Take it out: a list of operations alone starts from the default steps.",
                )
            if plain or not operations:
                base, waiting = plain, []
            waiting = [*waiting, *operations]
    steps = default() if base is None else list(base)
    for operation in waiting:
        with problems.collecting():
            steps = _applied(operation, steps)
    return steps


def is_operation(item: Item) -> bool:
    """Whether an item of a list of steps changes the list."""
    if not isinstance(item.value, dict) or "step" in item.value or "stage" in item.value:
        return False
    return any(key in item.value for key in schema.OPERATIONS)


def _applied(item: Item, steps: list[Item]) -> list[Item]:
    """The list after one operation. Raises BlueprintError."""
    name = next(key for key in schema.OPERATIONS if key in item.value)
    if name in ("at_start", "at_end"):
        _check_keys(item, (name,))
        inner = item.value[name]
        if not isinstance(inner.value, dict):
            raise reading.wrong(inner, "{insert: ...}")
        _check_keys(inner, ("insert",))
        new = _content(inner, "insert")
        changed = [*new, *steps] if name == "at_start" else [*steps, *new]
    else:
        changed = _at_target(item, name, steps)
    if len(changed) > _MOST_STEPS:
        raise BlueprintError(f"more than {_MOST_STEPS:,} steps", where=item.where)
    return changed


def _at_target(item: Item, name: str, steps: list[Item]) -> list[Item]:
    content_key = schema.OPERATIONS[name]
    _check_keys(item, (name, content_key) if content_key else (name,))
    new = _content(item, content_key) if content_key else []
    at = _find(item.value[name], steps)
    first, last = {"after": (at + 1, at + 1), "before": (at, at)}.get(name, (at, at + 1))
    return [*steps[:first], *new, *steps[last:]]


def _check_keys(item: Item, keys: Sequence[str]) -> None:
    for key, entry in item.value.items():
        if key not in keys:
            raise reading.unknown_key(entry, key, keys)


def _content(item: Item, key: str) -> list[Item]:
    """What is put into the list: one item, or those of a list one after the other."""
    content = item.value.get(key)
    if content is None or content.value in (None, []):
        raise BlueprintError(
            f"the key {key!r} is missing" if content is None else "there is nothing to put there",
            where=item.where if content is None else content.where,
            cure=f"Write a step, or a list of steps: `{key}: my_step`.",
        )
    return content.value if isinstance(content.value, list) else [content]


def _find(target: Item, steps: Sequence[Item]) -> int:
    """The place of the only item that a target names. Raises BlueprintError."""
    if not isinstance(target.value, (str, list)) or not target.value:
        raise reading.wrong(
            target, "the name of a step or stage in the list, or a branch as it is written there"
        )
    found = [at for at, item in enumerate(steps) if _is_meant(item, target)]
    if not found:
        raise _absent(target, steps)
    if len(found) > 1:
        places = " and ".join(_place(steps[at]) for at in found[:_SHOWN])
        raise BlueprintError(
            f"{_shown(target)} stands {len(found)} times in the list of steps: {places}",
            where=target.where,
            cure="Write the list out.",
        )
    return found[0]


def _is_meant(item: Item, target: Item) -> bool:
    if isinstance(target.value, str):
        return target.value in _names(item)
    return isinstance(item.value, list) and _spelled(item) == _spelled(target)


def _names(item: Item) -> tuple[str, ...]:
    """What an item that is no branch may be called; of an optional one the name with and without its mark."""
    if isinstance(item.value, str):
        return item.value, item.value.removeprefix(OPTIONAL)
    named = item.value.get("step") or item.value.get("stage") if isinstance(item.value, dict) else None
    return (named.value,) if named is not None and isinstance(named.value, str) else ()


def _spelled(item: Item) -> Any:
    """The value, with one spelling for nothing."""
    if isinstance(item.value, list):
        return [_spelled(child) for child in item.value]
    return None if item.value == OPTIONAL else item.plain()


def _absent(target: Item, steps: Sequence[Item]) -> BlueprintError:
    inside = [item for item in steps if isinstance(item.value, list) and target.value in _inside(item)]
    if inside:
        return BlueprintError(
            f"{_shown(target)} stands inside the branch in {_place(inside[0])} only",
            where=target.where,
            cure="Name the whole branch as it is written there.",
        )
    known = {name: None for item in steps for name in (*_names(item), *_inside(item))}
    nearest = did_you_mean(target.value, known) if isinstance(target.value, str) else ""
    return BlueprintError(
        f"{_shown(target)} does not stand in the list of steps",
        where=target.where,
        cure=nearest or f"The list is {shortened(', '.join(map(_brief, steps)), 300) or 'empty'}.",
    )


def _inside(item: Item) -> Iterator[str]:
    """The names in a branch, however deep."""
    for child in item.value if isinstance(item.value, list) else ():
        yield from _names(child)
        yield from _inside(child)


def _shown(target: Item) -> str:
    return shortened(repr(target.value) if isinstance(target.value, str) else _written(target.plain()))


def _brief(item: Item) -> str:
    names = _names(item)
    return names[0] if names else shortened(_written(item.plain()))


def _written(value: Any) -> str:
    """A value as a blueprint holds it."""
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(entry)}' for key, entry in value.items())}}}"
    return OPTIONAL if value is None else str(value)


def _place(item: Item) -> str:
    return f"{item.where.path}:{item.where.line}"

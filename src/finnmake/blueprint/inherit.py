"""`extends`: a blueprint and those that it extends, merged; every value keeps its own place."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

from finnmake.blueprint import reading, schema
from finnmake.blueprint.document import Item, keyed, read_document
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.paths import BlueprintPaths
from finnmake.errors import BlueprintError, Location

#: More blueprints than any extends, one after the other.
_LONGEST_CHAIN = 20

#: Bytes of a blueprint and those that it extends together; more are not read.
_MOST_BYTES = 1 << 20

#: A variable in `extends`.
_VARIABLE = re.compile(r"\$\{([^{}]*)\}")

#: Below these, keys of which a value has one only: the child's takes the place of the other.
_VALUES = ("design_space.config.", "design_space.kernels.")
_EITHER = (("step", "factor"), ("choose", "priority"))

#: Where a backend, or a list of them, is short for `{priority: [...]}`.
_KERNEL = re.compile(r"design_space\.kernels\.[^.\[\]]+")


class Chain(NamedTuple):
    """A blueprint and those that it extends.

    Attributes:
        files: the root of each file, the blueprint's own first.
        paths: with the folder of each file.
    """

    files: tuple[Item, ...]
    paths: BlueprintPaths

    def merged(self) -> Item:
        """One root: mappings merged key by key, lists and scalars the child's, without `name` of a parent."""
        merged = self.files[-1]
        for child in reversed(self.files[:-1]):
            parent = {key: item for key, item in merged.value.items() if key != "name"}
            merged = _merged(merged._replace(value=parent), child)
        return merged

    def steps(self) -> tuple[Item, ...]:
        """`design_space.steps` of each file that writes it, the oldest first; null where it takes all out."""
        found = []
        for root in reversed(self.files):
            space = root.value.get("design_space")
            if space is not None and space.value is None:
                where = keyed(space.where, "design_space.steps")
                found.append(Item(None, where, where))
            elif space is not None and isinstance(space.value, dict) and "steps" in space.value:
                found.append(space.value["steps"])
        return tuple(found)


def read_chain(paths: BlueprintPaths, variables: Collection[str]) -> Chain:
    """The blueprint's file and those that it extends.

    Args:
        paths: where the blueprint lies.
        variables: names of environment variables that `extends` may use.

    Raises:
        BlueprintError: a file cannot be read or is no YAML, or the chain comes back to itself.
    """
    files: list[Item] = []
    folders: dict[Path, Path] = {}
    seen: dict[Path, Location] = {}
    path = paths.blueprint
    where = Location()
    left = _MOST_BYTES
    while True:
        name = Location(Path(paths.name(path)))
        data = _read_bytes(path, name, left)
        left -= len(data)
        real = path.resolve()
        if real in seen:
            raise _cycle([*seen.values(), name], where)
        if len(files) == _LONGEST_CHAIN:
            raise BlueprintError(f"more than {_LONGEST_CHAIN} blueprints extend one another", where=where)
        seen[real] = name
        root = read_document(_decoded(data, name), name)
        if not isinstance(root.value, dict):
            raise reading.wrong(root, "a mapping (key: value)")
        files.append(root)
        assert name.path is not None
        folders[name.path] = path.parent
        paths = paths._replace(folders=folders)
        parent = root.value.get("extends")
        if parent is None or parent.value is None:
            return Chain(tuple(files), paths)
        where = parent.where
        path = paths.find(_expanded(parent, variables), where)


def _read_bytes(path: Path, name: Location, most: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise BlueprintError(f"cannot be read: {error.strerror}", where=name) from None
    if len(data) > most:
        raise BlueprintError(
            f"with the blueprints that extend it, it is larger than {_MOST_BYTES >> 20} MiB",
            where=name,
            cure="Name a blueprint: a short YAML file.",
        )
    return data


def _decoded(data: bytes, name: Location) -> str:
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        where = Location(name.path, data.count(b"\n", 0, error.start) + 1)
        raise BlueprintError("this is not UTF-8 text", where=where, cure="Save the file as UTF-8.") from None


def _cycle(names: list[Location], where: Location) -> BlueprintError:
    return BlueprintError(
        f"the blueprints extend one another in a circle: {' -> '.join(str(name.path) for name in names)}",
        where=where,
        cure="Take one `extends` out.",
    )


def _expanded(item: Item, variables: Collection[str]) -> str:
    """The path in `extends`, with `${VAR}` replaced. Raises BlueprintError."""
    text: str = reading.read_value(item, schema.TEXT)
    return _VARIABLE.sub(lambda match: _variable(match[1], item.where, variables), text)


def _variable(name: str, where: Location, variables: Collection[str]) -> str:
    if name not in variables:
        nearest = did_you_mean(name, variables)
        declared = f'Declare it in pyproject.toml: [tool.finnmake] variables = ["{name}"].'
        raise BlueprintError(
            f"the variable {name!r} is not declared",
            where=where,
            cure=f"{nearest} {declared}".strip(),
        )
    if not os.environ.get(name):
        raise BlueprintError(
            f"the environment does not set the variable {name}",
            where=where,
            cure=f"Set it: export {name}=...",
        )
    return os.environ[name]


def _merged(parent: Item, child: Item) -> Item:
    """The child's value over the parent's."""
    parent, child = _long_form(parent, child), _long_form(child, parent)
    if not isinstance(parent.value, dict) or not isinstance(child.value, dict):
        return child
    entries = dict(parent.value)
    for key, item in child.value.items():
        if key not in entries:
            entries[key] = item
        elif item.value is None:
            del entries[key]  # as if it had not been written
        else:
            entries[key] = _merged(entries[key], item)
    for dropped in _displaced(parent, child):
        entries.pop(dropped, None)
    return child._replace(value=entries)


def _long_form(item: Item, other: Item) -> Item:
    """A kernel's backends as its `priority`, where they are merged with a mapping; else the item itself."""
    if not isinstance(other.value, dict) or not _KERNEL.fullmatch(item.where.key or ""):
        return item
    if isinstance(item.value, str):
        return item._replace(value={"priority": item._replace(value=[item])})
    return item._replace(value={"priority": item}) if isinstance(item.value, list) else item


def _displaced(parent: Item, child: Item) -> Iterator[str]:
    if not (child.where.key or "").startswith(_VALUES):
        return
    for pair in _EITHER:
        for own, other in (pair, pair[::-1]):
            if own in child.value and other in parent.value and other not in child.value:
                yield other


def lines(item: Item) -> Iterator[tuple[str, Location]]:
    """(key path, position) of every value below an item."""
    if item.where.key is not None:
        yield item.where.key, item.where
    children = item.value.values() if isinstance(item.value, dict) else item.value
    for child in children if isinstance(item.value, (dict, list)) else ():
        yield from lines(child)

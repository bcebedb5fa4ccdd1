"""YAML text as plain values that know where they stand. Nothing is ever constructed from a tag."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Any, NamedTuple

import yaml

from finnmake.blueprint.problems import Problems
from finnmake.errors import BlueprintError, Location

#: More values than any blueprint needs; stops aliases that multiply ("billion laughs").
_MOST_ITEMS = 100_000

#: More levels than any blueprint needs; libyaml composes them recursively, on the stack of C.
_DEEPEST = 40

#: YAML 1.1 takes `1e6` for text because it has no dot; a reader means the number.
_EXPONENT = re.compile(r"[-+]?\d+[eE][-+]?\d+")

#: Numbers of YAML 1.1 that a reader takes for others: in base 60, and octal ones.
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?")
_OCTAL = re.compile(r"([-+]?)0[0_]*([0-7][0-7_]*)")

#: More than any number needs; of longer ones Python does not write the decimals.
_MOST_BITS = 4096

_TAG = "tag:yaml.org,2002:"

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_Construct = Callable[[yaml.constructor.SafeConstructor, yaml.ScalarNode], Any]


class Item(NamedTuple):
    """One value of a document.

    Attributes:
        value: a JSON scalar, a list of items, or a dict of items by key.
        where: position of the value; its key is the path from the root, e.g. `design_space.steps[0]`.
        key_where: position of the key of a mapping's entry; of anything else that of the value.
    """

    value: Any
    where: Location
    key_where: Location

    def plain(self) -> Any:
        """The value as JSON, without positions."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


def read_document(text: str, name: Location) -> Item:
    """The root of a YAML document.

    Args:
        text: the file's content.
        name: the file, for messages.

    Raises:
        BlueprintError: not YAML, empty, a key twice, or a tag.
    """
    root = _compose(text, name)
    if root is None:
        raise BlueprintError("the file is empty", where=name, cure="Write at least `name` and `model`.")
    reader = _Reader(name)
    item = reader.item(root, "", None)
    reader.problems.raise_any()
    return item


def _compose(text: str, name: Location) -> yaml.Node | None:
    """The node graph. Raises BlueprintError with line and column."""
    try:
        _check_levels(text, name)
        loader = _Loader(text)
        try:
            node: yaml.Node | None = loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, name) from None
    except yaml.reader.ReaderError as error:
        raise _unreadable(error, text, name) from None
    return node


def _check_levels(text: str, name: Location) -> None:
    """Raises BlueprintError where values are nested too deeply, YAMLError where this is not YAML."""
    level = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            level += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            level -= 1
        if level > _DEEPEST:
            raise _too_deep(_marked(event.start_mark, name))


def _too_deep(where: Location) -> BlueprintError:
    return BlueprintError(f"more than {_DEEPEST} levels, one inside the other", where=where)


def _syntax_error(error: yaml.MarkedYAMLError, name: Location) -> BlueprintError:
    mark = error.problem_mark or error.context_mark
    context = f" {error.context}" if error.context else ""
    cure = "Look at the indentation, and for a missing colon, quote or bracket, here and in the line above."
    return BlueprintError(f"this is not YAML: {error.problem}{context}", where=_marked(mark, name), cure=cure)


def _marked(mark: Any, name: Location) -> Location:
    """A position of PyYAML's (0-based, or none) in the file."""
    return name if mark is None else Location(name.path, mark.line + 1, mark.column + 1)


def _unreadable(error: yaml.reader.ReaderError, text: str, name: Location) -> BlueprintError:
    """A character that YAML does not allow; libyaml counts bytes, the Python reader characters."""
    before = text.encode(errors="replace")[: error.position].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return BlueprintError(
        f"this is not YAML: {error.reason}",
        where=Location(name.path, line, column),
        cure="Take the control character out.",
    )


class _Reader:
    """Turns nodes into items, collecting what is wrong."""

    def __init__(self, name: Location) -> None:
        self.name = name
        self.problems = Problems()
        self.constructor = yaml.constructor.SafeConstructor()
        self.open_nodes: set[int] = set()
        self.count = 0

    def item(self, node: yaml.Node, path: str, key_where: Location | None) -> Item:
        """The item of a node at the key path `path`. Raises BlueprintError for a tag, a loop or too much."""
        where = self._at(node, path)
        self.count += 1
        if self.count > _MOST_ITEMS:
            raise BlueprintError(f"more than {_MOST_ITEMS} values", where=where, cure="Use fewer aliases.")
        if len(self.open_nodes) > _DEEPEST:
            raise _too_deep(Location(where.path, where.line, where.column))
        if id(node) in self.open_nodes:
            raise BlueprintError("the alias lies inside its own anchor", where=where)
        self.open_nodes.add(id(node))
        try:
            return Item(self._value(node, path, where), where, key_where or where)
        finally:
            self.open_nodes.discard(id(node))

    def _at(self, node: yaml.Node, path: str) -> Location:
        mark = node.start_mark
        return Location(self.name.path, mark.line + 1, mark.column + 1, path or None)

    def _value(self, node: yaml.Node, path: str, where: Location) -> Any:
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return self._sequence(node, path)
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return self._scalar(node, where)
        raise BlueprintError(
            f"the tag {node.tag.replace(_TAG, '!!')} is not allowed",
            where=where,
            cure="Take the tag out: a blueprint holds plain values only.",
        )

    def _mapping(self, node: yaml.MappingNode, path: str) -> dict[str, Item]:
        items: dict[str, Item] = {}
        for key_node, value_node in node.value:
            if self.count > _MOST_ITEMS:
                break  # said once
            with self.problems.collecting():
                key = self._key(key_node, path)
                below = f"{path}.{key}" if path else key
                key_where = self._at(key_node, below)
                if key in items:
                    first = items[key].key_where.line
                    raise BlueprintError(
                        f"the key {key!r} is already in line {first}",
                        where=key_where,
                        cure="Keep one of the two.",
                    )
                items[key] = self.item(value_node, below, key_where)
        return items

    def _key(self, node: yaml.Node, path: str) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return str(node.value)
        where = self._at(node, path)
        if node.tag == _TAG + "merge":
            raise BlueprintError("merge keys (<<) are not supported", where=where, cure="Write the keys out.")
        raise BlueprintError("a key must be plain text", where=where)

    def _sequence(self, node: yaml.SequenceNode, path: str) -> list[Item]:
        items = []
        for index, child in enumerate(node.value):
            if self.count > _MOST_ITEMS:
                break
            with self.problems.collecting():
                items.append(self.item(child, f"{path}[{index}]", None))
        return items

    def _scalar(self, node: yaml.ScalarNode, where: Location) -> Any:
        try:
            value = _SCALARS[_tag_of(node)](self.constructor, node)
        except (ValueError, KeyError, IndexError, OverflowError):
            kind = _SCALAR_NAMES[node.tag]
            raise BlueprintError(f"{shortened(node.value)!r} is not {kind}", where=where) from None
        if isinstance(value, float) and not isfinite(value):
            raise BlueprintError(f"{shortened(node.value)!r} is not a finite number", where=where)
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise BlueprintError("the number is too large", where=where)
        if type(value) in (int, float):
            _check_notation(node.value, value, where)
        return value


def _check_notation(text: str, value: float, where: Location) -> None:
    """Raises BlueprintError for a number that is written as a time, or with zeros before it."""
    if _SEXAGESIMAL.fullmatch(text):
        base, meant = "60", shortened(str(value))
    elif octal := _OCTAL.fullmatch(text):
        decimal = octal[1].removeprefix("+") + octal[2].replace("_", "")
        base, meant = "8", shortened(decimal)
        if decimal != str(value):
            meant += f" (or {shortened(str(value))}, if base 8 is meant)"
    else:
        return
    raise BlueprintError(
        f"{shortened(text)!r} is a number in base {base}: {shortened(str(value))}",
        where=where,
        cure=f"Write {meant}, or put it in quotes where text is wanted.",
    )


def keyed(where: Location, key: str) -> Location:
    """The same position, of another key: for what is not written there."""
    return Location(where.path, where.line, where.column, key)


def _tag_of(node: yaml.ScalarNode) -> str:
    """The tag, with numbers that YAML 1.1 takes for text."""
    unquoted = node.tag == _TAG + "str" and not node.style
    return _TAG + "float" if unquoted and _EXPONENT.fullmatch(node.value) else str(node.tag)


def shortened(text: str, most: int = 60) -> str:
    """The text for a message, at most so many characters."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _text(_: yaml.constructor.SafeConstructor, node: yaml.ScalarNode) -> str:
    text: str = node.value
    return text


_SafeConstructor = yaml.constructor.SafeConstructor

#: The scalars of JSON by tag; YAML's dates and `=` are text.
_SCALARS: dict[str, _Construct] = {
    _TAG + "null": _SafeConstructor.construct_yaml_null,
    _TAG + "bool": _SafeConstructor.construct_yaml_bool,
    _TAG + "int": _SafeConstructor.construct_yaml_int,
    _TAG + "float": _SafeConstructor.construct_yaml_float,
    _TAG + "str": _text,
    _TAG + "timestamp": _text,
    _TAG + "value": _text,
}

_SCALAR_NAMES = {
    _TAG + "null": "null",
    _TAG + "bool": "true or false",
    _TAG + "int": "a whole number",
    _TAG + "float": "a number",
    _TAG + "str": "text",
    _TAG + "timestamp": "text",
    _TAG + "value": "text",
}

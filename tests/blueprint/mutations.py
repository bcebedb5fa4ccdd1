"""Ways to break a good blueprint: each changes one line, which the error must then name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import yaml

#: Says in a replacement where the error is expected, if not where the replacement begins.
HERE = "§"

#: Keys below which a blueprint is free.
_FREE = ("parameters", "max_bits", "gain", "data", "partitioning_configuration")


@dataclass(frozen=True)
class Case:
    """A broken blueprint: the file's name and text, the line of the mistake, and what was done."""

    file: str
    text: str
    line: int
    what: str


@dataclass(frozen=True)
class Place:
    """A key with its value in a text; an item of a list has the index as key. Nodes are PyYAML's."""

    path: tuple[str, ...]
    key: yaml.Node | None
    value: yaml.Node

    @property
    def is_free(self) -> bool:
        return any(part in _FREE for part in self.path)


def places(text: str) -> Iterator[Place]:
    """All keys and items of a document."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert root is not None
    return _below(root, ())


def _below(node: yaml.Node, path: tuple[str, ...]) -> Iterator[Place]:
    children: list[tuple[str, yaml.Node | None, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        children = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        children = [(str(at), None, value) for at, value in enumerate(node.value)]
    for name, key, value in children:
        yield Place((*path, name), key, value)
        yield from _below(value, (*path, name))


def swap(file: str, text: str, old: str, new: str) -> Case:
    """The only `old` in the text replaced; `HERE` in `new` marks the line of the mistake."""
    assert text.count(old) == 1, f"{old!r} is in {file} {text.count(old)} times"
    before, after = text.split(old)
    marked = before + (new if HERE in new else HERE + new)
    line = marked[: marked.index(HERE)].count("\n") + 1
    return Case(file, before + new.replace(HERE, "") + after, line, f"{old!r} -> {new!r}")


def _changed(file: str, text: str, node: yaml.Node, new: str, what: str) -> Case:
    changed = text[: node.start_mark.index] + new + text[node.end_mark.index :]
    return Case(file, changed, node.start_mark.line + 1, what)


def misspelt_keys(file: str, text: str) -> Iterator[Case]:
    """Every key that means something, with two letters more."""
    for place in places(text):
        if place.key is not None and not place.is_free:
            yield _changed(file, text, place.key, f"{place.key.value}xy", f"misspelt {'.'.join(place.path)}")


def wrong_types(file: str, text: str) -> Iterator[Case]:
    """Every value on one line: a mapping instead of a scalar, a word instead of a mapping or list."""
    for place in places(text):
        node = place.value
        if not place.is_free and node.start_mark.line == node.end_mark.line:
            new = "{wrong: 1}" if isinstance(node, yaml.ScalarNode) else "wrong"
            yield _changed(file, text, node, new, f"{'.'.join(place.path)} is {new}")


def doubled_keys(file: str, text: str) -> Iterator[Case]:
    """Every key that has a line for itself and its value, twice."""
    lines = text.splitlines(keepends=True)
    for place in places(text):
        if place.key is None or place.value.start_mark.line != place.value.end_mark.line:
            continue
        at = place.key.start_mark.line
        if lines[at].strip().startswith(place.key.value):
            doubled = "".join([*lines[: at + 1], *lines[at:]])
            yield Case(file, doubled, at + 2, f"doubled {'.'.join(place.path)}")


def tagged(file: str, text: str, tags: tuple[str, ...]) -> Iterator[Case]:
    """Tags before every value on one line; one after the other, so that each is somewhere."""
    found = [place for place in places(text) if place.value.start_mark.line == place.value.end_mark.line]
    for number, place in enumerate(found):
        node = place.value
        tag = tags[number % len(tags)]
        old = text[node.start_mark.index : node.end_mark.index]
        yield _changed(file, text, node, f"{tag} {old}", f"{tag} at {'.'.join(place.path)}")

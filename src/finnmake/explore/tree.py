"""ExecutionTree: the configurations as a prefix tree over (model, transforms, steps).

A segment is a run of entries without a branch: what lies in it is the same for every configuration below it.
Values of configuration fields are not part of the tree: which of them a step reads is known only when it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from finnmake.hashing import canonical_json, digest_value
from finnmake.records import BuildConfig

#: Hexadecimal digits of a segment's id: 48 bits, so that two of ten thousand do not meet.
_ID_DIGITS = 12

#: The stage of transforms that runs before the steps.
_BEFORE_STEPS = "pre_proc"


@dataclass(frozen=True)
class Segment:
    """A run of entries without a branch.

    Attributes:
        id: digest of the model and all entries from the root to the end of the segment.
        parent_id: the segment before it; `None` at a root.
        model_path: the model that the chain starts from.
        steps: transforms and steps in order, as the configuration holds them.
        config_ids: the configurations whose chain goes through the segment, in their order.
    """

    id: str
    parent_id: str | None
    model_path: str
    steps: tuple[Any, ...]
    config_ids: tuple[str, ...]


@dataclass(frozen=True)
class ExecutionTree:
    """The segments of some configurations; a parent stands before its children.

    Attributes:
        segments: all of them.
        leaves: configuration id -> id of the segment that its chain ends with.
    """

    segments: tuple[Segment, ...]
    leaves: dict[str, str]

    @cached_property
    def by_id(self) -> dict[str, Segment]:
        """Segment id -> segment."""
        return {segment.id: segment for segment in self.segments}

    def path_to(self, segment_id: str) -> list[Segment]:
        """The segments from a root to this one, root first. Raises KeyError for an unknown id."""
        path = []
        above: str | None = segment_id
        while above is not None:
            path.append(self.by_id[above])
            above = path[-1].parent_id
        return path[::-1]


def chain(config: BuildConfig) -> tuple[Any, ...]:
    """Everything that makes a configuration's final model out of its model, in order."""
    return (*config.transforms_by_stage.get(_BEFORE_STEPS, []), *config.build_steps)


def segments(configs: Iterable[BuildConfig]) -> list[Segment]:
    """The segments of the configurations; a parent stands before its children."""
    return list(execution_tree(configs).segments)


def execution_tree(configs: Iterable[BuildConfig]) -> ExecutionTree:
    """The prefix tree of the configurations; their ids must differ."""
    found: list[Segment] = []
    leaves: dict[str, str] = {}
    for model_path, root in _grow(configs).items():
        for segment, ending in _cut(model_path, root):
            found.append(segment)
            leaves.update(dict.fromkeys(ending, segment.id))
    return ExecutionTree(tuple(found), leaves)


@dataclass
class _Node:
    """A place in the tree: what leads on from it, who passes through it and who ends at it."""

    through: list[str] = field(default_factory=list)
    ending: list[str] = field(default_factory=list)
    children: dict[str | bytes, tuple[Any, _Node]] = field(default_factory=dict)

    def child(self, entry: Any) -> _Node:
        """The node behind an entry, made where it is not there yet."""
        key = entry if isinstance(entry, str) else canonical_json(entry)
        if key not in self.children:
            self.children[key] = (entry, _Node())
        return self.children[key][1]


def _grow(configs: Iterable[BuildConfig]) -> dict[str, _Node]:
    """Model -> root of its tree, one entry a node."""
    roots: dict[str, _Node] = {}
    for config in configs:
        node = roots.setdefault(config.model_path, _Node())
        node.through.append(config.id)
        for entry in chain(config):
            node = node.child(entry)
            node.through.append(config.id)
        node.ending.append(config.id)
    return roots


def _cut(model_path: str, root: _Node) -> Iterator[tuple[Segment, list[str]]]:
    """The segments of one tree, each with the configurations that end with it."""
    waiting: list[tuple[str | None, tuple[Any, ...], tuple[Any, ...], _Node]] = [(None, (), (), root)]
    while waiting:
        parent_id, before, run, start = waiting.pop()
        steps, end = _follow(run, start)
        path = (*before, *steps)
        if steps or end.ending:
            segment = Segment(_segment_id(model_path, path), parent_id, model_path, steps, tuple(end.through))
            parent_id = segment.id
            yield segment, end.ending
        waiting.extend((parent_id, path, (entry,), node) for entry, node in reversed(end.children.values()))


def _follow(run: tuple[Any, ...], node: _Node) -> tuple[tuple[Any, ...], _Node]:
    """The run on to the next branch or end of a configuration, and the node there."""
    steps = list(run)
    while len(node.children) == 1 and not node.ending:
        ((entry, node),) = node.children.values()
        steps.append(entry)
    return tuple(steps), node


def _segment_id(model_path: str, path: tuple[Any, ...]) -> str:
    return digest_value("segment", [model_path, path])[:_ID_DIGITS]

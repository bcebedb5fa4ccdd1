"""What a picture of an execution tree shows: its nodes and their words, whatever draws them.

A tree that is too large to be read is drawn in part: at every fork only its first branches, with a line
that says how much is left out.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finnmake.blueprint.slots import entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.tree import ExecutionTree, Segment

#: Steps of a segment that are listed one by one; of more, only the first and the last.
_LISTED_STEPS = 6

#: Characters of a step's parameters that are shown.
_LONGEST_PARAMETERS = 60

#: Lines of a picture, unless all are asked for: about three screens.
_MOST_LINES = 150

_SHARED_FURTHER = (
    "Steps are shared further where configurations differ only in fields that no step before has read; "
    "that is known when they run."
)


@dataclass(frozen=True)
class Detail:
    """How much of a tree is drawn.

    Attributes:
        depth: so many segments down from the model; None for no limit.
        everything: all steps, ids and branches, however long it gets.
    """

    depth: int | None = None
    everything: bool = False


@dataclass(frozen=True)
class Node:
    """One thing in a picture.

    Attributes:
        kind: `model`, `segment`, `leaf` (configurations that end here) or `more` (what is left out here).
        key: unique in the picture.
        title: its first line.
        lines: the others.
        children: what follows it.
    """

    kind: str
    key: str
    title: str
    lines: tuple[str, ...] = ()
    children: tuple[Node, ...] = ()

    def walk(self) -> Iterator[Node]:
        """The node and all below it, a parent before its children."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


def entry_text(entry: Any) -> str:
    """An entry among steps or transforms as it is called here: `name(bits=4)`."""
    parameters = entry.get("parameters") if isinstance(entry, Mapping) else None
    if not parameters:
        return printable(entry_name(entry))
    given = ", ".join(
        f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in parameters.items()
    )
    return printable(f"{entry_name(entry)}({cut(given, _LONGEST_PARAMETERS)})")


def collapsed(entries: Sequence[Any]) -> tuple[str, ...]:
    """Steps one by one; of many, the first, the last and their number."""
    if len(entries) > _LISTED_STEPS:
        return (f"{entry_text(entries[0])} … {entry_text(entries[-1])} ({len(entries)} steps)",)
    return tuple(map(entry_text, entries))


def cut(text: str, longest: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def printable(text: str) -> str:
    """The text with an escape for every character that would not show, as line breaks."""
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def counted(number: int, what: str) -> str:
    """`1 segment`, `1,200 segments`."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


class Drawing:
    """The nodes of one picture: as many as its detail asks for."""

    def __init__(self, tree: ExecutionTree, detail: Detail) -> None:
        self._tree = tree
        self._detail = detail
        #: Nodes above one another, and segments that are not drawn: known when the picture is made.
        self.levels = 0
        self._left_out = 0
        self._below: dict[str | None, list[Segment]] = defaultdict(list)
        self._ending: dict[str, list[str]] = defaultdict(list)
        self._segments = {None: len(tree.segments)} | dict.fromkeys(tree.by_id, 1)
        for segment in tree.segments:
            self._below[segment.parent_id].append(segment)
        for segment in reversed(tree.segments):
            if segment.parent_id is not None:
                self._segments[segment.parent_id] += self._segments[segment.id]
        for config_id, segment_id in tree.leaves.items():
            self._ending[segment_id].append(config_id)

    def sizes(self) -> list[str]:
        """How large the tree is, how much of it is shared, and what is not drawn, in sentences."""
        tree = self._tree
        said = [
            f"{counted(len(tree.leaves), 'configuration')}, {counted(len(tree.segments), 'segment')}.",
            f"{counted(tree.entries_unshared, 'step')} in all, {tree.entries:,} with each prefix once: "
            f"{tree.sharing:.1%} come from sharing.",
            _SHARED_FURTHER,
        ]
        if self._left_out:
            said.append(f"{counted(self._left_out, 'segment')} left out: --all shows everything.")
        return said

    def root(self, space: DesignSpace) -> Node:
        """The model, with all that is drawn below it."""
        depth, breadth = self._extent()
        children: dict[str | None, list[Node]] = defaultdict(list)
        for segment, level in reversed(list(self._shown(depth, breadth))):
            self.levels = max(self.levels, level + 1)
            below = self._leaf(segment) + children.pop(segment.id, [])[::-1]
            below += self._more(segment.id, level, depth, breadth)
            node = Node("segment", segment.id, self._title(segment), self._steps(segment), tuple(below))
            children[segment.parent_id].append(node)
        top = children[None][::-1] + self._more(None, 0, depth, breadth)
        return Node("model", "model", printable(space.model_path), (), tuple(top))

    def _extent(self) -> tuple[int, int]:
        """How deep, and how many branches of each fork: as much as there are lines for."""
        most = len(self._segments)
        depth = min(self._detail.depth or most, most)
        if self._detail.everything or self._fits(depth, most):
            return depth, most
        while depth > 1 and not self._fits(depth, 1):
            depth -= max(1, depth // 4)
        breadth = 1
        while breadth < _MOST_LINES and self._fits(depth, breadth + 1):
            breadth += 1
        return depth, breadth

    def _fits(self, depth: int, breadth: int) -> bool:
        lines = 0
        for segment, level in self._shown(depth, breadth):
            lines += 1 + len(self._steps(segment)) + bool(self._ending[segment.id])
            lines += bool(self._hidden(segment.id, level, depth, breadth))
            if lines > _MOST_LINES:
                return False
        return True

    def _shown(self, depth: int, breadth: int) -> Iterator[tuple[Segment, int]]:
        """The segments that are drawn, each with its level from 1; a parent before its children."""
        waiting = [(each, 1) for each in reversed(self._below[None][:breadth])]
        while waiting:
            segment, level = waiting.pop()
            yield segment, level
            if level < depth:
                waiting.extend((each, level + 1) for each in reversed(self._below[segment.id][:breadth]))

    def _hidden(self, parent_id: str | None, level: int, depth: int, breadth: int) -> list[Segment]:
        """The branches behind a segment that are not drawn."""
        return self._below[parent_id][breadth if level < depth else 0 :]

    def _more(self, parent_id: str | None, level: int, depth: int, breadth: int) -> list[Node]:
        hidden = self._hidden(parent_id, level, depth, breadth)
        if not hidden:
            return []
        segments = sum(self._segments[each.id] for each in hidden)
        self._left_out += segments
        configs = sum(len(each.config_ids) for each in hidden)
        title = f"… {counted(segments, 'more segment')}, {counted(configs, 'configuration')}"
        return [Node("more", f"{parent_id or 'model'}_more", title)]

    def _leaf(self, segment: Segment) -> list[Node]:
        ending = sorted(self._ending[segment.id])
        if not ending:
            return []
        title = ", ".join(ending) if self._detail.everything else _ids(ending)
        return [Node("leaf", f"{segment.id}_leaf", title)]

    def _title(self, segment: Segment) -> str:
        return f"{segment.id}  {counted(len(segment.config_ids), 'configuration')}"

    def _steps(self, segment: Segment) -> tuple[str, ...]:
        if not segment.steps:
            return ("no steps",)
        return tuple(map(entry_text, segment.steps)) if self._detail.everything else collapsed(segment.steps)


def _ids(ids: Sequence[str]) -> str:
    """Ids in order, in short; whether some between the ends are missing shows in the wording."""
    if len(ids) < 3:
        return ", ".join(ids)
    numbers = [each.rpartition("_")[2] for each in (ids[0], ids[-1])]
    if all(map(str.isdecimal, numbers)) and int(numbers[1]) - int(numbers[0]) + 1 == len(ids):
        return f"{ids[0]} … {ids[-1]} ({len(ids):,})"
    return f"{len(ids):,} of {ids[0]} … {ids[-1]}"

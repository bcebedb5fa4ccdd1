"""ExecutionTree: the configurations as a prefix tree over (model, transforms, steps).

A segment is a run of entries without a branch: what lies in it is the same for every configuration below it.
Values of configuration fields are not part of the tree: which of them a step reads is known only when it ran.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any, NamedTuple

from finnmake.blueprint.slots import STEP, TRANSFORM, entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.configs import config_id, iter_configs
from finnmake.hashing import canonical_json, digest_value
from finnmake.records import BuildConfig, OutputStage

#: Hexadecimal digits of a segment's id: 48 bits, so that two of ten thousand do not meet.
_ID_DIGITS = 12

#: The stage of transforms that runs before the steps.
BEFORE_STEPS = "pre_proc"

#: The stage of analyses, of the finished build.
AFTER_STEPS = "post_proc"

#: The step that writes FINN's estimates.
_ESTIMATE_STEP = "step_generate_estimate_reports"


class Segment(NamedTuple):
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

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Segment:
        """The record again, from what `to_dict` gave, through JSON too."""
        return cls(**{**data, "steps": tuple(data["steps"]), "config_ids": tuple(data["config_ids"])})


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

    @property
    def entries(self) -> int:
        """Steps and transforms of the tree, each prefix once."""
        return sum(len(segment.steps) for segment in self.segments)

    @cached_property
    def entries_unshared(self) -> int:
        """Steps and transforms of all configurations, as if each were built by itself."""
        return sum(len(segment.steps) * len(segment.config_ids) for segment in self.segments)

    @property
    def sharing(self) -> float:
        """The part of all steps, 0 to 1, that need not run as another configuration has the same prefix.

        What configurations share beyond that, as no step before read the fields that differ, is known only
        when the steps have run.
        """
        return 1 - self.entries / self.entries_unshared if self.entries_unshared else 0.0

    def path_to(self, segment_id: str) -> list[Segment]:
        """The segments from a root to this one, root first. Raises KeyError for an unknown id."""
        path = []
        above: str | None = segment_id
        while above is not None:
            path.append(self.by_id[above])
            above = path[-1].parent_id
        return path[::-1]

    def depth(self, segment_id: str) -> int:
        """How many steps lead from the model to the end of a segment."""
        return sum(len(each.steps) for each in self.path_to(segment_id))

    def last_within(self, config_id: str, depth: int) -> str | None:
        """The id of the last segment on a configuration's way that ends within its first `depth` steps."""
        path = self.path_to(self.leaves[config_id])
        ends = accumulate(len(segment.steps) for segment in path)
        within = [segment.id for segment, end in zip(path, ends, strict=True) if end <= depth]
        return within[-1] if within else None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {"segments": [segment.to_dict() for segment in self.segments], "leaves": dict(self.leaves)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ExecutionTree:
        """The record again, from what `to_dict` gave, through JSON too."""
        return cls(tuple(Segment.from_dict(each) for each in data["segments"]), dict(data["leaves"]))


def links(config: BuildConfig) -> Iterator[tuple[str, Any]]:
    """(kind, entry) of everything that makes a configuration's final model out of its model, in order.

    A stage of transforms between `pre_proc` and `post_proc` stands where the steps name it.
    """
    stages = config.transforms_by_stage
    yield from (("transform", entry) for entry in stages.get(BEFORE_STEPS, []))
    for entry in config.build_steps:
        if isinstance(entry, Mapping) and "stage" in entry:
            yield from (("transform", each) for each in stages[entry["stage"]])
        else:
            yield "step", entry


def chain(config: BuildConfig) -> tuple[Any, ...]:
    """The entries of `links`."""
    return tuple(entry for _, entry in links(config))


def estimates_at(config: BuildConfig) -> int | None:
    """After how many steps there are estimates, where a build goes on beyond them; otherwise None."""
    if config.global_config["output_stage"] == OutputStage.ESTIMATES.value:
        return None
    names = [entry_name(entry) for entry in chain(config)]
    return names.index(_ESTIMATE_STEP) + 1 if _ESTIMATE_STEP in names[:-1] else None


def segments(configs: Iterable[BuildConfig]) -> list[Segment]:
    """The segments of the configurations; a parent stands before its children."""
    return list(execution_tree(configs).segments)


def execution_tree(configs: Iterable[BuildConfig]) -> ExecutionTree:
    """The prefix tree of the configurations; their ids must differ."""
    return _tree(_Branch(config.model_path, chain(config), (config.id,)) for config in configs)


def space_tree(space: DesignSpace, positions: Iterable[int]) -> ExecutionTree:
    """The prefix tree of the configurations at some positions of the space.

    Configurations that differ in fields and kernels alone have one chain, which is made once.
    """
    slots = space.hw_compiler_space.slots
    shaping = [at for at, slot in enumerate(slots) if slot.is_axis and slot.kind in (STEP, TRANSFORM)]
    groups: dict[tuple[int, ...], list[int]] = {}
    for position in positions:
        groups.setdefault(space.hw_compiler_space.choices(position, shaping), []).append(position)
    firsts = iter_configs(space, [members[0] for members in groups.values()])
    return _tree(
        _Branch(space.model_path, chain(first), tuple(config_id(space, position) for position in members))
        for first, members in zip(firsts, groups.values(), strict=True)
    )


class _Branch(NamedTuple):
    """A chain and the configurations that have it."""

    model_path: str
    chain: tuple[Any, ...]
    config_ids: tuple[str, ...]


def _tree(branches: Iterable[_Branch]) -> ExecutionTree:
    found: list[Segment] = []
    leaves: dict[str, str] = {}
    for model_path, root in _grow(branches).items():
        for segment, ending in _cut(model_path, root):
            found.append(segment)
            leaves.update(dict.fromkeys(ending, segment.id))
    return ExecutionTree(tuple(found), leaves)


class _Node:
    """A place in the tree: what leads on from it, who passes through it and who ends at it."""

    __slots__ = ("children", "ending", "through")

    def __init__(self) -> None:
        self.through: list[str] = []
        self.ending: list[str] = []
        self.children: dict[str | bytes, tuple[Any, _Node]] = {}

    def child(self, entry: Any) -> _Node:
        """The node behind an entry, made where it is not there yet."""
        key = entry if isinstance(entry, str) else canonical_json(entry)
        if key not in self.children:
            self.children[key] = (entry, _Node())
        return self.children[key][1]


def _grow(branches: Iterable[_Branch]) -> dict[str, _Node]:
    """Model -> root of its tree, one entry a node."""
    roots: dict[str, _Node] = {}
    for branch in branches:
        node = roots.setdefault(branch.model_path, _Node())
        node.through.extend(branch.config_ids)
        for entry in branch.chain:
            node = node.child(entry)
            node.through.extend(branch.config_ids)
        node.ending.extend(branch.config_ids)
    return roots


def _cut(model_path: str, root: _Node) -> Iterator[tuple[Segment, list[str]]]:
    """The segments of one tree, each with the configurations that end with it."""
    waiting: list[tuple[str | None, tuple[Any, ...], tuple[Any, ...], _Node]] = [(None, (), (), root)]
    while waiting:
        parent_id, before, run, start = waiting.pop()
        steps, end = _follow(run, start)
        path = (*before, *steps)
        if steps or end.ending:
            through = tuple(sorted(end.through))
            segment = Segment(_segment_id(model_path, path), parent_id, model_path, steps, through)
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

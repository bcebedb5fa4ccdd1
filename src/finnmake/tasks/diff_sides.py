"""Two finished builds beside each other: inputs, fields, steps, toolchain, figures, layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from finnmake.engine.explain import Difference, Lines, changed_lines, kept_text, parts
from finnmake.engine.store import Store
from finnmake.errors import Location, WorkspaceError
from finnmake.hashing import canonical_json
from finnmake.records import BuildMetrics
from finnmake.runner.reports import finite_number, read_json
from finnmake.tasks.reasons import IDENTITY, call_text, config_differences

#: FINN's reports by layer, and what is told of them; the totals are told among the metrics.
_RESOURCES = "estimate_layer_resources.json"
_CYCLES = "estimate_layer_cycles.json"
_COUNTS = ("LUT", "DSP", "BRAM_18K", "URAM")

_METRICS = tuple(name for name in BuildMetrics.__dataclass_fields__ if name not in ("sources", "raw_metrics"))


@dataclass(frozen=True)
class Side:
    """One of the two builds.

    Attributes:
        name: as it was asked for.
        folder: its outputs.
        manifest, config, metrics: what manifest.json, config.json and metrics.json say; empty where they are
            not there, as beside a manifest that was copied.
    """

    name: str
    folder: Path
    manifest: Mapping[str, Any]
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]

    @property
    def simulated(self) -> bool:
        """Whether its results are made up."""
        return self.manifest.get("simulated") is True

    @classmethod
    def read(cls, name: str, path: Path) -> Side:
        """A build from its folder or its manifest. Raises WorkspaceError."""
        manifest = path if path.suffix == ".json" else path / "manifest.json"
        found, problem = read_json(manifest)
        if not isinstance(found, dict) or not isinstance(found.get("steps"), list):
            raise WorkspaceError(
                f"{name} has no manifest: {problem or 'it has not been built'}"
                if found is None
                else f"{name}: this is no manifest of a build",
                where=Location(path=manifest),
                cure="Name a configuration that was built, its folder, or its manifest.json.",
            )
        beside = (read_json(manifest.with_name(each))[0] for each in ("config.json", "metrics.json"))
        config, metrics = (each if isinstance(each, dict) else {} for each in beside)
        return cls(name, manifest.parent, found, config, metrics)

    def steps(self) -> list[Mapping[str, Any]]:
        """The steps of the manifest."""
        return [each for each in self.manifest["steps"] if isinstance(each, dict)]

    def report(self, name: str) -> Mapping[str, Any]:
        """One of FINN's reports; empty where there is none."""
        found, _ = read_json(self.folder / "artifacts" / "report" / name)
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class Figure:
    """One number of both builds; `ratio` is the second over the first, None where that is not known."""

    name: str
    left: float | None
    right: float | None

    @property
    def ratio(self) -> float | None:
        """The second over the first."""
        return self.right / self.left if self.left and self.right is not None else None


@dataclass(frozen=True)
class Sides:
    """The comparison.

    Attributes:
        left, right: names of the builds; `simulated` is which of the two is made up.
        differences: section -> what differs: `configuration`, `inputs`, `steps`, `toolchain`, `outputs`.
        parted: how many steps from the first on are the same.
        steps: how many there are on each side.
        metrics: those that either has.
        layers: layer -> its counts and cycles.
    """

    left: str
    right: str
    simulated: tuple[bool, bool]
    differences: Mapping[str, Sequence[Difference]]
    parted: int
    steps: tuple[int, int]
    metrics: Sequence[Figure] = ()
    layers: Mapping[str, Sequence[Figure]] = field(default_factory=dict)

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        numbers = (*self.metrics, *(each for row in self.layers.values() for each in row))
        return not any(self.differences.values()) and all(each.left == each.right for each in numbers)


def compare(left: Side, right: Side, store: Store) -> Sides:
    """The two beside each other.

    Args:
        store: where lines of texts that differ are looked for.
    """
    steps = left.steps(), right.steps()
    return Sides(
        left.name,
        right.name,
        (left.simulated, right.simulated),
        {
            "configuration": _configuration(left, right),
            "inputs": list(_inputs(left, right, store)),
            "steps": list(_steps(*steps)),
            "toolchain": parts(_map(left, "toolchain"), _map(right, "toolchain"), "toolchain"),
            "outputs": list(_outputs(left, right)),
        },
        _parted(*steps),
        (len(steps[0]), len(steps[1])),
        [each for each in _metrics(left, right) if (each.left, each.right) != (None, None)],
        dict(_layers(left, right)),
    )


def _map(side: Side, name: str) -> Mapping[str, Any]:
    found = side.manifest.get(name)
    return found if isinstance(found, dict) else {}


def _configuration(left: Side, right: Side) -> list[Difference]:
    """By config.json; where one has none, by the fields that its steps read."""
    if left.config and right.config:
        return config_differences(left.config, right.config, (*IDENTITY, "working_directory"))
    read: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for fields, side in zip(read, (left, right), strict=True):
        for step in side.steps():
            fields.update(_fields(step))
    backends = [{"backend": side.manifest.get("backend")} for side in (left, right)]
    return [*parts(read[0], read[1], "field"), *parts(backends[0], backends[1], "configuration")]


def _inputs(left: Side, right: Side, store: Store) -> Iterator[Difference]:
    for each in parts(_map(left, "inputs"), _map(right, "inputs"), "file"):
        yield Difference("file", each.name, each.old, each.new, _lines(each, store))


def _lines(each: Difference, store: Store) -> tuple[Lines, ...]:
    """Where two texts differ, as far as the store has them."""
    if not isinstance(each.old, str) or not isinstance(each.new, str):
        return ()
    before, after = kept_text(store, each.old), kept_text(store, each.new)
    return () if before is None or after is None else tuple(changed_lines(before, after))


def _outputs(left: Side, right: Side) -> Iterator[Difference]:
    """Files of FINN's that are not the same bytes; that they are not is a figure's difference, or more."""
    yield from parts(_map(left, "outputs"), _map(right, "outputs"), "file")


def _parted(left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> int:
    """How many steps are the same on both sides: the same key, and the same model came of it."""
    at = 0
    for one, other in zip(left, right, strict=False):
        if any(one.get(name) != other.get(name) for name in ("action_key", "output", "fields")):
            break
        at += 1
    return at


def _steps(left: Sequence[Mapping[str, Any]], right: Sequence[Mapping[str, Any]]) -> Iterator[Difference]:
    """Of each place in the flow what is not the same: the call, and the fields that it read.

    Of steps that left another model only the first is told: it is so of all that follow.
    """
    parted = False
    for at, (one, other) in enumerate(zip_longest(left, right), start=1):
        old, new = _call(one), _call(other)
        if old != new:
            yield Difference("step", f"step {at}", [old] if old else None, [new] if new else None)
        elif one is not None and other is not None:
            yield from parts(_fields(one), _fields(other), f"step {at}, {old}, read")
            if not parted and canonical_json(one.get("output")) != canonical_json(other.get("output")):
                yield Difference("made", f"step {at}, {old}", known=False)
                parted = True


def _fields(step: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a step read, with their values; None for one that is not set."""
    fields = step.get("fields")
    found = fields if isinstance(fields, dict) else {}
    return {name: value[0] if isinstance(value, list) and value else None for name, value in found.items()}


def _call(step: Mapping[str, Any] | None) -> str:
    """A step with its parameters, as text; empty where there is none."""
    return "" if step is None else call_text(str(step.get("name")), step.get("parameters"))


def _metrics(left: Side, right: Side) -> Iterator[Figure]:
    for name in _METRICS:
        yield Figure(name, finite_number(left.metrics.get(name)), finite_number(right.metrics.get(name)))


def _layers(left: Side, right: Side) -> Iterator[tuple[str, list[Figure]]]:
    """What FINN's estimates say of each layer, in the order of the flow; layers of one side only too."""
    resources = [side.report(_RESOURCES) for side in (left, right)]
    cycles = [side.report(_CYCLES) for side in (left, right)]
    for layer in dict.fromkeys(name for each in (*resources, *cycles) for name in each if name != "total"):
        row = [Figure(name, *(_count(each.get(layer), name) for each in resources)) for name in _COUNTS]
        row.append(Figure("cycles", *(finite_number(each.get(layer)) for each in cycles)))
        yield layer, [each for each in row if (each.left, each.right) != (None, None)]


def _count(counts: Any, name: str) -> float | None:
    return finite_number(counts.get(name)) if isinstance(counts, dict) else None

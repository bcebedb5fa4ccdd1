"""The choices of a design space: slots, each with one option or more, and what they hold at one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

#: What a slot belongs to.
FIELD, TRANSFORM, STEP, KERNEL = "field", "transform", "step", "kernel"


class Slot(NamedTuple):
    """A place where one of some options stands; with one option it is fixed.

    Attributes:
        kind: `field`, `transform`, `step` or `kernel`.
        name: the field, the stage of a transform, the kernel; empty for a step.
        options: of a field its values; of a transform or step sequences of entries, each a name,
            `{name, parameters}` (of a transform with `on_error`) or `{step, parameters}`, an empty one for
            none; of a kernel `{"backends": […], "attributes": {…}}`.
        key: where the blueprint says it, e.g. `design_space.steps[3]`.
    """

    kind: str
    name: str
    options: tuple[Any, ...]
    key: str

    @property
    def is_axis(self) -> bool:
        """Whether there is a choice."""
        return len(self.options) > 1

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Slot:
        """The record again, from what `to_dict` gave, through JSON too."""
        sequences = data["kind"] in (STEP, TRANSFORM)
        options = (tuple(option) if sequences else option for option in data["options"])
        return cls(**{**data, "options": tuple(options)})


class Point(NamedTuple):
    """What the slots hold at one place of the space; as in `BuildConfig`."""

    flags: Mapping[str, Any]
    transforms_by_stage: Mapping[str, list[Any]]
    build_steps: tuple[Any, ...]
    kernels: tuple[tuple[str, tuple[str, ...]], ...]
    kernel_attributes: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class HWCompilerSpace:
    """All slots, in the written order; those of a stage or of the steps follow one another.

    Attributes:
        slots: fields, transforms, steps and kernels.
        stages: stages of transforms in the written order; `pre_proc` and `post_proc` are always there.
    """

    slots: tuple[Slot, ...]
    stages: tuple[str, ...] = ("pre_proc", "post_proc")

    @cached_property
    def axes(self) -> tuple[Slot, ...]:
        """The slots with a choice; the last varies fastest."""
        return tuple(slot for slot in self.slots if slot.is_axis)

    @property
    def config(self) -> dict[str, tuple[Any, ...]]:
        """Field of `DataflowBuildConfig` -> its values."""
        return {slot.name: slot.options for slot in self._of(FIELD)}

    @property
    def steps(self) -> tuple[tuple[Any, ...], ...]:
        """The options of each place in the list of steps."""
        return tuple(slot.options for slot in self._of(STEP))

    @property
    def transforms(self) -> dict[str, tuple[tuple[Any, ...], ...]]:
        """Stage -> the options of each place in it."""
        return {
            stage: tuple(slot.options for slot in self._of(TRANSFORM) if slot.name == stage)
            for stage in self.stages
        }

    @property
    def kernels(self) -> dict[str, tuple[Any, ...]]:
        """Kernel -> its options."""
        return {slot.name: slot.options for slot in self._of(KERNEL)}

    def _of(self, kind: str) -> Iterator[Slot]:
        return (slot for slot in self.slots if slot.kind == kind)

    @cached_property
    def _strides(self) -> tuple[int, ...]:
        """How far apart two neighbouring options of each slot are."""
        strides = []
        stride = 1
        for slot in reversed(self.slots):
            strides.append(stride)
            stride *= len(slot.options)
        return tuple(reversed(strides))

    def choices(self, position: int, slots: Iterable[int] | None = None) -> tuple[int, ...]:
        """The 0-based option of each slot (or of those with these indices) at a position of the product."""
        wanted = range(len(self.slots)) if slots is None else slots
        return tuple(position // self._strides[at] % len(self.slots[at].options) for at in wanted)

    def point(self, choices: Sequence[int]) -> Point:
        """What the slots hold; containers are the caller's own."""
        flags: dict[str, Any] = {}
        stages: dict[str, list[Any]] = {stage: [] for stage in self.stages}
        steps: list[Any] = []
        kernels = []
        attributes = {}
        for slot, choice in zip(self.slots, choices, strict=True):
            option = slot.options[choice]
            if slot.kind == FIELD:
                flags[slot.name] = option
            elif slot.kind == STEP:
                steps.extend(option)
            elif slot.kind == TRANSFORM:
                stages[slot.name].extend(option)
            else:
                kernels.append((slot.name, tuple(option["backends"])))
                if option["attributes"]:
                    attributes[slot.name] = dict(option["attributes"])
        return Point(flags, stages, tuple(steps), tuple(kernels), attributes)


def entry_name(entry: Any) -> str:
    """The name of an entry among steps or transforms; of a stage's place the stage's."""
    if isinstance(entry, str):
        return entry
    name: str = entry.get("step") or entry.get("name") or entry["stage"]
    return name

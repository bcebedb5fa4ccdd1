"""DesignSpace: a blueprint, read and checked. All choices are slots; a point takes one option of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from finnmake.blueprint import tables
from finnmake.blueprint.slots import FIELD, KERNEL, STEP, HWCompilerSpace, Point, Slot, entry_name
from finnmake.errors import BlueprintError, Location, ModelError, ValidationError

if TYPE_CHECKING:
    from finnmake.blueprint.expressions import Expression
    from finnmake.records import ModelInfo

#: Configurations that may be enumerated, where the blueprint does not say.
MAX_COMBINATIONS = 100_000


class SearchConfig(NamedTuple):
    """How the space is explored.

    Attributes:
        strategy: `exhaustive`, or `random`: a sample that depends on the seed alone.
        samples: size of the random sample.
        seed: of the random sample.
        max_builds: at most so many configurations, the first ones; None for all.
        max_combinations: an exhaustive search of a larger space is refused.
        fail_fast: stop at the first failure.
        early_stop: what estimates rule out goes no further than them.
        timeout_seconds: for all steps of one build together; None for no limit but each step's own.
    """

    strategy: str = "exhaustive"
    samples: int | None = None
    seed: int = 0
    max_builds: int | None = None
    max_combinations: int = MAX_COMBINATIONS
    fail_fast: bool = False
    early_stop: bool = False
    timeout_seconds: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self._asdict()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SearchConfig:
        """The record again, from what `to_dict` gave."""
        return cls(**data)


@dataclass(frozen=True, repr=False)
class DesignSpace:
    """All that a blueprint describes. Paths are relative to the project (POSIX) where they lie inside it.

    Iterating gives the points that the constraints allow, in order, one at a time.

    Attributes:
        name: of the design space; its outputs are below `builds/<name>/`.
        path: the blueprint's file, absolute.
        model_path: the QONNX model.
        hw_compiler_space: fields, transforms, steps and kernels, each fixed or an axis.
        search_config: how it is explored.
        constraints: what every configuration must fulfil.
        objectives: (metric, `max` or `min`), the most important first.
        limits: what the metrics of a build must fulfil.
        backend: `finn` …
        global_config: `output_stage` and `timeout_seconds` (for one step).
        description: free text.
        notes: what the reader of the blueprint should know, e.g. keys without a meaning here.
        lines: key path, e.g. `design_space.config.target_fps` -> where it stands, for later errors.
        read_model: gives the model's information; None where nobody can.
    """

    name: str
    path: Path
    model_path: str
    hw_compiler_space: HWCompilerSpace
    search_config: SearchConfig
    backend: str
    global_config: Mapping[str, Any]
    constraints: tuple[Expression, ...] = ()
    objectives: tuple[tuple[str, str], ...] = ()
    limits: tuple[Expression, ...] = ()
    description: str = ""
    notes: tuple[str, ...] = ()
    lines: Mapping[str, Location] = field(default_factory=dict, compare=False, repr=False)
    read_model: Callable[[], ModelInfo] | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        return f"<DesignSpace {self.name}: {self.size:,} combinations of {self.model_path}>"

    @cached_property
    def model_info(self) -> ModelInfo:
        """Inputs, outputs, operators, quantisation, parameters and MACs of the model; takes seconds.

        Raises ModelError where the model cannot be read.
        """
        if self.read_model is None:
            raise ModelError(
                "it is not read: this design space was made without a reader of models",
                where=Location(path=Path(self.model_path)),
                cure="Make the space with finnmake.forge.",
            )
        return self.read_model()

    @cached_property
    def size(self) -> int:
        """Positions of the product of all axes, constraints aside."""
        return prod(len(slot.options) for slot in self.hw_compiler_space.slots)

    def get_total_combinations(self) -> int:
        """How many configurations there are: those points of the product that the constraints allow.

        Only the axes that constraints name are gone through. Raises BlueprintError where these alone have
        more combinations than `search.max_combinations`, or where a constraint cannot be evaluated.
        """
        slots = self.hw_compiler_space.slots
        involved = self._involved
        rest = prod(len(slot.options) for at, slot in enumerate(slots) if at not in involved)
        named = [slots[at] for at in involved]
        if prod(len(slot.options) for slot in named) > self.search_config.max_combinations:
            raise self.too_many(named)
        return rest * sum(map(self._admits, product(*(range(len(slot.options)) for slot in named))))

    def allows(self, position: int) -> bool:
        """Whether the constraints allow the configuration at a position of the product."""
        return self._admits(self.hw_compiler_space.choices(position, self._involved))

    def refusal(self, position: int) -> Expression | None:
        """The first constraint that the configuration at a position breaks."""
        values = self._values(self.hw_compiler_space.choices(position, self._involved))
        return next((each for each in self.constraints if not each.holds(values)), None)

    def __iter__(self) -> Iterator[Point]:
        space = self.hw_compiler_space
        return (space.point(space.choices(at)) for at in range(self.size) if self.allows(at))

    @cached_property
    def _involved(self) -> tuple[int, ...]:
        """The indices of the slots that constraints name."""
        names = {name for constraint in self.constraints for name in constraint.names}
        return tuple(at for at, slot in enumerate(self.hw_compiler_space.slots) if _name(slot) in names)

    @cached_property
    def _known(self) -> dict[tuple[int, ...], bool]:
        return {}

    def _admits(self, choices: tuple[int, ...]) -> bool:
        """Whether the constraints hold for these options of the slots that they name."""
        if not self.constraints:
            return True
        if choices not in self._known:
            values = self._values(choices)
            self._known[choices] = all(each.holds(values) for each in self.constraints)
        return self._known[choices]

    def _values(self, choices: Sequence[int]) -> dict[str, Any]:
        """Name in a constraint -> its value. Of a kernel that is the first backend."""
        values: dict[str, Any] = {"steps": [], **{stage: [] for stage in self.hw_compiler_space.stages}}
        for at, choice in zip(self._involved, choices, strict=True):
            slot = self.hw_compiler_space.slots[at]
            option = slot.options[choice]
            if slot.kind == FIELD:
                values[slot.name] = option
            elif slot.kind == KERNEL:
                values[slot.name] = next(iter(option["backends"]), "")
            else:
                values[_name(slot)] += map(entry_name, option)
        return values

    def too_many(self, slots: Sequence[Slot]) -> ValidationError:
        """The error for more combinations than may be enumerated, with the axes that make them."""
        axes = [slot for slot in slots if slot.is_axis]
        count = prod(len(slot.options) for slot in axes)
        shown = " × ".join(f"{slot.key.removeprefix('design_space.')} ({len(slot.options)})" for slot in axes)
        return ValidationError(
            f"{count:,} combinations are more than max_combinations "
            f"({self.search_config.max_combinations:,}): {shown}",
            where=self.lines.get("search.max_combinations")
            or self.lines.get("design_space")
            or Location(self.path),
            cure="Take values out, set search to {strategy: random, samples: N}, or raise "
            "search.max_combinations.",
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values, without `lines`, `read_model` and where the expressions stand."""
        return {
            "name": self.name,
            "path": str(self.path),
            "model_path": self.model_path,
            "slots": [slot.to_dict() for slot in self.hw_compiler_space.slots],
            "stages": list(self.hw_compiler_space.stages),
            "search_config": self.search_config.to_dict(),
            "backend": self.backend,
            "global_config": dict(self.global_config),
            "constraints": [constraint.text for constraint in self.constraints],
            "objectives": [list(objective) for objective in self.objectives],
            "limits": [limit.text for limit in self.limits],
            "description": self.description,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DesignSpace:
        """The record again, from what `to_dict` gave, through JSON too."""
        from finnmake.blueprint.expressions import Expression

        slots = tuple(map(Slot.from_dict, data["slots"]))
        return cls(
            name=data["name"],
            path=Path(data["path"]),
            model_path=data["model_path"],
            hw_compiler_space=HWCompilerSpace(slots, tuple(data["stages"])),
            search_config=SearchConfig.from_dict(data["search_config"]),
            backend=data["backend"],
            global_config=data["global_config"],
            constraints=tuple(map(Expression, data["constraints"])),
            objectives=tuple((metric, sense) for metric, sense in data["objectives"]),
            limits=tuple(map(Expression, data["limits"])),
            description=data["description"],
            notes=tuple(data["notes"]),
        )

    def validate(self) -> list[ValidationError]:
        """Everything that is wrong with the space as a whole; the file itself was checked by `forge`."""
        found = self._boards_without_effect()
        exhaustive = self.search_config.strategy == "exhaustive"
        if exhaustive and self.size > self.search_config.max_combinations:
            found.append(self.too_many(self.hw_compiler_space.axes))
        try:
            if (exhaustive or self._few_involved) and self.constraints and not self.get_total_combinations():
                found.append(self.nothing_left())
        except ValidationError as error:
            if not found:
                found.append(error)
        except BlueprintError as error:
            found.append(ValidationError(error.message, where=error.where, cure=error.cure))
        return found

    def _boards_without_effect(self) -> list[ValidationError]:
        """A board beside the part of another device: FINN takes the part, and any board is the same."""
        config = self.hw_compiler_space.config
        boards, parts = ([each for each in config.get(name, ()) if each] for name in ("board", "fpga_part"))
        named = {name for constraint in self.constraints for name in constraint.names}
        other = next(
            ((board, part) for board in boards for part in parts if tables.boards().get(board, part) != part),
            None,
        )
        if other is None or named & {"board", "fpga_part"}:
            return []
        board, part = other
        return [
            ValidationError(
                f"the board {board} has another device than fpga_part {part}, which FINN takes",
                where=self.lines.get("design_space.config.board") or Location(self.path),
                cure="Set one of the two to null, or say by a constraint which belong together.",
            )
        ]

    @property
    def _few_involved(self) -> bool:
        slots = self.hw_compiler_space.slots
        return prod(len(slots[at].options) for at in self._involved) <= self.search_config.max_combinations

    def nothing_left(self) -> ValidationError:
        """The error for constraints that allow no combination at all."""
        return ValidationError(
            f"the constraints allow none of the {self.size:,} combinations",
            where=self.lines.get("constraints") or Location(self.path),
            cure="Loosen one of them.",
        )


def _name(slot: Slot) -> str:
    """What a slot is called in constraints."""
    return "steps" if slot.kind == STEP else slot.name

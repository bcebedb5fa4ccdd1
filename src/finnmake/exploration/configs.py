"""DesignSpace -> BuildConfigs, one at a time by position; the last axis of the blueprint varies fastest.

An id tells the position in the product of all axes. Constraints leave gaps: they renumber nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from finnmake.blueprint.slots import FIELD, Point, entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, Location
from finnmake.hashing import canonical_json, digest_bytes, digest_value
from finnmake.records import BuildConfig, OutputStage

#: Where outputs appear, below the project.
OUTPUT_ROOT = "builds"

_PREFIX = "config_"

#: The field of FINN's configuration that finnmake sets from the output stage and the steps.
_OUTPUTS = "generate_outputs"

_ESTIMATES = ("estimate_reports",)
_STITCHED = (*_ESTIMATES, "stitched_ip")

#: Output stage -> `generate_outputs` of FINN's configuration, whatever the steps.
_GENERATED = {
    OutputStage.ESTIMATES.value: _ESTIMATES,
    OutputStage.DATAFLOW_GRAPH.value: _ESTIMATES,
    OutputStage.RTL.value: _ESTIMATES,
    OutputStage.STITCHED_IP.value: _STITCHED,
    OutputStage.BITFILE.value: (*_STITCHED, "bitfile", "pynq_driver", "deployment_package"),
}

#: Step -> what it does nothing without (FINN+ and upstream), from STITCHED_IP on: who lists it, wants it.
_ASKED_BY = {
    "step_measure_rtlsim_performance": "rtlsim_performance",
    "step_out_of_context_synthesis": "out_of_context_synth",
    "step_vivado_power_estimation": "out_of_context_synth",
}

#: So many ids are listed in full; of more, only the ends.
_LISTED = 12

#: So many combinations of transforms, steps and kernels are kept for the next configurations that have them.
_SHAPES = 1024


def iter_configs(space: DesignSpace, positions: Iterable[int] | None = None) -> Iterator[BuildConfig]:
    """The configurations at some positions, or all that the constraints allow, in order, one at a time."""
    wanted = allowed_positions(space) if positions is None else positions
    return map(_Maker(space).config, wanted)


def allowed_positions(space: DesignSpace) -> Iterator[int]:
    """The positions that the constraints allow, in order, one at a time."""
    if not space.constraints:
        return iter(range(space.size))
    return (position for position in range(space.size) if space.allows(position))


def config_ids(space: DesignSpace) -> Iterator[str]:
    """The ids of all configurations in order: `config_001` …"""
    return (config_id(space, position) for position in allowed_positions(space))


def config_at(space: DesignSpace, position: int) -> BuildConfig:
    """The configuration at a 0-based position of the product.

    Raises IndexError where there is none, BlueprintError where a constraint excludes it.
    """
    if not 0 <= position < space.size:
        raise IndexError(f"{space.name} has {space.size} configurations, none at {position}")
    broken = space.refusal(position)
    if broken is not None:
        raise BlueprintError(
            f"{config_id(space, position)} is excluded by the constraint {broken.text!r}",
            where=broken.where,
            cure="Build another, or loosen the constraint.",
        )
    return _Maker(space).config(position)


def find_config(space: DesignSpace, asked: str) -> BuildConfig:
    """The configuration of an id. Raises BlueprintError, which lists those that exist."""
    number = asked.removeprefix(_PREFIX)
    if number.isdecimal() and len(number) <= _digits(space.size):
        position = int(number) - 1
        if 0 <= position < space.size and config_id(space, position) == asked:
            return config_at(space, position)
    raise BlueprintError(
        f"{space.name} has no configuration {asked!r}",
        where=Location(path=space.lines["name"].path if "name" in space.lines else space.path),
        cure=f"It has {_listed(space)}.",
    )


def config_id(space: DesignSpace, position: int) -> str:
    """`config_001` for position 0; as many digits as the last needs, at least three."""
    return f"{_PREFIX}{position + 1:0{_digits(space.size)}d}"


def is_config_id(text: str) -> bool:
    """Whether it is `config_` and a number, as a design space calls its configurations."""
    return text.startswith(_PREFIX) and text.removeprefix(_PREFIX).isdecimal()


def _digits(total: int) -> int:
    return max(3, len(str(total)))


def generated_outputs(stage: str, steps: Iterable[str]) -> list[str]:
    """`generate_outputs` of FINN's configuration for an output stage and the names of the steps."""
    outputs = list(_GENERATED[stage])
    if "stitched_ip" in outputs:
        outputs += dict.fromkeys(_ASKED_BY[step] for step in steps if step in _ASKED_BY)
    return outputs


def content_id_of(config: BuildConfig) -> str:
    """The content id of what a configuration holds, whatever it says."""
    point = Point(
        flags=config.config_flags,
        transforms_by_stage=config.transforms_by_stage,
        build_steps=config.build_steps,
        kernels=config.kernels,
        kernel_attributes=config.kernel_attributes,
    )
    shape = _shape_digest(config.backend, config.model_path, config.global_config["output_stage"], point)
    fields = ((name, value) for name, value in sorted(config.config_flags.items()) if name != _OUTPUTS)
    return _content_id(shape, (canonical_json([name, value]) for name, value in fields))


def _content_id(shape: bytes, fields: Iterable[bytes]) -> str:
    """From the digest of all that is no field, and each field as a line of JSON in the order of the names."""
    return digest_bytes(b"\n".join([b"config", shape, *fields]))


def _shape_digest(backend: str, model_path: str, output_stage: str, point: Point) -> bytes:
    """The digest of all that is no field.

    Names only: what files hold is in the keys of the engine. `generate_outputs` follows from the rest.
    """
    content = {
        "backend": backend,
        "kernels": sorted([name, *backends] for name, backends in point.kernels),
        "kernel_attributes": point.kernel_attributes,
        "model_path": model_path,
        "output_stage": output_stage,
        "steps": point.build_steps,
        "transforms": point.transforms_by_stage,
    }
    return digest_value("shape", content).encode()


class _Maker:
    """Makes the configurations of one space.

    Transforms, steps and kernels are the same for all configurations that differ in fields alone: they are
    put together once, and tuples of them are shared.
    """

    def __init__(self, space: DesignSpace) -> None:
        self._space = space
        self._compiler = space.hw_compiler_space
        axes = [(at, slot) for at, slot in enumerate(self._compiler.slots) if slot.is_axis]
        self._shaping = [at for at, slot in axes if slot.kind != FIELD]
        self._shape = lru_cache(maxsize=_SHAPES)(self._make_shape)
        self._varied = [(at, slot.name, slot.options) for at, slot in axes if slot.kind == FIELD]
        self._flags = {name: options[0] for name, options in self._compiler.config.items()}
        self._render = lru_cache(maxsize=None)(self._make_text)
        self._texts = {name: canonical_json([name, self._flags[name]]) for name in sorted(self._flags)}
        self._global = {**space.global_config, **_judging(space)}
        self._stage = space.global_config["output_stage"]

    def config(self, position: int) -> BuildConfig:
        """The configuration at a position; its mappings and lists are its own, their entries are shared."""
        space = self._space
        point, shape_digest = self._shape(self._compiler.choices(position, self._shaping))
        flags, texts = self._flags_at(position)
        flags[_OUTPUTS] = generated_outputs(self._stage, map(entry_name, point.build_steps))
        own_id = config_id(space, position)
        return BuildConfig(
            id=own_id,
            design_space_id=space.name,
            content_id=_content_id(shape_digest, texts),
            model_path=space.model_path,
            kernels=point.kernels,
            transforms_by_stage={stage: list(each) for stage, each in point.transforms_by_stage.items()},
            build_steps=point.build_steps,
            config_flags=flags,
            global_config=dict(self._global),
            backend=space.backend,
            output_dir=f"{OUTPUT_ROOT}/{space.name}/{own_id}",
            combination_index=position,
            total_combinations=space.size,
            kernel_attributes={name: dict(each) for name, each in point.kernel_attributes.items()},
        )

    def _flags_at(self, position: int) -> tuple[dict[str, Any], Iterable[bytes]]:
        """The fields, and each as a line of JSON in the order of their names, for the content id."""
        flags = self._flags.copy()
        texts = self._texts.copy()
        choices = self._compiler.choices(position, (at for at, _, _ in self._varied))
        for (at, name, options), choice in zip(self._varied, choices, strict=True):
            flags[name] = options[choice]
            texts[name] = self._render(at, choice)
        return flags, texts.values()

    def _make_text(self, at: int, choice: int) -> bytes:
        slot = self._compiler.slots[at]
        return canonical_json([slot.name, slot.options[choice]])

    def _make_shape(self, picked: tuple[int, ...]) -> tuple[Point, bytes]:
        """What the slots hold that are no fields, and the digest of all that is no field."""
        space = self._space
        choices = [0] * len(self._compiler.slots)
        for at, choice in zip(self._shaping, picked, strict=True):
            choices[at] = choice
        point = self._compiler.point(choices)
        return point, _shape_digest(space.backend, space.model_path, self._stage, point)


def _judging(space: DesignSpace) -> dict[str, Any]:
    """What a build is held against, as far as the blueprint says anything."""
    judging = {
        "build_timeout_seconds": space.search_config.timeout_seconds,
        "limits": [limit.text for limit in space.limits],
        "objectives": [list(objective) for objective in space.objectives],
    }
    return {name: value for name, value in judging.items() if value}


def _listed(space: DesignSpace) -> str:
    if space.size <= _LISTED:
        return ", ".join(config_ids(space)) or "none: the constraints exclude all"
    return f"{config_id(space, 0)} to {config_id(space, space.size - 1)}"

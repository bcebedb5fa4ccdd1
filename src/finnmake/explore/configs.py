"""DesignSpace -> BuildConfigs, one at a time by position; the last axis of the blueprint varies fastest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, Location
from finnmake.hashing import digest_value
from finnmake.records import BuildConfig, OutputStage

#: Where outputs appear, below the project.
OUTPUT_ROOT = "builds"

_PREFIX = "config_"

#: Output stage -> `generate_outputs` of FINN's configuration.
_GENERATED = {OutputStage.ESTIMATES.value: ["estimate_reports"]}

#: So many ids are listed in full; of more, only the ends.
_LISTED = 12


def iter_configs(space: DesignSpace) -> Iterator[BuildConfig]:
    """All configurations in order, one at a time."""
    return (config_at(space, index) for index in range(space.get_total_combinations()))


def config_ids(space: DesignSpace) -> Iterator[str]:
    """The ids of all configurations in order: `config_001` …"""
    total = space.get_total_combinations()
    return (_config_id(index, total) for index in range(total))


def config_at(space: DesignSpace, index: int) -> BuildConfig:
    """The configuration at a 0-based position. Raises IndexError where there is none."""
    total = space.get_total_combinations()
    if not 0 <= index < total:
        raise IndexError(f"{space.name} has {total} configurations, none at {index}")
    flags = {**space.flags, **_point(space, index), **_generated(space)}
    config_id = _config_id(index, total)
    return BuildConfig(
        id=config_id,
        design_space_id=space.name,
        content_id=_content_id(space, flags),
        model_path=space.model_path,
        kernels=(),
        transforms_by_stage=_stages(space),
        build_steps=space.build_steps,
        config_flags=flags,
        global_config=dict(space.global_config),
        backend=space.backend,
        output_dir=str(PurePosixPath(OUTPUT_ROOT, space.name, config_id)),
        combination_index=index,
        total_combinations=total,
    )


def find_config(space: DesignSpace, config_id: str) -> BuildConfig:
    """The configuration of an id. Raises BlueprintError, which lists those that exist."""
    total = space.get_total_combinations()
    number = config_id.removeprefix(_PREFIX)
    if number.isdecimal() and len(number) <= _digits(total):
        index = int(number) - 1
        if 0 <= index < total and _config_id(index, total) == config_id:
            return config_at(space, index)
    raise BlueprintError(
        f"{space.name} has no configuration {config_id!r}",
        where=Location(path=space.lines["name"].path if "name" in space.lines else space.path),
        cure=f"It has {_listed(space)}.",
    )


def _config_id(index: int, total: int) -> str:
    return f"{_PREFIX}{index + 1:0{_digits(total)}d}"


def _digits(total: int) -> int:
    return max(3, len(str(total)))


def _point(space: DesignSpace, index: int) -> dict[str, Any]:
    """The value on each axis at a position: the digits of a number whose bases are the axes' lengths."""
    values: dict[str, Any] = {}
    for name in reversed(list(space.axes)):
        index, digit = divmod(index, len(space.axes[name]))
        values[name] = space.axes[name][digit]
    return {name: values[name] for name in space.axes}


def _generated(space: DesignSpace) -> dict[str, list[str]]:
    outputs = _GENERATED.get(space.global_config["output_stage"])
    return {} if outputs is None else {"generate_outputs": list(outputs)}


def _stages(space: DesignSpace) -> dict[str, list[Any]]:
    return {stage: list(entries) for stage, entries in space.transforms_by_stage.items()}


def _content_id(space: DesignSpace, flags: dict[str, Any]) -> str:
    """Digest of what can change a result. Names only: what files hold is in the keys of the engine."""
    return digest_value(
        "config",
        {
            "backend": space.backend,
            "config_flags": flags,
            "kernels": [],
            "model_path": space.model_path,
            "output_stage": space.global_config["output_stage"],
            "steps": space.build_steps,
            "transforms": _stages(space),
        },
    )


def _listed(space: DesignSpace) -> str:
    ids = config_ids(space)
    total = space.get_total_combinations()
    if total <= _LISTED:
        return ", ".join(ids)
    return f"{next(ids)} to {_config_id(total - 1, total)}"

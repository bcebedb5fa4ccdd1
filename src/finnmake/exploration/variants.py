"""Configurations that are no point of a design space: one of its points with something changed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from finnmake.blueprint.slots import entry_name
from finnmake.errors import BlueprintError
from finnmake.exploration.checks import check_config
from finnmake.exploration.configs import OUTPUT_ROOT, content_id_of, generated_outputs, is_config_id
from finnmake.records import BuildConfig

_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")

#: What goes with the rest: the id, the design space, or what else is changed.
_DERIVED = ("id", "content_id", "design_space_id", "output_dir", "combination_index", "total_combinations")


def variant(config: BuildConfig, own_id: str, **changes: Any) -> BuildConfig:
    """A configuration with some attributes changed, with a content id and an output folder of its own.

    Args:
        config: what it is made from.
        own_id: names it and its folder; not `config_001` …, which are those of the design space.
        changes: attributes of `BuildConfig` with their new values. Of `config_flags`, `global_config` and
            `kernel_attributes` only what is given changes.

    Raises ValueError for an id that cannot name a folder or is taken, an attribute that cannot be changed, or
    a value that no blueprint could have given it.
    """
    if not _ID.fullmatch(own_id) or is_config_id(own_id):
        raise ValueError(
            f"id is {own_id!r}: it has to be a folder's name of letters, digits, '_', '-' and '.', and "
            "config_001 … are those of the design space"
        )
    for name in changes:
        if name in _DERIVED or name not in BuildConfig.__slots__:
            able = ", ".join(each for each in BuildConfig.__slots__ if each not in _DERIVED)
            raise ValueError(f"{name} cannot be changed; what can: {able}")
    for name in ("config_flags", "global_config", "kernel_attributes"):
        changes[name] = {**getattr(config, name), **changes.get(name, {})}
    changed = replace(
        config, **changes, id=own_id, output_dir=f"{OUTPUT_ROOT}/{config.design_space_id}/{own_id}"
    )
    try:
        check_config(changed)
    except BlueprintError as error:
        raise ValueError(str(error)) from error
    outputs = generated_outputs(changed.global_config["output_stage"], map(entry_name, changed.build_steps))
    flags = {**changed.config_flags, "generate_outputs": outputs}
    changed = replace(changed, config_flags=flags)
    return replace(changed, content_id=content_id_of(changed))

"""What a configuration chose, in the words of a blueprint: values for a page, no markup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from finnmake.blueprint.schema import ON_ERROR
from finnmake.report.tables import is_plain, text
from finnmake.runner.reports import finite_number

#: Levels of nesting that are written out.
_DEEPEST = 6


def as_mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def part_of(config: Mapping[str, Any]) -> str:
    """The FPGA part or board that a configuration names."""
    flags = as_mapping(config.get("config_flags"))
    return text(flags.get("fpga_part") or flags.get("board"))


def position_of(config: Mapping[str, Any]) -> str:
    """Which of how many a configuration is; empty where that is not known."""
    index, total = (
        finite_number(config.get("combination_index")),
        finite_number(config.get("total_combinations")),
    )
    return "" if index is None or total is None else f"{index + 1:,.0f} of {total:,.0f}"


def _kernels(pairs: Any) -> Any:
    """(kernel, backends) pairs by the kernels' names; anything else as it is."""
    named = isinstance(pairs, list | tuple) and all(
        isinstance(each, list | tuple) and len(each) == 2 and isinstance(each[0], str) for each in pairs
    )
    return dict(pairs) if named else pairs


def _transforms(stages: Any) -> Any:
    """Stage -> its transforms in words; anything else as it is."""
    if not isinstance(stages, Mapping) or not all(isinstance(entries, list) for entries in stages.values()):
        return stages
    return {stage: [_worded(entry) for entry in entries] for stage, entries in stages.items()}


def _worded(entry: Any) -> str:
    """`name` or `name (parameter: value)` of an entry; anything else as it is."""
    if isinstance(entry, str):
        return entry
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        return _compact(entry)
    said = {**as_mapping(entry.get("parameters")), **{k: v for k, v in entry.items() if k == ON_ERROR}}
    words = ", ".join(f"{key}: {_compact(value)}" for key, value in said.items())
    name: str = entry["name"]
    return f"{name} ({words})" if words else name


def _compact(value: Any, depth: int = _DEEPEST) -> str:
    """A value on one line."""
    if is_plain(value):
        return text(value)
    if not depth:
        return "…"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{key}: {_compact(entry, depth - 1)}" for key, entry in value.items())
        return f"{{{inner}}}"
    return f"[{', '.join(_compact(entry, depth - 1) for entry in value)}]"


def choices(config: Mapping[str, Any]) -> dict[str, Any]:
    """What the configuration chose, under the names that a blueprint uses."""
    return {
        "model": config.get("model_path"),
        "backend": config.get("backend"),
        **as_mapping(config.get("config_flags")),
        "kernels": _kernels(config.get("kernels")),
        "transforms": _transforms(config.get("transforms_by_stage")),
        **as_mapping(config.get("global_config")),
    }

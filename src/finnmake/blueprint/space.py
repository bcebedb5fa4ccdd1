"""DesignSpace: a blueprint, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from finnmake.errors import Location


@dataclass(frozen=True)
class DesignSpace:
    """All that a blueprint describes. Paths are relative to the project (POSIX) where they lie inside it.

    Attributes:
        name: of the design space; its outputs are below `builds/<name>/`.
        path: the blueprint's file, absolute.
        model_path: the QONNX model.
        flags: fields of `DataflowBuildConfig` that have one value everywhere, JSON values.
        axes: fields that vary, in the written order -> their values, JSON values.
        transforms_by_stage: stage -> entries, each a name or `{name, parameters}`.
        build_steps: FINN steps and plugins in order, each a name or `{step, parameters}`.
        backend: `finn` …
        global_config: `output_stage` and `timeout_seconds` (for one step).
        description: free text.
        lines: key path, e.g. `design_space.config.target_fps` -> where it stands, for later errors.
    """

    name: str
    path: Path
    model_path: str
    flags: Mapping[str, Any]
    axes: Mapping[str, tuple[Any, ...]]
    transforms_by_stage: Mapping[str, tuple[Any, ...]]
    build_steps: tuple[Any, ...]
    backend: str
    global_config: Mapping[str, Any]
    description: str = ""
    lines: Mapping[str, Location] = field(default_factory=dict, compare=False, repr=False)

    def get_total_combinations(self) -> int:
        """How many configurations there are: the product of the lengths of the axes."""
        return prod(len(values) for values in self.axes.values())

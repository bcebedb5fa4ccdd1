"""What a plugin author writes: `@step`, `@transform`, `@analysis`, and what an analysis is given.

The decorators mark a function or class with what it is; nothing else changes, so that FINN can use a step
unchanged. They keep no registry: the engine finds plugins by the names in the blueprint.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from finnmake.plugins.build import Build

__all__ = ["Build", "analysis", "step", "transform"]

_Plugin = TypeVar("_Plugin", bound=Callable[..., Any])


def step(function: _Plugin) -> _Plugin:
    """Mark a FINN build step: `(ModelWrapper, DataflowBuildConfig) -> ModelWrapper`."""
    vars(function)["finnmake_kind"] = "step"
    return function


def transform(*, stage: str) -> Callable[[_Plugin], _Plugin]:
    """Mark a QONNX Transformation class for `stage`; its parameters are its constructor's."""

    def mark(plugin: _Plugin) -> _Plugin:
        plugin.finnmake_kind = "transform"  # type: ignore[attr-defined]
        plugin.finnmake_stage = stage  # type: ignore[attr-defined]
        return plugin

    return mark


def analysis(function: _Plugin) -> _Plugin:
    """Mark an analysis: `(Build) -> dict`, kept as `postprocessing/<name>.json`."""
    vars(function)["finnmake_kind"] = "analysis"
    return function

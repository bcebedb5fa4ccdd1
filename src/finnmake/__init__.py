"""finnmake: Make for FINN. Reproducible, incremental builds of FPGA dataflow accelerators."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finnmake.api import explore, forge
    from finnmake.exploration.hooks import CachingHook, ExplorationHook, LoggingHook
    from finnmake.exploration.mlflow_hook import MLflowHook
    from finnmake.exploration.results import ExplorationResult
    from finnmake.runner.factory import create_build_runner_factory

__all__ = [
    "CachingHook",
    "ExplorationHook",
    "ExplorationResult",
    "LoggingHook",
    "MLflowHook",
    "create_build_runner_factory",
    "explore",
    "forge",
]

#: Name -> where it is; imported when first asked for, as `import finnmake` is part of every null build.
_HOMES = {
    "CachingHook": "exploration.hooks",
    "ExplorationHook": "exploration.hooks",
    "ExplorationResult": "exploration.results",
    "LoggingHook": "exploration.hooks",
    "MLflowHook": "exploration.mlflow_hook",
    "create_build_runner_factory": "runner.factory",
    "explore": "api",
    "forge": "api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

"""finnmake: Make for FINN. Reproducible, incremental builds of FPGA dataflow accelerators."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from finnmake.api import BuildRunner, create_build_runner_factory, explore, forge
    from finnmake.exploration.configs import find_config, iter_configs
    from finnmake.exploration.hooks import CachingHook, ExplorationHook
    from finnmake.exploration.logging_hook import LoggingHook
    from finnmake.exploration.mlflow_hook import MLflowHook
    from finnmake.exploration.results import ExplorationResult
    from finnmake.exploration.variants import variant
    from finnmake.records import BuildConfig, BuildMetrics, BuildResult, BuildStatus, OutputStage
    from finnmake.runner.interface import BuildRunnerInterface

__all__ = [
    "BuildConfig",
    "BuildMetrics",
    "BuildResult",
    "BuildRunner",
    "BuildRunnerInterface",
    "BuildStatus",
    "CachingHook",
    "ExplorationHook",
    "ExplorationResult",
    "LoggingHook",
    "MLflowHook",
    "OutputStage",
    "create_build_runner_factory",
    "explore",
    "find_config",
    "forge",
    "iter_configs",
    "variant",
]

#: Name -> where it is; imported when first asked for, as `import finnmake` is part of every null build.
_HOMES = {
    "BuildConfig": "records",
    "BuildMetrics": "records",
    "BuildResult": "records",
    "BuildRunner": "api",
    "BuildRunnerInterface": "runner.interface",
    "BuildStatus": "records",
    "CachingHook": "exploration.hooks",
    "ExplorationHook": "exploration.hooks",
    "ExplorationResult": "exploration.results",
    "LoggingHook": "exploration.logging_hook",
    "MLflowHook": "exploration.mlflow_hook",
    "OutputStage": "records",
    "create_build_runner_factory": "api",
    "explore": "api",
    "find_config": "exploration.configs",
    "forge": "api",
    "iter_configs": "exploration.configs",
    "variant": "exploration.variants",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)

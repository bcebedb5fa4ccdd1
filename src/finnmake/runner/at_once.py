"""The calls of a backend that takes all steps of a configuration at once (`Backend.calls`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finnmake.backends import Backend
from finnmake.engine.state import StepCall
from finnmake.exploration.tree import AFTER_STEPS, BEFORE_STEPS
from finnmake.records import BuildConfig, OutputStage

#: The kind of a call that takes the place of all steps.
WHOLE = "build"

#: What is told of each step, and of each transform among them.
_STEP = ("kind", "name", "parameters")


def calls_at_once(
    config: BuildConfig, backend: Backend, steps: Sequence[tuple[str, str, Any]], *, whole: bool
) -> list[StepCall]:
    """One call for each function of the adapter; the first gets what is to be built, the others nothing.

    Args:
        steps: kind, name and parameters of each.
        whole: whether these are all steps; of a part, estimates are wanted.
    """
    stage = config.global_config["output_stage"] if whole else OutputStage.ESTIMATES.value
    given = {
        "design_space": config.design_space_id,
        "output_stage": stage,
        "kernels": _kernels(config),
        "steps": [dict(zip(_STEP, step, strict=True)) for step in steps],
        "transforms": {
            name: entries for name, entries in config.transforms_by_stage.items() if name != AFTER_STEPS
        },
    }
    first = len(config.transforms_by_stage.get(BEFORE_STEPS, []))
    return [
        StepCall(
            name=f"{backend.name}_{function}",
            kind=WHOLE,
            target=f"{backend.adapter}:{function}",
            parameters={} if at else given,
            position=first + at,
        )
        for at, function in enumerate(backend.calls)
    ]


def _kernels(config: BuildConfig) -> list[dict[str, Any]]:
    """Every kernel that anything is chosen for, in the order of the configuration."""
    backends = dict(config.kernels)
    names = dict.fromkeys([*backends, *sorted(config.kernel_attributes)])
    return [
        {
            "name": name,
            "backends": list(backends.get(name, ())),
            "attributes": dict(config.kernel_attributes.get(name, {})),
        }
        for name in names
    ]

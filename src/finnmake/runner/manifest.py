"""manifest.json: all that went into a build, what came out, and by which keys; the same each time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from finnmake.engine.realize import Flow, StepOutcome
from finnmake.engine.toolchain import Toolchain
from finnmake.records import BuildConfig


def manifest(
    config: BuildConfig,
    flow: Flow,
    outcomes: Sequence[StepOutcome],
    artifacts: Mapping[str, str],
    *,
    toolchain: Toolchain,
    simulated: bool,
) -> dict[str, Any]:
    """The manifest as JSON values.

    Args:
        artifacts: relative name -> store entry.
    """
    inputs: dict[str, str | None] = {config.model_path: flow.model[:64]}
    for outcome in outcomes:
        inputs.update(outcome.trace["reads"]["files"])
    return {
        "config_id": config.id,
        "content_id": config.content_id,
        "blueprint": config.design_space_id,
        "backend": config.backend,
        "simulated": simulated,
        "model": {"path": config.model_path, "sha256": flow.model[:64]},
        "inputs": inputs,
        "steps": [_step(outcome) for outcome in outcomes],
        "outputs": {name: entry[:64] for name, entry in artifacts.items()},
        "toolchain": dict(toolchain.parts),
    }


def _step(outcome: StepOutcome) -> dict[str, Any]:
    return {
        "name": outcome.call.name,
        "kind": outcome.call.kind,
        "target": outcome.call.target,
        "parameters": dict(outcome.call.parameters),
        "action_key": outcome.key,
        "fields": outcome.trace["reads"]["fields"],
        "output": outcome.state.model[:64],
    }

"""What the page of a failed build shows, worked out from its result and configuration: values, no markup."""

from __future__ import annotations

from typing import Any

from finnmake.blueprint.slots import entry_name
from finnmake.error_patterns import CATEGORIES
from finnmake.exploration.tree import chain
from finnmake.records import BuildConfig, BuildResult, BuildStatus
from finnmake.report.choices import choices, part_of, position_of
from finnmake.report.tables import table, text

#: How the page says a status.
_ENDED = {BuildStatus.TIMEOUT: "ran out of time", BuildStatus.SKIPPED: "was not built"}


def failure_page(result: BuildResult, config: BuildConfig) -> dict[str, Any]:
    """Everything that the template `failure.html.j2` names."""
    category = result.error_category or "unknown"
    values = config.to_dict()
    return {
        "blueprint": text(config.design_space_id),
        "config_id": text(config.id),
        "position": position_of(values),
        "model": text(config.model_path),
        "part": part_of(values),
        "backend": text(config.backend),
        "simulated": result.simulated,
        "ended": _ENDED.get(result.status, "failed"),
        "step": text(result.error_step or ""),
        "node": text(result.error_node or ""),
        "category": category,
        "meaning": CATEGORIES.get(category, ""),
        "message": _message(result),
        "tips": result.tips,
        "warnings": result.warnings,
        "log": result.logs.get("build", ""),
        "tail": result.log_tail,
        "flow": _flow(config, result.error_step),
        "configuration": table(choices(values)),
    }


def _message(result: BuildResult) -> str:
    """What is wrong, without the step and node, which the page shows by themselves."""
    message, step = result.error_message or "", result.error_step
    for start in (f"{step}, node {result.error_node}: ", f"{step}: "):
        if step and message.startswith(start):
            return message[len(start) :]
    return message


def _flow(config: BuildConfig, failed: str | None) -> list[tuple[str, str]]:
    """The transforms and steps in order, each `done`, `failed` or `ahead`; none where that is not clear."""
    names = [entry_name(entry) for entry in chain(config)]
    if failed is None or names.count(failed) != 1:
        return []
    at = names.index(failed)
    return [(name, "done" if i < at else "failed" if i == at else "ahead") for i, name in enumerate(names)]

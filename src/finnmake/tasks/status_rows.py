"""The state of each configuration: whether its result is there, still right, how old, and its figures."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from finnmake.records import BuildStatus
from finnmake.runner.reports import finite_number, read_json
from finnmake.tasks.standing import FRESH, STALE, Standing
from finnmake.tasks.workspace import Workspace

#: States, in the order in which they are counted. `not built`: its build was begun and did not end;
#: `never`: nothing of it is there.
BUILT, STALE_BUILD, FAILED, TIMEOUT, SKIPPED, NOT_BUILT, NEVER = STATES = (
    *("built", "stale", "failed", "timeout", "skipped", "not built", "never"),
)

_ENDED = {
    BuildStatus.FAILED.value: FAILED,
    BuildStatus.TIMEOUT.value: TIMEOUT,
    BuildStatus.SKIPPED.value: SKIPPED,
}

#: The figures that are told.
FIGURES = ("throughput", "latency", "lut_utilization")


@dataclass(frozen=True)
class Row:
    """One configuration.

    Attributes:
        config_id: its id.
        state: one of STATES.
        age: seconds since the result; None where there is none.
        metrics: FIGURES as far as they are known; of a stale build those of its last result.
        stale: the first of its tasks that is not up to date; empty where all are, or it has no result.
        message: what a build that did not end well says, in one line.
        simulated: whether the figures are made up.
    """

    config_id: str
    state: str
    age: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    stale: str = ""
    message: str = ""
    simulated: bool = False


def rows(ws: Workspace, standing: Standing) -> Iterator[Row]:
    """The state of each configuration asked for."""
    tasks: dict[str, list[str]] = {}
    for name in standing.order:
        group, _, owner = name.partition(":")
        if group != "segment":
            tasks.setdefault(owner, []).append(name)
    for config in ws.configs:
        yield _row(ws, standing, config.id, tasks.get(config.id, []))


def _row(ws: Workspace, standing: Standing, config_id: str, tasks: list[str]) -> Row:
    folder = ws.site(config_id).folder
    result, _ = read_json(folder / "result.json")
    if not isinstance(result, dict):
        return Row(config_id, NOT_BUILT if folder.is_dir() else NEVER)
    ended = finite_number(result.get("end_time"))
    told: dict[str, Any] = {
        "age": None if ended is None else max(0.0, time.time() - ended),
        "metrics": _figures(result.get("metrics")),
        "simulated": result.get("simulated") is True,
    }
    if result.get("status") in _ENDED:
        message = str(result.get("error_message") or "").partition("\n")[0]
        return Row(config_id, _ENDED[result["status"]], message=message, **told)
    stale = next((name for name in tasks if standing.stands(name) == STALE), "")
    stale = stale or next((name for name in tasks if standing.stands(name) != FRESH), "")
    return Row(config_id, STALE_BUILD if stale else BUILT, stale=stale, **told)


def _figures(metrics: Any) -> dict[str, float]:
    known = metrics if isinstance(metrics, dict) else {}
    found = ((name, finite_number(known.get(name))) for name in FIGURES)
    return {name: value for name, value in found if value is not None}

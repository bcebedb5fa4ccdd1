"""Whether a configuration is built and up to date, task by task, and what its tasks kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doit.dependency import Dependency
from doit.loader import generate_tasks
from doit.task import Task

from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.records import BuildConfig, BuildStatus
from finnmake.tasks import generators
from finnmake.tasks.checker import ContentChecker
from finnmake.tasks.fresh import RECORD
from finnmake.tasks.state import StateDB
from finnmake.tasks.workspace import Workspace

#: The tasks whose outputs are a configuration's, in the order in which they run.
_MAKERS = {
    "preprocess": generators.task_preprocess,
    "finn": generators.task_finn,
    "metrics": generators.task_metrics,
    "analyze": generators.task_analyze,
    "report": generators.task_report,
    "build": generators.task_build,
}


def records_of(ws: Workspace, config: BuildConfig) -> dict[str, Mapping[str, Any]]:
    """Task group -> what the task kept (see `fresh.record`), of a configuration that is up to date.

    Args:
        ws: the workspace, asked about this configuration alone.

    Raises WorkspaceError, naming the task, where one has not run, failed or is stale.
    """
    if not (ws.root / config.output_dir / "manifest.json").is_file():
        raise _not_built(config, "it is not built")
    _ = ws.toolchain  # what is wrong with it is told as it is, not as doit tells it
    records = {}
    with _state(ws.folder / ".doit.sqlite") as state:
        for group, maker in _MAKERS.items():
            task = _task(group, config, maker())
            kept = state.get_values(task.name).get(RECORD)
            if kept is None:
                raise _not_built(config, f"{task.name} has not run to its end")
            if state.get_status(task, None).status != "up-to-date":
                raise _not_built(config, f"{task.name} is out of date")
            records[group] = kept
    _check_result(ws, config)
    return records


@contextmanager
def _state(path: Path) -> Iterator[Dependency]:
    state = Dependency(StateDB, str(path), checker_cls=ContentChecker)
    try:
        yield state
    finally:
        state.close()


def _task(group: str, config: BuildConfig, made: Iterator[dict[str, Any]]) -> Task:
    wanted = f"{group}:{config.id}"
    return next(task for task in generate_tasks(group, made) if task.name == wanted)


def _check_result(ws: Workspace, config: BuildConfig) -> None:
    path = ws.root / config.output_dir / "result.json"
    try:
        status = json.loads(path.read_bytes())["status"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_built(config, "its result.json cannot be read") from error
    if status != BuildStatus.SUCCESS.value:
        raise _not_built(config, f"its last build ended as {status}")


def _not_built(config: BuildConfig, why: str) -> FinnmakeError:
    return WorkspaceError(
        f"not exported: {why}",
        where=Location(key=config.id),
        cure=f"Build it first: doit build:{config.id}",
    )

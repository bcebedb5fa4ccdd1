"""Loads dodo.py: blueprint errors in words, one run at a time in a folder, a clean end on SIGTERM."""

from __future__ import annotations

import fnmatch
import signal
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader, ModuleTaskLoader
from doit.exceptions import InvalidCommand, InvalidDodoFile

from finnmake.errors import BlueprintError, FinnmakeError
from finnmake.exploration.configs import config_id, find_config
from finnmake.exploration.selection import select
from finnmake.tasks import interrupts
from finnmake.tasks.workspace import Workspace, workspace

#: What may be given on the command line as `name=value`.
_VARIABLES = ("blueprint", "model", "runtime")

#: Groups of tasks with one task a configuration.
GROUPS = ("preprocess", "estimate", "finn", "metrics", "analyze", "report", "build")


class _Errors:
    """What both loaders do around doit's own loading: errors as users can read them."""

    cmd_names: Sequence[str]

    def load_doit_config(self) -> dict[str, Any]:
        """doit's settings, and the file that holds the state of this blueprint's tasks."""
        check_variables(doit_cmd._CMDLINE_VARS or {})
        try:
            state = workspace().folder / ".doit.sqlite"
        except FinnmakeError as error:
            raise InvalidDodoFile(str(error)) from error
        found: dict[str, Any] = super().load_doit_config()  # type: ignore[misc]
        return {**found, "dep_file": str(state)}

    def load_tasks(self, cmd: Any, pos_args: Sequence[str]) -> Any:
        """The tasks. Raises InvalidDodoFile, InvalidCommand."""
        ws = workspace()
        for name in pos_args:
            if name in (self.cmd_names or ()):
                raise InvalidCommand(f"{name} is a command\n  -> It comes first: doit {name} [options]")
        try:
            ws.asked = configurations_named(ws, pos_args, GROUPS)
            if cmd.execute_tasks:
                ws.lock()
                for note in ws.space.notes:
                    ws.screen.line(f"note: {note}")
                _ = ws.ground  # tells what is wrong with the container before anything runs
            tasks = super().load_tasks(cmd, pos_args)  # type: ignore[misc]
            check_names(pos_args, [task.name for task in tasks])
        except FinnmakeError as error:
            raise InvalidDodoFile(str(error)) from error
        return tasks


class Loader(_Errors, DodoTaskLoader):  # type: ignore[misc]
    """The loader of dodo.py; from here on SIGTERM ends a run as Ctrl-C does."""

    def load_tasks(self, cmd: Any, pos_args: Sequence[str]) -> Any:
        """The tasks of dodo.py. Raises InvalidDodoFile, InvalidCommand."""
        if cmd.execute_tasks:
            interrupts.heed(signal.SIGTERM)
        return super().load_tasks(cmd, pos_args)


class ApiLoader(_Errors, ModuleTaskLoader):  # type: ignore[misc]
    """The loader of finnmake's own tasks, without a dodo.py, for runs that Python code starts."""


def configurations_named(
    ws: Workspace, names: Sequence[str], groups: Collection[str]
) -> tuple[str, ...] | None:
    """The configurations that the command line names, where it names nothing else; otherwise None.

    Raises BlueprintError for a pattern that fits none of those that are selected.
    """
    asked = [name.partition(":") for name in names]
    if any(group not in groups or wanted in ("", "*") for group, _, wanted in asked):
        return None
    found: dict[str, None] = {}
    for name, (_, _, wanted) in zip(names, asked, strict=True):
        found.update(dict.fromkeys(_matching(ws, name, wanted) if "*" in wanted else [wanted]))
    return tuple(found) or None


def _matching(ws: Workspace, name: str, pattern: str) -> list[str]:
    ids = [config_id(ws.space, position) for position in select(ws.space)]
    found = fnmatch.filter(ids, pattern)
    if not found:
        raise BlueprintError(
            f"{name} fits none of the {len(ids):,} configurations of {ws.space.name}",
            cure=f"There are {ids[0]} to {ids[-1]}.",
        )
    return found


def check_variables(given: Iterable[str]) -> None:
    """Raise InvalidCommand for a mistyped `blueprint=NAME`: the default would be built in its place."""
    for name in given:
        if name not in _VARIABLES:
            known = ", ".join(f"{each}=…" for each in _VARIABLES)
            raise InvalidCommand(f"there is no variable {name!r}\n  -> There are {known}.")


def check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise InvalidCommand for a configuration that does not exist, naming those that do."""
    for name in wanted:
        group, colon, config_id = name.partition(":")
        if not colon or name in known or "*" in name or name.startswith("-"):
            continue
        near = [task for task in known if task.startswith(f"{group}:")]
        if near:
            if group in GROUPS:
                find_config(workspace().space, config_id)  # raises, and lists those that exist
            raise InvalidCommand(f"there is no {name!r}\n  -> there are {', '.join(near)}")
        from difflib import get_close_matches  # only errors need it

        close = get_close_matches(name, known, 3)
        raise InvalidCommand(f"there is no task {name!r}\n  -> the nearest: {', '.join(close) or 'none'}")

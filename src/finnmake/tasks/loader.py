"""Loads dodo.py: blueprint errors in words, one run at a time in a folder, a clean end on SIGTERM."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from doit import doit_cmd
from doit.cmd_base import DodoTaskLoader
from doit.exceptions import InvalidCommand, InvalidDodoFile

from finnmake.errors import FinnmakeError
from finnmake.explore.configs import find_config
from finnmake.tasks.workspace import workspace

#: What may be given on the command line as `name=value`.
_VARIABLES = ("blueprint", "runtime")


class Loader(DodoTaskLoader):  # type: ignore[misc]
    """doit's loader of dodo.py, with errors as users can read them."""

    def load_doit_config(self) -> dict[str, Any]:
        """dodo.py's settings, and the file that holds the state of this blueprint's tasks."""
        _check_variables(doit_cmd._CMDLINE_VARS or {})
        try:
            state = workspace().folder / ".doit.sqlite"
        except FinnmakeError as error:
            raise InvalidDodoFile(str(error)) from error
        return {**super().load_doit_config(), "dep_file": str(state)}

    def load_tasks(self, cmd: Any, pos_args: Sequence[str]) -> Any:
        """The tasks of dodo.py. Raises InvalidDodoFile, InvalidCommand."""
        try:
            workspace().asked = frozenset(name.partition(":")[2] for name in pos_args)
            if cmd.execute_tasks:
                workspace().lock()
                signal.signal(signal.SIGTERM, _interrupt)
                _ = workspace().ground  # tells what is wrong with the container before anything runs
            tasks = super().load_tasks(cmd, pos_args)
            _check_names(pos_args, [task.name for task in tasks])
        except FinnmakeError as error:
            raise InvalidDodoFile(str(error)) from error
        return tasks


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _check_variables(given: Iterable[str]) -> None:
    """Raise InvalidCommand for a mistyped `blueprint=NAME`: the default would be built in its place."""
    for name in given:
        if name not in _VARIABLES:
            known = " and ".join(f"{each}=NAME" for each in _VARIABLES)
            raise InvalidCommand(f"there is no variable {name!r}\n  -> There are {known}.")


def _check_names(wanted: Sequence[str], known: Sequence[str]) -> None:
    """Raise InvalidCommand for a configuration that does not exist, naming those that do."""
    for name in wanted:
        group, colon, config_id = name.partition(":")
        if not colon or name in known or "*" in name or name.startswith("-"):
            continue
        near = [task for task in known if task.startswith(f"{group}:")]
        if near:
            if group != "segment":
                find_config(workspace().space, config_id)  # raises, and lists those that exist
            raise InvalidCommand(f"there is no {name!r}\n  -> there are {', '.join(near)}")
        close = difflib.get_close_matches(name, known, 3)
        raise InvalidCommand(f"there is no task {name!r}\n  -> the nearest: {', '.join(close) or 'none'}")

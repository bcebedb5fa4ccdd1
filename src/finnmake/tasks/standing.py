"""How every task stands, by the very checks of a run, without running or changing anything."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from doit.dependency import Dependency, JSONCodec
from doit.exceptions import InvalidDodoFile
from doit.loader import generate_tasks
from doit.task import Task

from finnmake.errors import FinnmakeError
from finnmake.tasks import generators
from finnmake.tasks.checker import ContentChecker
from finnmake.tasks.fresh import RECORD
from finnmake.tasks.loader import GROUPS, check_names, configurations_named
from finnmake.tasks.state import StateDB
from finnmake.tasks.workspace import Workspace

#: How a task stands: nothing to do; its own record says that it must run; it runs where a task before it
#: leaves something else than before.
FRESH, STALE, FOLLOWS = "up to date", "stale", "follows"

#: The file of a task's state, and those that SQLite keeps beside it.
_STATE = ".doit.sqlite"
_BESIDE = ("", "-wal")

#: A copy is made again where the files changed meanwhile, so often.
_TRIES = 5


class Standing:
    """The tasks asked for and all before them, with how they stand.

    Args:
        ws: the workspace; it is narrowed to the configurations asked for.
        asked: names of tasks, groups or configurations; `build` where there are none.

    Raises FinnmakeError, InvalidCommand for a task that does not exist.
    """

    def __init__(self, ws: Workspace, asked: Sequence[str]) -> None:
        names = [_task_name(each) for each in asked] or ["build"]
        ws.asked = configurations_named(ws, names, GROUPS)
        self.tasks: dict[str, Task] = {task.name: task for task in _tasks()}
        check_names(names, list(self.tasks))
        self._made_by = {target: task.name for task in self.tasks.values() for target in task.targets}
        self._ws = ws
        self._stands: dict[str, str] = {}
        with tempfile.TemporaryDirectory(prefix="finnmake-") as folder:
            copy = Path(folder, _STATE)
            _copy(ws.folder / _STATE, copy)
            self._state = Dependency(StateDB, str(copy), ContentChecker, JSONCodec)
            self._records: dict[str, Any] = {}
            self.asked = [name for each in names for name in self._expanded(each)]
            self.order = list(self._in_order(self.asked))
            for name in self.order:
                self._look(name)
            self._state.close()

    def _expanded(self, name: str) -> Iterator[str]:
        """The tasks of a group or pattern; a task by its name."""
        task = self.tasks.get(name)
        if task is None:
            yield from (each for each in self.tasks if fnmatchcase(each, name))
        elif task.has_subtask:
            yield from task.task_dep
        else:
            yield name

    def before(self, name: str) -> list[str]:
        """The tasks whose files a task uses."""
        makers = (self._made_by.get(path) for path in sorted(self.tasks[name].file_dep))
        return list(dict.fromkeys(maker for maker in makers if maker is not None))

    def _in_order(self, names: Sequence[str]) -> Iterator[str]:
        """The tasks and all before them, those before a task before it."""
        seen: set[str] = set()
        waiting = [(name, False) for name in reversed(names)]
        while waiting:
            name, ready = waiting.pop()
            if ready:
                yield name
            elif name not in seen:
                seen.add(name)
                waiting.append((name, True))
                above = [*self.tasks[name].task_dep, *self.before(name)]
                waiting += [(each, False) for each in reversed(above) if each in self.tasks]

    def _look(self, name: str) -> None:
        task = self.tasks[name]
        try:
            stands = self._state.get_status(task, self.tasks).status
        except InvalidDodoFile as error:
            if isinstance(error.__cause__, FinnmakeError):
                raise error.__cause__ from None
            raise
        record = self._state.get_values(name).get(RECORD)
        self._records[name] = record, {path: self._state._get(name, path) for path in task.file_dep}
        if stands != "up-to-date":
            self._stands[name] = STALE
        elif any(self.stands(each) != FRESH for each in self.before(name)):
            self._stands[name] = FOLLOWS
        else:
            self._stands[name] = FRESH

    def stands(self, name: str) -> str:
        """FRESH, STALE or FOLLOWS."""
        return self._stands[name]

    def record(self, name: str) -> Mapping[str, Any] | None:
        """What is kept of the task's last run, as `fresh.record` made it; None where it never ended well."""
        found = self._records[name][0]
        return found if isinstance(found, dict) else None

    def content(self, name: str) -> str:
        """What the record of the task's next run will stand for."""
        fresh, _, _ = self.tasks[name].uptodate[0]
        return str(fresh.content)

    def depended(self, name: str) -> Mapping[str, str | None]:
        """The files that the task depends on, with the digests that it used."""
        found: Mapping[str, str | None] = self._records[name][1]
        return found


def _task_name(asked: str) -> str:
    """`build:config_001` of `config_001`; everything else as it is."""
    plain = ":" not in asked and asked not in GROUPS and asked != "segment"
    return f"build:{asked}" if plain else asked


def _tasks() -> Iterator[Task]:
    """The tasks of the groups that dodo.py imports."""
    for name in ("preprocess", "segment", *GROUPS[1:]):
        made = getattr(generators, f"task_{name}")
        yield from generate_tasks(name, made(), made.__doc__)


def _copy(source: Path, target: Path) -> None:
    """Copy a database that a run may be writing: opening it, even to read, would write beside it."""
    for _ in range(_TRIES):
        before = _stamps(source)
        for ending in _BESIDE:
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{source}{ending}", f"{target}{ending}")
        if _stamps(source) == before:
            return


def _stamps(source: Path) -> list[tuple[int, int] | None]:
    found: list[tuple[int, int] | None] = []
    for ending in _BESIDE:
        try:
            status = Path(f"{source}{ending}").stat()
            found.append((status.st_size, status.st_mtime_ns))
        except OSError:
            found.append(None)
    return found

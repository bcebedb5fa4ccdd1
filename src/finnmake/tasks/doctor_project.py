"""Checks of the project: its settings, the default blueprint, plugins, locks and the state of its tasks."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from finnmake.engine.processes import process_ended
from finnmake.errors import FinnmakeError
from finnmake.settings import Settings, read_settings
from finnmake.tasks.doctor_check import OK, PROBLEM, WARNING, Finding, from_error


def check_settings(root: Path) -> Iterator[Finding]:
    """`[tool.finnmake]` in pyproject.toml, and dodo.py beside it."""
    for name, cure in (
        ("pyproject.toml", "Run doit in the project's folder, or restore the file from version control."),
        ("dodo.py", "Run doit in the project's folder, or restore the file: it names the tasks."),
    ):
        if not (root / name).is_file():
            yield Finding("settings", PROBLEM, f"there is no {name} in {root}", cure)
    settings = read_settings(root)
    if (root / "pyproject.toml").is_file():
        yield Finding("settings", OK, f"pyproject.toml is readable, runtime {settings.runtime}")


def settings_of(root: Path) -> Settings:
    """The settings, or the defaults where they cannot be read, which another check tells."""
    try:
        return read_settings(root)
    except (FinnmakeError, OSError):
        return Settings()


def check_blueprint(root: Path) -> Iterator[Finding]:
    """The blueprint that the settings, or the command line, name."""
    from finnmake.blueprint.problems import BlueprintErrors
    from finnmake.tasks.workspace import Workspace

    errors: list[FinnmakeError] = []
    try:
        space = Workspace(root).space
        errors += space.validate()
    except BlueprintErrors as error:
        errors += error.errors
    except FinnmakeError as error:
        errors.append(error)
    if errors:
        yield from (from_error("blueprint", error) for error in errors)
        return
    mark = ", simulated" if space.backend == "mock" else ""
    yield Finding("blueprint", OK, f"{space.name}: {space.size:,} combinations of {space.model_path}{mark}")


def backend_of(root: Path) -> str:
    """The backend of that blueprint; empty where it cannot be read."""
    from finnmake.tasks.workspace import Workspace

    try:
        return Workspace(root).space.backend
    except FinnmakeError:
        return ""


def check_plugins(root: Path) -> Iterator[Finding]:
    """The project's plugins, and those of installed packages."""
    from finnmake.plugins.catalog import PluginCatalog
    from finnmake.plugins.plugin import PROJECT

    catalog = PluginCatalog(root / "plugins")
    errors = catalog.errors()
    for error in errors:
        yield from_error("plugins", error, WARNING if error in catalog.broken() else PROBLEM)
    if not errors:
        own = [each for each in catalog.plugins() if each.origin == PROJECT]
        yield Finding("plugins", OK, f"{len(own)} in plugins/, {len(catalog.plugins()) - len(own)} others")


def check_lock(root: Path) -> Iterator[Finding]:
    """Who builds in this folder, and a lock that nobody holds any more, which does no harm."""
    path = root / "builds" / ".lock"
    try:
        with open(path) as stream:
            holder = stream.read().strip()
            try:
                fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                yield Finding("workspace", WARNING, f"process {holder or 'unknown'} is building here", _WAIT)
                return
    except FileNotFoundError:
        yield Finding("workspace", OK, "nobody builds here, and nobody has yet")
        return
    except OSError as error:
        yield Finding("workspace", PROBLEM, f"{path} cannot be read: {error.strerror}", _RIGHTS)
        return
    left = holder.isdecimal() and process_ended(int(holder))
    yield Finding(
        "workspace", OK, "nobody builds here" + (f"; the last was process {holder}" if left else "")
    )


_WAIT = "A second run in this folder waits for no one: it stops. Wait for that one, or stop it."
_RIGHTS = "Give yourself the right to read and write there."


def check_state(root: Path) -> Iterator[Finding]:
    """The databases with the state of tasks."""
    found = sorted((root / "builds").glob("*/.doit.sqlite"))
    damaged = [path for path in found if not _is_whole(path)]
    for path in damaged:
        yield Finding(
            "tasks",
            WARNING,
            f"{path.relative_to(root)} is damaged",
            "Remove it: tasks are then looked up in the store, and nothing is lost.",
        )
    if not damaged:
        of = "1 blueprint" if len(found) == 1 else f"{len(found)} blueprints"
        yield Finding("tasks", OK, f"the state of the tasks of {of} is readable")


def _is_whole(path: Path) -> bool:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    except sqlite3.Error:
        return False
    try:
        said = connection.execute("PRAGMA quick_check").fetchone()
        connection.execute("SELECT count(*) FROM tasks").fetchone()
        return bool(said == ("ok",))
    except sqlite3.Error:
        return False
    finally:
        connection.close()

"""One plugin as the catalog knows it, and what to say of a source file that gives none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from finnmake.errors import Location, PluginError
from finnmake.plugins.definitions import Definition

#: Where a plugin comes from.
PROJECT, INSTALLED, BUILTIN = "project", "installed", "built-in"


class Plugin(NamedTuple):
    """One plugin.

    Attributes:
        name: as a blueprint writes it.
        kind: `step`, `transform` or `analysis`.
        stage: what it is meant for; empty for a step.
        target: `module:attribute`, where the worker finds it.
        origin: `project`, `installed` or `built-in`.
        path: its source file.
        line: where it stands in it; None where the file was not read.
        package: the installed package that brings it; empty for the project's own.
        version: that package's.
    """

    name: str
    kind: str
    stage: str
    target: str
    origin: str
    path: Path
    line: int | None = None
    package: str = ""
    version: str = ""

    def place(self, root: Path) -> str:
        """Where it is, for messages, as seen from the folder `root`."""
        where = str(Location(path=shown(self.path, root), line=self.line))
        if self.origin == BUILTIN:
            return f"{where} (built in)"
        return f"{where} ({self.package} {self.version})" if self.package else where


def shown(path: Path, root: Path) -> Path:
    """The file as the user knows it: relative to the project where it lies inside."""
    return path.relative_to(root) if path.is_relative_to(root) else path


def unreadable(error: Exception, path: Path, what: str, cure: str = "") -> PluginError:
    """The error for a source file that could not be parsed or read; `what` it is, for the message."""
    if isinstance(error, SyntaxError):
        return PluginError(
            f"{what} does not parse: {error.msg}",
            where=Location(path=path, line=error.lineno, column=error.offset),
            cure=cure or "Correct it.",
        )
    return PluginError(
        f"{what} cannot be read: {error}",
        where=Location(path=path),
        cure=cure or "Look at its rights and its encoding, which must be UTF-8.",
    )


def without_stage(found: Definition, path: Path, package: str = "", cure: str = "") -> PluginError:
    """The error for a transform that does not say its stage; `package` is the one that brings it."""
    owner = f" of the package {package}" if package else ""
    return PluginError(
        f"the transform {found.name!r}{owner} does not say the stage that it is for",
        where=Location(path=path, line=found.line),
        cure=cure or 'Write the stage in plain text: @transform(stage="pre_proc").',
    )

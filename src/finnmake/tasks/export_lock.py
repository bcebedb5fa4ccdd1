"""Whether requirements.lock brings the environment that a build ran in: else nobody can build it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnmake.engine.locked import editable, edited, read_lock
from finnmake.errors import Location, WorkspaceError


def packages_beside(lock: Path, toolchain: Mapping[str, Any]) -> tuple[str, ...]:
    """Packages of the toolchain that the lock does not name: a rebuild will show whether they matter.

    Args:
        lock: the lock file.
        toolchain: the identity in the manifest.

    Raises WorkspaceError where the lock brings another version, or where code is not a package's own.
    """
    locked, packages = read_lock(lock.read_text()), toolchain["packages"]
    wrong = list(_wrong(locked, packages, toolchain))
    if wrong:
        listed = "".join(f"\n  {line}" for line in wrong)
        raise WorkspaceError(
            f"not exported: requirements.lock does not bring what this was built with:{listed}",
            where=Location(path=lock),
            cure="Remove .venv, so that `./doitw` makes it again, and build; or bring the lock up to date.",
        )
    return tuple(f"{name} {packages[name]}" for name in sorted(packages.keys() - locked.keys()))


def _wrong(
    locked: Mapping[str, str], packages: Mapping[str, str], toolchain: Mapping[str, Any]
) -> Iterator[str]:
    for name, version in sorted(packages.items()):
        if locked.get(name, version) != version:
            yield f"{name} {version}, where the lock has {locked[name]}"
    for name in sorted(toolchain["contents"].keys() - locked.keys()):
        yield f"{name}, which brings plugins and is not in the lock"
    if toolchain["image"]:
        return  # its packages are not those of this process
    for name in sorted(editable().keys() & packages.keys()):
        yield f"{name}, which is installed editable"
    for name, files in sorted(edited().items()):
        yield f"{name}, whose files were edited: {', '.join(files[:3])}"

"""The backends of installed packages, found by the entry points of the group `finnmake.backends`."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.engine.editable import editable_folder
from finnmake.errors import Location, PluginError
from finnmake.plugins.entry_points import BACKENDS, EntryPointInfo, distribution_of, entry_points
from finnmake.plugins.locate import source_of

if TYPE_CHECKING:
    from finnmake.backends import Backend

_CURE = "Mend the package, install another version of it, or uninstall it."


def installed_names() -> Sequence[str]:
    """The names of all of them, as their packages say; nothing is imported."""
    return sorted({entry.name for entry in entry_points(BACKENDS)})


def installed_backend(name: str, taken: Collection[str]) -> Backend | None:
    """The backend of that name; None where no package brings one.

    Args:
        taken: finnmake's own names, which no package may give to a backend.

    Raises:
        PluginError: the package's backend cannot be loaded, or its name is taken; names the package.
    """
    entries = entry_points(BACKENDS)
    for entry in entries:
        if entry.name in taken:
            raise _error(entry, "finnmake itself has a backend of this name", "Rename it, or uninstall it.")
    found = [entry for entry in entries if entry.name == name]
    if len(found) > 1:
        others = ", ".join(entry.package for entry in found[1:])
        raise _error(found[0], f"{others} brings a backend of this name too", "Uninstall one of them.")
    return _load(found[0]) if found else None


def adapter_sources(backend: Backend) -> Mapping[str, Path]:
    """Name -> file or folder that the keys of a package's backend hang on.

    These are the top package or module of its adapter, which may be another package's, and all files of the
    package that brings it; where this is editable, the Python files in the folder of its project. So with
    every other editable package: what the adapter imports when the worker starts is in no trace.

    Raises WorkspaceError where a package does not say whether it is editable.
    """
    top = source_of(backend.adapter.partition(".")[0])
    source = top or source_of(backend.adapter)
    assert source is not None  # `_load` has found it
    found = {"adapter": source.parent if source.stem == "__init__" else source}
    for entry in (each for each in entry_points(BACKENDS) if each.name == backend.name):
        found.update(_files(distribution_of(entry)))
    for package in distributions():
        folder, name = editable_folder(package), str(package.name).lower()
        if folder is not None and name != "finnmake":
            found.update(_python_files(folder, f"editable/{name}"))
    return found


def _files(package: Distribution) -> Iterator[tuple[str, Path]]:
    """The files of an installed package by their names in it, without metadata, scripts and bytecode."""
    folder = _project(package)
    if folder is not None:
        yield from _python_files(folder, "project")
        return
    for file in package.files or ():
        inside = ".." not in file.parts and not file.parts[0].endswith((".dist-info", ".egg-info"))
        if inside and file.suffix != ".pyc":
            yield f"package/{file}", Path(str(package.locate_file(file)))


def _project(package: Distribution) -> Path | None:
    """The folder of an editable package's project; None for a regular one."""
    regular = package.read_text("RECORD") or package.read_text("installed-files.txt")
    develop = None if regular else Path(str(package.locate_file("")))  # by `setup.py develop`
    return editable_folder(package) or develop


def _python_files(folder: Path, prefix: str) -> Iterator[tuple[str, Path]]:
    """The Python files below a folder, but for hidden folders and virtual environments."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__pycache__")))
        if "pyvenv.cfg" in names:
            folders.clear()
            continue
        for name in names:
            if name.endswith(".py"):
                path = Path(parent, name)
                yield f"{prefix}/{path.relative_to(folder).as_posix()}", path


def _load(entry: EntryPointInfo) -> Backend:
    """The backend behind an entry point, `module:attribute`. Raises PluginError."""
    from finnmake.backends import Backend

    module, _, attribute = entry.value.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except Exception as error:
        raise _error(entry, f"{type(error).__name__}: {error}") from error
    if not isinstance(found, Backend):
        raise _error(entry, f"{entry.value} is no finnmake.backends.Backend")
    if found.name != entry.name:
        raise _error(entry, f"the backend calls itself {found.name!r}")
    if source_of(found.adapter) is None:
        raise _error(entry, f"there is no module {found.adapter!r}, its adapter")
    return found._replace(package=entry.package)


def _error(entry: EntryPointInfo, why: str, cure: str = _CURE) -> PluginError:
    return PluginError(
        f"the backend {entry.name!r} of the package {entry.package} cannot be used: {why}",
        where=Location(key=f"{BACKENDS}: {entry.name} = {entry.value}"),
        cure=cure,
    )

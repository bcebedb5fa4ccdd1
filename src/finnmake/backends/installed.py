"""The backends of installed packages, found by the entry points of the group `finnmake.backends`."""

from __future__ import annotations

import importlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from finnmake.errors import Location, PluginError
from finnmake.plugins.entry_points import BACKENDS, EntryPointInfo, entry_points
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


def adapter_sources(backend: Backend) -> Path | None:
    """The sources that the keys of a package's backend hang on: its top package or module."""
    top = source_of(backend.adapter.partition(".")[0])
    source = top or source_of(backend.adapter)
    return source.parent if source is not None and source.stem == "__init__" else source


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
    return replace(found, package=entry.package)


def _error(entry: EntryPointInfo, why: str, cure: str = _CURE) -> PluginError:
    return PluginError(
        f"the backend {entry.name!r} of the package {entry.package} cannot be used: {why}",
        where=Location(key=f"{BACKENDS}: {entry.name} = {entry.value}"),
        cure=cure,
    )

"""Where a module's source lies, found as Python would find it in a step, without importing anything."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from finnmake.engine.search import search_path


def source_of(module: str) -> Path | None:
    """The source of an installed module, or of a package its `__init__.py`; None where there is none."""
    return _source_of(module, search_path())


@cache
def _source_of(module: str, search: tuple[str, ...]) -> Path | None:
    places: Sequence[str] = search
    name, spec = "", None
    for part in module.split("."):
        name = f"{name}.{part}" if name else part
        spec = _spec(name, places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _spec(name: str, places: Sequence[str]) -> ModuleSpec | None:
    """Of a module in these folders, or known to a finder that an editable installation has put up.

    Python asks for a namespace inside another by its whole name only where the other is imported.
    """
    found = PathFinder.find_spec(name.rpartition(".")[2], places)
    if found is not None or "." in name:
        return found
    others = (finder for finder in sys.meta_path if "editable" in getattr(finder, "__module__", "").lower())
    specs = (finder.find_spec(name, None) for finder in others)
    return next((spec for spec in specs if spec is not None), None)

"""How a step imports the project's own modules: afresh, from source, after all installed ones."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from finnmake.engine.paths import Boundary


class LocalFinder(importlib.abc.MetaPathFinder):
    """Finds modules in the project's folders, after all installed ones.

    The names tried are noted, so that a module that appears later, or shadows another, is seen. What lies
    below a package is found by Python itself, which lists the package's folder. All sources that are
    inputs are compiled afresh: a stale `.pyc` would hide an edit.
    """

    def __init__(self, folders: Sequence[Path], boundary: Boundary) -> None:
        self._folders = [str(folder) for folder in folders]
        self._boundary = boundary
        #: Whether a local module was imported: what it left in memory must not reach the next step.
        self.used = False

    def install(self) -> None:
        """Find local modules from now on, and look at no bytecode of theirs."""
        sys.meta_path.append(self)
        sys.dont_write_bytecode = True
        bootstrap: Any = sys.modules["_frozen_importlib_external"]
        known_to_python = bootstrap.cache_from_source

        def cache_from_source(path: Any, *arguments: Any, **options: Any) -> Any:
            if self._boundary.place(os.fspath(path)) is None:
                return known_to_python(path, *arguments, **options)
            self.used = True
            raise NotImplementedError  # Python's own sign for "there is no bytecode cache"

        bootstrap.cache_from_source = cache_from_source

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec of a local top-level module, package or folder of modules, or None."""
        if path is not None:
            return None
        for folder in self._folders:
            package = f"{folder}/{fullname}/__init__.py"
            for name, roots in ((package, [f"{folder}/{fullname}"]), (f"{folder}/{fullname}.py", None)):
                if os.path.isfile(name):
                    self.used = True
                    return importlib.util.spec_from_file_location(
                        fullname, name, submodule_search_locations=roots
                    )
        return self._folder_of_modules(fullname)

    def _folder_of_modules(self, fullname: str) -> importlib.machinery.ModuleSpec | None:
        places = [
            place for place in (f"{folder}/{fullname}" for folder in self._folders) if os.path.isdir(place)
        ]
        if not places:
            return None
        spec = importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        spec.submodule_search_locations = places
        return spec

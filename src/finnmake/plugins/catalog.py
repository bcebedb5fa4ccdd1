"""The registry: which names the project's plugins, installed packages and finnmake itself define.

Names are read from sources, without running them. What is broken in a plugin matters only when a name is
found nowhere: then it is the error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path

from finnmake.errors import Location, PluginError
from finnmake.plugins.builtin import BUILTINS
from finnmake.plugins.definitions import definitions, parse
from finnmake.plugins.installed import installed_plugins
from finnmake.plugins.locate import source_of
from finnmake.plugins.plugin import BUILTIN, PROJECT, Plugin, shown, unreadable, without_stage

#: finnmake's own file among those of the analyses, which are named as these.
_RESERVED = "warnings"

#: Stems that would hide a module that FINN or Python needs.
_TAKEN = frozenset(sys.stdlib_module_names) | {"finn", "qonnx", "onnx", "numpy", "finnmake", "doit"}


class PluginCatalog:
    """The plugins that a project can use, by name.

    Args:
        folder: the project's own plugins: modules `x.py` and packages `x/__init__.py` in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root = folder.parent
        self._broken: list[PluginError] = []
        self._hiding: list[PluginError] = []
        self._plugins: dict[str, list[Plugin]] = {}
        for plugin in (*self._project(), *self._installed(), *_builtins()):
            known = self._plugins.setdefault(plugin.name, [])
            if plugin not in known:
                known.append(plugin)

    def _project(self) -> Iterator[Plugin]:
        for path in _modules(self.folder):
            stem = path.parent.name if path.name == "__init__.py" else path.stem
            try:
                found = list(definitions(parse(path)))
            except (SyntaxError, OSError, ValueError) as error:
                self._broken.append(unreadable(error, shown(path, self._root), "the plugin"))
                continue
            if found and (stem in _TAKEN or source_of(stem) is not None):
                self._hiding.append(self._hides(path, stem))
            for each in found:
                if each.stage is None:
                    self._broken.append(without_stage(each, shown(path, self._root)))
                elif each.kind == "analysis" and each.name == _RESERVED:
                    self._hiding.append(_reserved(Location(path=shown(path, self._root), line=each.line)))
                else:
                    target = f"{stem}:{each.name}"
                    yield Plugin(each.name, each.kind, each.stage, target, PROJECT, path, each.line)

    def _hides(self, path: Path, stem: str) -> PluginError:
        return PluginError(
            f"a plugin file must not be called {stem!r}: an installed module has that name",
            where=Location(path=shown(path, self._root)),
            cure="Rename the file.",
        )

    def _installed(self) -> Iterator[Plugin]:
        for found in installed_plugins():
            if isinstance(found, PluginError):
                self._broken.append(found)
            elif found.kind == "analysis" and found.name == _RESERVED:
                self._broken.append(_reserved(Location(path=found.path, line=found.line), found.package))
            else:
                yield found

    @cached_property
    def _twice(self) -> Sequence[tuple[Plugin, PluginError]]:
        """For each name that is defined more than once its first plugin, and the error."""
        return [(found[0], self._both(*found)) for found in self._plugins.values() if len(found) > 1]

    def _both(self, first: Plugin, second: Plugin, *_: Plugin) -> PluginError:
        """The error for two plugins of one name: it is the project's own that the user can rename."""
        cure = "Rename one of the two." if second.origin == PROJECT else "Rename the plugin."
        return PluginError(
            f"{first.name!r} is defined twice, here and at {second.place(self._root)}",
            where=Location(path=shown(first.path, self._root), line=first.line),
            cure=cure if first.origin == PROJECT else f"Uninstall {first.package}: it cannot be used here.",
        )

    @cached_property
    def _wrong(self) -> Sequence[PluginError]:
        """What is wrong with the project's own files, whether they are used or not."""
        return [*self._hiding, *(error for first, error in self._twice if first.origin == PROJECT)]

    def get(self, name: str) -> Plugin | None:
        """The plugin of that name.

        Raises PluginError for two of one name, naming both, and for what is wrong with the project's own
        files, whether they are used or not.
        """
        for error in self._wrong:
            raise error
        found = self._plugins.get(name, ())
        if len(found) > 1:
            raise self._both(*found)
        return found[0] if found else None

    def find(self, kind: str, name: str) -> str | None:
        """The target of the plugin `name` of that kind, or None. Raises PluginError as `get` does."""
        plugin = self.get(name)
        return plugin.target if plugin is not None and plugin.kind == kind else None

    def names(self, kind: str) -> Iterable[str]:
        """The names of that kind."""
        return [plugin.name for plugin in self.plugins(kind)]

    def plugins(self, kind: str | None = None, stage: str | None = None) -> list[Plugin]:
        """All plugins, those of a kind or those meant for a stage, in the order of their names."""
        every = (plugin for found in self._plugins.values() for plugin in found)
        chosen = (each for each in every if kind in (None, each.kind) and stage in (None, each.stage))
        return sorted(chosen, key=lambda each: each.name)

    def source(self, name: str) -> Path | None:
        """The file that defines `name`, where it is not one of finnmake's own."""
        plugin = next(iter(self._plugins.get(name, ())), None)
        return plugin.path if plugin is not None and plugin.origin != BUILTIN else None

    def broken(self) -> list[PluginError]:
        """The files and packages that could not be read."""
        return self._broken

    def errors(self) -> list[PluginError]:
        """All that is wrong, whether anybody needs it or not."""
        return [*self._hiding, *(error for _, error in self._twice), *self._broken]


def _reserved(where: Location, package: str = "") -> PluginError:
    """The error for an analysis whose file is finnmake's own; `package` is the one that brings it."""
    owner = f" of the package {package}" if package else ""
    return PluginError(
        f"an analysis{owner} must not be called {_RESERVED!r}: postprocessing/{_RESERVED}.json is finnmake's",
        where=where,
        cure="Rename it.",
    )


def _modules(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for entry in sorted(folder.iterdir()):
        if entry.suffix == ".py" and entry.is_file():
            yield entry
        elif (entry / "__init__.py").is_file():
            yield entry / "__init__.py"


def _builtins() -> Iterator[Plugin]:
    package = Path(__file__).parents[2]
    for name, each in BUILTINS.items():
        module = each.target.partition(":")[0]
        path = package / f"{module.replace('.', '/')}.py"
        yield Plugin(name, each.kind, each.stage, each.target, BUILTIN, path)

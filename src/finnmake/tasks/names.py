"""Where the names in a blueprint lead: the project's plugins first, then FINN and QONNX."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from finnmake.blueprint.slots import entry_name
from finnmake.blueprint.tables import FinnCatalog
from finnmake.errors import Location, PluginError
from finnmake.exploration.tree import links
from finnmake.plugins.builtin import BUILTINS
from finnmake.plugins.catalog import PluginCatalog
from finnmake.records import BuildConfig


class Names:
    """Where the names in a blueprint lead: the project's plugins first, then FINN and QONNX."""

    def __init__(self, plugins: PluginCatalog) -> None:
        self.plugins = plugins
        self._finn = FinnCatalog()

    def _builtin(self, kind: str, name: str) -> str | None:
        found = BUILTINS.get(name)
        return found.target if found is not None and found.kind == kind else None

    def find(self, kind: str, name: str) -> str | None:
        """The target `module:attribute`, or None. Raises PluginError for a plugin that hides FINN's name."""
        own = self.plugins.find(kind, name)
        theirs = self._builtin(kind, name) or self._finn.find(kind, name)
        if own is not None and theirs is not None and "." not in name:
            raise PluginError(
                f"the plugin {name!r} has the name of {theirs}",
                where=Location(path=self.plugins.source(name)),
                cure="Rename the plugin.",
            )
        if own is not None or theirs is not None:
            return own or theirs
        for error in self.plugins.broken():
            raise error
        return None

    def names(self, kind: str) -> Iterable[str]:
        """All names of that kind."""
        builtin = (name for name, plugin in BUILTINS.items() if plugin.kind == kind)
        return [*self.plugins.names(kind), *builtin, *self._finn.names(kind)]

    def sources(self, config: BuildConfig) -> list[Path]:
        """The plugin files whose names the configuration uses."""
        entries = (entry for _, entry in links(config))
        analyses = config.transforms_by_stage.get("post_proc", [])
        found = (self.plugins.source(entry_name(entry)) for entry in (*entries, *analyses))
        return sorted({path for path in found if path is not None})

"""Where the names in a blueprint lead: to plugins, or to FINN's and QONNX's own steps and transforms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.slots import entry_name
from finnmake.blueprint.tables import FinnCatalog
from finnmake.errors import BlueprintError, Location, PluginError
from finnmake.exploration.tree import links
from finnmake.plugins.catalog import PluginCatalog
from finnmake.plugins.plugin import Plugin, shown
from finnmake.records import BuildConfig
from finnmake.tasks.signatures import parameters_of


class Names:
    """Where the names in a blueprint lead: to plugins, or to FINN's and QONNX's own steps and transforms."""

    def __init__(self, plugins: PluginCatalog) -> None:
        self.plugins = plugins
        self.finn = FinnCatalog()
        self._parameters: dict[Plugin, Sequence[str] | None] = {}

    def find(self, kind: str, name: str) -> str | None:
        """The target `module:attribute`, or None.

        Raises PluginError for two plugins of one name and for one that hides FINN's, and BlueprintError for
        a plugin of another kind.
        """
        plugin = self.plugins.get(name)
        theirs = self.finn.find(kind, name)
        if plugin is None:
            if theirs is None:
                self._check_broken(kind, name)
            return theirs
        if plugin.kind == kind and theirs is not None:
            raise PluginError(
                f"the plugin {name!r} has the name of {theirs}",
                where=Location(path=self._shown(plugin.path), line=plugin.line),
                cure="Rename the plugin.",
            )
        if plugin.kind != kind and theirs is None:
            raise BlueprintError(
                f"{name!r} is no {kind}: {plugin.place(self.plugins.folder.parent)} defines it as "
                f"{_ARTICLES[plugin.kind]} {plugin.kind}",
                cure=f"Use it where the blueprint takes {_PLURALS[plugin.kind]}, or name another {kind}.",
            )
        return theirs or plugin.target

    def _shown(self, path: Path) -> Path:
        return shown(path, self.plugins.folder.parent)

    def _check_broken(self, kind: str, name: str) -> None:
        """Raise PluginError for what is broken: it may be the home of a name that is nowhere else."""
        for error in self.plugins.broken():
            missing = f"The blueprint's {kind} {name!r} is found nowhere else."
            cure = f"{error.cure} {missing} {did_you_mean(name, self.names(kind))}"
            raise PluginError(error.message, where=error.where, cure=cure.strip())

    def names(self, kind: str) -> Iterable[str]:
        """All names of that kind."""
        return [*self.plugins.names(kind), *self.finn.names(kind)]

    def parameters(self, kind: str, name: str) -> Sequence[str] | None:
        """What a plugin or step takes, each as it is written; None where that is not known."""
        plugin = self.plugins.get(name)
        if plugin is None or plugin.kind != kind:
            return self.finn.parameters(kind, name)
        if plugin not in self._parameters:
            self._parameters[plugin] = parameters_of(plugin)
        return self._parameters[plugin]

    def sources(self, config: BuildConfig) -> list[Path]:
        """The plugin files whose names the configuration uses."""
        entries = (entry for _, entry in links(config))
        analyses = config.transforms_by_stage.get("post_proc", [])
        found = (self.plugins.source(entry_name(entry)) for entry in (*entries, *analyses))
        return sorted({path for path in found if path is not None})


_ARTICLES = {"step": "a", "transform": "a", "analysis": "an"}
_PLURALS = {"step": "steps", "transform": "transforms", "analysis": "analyses"}

"""Names that blueprints in tests may use, without the engine and the command line."""

from __future__ import annotations

from pathlib import Path

from finnmake.blueprint.names import NameCatalog
from finnmake.blueprint.tables import FinnCatalog
from finnmake.plugins.catalog import PluginCatalog
from tests.projects import REPOSITORY


class ProjectNames:
    """FINN's names and those of a project's plugins, and those that an example says are somebody's own."""

    def __init__(self, plugins: Path = REPOSITORY / "plugins", own: tuple[str, ...] = ()) -> None:
        self._catalogs: list[NameCatalog] = [PluginCatalog(plugins), FinnCatalog()]
        self._own = own

    def find(self, kind: str, name: str) -> str | None:
        if name in self._own:
            return f"own:{name}"
        return next(filter(None, (catalog.find(kind, name) for catalog in self._catalogs)), None)

    def names(self, kind: str) -> list[str]:
        return [name for catalog in self._catalogs for name in catalog.names(kind)]

    def parameters(self, kind: str, name: str) -> None:
        return None

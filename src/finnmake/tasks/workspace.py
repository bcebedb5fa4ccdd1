"""The project at hand: its settings, the blueprint chosen, and the engine, made when first needed."""

from __future__ import annotations

import atexit
import fcntl
import functools
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import get_var

from finnmake.blueprint.loader import forge, resolve_blueprint
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import FinnCatalog
from finnmake.engine.runtime import Places
from finnmake.engine.runtime.choose import Ground, choose
from finnmake.engine.store import Store, default_root
from finnmake.engine.toolchain import Toolchain
from finnmake.errors import FinnmakeError, Location, PluginError, WorkspaceError
from finnmake.explore.configs import iter_configs
from finnmake.explore.tree import ExecutionTree, Segment, execution_tree
from finnmake.plugins.catalog import PluginCatalog
from finnmake.records import BuildConfig
from finnmake.runner import devices
from finnmake.settings import Settings, read_settings
from finnmake.tasks.checker import DIGESTS
from finnmake.tasks.screen import Screen

if TYPE_CHECKING:
    from finnmake.engine.pool import WorkerPool
    from finnmake.runner.build import BuildRunner, Reads

#: The backend's adapter, which the worker imports.
_ADAPTERS = {"finn": "finnmake.backends.finn"}


class Names:
    """Where the names in a blueprint lead: the project's plugins first, then FINN and QONNX."""

    def __init__(self, plugins: PluginCatalog) -> None:
        self.plugins = plugins
        self._finn = FinnCatalog()

    def find(self, kind: str, name: str) -> str | None:
        """The target `module:attribute`, or None. Raises PluginError for a plugin that hides FINN's name."""
        own, theirs = self.plugins.find(kind, name), self._finn.find(kind, name)
        if own is not None and theirs is not None and "." not in name:
            raise PluginError(
                f"the plugin {name!r} has the name of FINN's own {theirs}",
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
        return [*self.plugins.names(kind), *self._finn.names(kind)]

    def sources(self, config: BuildConfig) -> list[Path]:
        """The plugin files whose names the configuration uses."""
        entries = [
            *config.build_steps,
            *(name for stage in config.transforms_by_stage.values() for name in stage),
        ]
        names = (
            entry if isinstance(entry, str) else entry.get("name") or entry.get("step") for entry in entries
        )
        found = (self.plugins.source(name) for name in names if name)
        return sorted({path for path in found if path is not None})


class Workspace:
    """One project folder with one blueprint."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.screen = Screen()
        self.digests = DIGESTS
        #: Configurations named on the command line.
        self.asked: frozenset[str] = frozenset()
        self._lock_file: Any = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The table `[tool.finnmake]` of pyproject.toml. Raises WorkspaceError."""
        return read_settings(self.root)

    @functools.cached_property
    def names(self) -> Names:
        """Every name that a blueprint may use."""
        return Names(PluginCatalog(self.plugins))

    @property
    def plugins(self) -> Path:
        """The folder of the user's plugins."""
        return self.root / "plugins"

    @functools.cached_property
    def space(self) -> DesignSpace:
        """The blueprint asked for (`doit blueprint=NAME`), else the one named in pyproject.toml."""
        wanted = get_var("blueprint") or self.settings.blueprint
        if not wanted:
            raise WorkspaceError(
                "no blueprint is named",
                where=Location(path=self.root / "pyproject.toml", key="tool.finnmake.blueprint"),
                cure="Name one there, or give it: doit blueprint=NAME build:config_001",
            )
        path = resolve_blueprint(wanted, self.root)
        return forge(path, self.root, known=self.names, known_parts=devices, backends=tuple(_ADAPTERS))

    @functools.cached_property
    def configs(self) -> list[BuildConfig]:
        """The configurations of the blueprint, in order."""
        return list(iter_configs(self.space))

    @functools.cached_property
    def tree(self) -> ExecutionTree:
        """The configurations as a prefix tree."""
        return execution_tree(self.configs)

    def leader(self, segment: Segment) -> str:
        """The configuration that runs a segment's steps for the others: one of those asked for, if any is."""
        return next((each for each in segment.config_ids if each in self.asked), segment.config_ids[0])

    def depth(self, segment: Segment) -> int:
        """How many steps lead from the model to the end of a segment."""
        return sum(len(each.steps) for each in self.tree.path_to(segment.id))

    @property
    def folder(self) -> Path:
        """Where the outputs of the blueprint appear."""
        return self.root / "builds" / self.space.name

    @functools.cached_property
    def ground(self) -> Ground:
        """Where the steps run, and the toolchain that they find there. Raises FinnmakeError."""
        asked = get_var("runtime") or os.environ.get("FINNMAKE_RUNTIME")
        return choose(asked, self.settings, self.root, default_root(), self.digests, self.screen.line)

    @functools.cached_property
    def toolchain(self) -> Toolchain:
        """The toolchain identity."""
        return self.ground.toolchain

    @functools.cached_property
    def places(self) -> Places:
        """The folders of a build, on this machine."""
        return Places(default_root(), self.root, self.plugins, deps=self.settings.toolchain.deps)

    @functools.cached_property
    def fixed(self) -> list[str]:
        """Paths that steps write into generated code."""
        return self.ground.runtime.inside(self.places).fixed

    @functools.cached_property
    def runner(self) -> BuildRunner:
        """The build runner, on a store and a pool that are opened here. Raises FinnmakeError."""
        # A run that finds everything up to date never gets here, and need not wait for these imports.
        from finnmake.engine.pool import PoolSettings, WorkerPool
        from finnmake.engine.processes import owner_name
        from finnmake.engine.realize import Engine
        from finnmake.runner.build import BuildRunner

        self.screen.place = self.ground.runtime.described
        store = Store(self.places.store).open()
        store.sweep()
        pool = WorkerPool(
            PoolSettings(
                _ADAPTERS[self.space.backend],
                self.places,
                self.ground.environment,
                self.ground.tools,
                owner_name(),
            ),
            self.ground.runtime,
        )
        atexit.register(_close, pool, store)
        engine = Engine(store, pool, self.root, self.toolchain, self.digests)
        return BuildRunner(engine, self.root, self.names, self._render, self.screen.step)

    def _render(self, folder: Path) -> str:
        from finnmake.report.html import render

        return render(folder, self.root / "templates")

    def collect_metrics(self, config: BuildConfig) -> list[Reads]:
        """Write metrics.json."""
        self.runner.collect_metrics(config)
        return []

    def report(self, config: BuildConfig) -> list[Reads]:
        """Write report.html; gives what it shows besides its dependencies."""
        return self.runner.report(config)

    def finish(self, config: BuildConfig) -> list[Reads]:
        """Write result.json and say how the build ended."""
        self.screen.result(config, self.runner.finish(config))
        return []

    def failed(self, config: BuildConfig, error: FinnmakeError) -> None:
        """Write result.json for a build that failed, as far as the disk allows."""
        with suppress(OSError, FinnmakeError):
            self.runner.fail(config, error)

    def lock(self) -> None:
        """Hold the workspace until this process ends. Raises WorkspaceError where another run holds it."""
        path = self.root / "builds" / ".lock"
        path.parent.mkdir(exist_ok=True)
        self._lock_file = open(path, "a+")  # noqa: SIM115 (held as long as the process lives)
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock_file.seek(0)
            holder = self._lock_file.read().strip() or "unknown"
            raise WorkspaceError(
                f"another run is building in this folder (process {holder})",
                where=Location(path=self.root),
                cure="Wait for it, or stop it; runs in other clones may share the store.",
            ) from error
        self._lock_file.truncate(0)
        self._lock_file.write(f"{os.getpid()}\n")
        self._lock_file.flush()


def _close(pool: WorkerPool, store: Store) -> None:
    """End the worker, and remove what a run that was stopped has in the store's `tmp`."""
    pool.close()
    with suppress(OSError):
        store.sweep(os.getpid())


@functools.cache
def workspace() -> Workspace:
    """The workspace of the current folder, which is where dodo.py lies."""
    return Workspace(Path.cwd().resolve())

"""The project at hand: its settings, the blueprint chosen, and the engine, made when first needed."""

from __future__ import annotations

import atexit
import functools
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from doit import get_var

from finnmake.backends import Backend, BackendTable, find_backend
from finnmake.blueprint.loader import forge, resolve_blueprint
from finnmake.blueprint.problems import BlueprintErrors
from finnmake.blueprint.space import DesignSpace
from finnmake.engine.files import FileDigests
from finnmake.engine.roots import note
from finnmake.engine.runtime import Places
from finnmake.engine.runtime.choose import Ground, choose
from finnmake.engine.temporary import Temporary, default_root
from finnmake.engine.toolchain import Toolchain
from finnmake.errors import FinnmakeError, Location, WorkspaceError
from finnmake.exploration.configs import find_config, iter_configs
from finnmake.exploration.hooks import ExplorationHook, Hooks
from finnmake.exploration.selection import select
from finnmake.exploration.tree import ExecutionTree, Segment, space_tree
from finnmake.plugins.catalog import PluginCatalog
from finnmake.records import BuildConfig, BuildResult
from finnmake.runner import devices
from finnmake.settings import Settings, read_settings
from finnmake.tasks.hold import Hold
from finnmake.tasks.names import Names
from finnmake.tasks.schedule_jobs import Gate
from finnmake.tasks.screen import Screen, failure_text
from finnmake.tasks.site import Site
from finnmake.tasks.sources import modules_digest

if TYPE_CHECKING:
    from finnmake.exploration.results import ExplorationResult
    from finnmake.records import ModelInfo
    from finnmake.runner.build import BuildRunner
    from finnmake.runner.realizer import Reads


class Workspace:
    """One project folder with one blueprint, for one run.

    Args:
        root: the project's folder.
        space: the design space; None for the blueprint that the command line or pyproject.toml names.
        runtime: where steps run; None for what the command line or the settings say.
        hooks: told what happens.
    """

    def __init__(
        self,
        root: Path,
        *,
        space: DesignSpace | None = None,
        runtime: str | None = None,
        hooks: Sequence[ExplorationHook] = (),
    ) -> None:
        self.root = root
        self.screen = Screen()
        #: How many builds run at once.
        self.gate = Gate()
        self.digests = FileDigests()
        self.hooks = Hooks(hooks)
        #: Configurations named on the command line, where it names nothing else: the others are not loaded.
        self.asked: tuple[str, ...] | None = None
        #: Configuration id -> what became of it in this run; ids of those that needed no run.
        self.results: dict[str, BuildResult] = {}
        self.up_to_date: set[str] = set()
        #: Ids of configurations whose estimate.json is right.
        self.estimated: set[str] = set()
        #: Configurations that estimates have ruled out: they run nothing for others.
        self.ruled_out: dict[str, BuildResult] = {}
        #: What an exploration came to.
        self.exploration: ExplorationResult | None = None
        self._given = space
        self._runtime = runtime
        self._begun: set[str] = set()
        self._lock = threading.Lock()
        self._hold: Hold | None = None
        self._open: tuple[Any, Any] | None = None

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
        space = self._given or self._asked_for()
        backend = find_backend(space.backend)
        self.screen.simulated = backend.simulated
        self.screen.tool = backend.name if backend.package else self.screen.tool
        return space

    def _asked_for(self) -> DesignSpace:
        wanted = get_var("blueprint") or self.settings.blueprint
        if not wanted:
            raise WorkspaceError(
                "no blueprint is named",
                where=Location(path=self.root / "pyproject.toml", key="tool.finnmake.blueprint"),
                cure="Name one there, or give it: doit blueprint=NAME build:config_001",
            )
        return self.forge(wanted, get_var("model"))

    def forge(self, blueprint: str, model: str | None) -> DesignSpace:
        """The design space of a blueprint, by name or path; `model` takes the place of its own."""
        return forge(
            resolve_blueprint(blueprint, self.root),
            self.root,
            known=self.names,
            known_parts=devices,
            backends=BackendTable(),
            model=model,
            variables=self.settings.variables,
            read_model=_read_model,
        )

    @functools.cached_property
    def backend(self) -> Backend:
        """The backend that the blueprint asks for. Raises BlueprintError, PluginError."""
        return find_backend(self.space.backend)

    @functools.cached_property
    def selection(self) -> Sequence[int]:
        """The positions of the configurations that `search` in the blueprint selects, and of those asked for.

        Raises ValidationError for a space that is too large or empty.
        """
        errors = self.space.validate()
        if errors:
            raise errors[0] if len(errors) == 1 else BlueprintErrors(errors)
        chosen = select(self.space)
        asked = [find_config(self.space, each).combination_index for each in self.asked or ()]
        missing = [position for position in asked if position not in chosen]
        return sorted([*chosen, *missing]) if missing else chosen

    @functools.cached_property
    def configs(self) -> list[BuildConfig]:
        """The configurations that this run is about, in order: those asked for, else all selected."""
        if self.asked is not None:
            return [find_config(self.space, each) for each in self.asked]
        return list(iter_configs(self.space, self.selection))

    @functools.cached_property
    def sites(self) -> list[Site]:
        """The places of these configurations."""
        modules = modules_digest("runner", self.digests)
        return [Site.of(each, self.root, self.names.sources(each), modules) for each in self.configs]

    def site(self, config_id: str) -> Site:
        """The place of a configuration that this run is about."""
        return self._sites[config_id]

    @functools.cached_property
    def _sites(self) -> dict[str, Site]:
        return {site.config.id: site for site in self.sites}

    @functools.cached_property
    def tree(self) -> ExecutionTree:
        """All selected configurations as a prefix tree."""
        return space_tree(self.space, self.selection)

    @functools.cached_property
    def segments(self) -> list[Segment]:
        """The segments on the way of the configurations that this run is about."""
        if self.asked is None:
            return list(self.tree.segments)
        paths = (self.tree.path_to(self.tree.leaves[config.id]) for config in self.configs)
        return list({segment.id: segment for path in paths for segment in path}.values())

    def leader(self, segment: Segment) -> str:
        """The configuration that runs a segment's steps for the others: the first that this run builds."""
        if self.asked is None:
            return next(each for each in segment.config_ids if each not in self.ruled_out)
        mine = set(segment.config_ids)
        return next(config.id for config in self.configs if config.id in mine)

    @property
    def folder(self) -> Path:
        """Where the outputs of the blueprint appear."""
        return self.root / "builds" / self.space.name

    @functools.cached_property
    def ground(self) -> Ground:
        """Where the steps run, and the toolchain that they find there. Raises FinnmakeError."""
        asked = self._runtime or get_var("runtime") or os.environ.get("FINNMAKE_RUNTIME")
        return choose(asked, self.settings, self.root, default_root(), self.digests, self.screen.line)

    @functools.cached_property
    def toolchain(self) -> Toolchain:
        """The toolchain identity."""
        sources = None
        if self.backend.package:
            from finnmake.backends.installed import adapter_sources  # few need it

            sources = adapter_sources(self.backend)
        return self.ground.toolchain.for_backend(self.backend.adapter, self.digests, sources)

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
        from finnmake.engine.runtime.warm import staying
        from finnmake.engine.store import Store
        from finnmake.engine.warm import idle_seconds
        from finnmake.report.html import Pages
        from finnmake.runner.factory import create_build_runner_factory

        runtime = staying(self.ground.runtime, self.toolchain.digest, self.digests, idle_seconds(os.environ))
        self.screen.place = runtime.described
        store = Store(self.places.store, told=self.screen.line).open()
        store.sweep()
        note(store, self.root)
        pool = WorkerPool(
            PoolSettings(
                self.backend.adapter,
                self.places,
                self.ground.environment,
                self.ground.tools,
                owner_name(),
                self.backend.described,
            ),
            runtime,
        )
        self._open = pool, store
        atexit.register(self.close)
        self._note_what_lacks()
        engine = Engine(store, pool, self.root, self.toolchain, self.digests)
        factory = create_build_runner_factory(self.backend.name)
        pages = Pages(self.root / "templates")
        return factory.on_engine(engine, self.root, self.names, pages, self._listen)

    def _note_what_lacks(self) -> None:
        """Say at once before which step builds will stop for want of Vivado."""
        named = self.settings.toolchain.vivado or self.ground.environment.get("XILINX_VIVADO")
        if named or self.backend.name != "finn":
            return
        from finnmake.tasks.notes import vivado_note  # of no use to a run that finds all up to date

        note = vivado_note(self.configs)
        if note is not None:
            self.screen.line(note)

    def close(self) -> None:
        """End the worker, sweep up what a run that was stopped has in the store, and let go of the lock."""
        self.screen.close()
        pool, store = self._open or (None, None)
        self._open = None
        if pool is not None and store is not None:
            pool.close()
            with suppress(OSError):
                store.sweep(os.getpid())
            store.close()
        if self._hold is not None:
            self._hold.release()
            self._hold = None
        atexit.unregister(self.close)

    def _listen(self, step: str, event: str, seconds: float) -> None:
        """The engine tells of a step."""
        self.screen.step(step, event, seconds)
        self.hooks.on_step(self.screen.owner, step, event, seconds)

    def collect_metrics(self, config: BuildConfig) -> list[Reads]:
        """Write metrics.json."""
        self.runner.collect_metrics(config)
        return []

    def report(self, config: BuildConfig) -> list[Reads]:
        """Write report.html; gives what it shows besides its dependencies."""
        return self.runner.report(config)

    def begin(self, config: BuildConfig) -> None:
        """A task of a configuration starts: its build is not up to date."""
        with self._lock:
            known = config.id in self._begun
            self._begun.add(config.id)
        if not known:
            self.hooks.before_build(config)

    def began(self, config_id: str) -> bool:
        """Whether any task of a configuration was executed."""
        return config_id in self._begun

    def finish(self, config: BuildConfig) -> list[Reads]:
        """Write result.json and say how the build ended."""
        result = self.runner.finish(config)
        self._ended(config, result)
        self.screen.result(config, result)
        return []

    def failed(self, config: BuildConfig, error: FinnmakeError) -> str:
        """Write result.json for a build that failed, as far as the disk allows; gives the words for it."""
        with suppress(OSError, FinnmakeError):
            result = self.runner.fail(config, error)
            if config.id not in self.results:
                self._ended(config, result)
            return failure_text(result, error, config.output_dir)
        return str(error)

    def _ended(self, config: BuildConfig, result: BuildResult) -> None:
        self.results[config.id] = result
        self.hooks.after_build(config, result)

    def lock(self) -> None:
        """Hold the workspace until this process ends. Raises WorkspaceError where another run holds it."""
        self._hold = Hold(self.root)
        atexit.register(self.close)
        with suppress(OSError):  # a run that finds everything up to date opens no store
            note(Temporary(default_root()), self.root)


def _read_model(path: Path) -> ModelInfo:
    from finnmake.backends.model_info import read_model_info

    return read_model_info(path)


_current: list[Workspace] = []

#: doit and its tasks know one workspace at a time: a second run in this process waits for the first.
_one_at_a_time = threading.RLock()


@contextmanager
def using(ws: Workspace) -> Iterator[Workspace]:
    """Make `ws` the workspace of the tasks, for a run that Python code starts."""
    with _one_at_a_time:
        _current.append(ws)
        try:
            yield ws
        finally:
            _current.remove(ws)
            ws.close()


def workspace() -> Workspace:
    """The workspace of this run: that of `using`, else of the current folder, where dodo.py lies."""
    return _current[-1] if _current else _here()


@functools.cache
def _here() -> Workspace:
    return Workspace(Path.cwd().resolve())

"""The Python API: what the command line does, by the same functions."""

from __future__ import annotations

import dataclasses
import threading
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.backends import AUTO, Backend, find_backend
from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, FinnmakeError, Location, from_os_error
from finnmake.exploration.checks import check_config
from finnmake.exploration.configs import content_id_of
from finnmake.exploration.hooks import ExplorationHook
from finnmake.exploration.results import ExplorationResult
from finnmake.records import BuildConfig, BuildResult, BuildStatus, OutputStage
from finnmake.tasks.single import SingleBuilds
from finnmake.tasks.workspace import Workspace, using

if TYPE_CHECKING:
    from finnmake.runner.factory import BuildRunnerFactory


def forge(
    model: str | Path | None, blueprint: str | Path, *, project: str | Path | None = None
) -> DesignSpace:
    """The design space of a blueprint (Phase 1); only files are read, nothing is built.

    Args:
        model: the QONNX model, relative to the current folder; None for the one that the blueprint names.
        blueprint: its file, or the name of one in `blueprints/`.
        project: the folder with `pyproject.toml`, `plugins/` …; None for the nearest one above the
            blueprint, else the current folder.

    Raises:
        BlueprintError: something is wrong in the blueprint; `errors` of BlueprintErrors has them all.
        WorkspaceError: the project's settings are wrong.
    """
    root = Path(project).resolve() if project is not None else _project_of(Path(blueprint))
    chosen = None if model is None else str(Path(model).resolve())
    named = Path(blueprint).resolve()
    return Workspace(root).forge(str(named) if named.is_file() else str(blueprint), chosen)


def explore(
    space: DesignSpace,
    runner_factory: BuildRunnerFactory | str | None = None,
    hooks: Sequence[ExplorationHook] = (),
    *,
    resume: bool = True,
    workers: int = 1,
    fail_fast: bool = False,
    early_stop: bool = False,
    runtime: str | None = None,
    project: str | Path | None = None,
) -> ExplorationResult:
    """Build the configurations of a design space and rank them (Phase 2); the run of `doit explore`.

    Builds that are up to date are not made again; steps that the store has are taken from it.

    Args:
        space: from `forge`.
        runner_factory: from `create_build_runner_factory`, or a backend's name; None, as `auto`, for the
            blueprint's own.
        hooks: told what happens.
        resume: go on from earlier runs; if not, all outputs are made again, from the store where it has them.
        workers: builds at once, from 1 on.
        fail_fast: stop at the first failure, also where the blueprint does not say so.
        early_stop: make estimates first and build no further what they rule out, likewise.
        runtime: `local`, `container`, `bwrap` or `auto`; None for the project's setting.
        project: as for `forge`.

    Raises:
        FinnmakeError: what keeps the exploration from starting. Builds that fail are in the result.
        ValueError: `workers` is no number of builds.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}: at least one build at once")
    from finnmake.tasks import generators
    from finnmake.tasks.explore import run_command
    from finnmake.tasks.loader import ApiLoader

    root = Path(project).resolve() if project is not None else _project_of(space.path)
    if runner_factory is not None:
        space = _on(space, _backend_of(runner_factory, space))
    with using(Workspace(root, space=space, runtime=runtime, hooks=hooks)) as ws:
        flags = {"fail_fast": fail_fast, "early_stop": early_stop, "restart": not resume}
        run_command(ApiLoader(generators), workers, flags)
        assert ws.exploration is not None
        return ws.exploration


class BuildRunner:
    """Builds single configurations, as `doit build:config_001` does: the same files, the same store.

    A `BuildRunnerInterface`. Inside `with`, from the first build on, the project's lock is held and FINN
    stays loaded, and several threads may build at once; without, each `run` takes and loads it for itself.

    Args:
        backend: its name, as for `create_build_runner_factory`; the one that the configurations are for.
        runtime: as for `explore`.
        project: the project's folder; None for the nearest one at or above the current folder, else this.

    Attributes:
        preprocessing_pipeline: from the user's model to the one that the first step gets.
        postprocessing_pipeline: from a finished build to the files of its analyses.

    Raises:
        BlueprintError: there is no such backend; lists those that exist.
        PluginError: it belongs to a package and cannot be loaded; names the package.
    """

    def __init__(
        self, backend: str, *, runtime: str | None = None, project: str | Path | None = None
    ) -> None:
        if backend == AUTO:
            raise BlueprintError(
                f"the backend {AUTO} is known only with a design space",
                cure="Name the one that the configurations are for: BuildRunner(config.backend).",
            )
        self.backend = find_backend(backend)
        self.preprocessing_pipeline = Pipeline(self, "preprocessing_pipeline")
        self.postprocessing_pipeline = Pipeline(self, "postprocessing_pipeline")
        self._runtime = runtime
        self._root = Path(project).resolve() if project is not None else _project_at(Path.cwd())
        self._lock = threading.RLock()
        self._entered = 0
        self._held: SingleBuilds | None = None

    def __enter__(self) -> BuildRunner:
        self._entered += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._entered -= 1
        if not self._entered and self._held is not None:
            self._held.close()
            self._held = None

    def get_backend_name(self) -> str:
        """The backend that this runner builds with."""
        return self.backend.name

    def get_supported_output_stages(self) -> list[OutputStage]:
        """How far it can go."""
        return list(self.backend.output_stages)

    def run(self, config: BuildConfig) -> BuildResult:
        """Build a configuration, all the way to its report; failures are in the result, not raised."""
        started = time.time()
        try:
            _check_content(config)
            with self.opened() as place:
                return place.build(config)
        except FinnmakeError as error:
            return self._refused(config, started, error)
        except OSError as error:
            return self._refused(config, started, from_os_error(error))

    @contextmanager
    def opened(self) -> Iterator[SingleBuilds]:
        """The project with its lock held. Raises FinnmakeError, OSError."""
        with self._lock:
            if not self._entered:
                place = self._open()
                try:
                    yield place
                finally:
                    place.close()
                return
            if self._held is None:
                self._held = self._open()
        yield self._held

    def _open(self) -> SingleBuilds:
        place = SingleBuilds(self._root, self.backend, self._runtime)
        try:
            place.lock()
            _ = place.runner
        except BaseException:
            place.close()
            raise
        return place

    def _refused(self, config: BuildConfig, started: float, error: FinnmakeError) -> BuildResult:
        """The result of a build that did not begin, or whose outputs cannot be written; it is in no file."""
        from finnmake.runner.failures import tell

        simulated = self.backend.simulated
        result = BuildResult(config.id, BuildStatus.FAILED, start_time=started, simulated=simulated)
        tell(result, error)
        result.complete(BuildStatus.FAILED, time.time(), error.located())
        return result


def create_build_runner_factory(backend: str) -> BuildRunnerFactory:
    """The factory for a backend by its name, an alias of it, or `auto`: the one that the design space names.

    `explore` takes it; called, it gives a `BuildRunner` of the backend, of `auto` only after
    `factory.on(space.backend)`.

    Raises:
        BlueprintError: there is none; lists those that exist.
        PluginError: it belongs to a package and cannot be loaded; names the package.
    """
    from finnmake.runner import factory

    return dataclasses.replace(factory.create_build_runner_factory(backend), alone=BuildRunner)


@dataclasses.dataclass(frozen=True)
class Pipeline:
    """One pipeline of a build runner, by the name that it has there."""

    runner: BuildRunner
    name: str

    def run(self, config: BuildConfig) -> Any:
        """Run it alone, as part of no build. Raises FinnmakeError, OSError."""
        _check_content(config)
        with self.runner.opened() as place:
            return getattr(place.runner, self.name).run(config)


def _check_content(config: BuildConfig) -> None:
    """Raise BlueprintError for a configuration that cannot be, or that is not what its content id says."""
    check_config(config)
    if content_id_of(config) != config.content_id:
        raise BlueprintError(
            f"{config.id} was changed, and still has the content id and the folder of what it was",
            cure="Change configurations with finnmake.variant(config, own_id, …).",
        )


def _backend_of(factory: BuildRunnerFactory | str, space: DesignSpace) -> Backend:
    """The backend that is asked for; of `auto` the space's own. Raises BlueprintError, PluginError."""
    if isinstance(factory, str):
        return find_backend(space.backend if factory == AUTO else factory)
    return factory.backend or find_backend(space.backend)


def _on(space: DesignSpace, backend: Backend) -> DesignSpace:
    """The same space for another backend. Raises BlueprintError where that does not go as far."""
    stage = OutputStage(space.global_config["output_stage"])
    if stage not in backend.output_stages:
        raise BlueprintError(
            f"the backend {backend.name} does not go as far as {stage.value}",
            where=space.lines.get("output_stage") or Location(space.path),
            cure=f"It reaches {', '.join(each.value for each in backend.output_stages)}.",
        )
    return dataclasses.replace(space, backend=backend.name)


def _project_of(blueprint: Path) -> Path:
    """The nearest folder above the blueprint whose pyproject.toml is a project's of finnmake."""
    folders = blueprint.resolve().parents if blueprint.exists() else ()
    return next((each for each in folders if _is_project(each)), Path.cwd())


def _project_at(folder: Path) -> Path:
    """The nearest folder, this or above, that is a project of finnmake; otherwise this."""
    return next((each for each in (folder, *folder.parents) if _is_project(each)), folder)


def _is_project(folder: Path) -> bool:
    try:
        settings = tomllib.loads((folder / "pyproject.toml").read_text())
    except (OSError, ValueError):
        return False
    return "finnmake" in settings.get("tool", {})

"""Makes the build runner of a backend: one way in for doit's tasks and the Python API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from finnmake.backends import AUTO, Backend, find_backend
from finnmake.engine.realize import Engine, Listener
from finnmake.errors import BlueprintError
from finnmake.runner.build import BuildRunner, Pages
from finnmake.runner.flow import Names
from finnmake.runner.interface import BuildRunnerInterface


@dataclass(frozen=True)
class BuildRunnerFactory:
    """Makes build runners of one backend.

    Attributes:
        backend: None for the one that a design space names.
        alone: makes a runner that opens its engine itself, from the backend's name; None where only an
            engine's runners are wanted.
    """

    backend: Backend | None
    alone: Callable[..., BuildRunnerInterface] | None = field(default=None, compare=False, repr=False)

    def on(self, named: str) -> BuildRunnerFactory:
        """The factory for a design space that names this backend. Raises BlueprintError, PluginError."""
        return self if self.backend is not None else replace(self, backend=find_backend(named))

    def __call__(
        self, *, runtime: str | None = None, project: str | Path | None = None
    ) -> BuildRunnerInterface:
        """A build runner for single configurations, `finnmake.BuildRunner` with its arguments.

        Raises BlueprintError for `auto` without a design space.
        """
        backend = self._known()
        if self.alone is None:
            raise TypeError("no runner of single configurations is known here: see finnmake.BuildRunner")
        return self.alone(backend.name, runtime=runtime, project=project)

    def on_engine(
        self,
        engine: Engine,
        project: Path,
        names: Names,
        pages: Pages,
        listener: Listener,
    ) -> BuildRunner:
        """The build runner of an engine.

        Args:
            engine: on a pool of workers with this backend's adapter.
            project: the project's folder.
            names: where the names in a blueprint lead.
            pages: makes the pages that a build leaves.
            listener: told of each step.

        Raises BlueprintError for `auto` without a design space.
        """
        return BuildRunner(self._known(), engine, project, names, pages, listener)

    def _known(self) -> Backend:
        """The backend. Raises BlueprintError where only a design space would say."""
        if self.backend is None:
            raise BlueprintError(
                f"the backend {AUTO} is known only with a design space",
                cure="Take the factory for it: factory.on(space.backend).",
            )
        return self.backend


def create_build_runner_factory(backend: str) -> BuildRunnerFactory:
    """The factory for a backend by its name, an alias of it, or `auto`: the one that the design space names.

    Raises:
        BlueprintError: there is none; lists those that exist.
        PluginError: it belongs to a package and cannot be loaded; names the package.
    """
    return BuildRunnerFactory(None if backend == AUTO else find_backend(backend))

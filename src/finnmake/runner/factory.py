"""Makes the build runner of a backend: one way in for doit's tasks and the Python API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finnmake.backends import AUTO, Backend, find_backend
from finnmake.engine.realize import Engine, Listener
from finnmake.errors import BlueprintError
from finnmake.runner.build import BuildRunner, Pages
from finnmake.runner.flow import Names


@dataclass(frozen=True)
class BuildRunnerFactory:
    """Makes build runners of one backend.

    Attributes:
        backend: None for the one that a design space names.
    """

    backend: Backend | None

    def on(self, named: str) -> BuildRunnerFactory:
        """The factory for a design space that names this backend. Raises BlueprintError, PluginError."""
        return self if self.backend is not None else BuildRunnerFactory(find_backend(named))

    def __call__(
        self,
        engine: Engine,
        project: Path,
        names: Names,
        pages: Pages,
        listener: Listener,
    ) -> BuildRunner:
        """The build runner.

        Args:
            engine: on a pool of workers with this backend's adapter.
            project: the project's folder.
            names: where the names in a blueprint lead.
            pages: makes the pages that a build leaves.
            listener: told of each step.

        Raises BlueprintError for `auto` without a design space.
        """
        if self.backend is None:
            raise BlueprintError(
                f"the backend {AUTO} is known only with a design space",
                cure="Take the factory for it: factory.on(space.backend).",
            )
        return BuildRunner(self.backend, engine, project, names, pages, listener)


def create_build_runner_factory(backend: str) -> BuildRunnerFactory:
    """The factory for a backend by its name, an alias of it, or `auto`: the one that the design space names.

    Raises:
        BlueprintError: there is none; lists those that exist.
        PluginError: it belongs to a package and cannot be loaded; names the package.
    """
    return BuildRunnerFactory(None if backend == AUTO else find_backend(backend))

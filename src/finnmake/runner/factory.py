"""Makes the build runner of a backend: one way in for doit's tasks and the Python API."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from finnmake.backends import Backend, find_backend
from finnmake.engine.realize import Engine, Listener
from finnmake.runner.build import BuildRunner
from finnmake.runner.flow import Names


@dataclass(frozen=True)
class BuildRunnerFactory:
    """Makes build runners of one backend."""

    backend: Backend

    def __call__(
        self,
        engine: Engine,
        project: Path,
        names: Names,
        render: Callable[[Path], str],
        listener: Listener,
    ) -> BuildRunner:
        """The build runner.

        Args:
            engine: on a pool of workers with this backend's adapter.
            project: the project's folder.
            names: where the names in a blueprint lead.
            render: gives the report page of a finished build's folder.
            listener: told of each step.
        """
        return BuildRunner(self.backend, engine, project, names, render, listener)


def create_build_runner_factory(backend: str) -> BuildRunnerFactory:
    """The factory for a backend by its name. Raises BlueprintError, which lists those that exist."""
    return BuildRunnerFactory(find_backend(backend))

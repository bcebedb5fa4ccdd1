"""A project for builds of configurations that a program brings: no blueprint is read, doit has no part."""

from __future__ import annotations

import functools
from pathlib import Path

from finnmake.backends import Backend
from finnmake.records import BuildConfig, BuildResult
from finnmake.tasks.workspace import Workspace


class SingleBuilds(Workspace):
    """The project, for one backend.

    Args:
        root: the project's folder.
        backend: what the configurations are for.
        runtime: where steps run; None for what the settings say.
    """

    def __init__(self, root: Path, backend: Backend, runtime: str | None) -> None:
        super().__init__(root, runtime=runtime)
        self._of = backend
        self.screen.simulated = backend.simulated

    @functools.cached_property
    def backend(self) -> Backend:
        """The backend that was asked for; no blueprint is."""
        return self._of

    @functools.cached_property
    def configs(self) -> list[BuildConfig]:
        """None of the project's own."""
        return []

    def build(self, config: BuildConfig) -> BuildResult:
        """Build a configuration, and say how it ended."""
        with self.screen.task(f"build:{config.id}"):
            result = self.runner.run(config)
        if result.is_successful():
            self.screen.result(config, result)
        else:
            words = (result.error_message or "").partition("\n")[0]
            self.screen.line(f"{'build:' + config.id:<24} {result.status.value}: {words}")
        return result

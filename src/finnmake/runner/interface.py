"""What makes a build runner one: `run`, and what it says of itself."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from finnmake.records import BuildConfig, BuildResult, OutputStage


@runtime_checkable
class BuildRunnerInterface(Protocol):
    """Builds one configuration at a time, whatever the backend."""

    def run(self, config: BuildConfig) -> BuildResult:
        """Build a configuration, all the way to its report; failures are in the result, not raised."""

    def get_backend_name(self) -> str:
        """The backend that it builds with, as a blueprint names it."""

    def get_supported_output_stages(self) -> list[OutputStage]:
        """How far it can go, in the order of the flow."""

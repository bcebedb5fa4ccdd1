"""Backends: what turns a processed model into FPGA outputs. FINN's quirks live in `finn`."""

from __future__ import annotations

from dataclasses import dataclass

from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError
from finnmake.records import OutputStage


@dataclass(frozen=True)
class Backend:
    """One backend.

    Attributes:
        name: as a blueprint writes it.
        adapter: dotted name of the module that the worker imports, see `engine.session.Adapter`.
        simulated: whether its results are made up; they are marked wherever they appear.
        output_stages: how far it can go.
    """

    name: str
    adapter: str
    simulated: bool
    output_stages: tuple[OutputStage, ...]


#: Name -> backend.
BACKENDS = {
    backend.name: backend
    for backend in (
        Backend("finn", "finnmake.backends.finn", False, tuple(OutputStage)),
        Backend(
            "mock",
            "finnmake.backends.mock",
            True,
            (OutputStage.ESTIMATES, OutputStage.DATAFLOW_GRAPH, OutputStage.RTL),
        ),
    )
}


def find_backend(name: str) -> Backend:
    """The backend of that name. Raises BlueprintError, which lists those that exist."""
    backend = BACKENDS.get(name)
    if backend is None:
        known = f"There are {', '.join(BACKENDS)}."
        raise BlueprintError(
            f"there is no backend {name!r}", cure=f"{did_you_mean(name, BACKENDS)} {known}".strip()
        )
    return backend

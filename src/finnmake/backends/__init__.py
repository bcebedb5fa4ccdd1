"""Backends: what turns a processed model into FPGA outputs. FINN's quirks live in `finn`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from finnmake.blueprint.names import did_you_mean
from finnmake.errors import BlueprintError
from finnmake.records import OutputStage


class Backend(NamedTuple):
    """One backend.

    Attributes:
        name: as a blueprint writes it.
        adapter: dotted name of the module that the worker imports, see `engine.session.Adapter`.
        simulated: whether its results are made up; they are marked wherever they appear.
        output_stages: how far it can go.
        calls: for a backend that takes all steps at once, the functions of its adapter that take their place,
            in order; each is a step of the engine and gets what `runner.flow` says. Empty where each step of
            the blueprint is one. What they leave in `artifacts/<name>/` is kept also where a later one fails.
        package: the package that brings it, for messages; empty for finnmake's own.
    """

    name: str
    adapter: str
    simulated: bool
    output_stages: tuple[OutputStage, ...]
    calls: tuple[str, ...] = ()
    package: str = ""

    @property
    def described(self) -> str:
        """The adapter as messages name it."""
        return f"{self.adapter} of the package {self.package}" if self.package else self.adapter


#: Name -> backend, of those that finnmake brings.
BACKENDS: Mapping[str, Backend] = {
    backend.name: backend
    for backend in (
        Backend("finn", "finnmake.backends.finn", False, tuple(OutputStage)),
        Backend(
            "brainsmith",
            "finnmake.backends.brainsmith",
            False,
            (OutputStage.ESTIMATES, OutputStage.STITCHED_IP, OutputStage.BITFILE),
            calls=("marshal", "explore"),
        ),
        Backend(
            "mock",
            "finnmake.backends.mock",
            True,
            (OutputStage.ESTIMATES, OutputStage.DATAFLOW_GRAPH, OutputStage.RTL),
        ),
        Backend(
            "open_rtl",
            "finnmake.backends.open_rtl",
            False,
            (
                OutputStage.ESTIMATES,
                OutputStage.DATAFLOW_GRAPH,
                OutputStage.RTL,
                OutputStage.STITCHED_IP,
            ),
        ),
    )
}

#: Other names of backends: what is built, and every key, is the same.
ALIASES: Mapping[str, str] = {"legacy_finn": "finn", "future_brainsmith": "brainsmith"}

#: The backend that simulates.
MOCK = "mock"

#: Stands for the backend that the design space names.
AUTO = "auto"


class BackendTable:
    """Every backend there is, those of installed packages too: a `blueprint.names.BackendCatalog`."""

    def find(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The backend's own name, and the output stages that it reaches. Raises BlueprintError."""
        backend = find_backend(name)
        return backend.name, tuple(stage.value for stage in backend.output_stages)


def find_backend(name: str) -> Backend:
    """The backend of that name or alias, finnmake's own or of an installed package.

    Raises:
        BlueprintError: there is none; lists those that exist.
        PluginError: it belongs to a package and cannot be loaded; names the package.
    """
    backend = BACKENDS.get(ALIASES.get(name, name))
    if backend is not None:
        return backend
    # Looking at what is installed takes time, which finnmake's own need not.
    from finnmake.backends.installed import installed_backend

    backend = installed_backend(name, taken=set(_own_names()))
    if backend is None:
        known = list(backend_names())
        raise BlueprintError(
            f"there is no backend {name!r}",
            cure=f"{did_you_mean(name, known)} There are {', '.join(known)}.".strip(),
        )
    return backend


def backend_names() -> Iterator[str]:
    """Every name that a backend can be asked for by, aliases too; nothing is imported."""
    from finnmake.backends.installed import installed_names

    yield from BACKENDS
    yield from ALIASES
    yield from (name for name in installed_names() if name not in set(_own_names()))


def _own_names() -> Iterator[str]:
    yield from BACKENDS
    yield from ALIASES
    yield AUTO

"""From a configuration to the calls of its flow: transforms, then steps, each with the place of its code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from finnmake.backends import MOCK, Backend
from finnmake.backends.mock_failures import behaving
from finnmake.blueprint.schema import ON_ERROR, PASSTHROUGH
from finnmake.blueprint.tables import KERNELS_FIELD, boards
from finnmake.engine.files import FileDigests
from finnmake.engine.state import StepCall
from finnmake.errors import BlueprintError, StepError
from finnmake.exploration.tree import BEFORE_STEPS, links
from finnmake.plugins.builtin import source_digest
from finnmake.records import BuildConfig
from finnmake.runner.at_once import calls_at_once

#: Kind -> the key under which an entry of the blueprint holds its name.
_KEYS = {"transform": "name", "step": "step", "analysis": "name"}


class Names(Protocol):
    """Where the names in a blueprint lead: kind and name -> `module:attribute`."""

    def find(self, kind: str, name: str) -> str | None:
        """The target, or None."""


def calls_of(
    config: BuildConfig, backend: Backend, names: Names, digests: FileDigests, depth: int | None = None
) -> list[StepCall]:
    """The flow of a configuration: `pre_proc` transforms, then the steps.

    Args:
        depth: how many of the transforms and steps; None for all.

    Raises BlueprintError for a configuration of another backend: its outputs would bear the wrong name.
    """
    if config.backend != backend.name:
        raise BlueprintError(
            f"{config.id} is for the backend {config.backend}, this runner for {backend.name}",
            cure="Make the build runner for the backend of the design space.",
        )
    entries = list(links(config))
    first = len(config.transforms_by_stage.get(BEFORE_STEPS, [])) if backend.calls else len(entries)
    calls = [
        call_of(kind, entry, names, digests, position=position)
        for position, (kind, entry) in enumerate(entries[:first])
    ]
    if backend.name == MOCK:
        calls = behaving(config, calls)
    steps = [(kind, *named(kind, entry)) for kind, entry in entries[first:depth]]
    return calls[:depth] + (calls_at_once(config, backend, steps, whole=depth is None) if steps else [])


def call_of(kind: str, entry: Any, names: Names, digests: FileDigests, *, position: int) -> StepCall:
    """The call for one entry of a configuration. Raises StepError for a name that is gone."""
    name, parameters = named(kind, entry)
    target = names.find(kind, name)
    if target is None:
        raise StepError(name, f"there is no {kind} of this name any more", category="config")
    return StepCall(
        name,
        kind,
        target,
        parameters,
        position,
        source_digest(target, digests),
        passthrough=kind == "transform" and passes_through(entry),
    )


def named(kind: str, entry: Any) -> tuple[str, dict[str, Any]]:
    """Name and parameters of an entry: `X`, or `{name: X, parameters: {…}}`."""
    if isinstance(entry, str):
        return entry, {}
    key = _KEYS[kind]
    beside = (key, ON_ERROR) if kind == "transform" else (key,)
    rest = {name: value for name, value in entry.items() if name not in beside}
    return entry[key], rest.get("parameters", rest)


def passes_through(entry: Any) -> bool:
    """Whether a transform's entry says that the build goes on where it fails."""
    return isinstance(entry, Mapping) and entry.get(ON_ERROR) == PASSTHROUGH


def flags_of(config: BuildConfig) -> dict[str, Any]:
    """The flags of a configuration's flow: FINN's fields, and the kernels where any are chosen."""
    backends = {kernel: list(chosen) for kernel, chosen in config.kernels}
    kernels = {
        kernel: {
            "backends": backends.get(kernel, []),
            "attributes": dict(config.kernel_attributes.get(kernel, {})),
        }
        for kernel in sorted(backends.keys() | config.kernel_attributes.keys())
    }
    return {**config.config_flags, **({KERNELS_FIELD: kernels} if kernels else {})}


def part_of(config: BuildConfig) -> str | None:
    """The FPGA part, which FINN also takes from the board."""
    part: str | None = config.config_flags.get("fpga_part")
    return part or boards().get(config.config_flags.get("board", ""))

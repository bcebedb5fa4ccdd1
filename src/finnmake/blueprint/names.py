"""How names of steps, transforms and analyses are looked up, and what to say of unknown ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from finnmake.errors import BlueprintError

#: Where a name may be defined, for messages.
PLUGIN_PLACES = "plugins/*.py"


class NameCatalog(Protocol):
    """Who knows the names of one kind: `step`, `transform` or `analysis`."""

    def find(self, kind: str, name: str) -> str | None:
        """The target `module:attribute` of a name, or `None`. Raises BlueprintError where it is ambiguous."""

    def names(self, kind: str) -> Iterable[str]:
        """All names of the kind, for suggestions."""

    def parameters(self, kind: str, name: str) -> Sequence[str] | None:
        """What a plugin takes, `name`, `name=default` or `**name` each; None where that is not known."""


class PartTable(Protocol):
    """Who knows FPGA parts; the module `finnmake.runner.devices` is one."""

    def is_known_part(self, part: str) -> bool:
        """Whether `part` is a whole part name."""

    def known_parts_hint(self, part: str) -> Sequence[str]:
        """What `part` may have been meant to be, best first."""


class BackendCatalog(Protocol):
    """Who knows the backends; `finnmake.backends.BackendTable` is one."""

    def find(self, name: str) -> tuple[str, tuple[str, ...]]:
        """The backend's own name, and the output stages that it reaches. Raises FinnmakeError."""


def nearest(name: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """The names most like `name`, best first; upper and lower case count as alike."""
    from difflib import get_close_matches  # only errors need it

    folded = {entry.casefold(): entry for entry in known}
    return [folded[match] for match in get_close_matches(name.casefold(), folded, n=limit, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`Did you mean a, b or c?`, or nothing where no name is like it."""
    return question(nearest(name, known))


def question(candidates: Sequence[str]) -> str:
    """`Did you mean a, b or c?` of the candidates, or nothing where there are none."""
    if not candidates:
        return ""
    *others, last = candidates
    choice = f"{', '.join(others)} or {last}" if others else last
    return f"Did you mean {choice}?"


def split_dotted(name: str) -> str | None:
    """The target `package.module:attribute` of a dotted name; `None` for any other."""
    module, _, attribute = name.rpartition(".")
    parts = [*module.split("."), attribute]
    return f"{module}:{attribute}" if module and all(part.isidentifier() for part in parts) else None


def find_target(known: NameCatalog, kind: str, name: str) -> str:
    """The target `module:attribute` of a name. Raises BlueprintError where it is unknown or ambiguous."""
    target = known.find(kind, name)
    if target is not None:
        return target
    places = f"Your own {_PLURALS[kind]} live in {PLUGIN_PLACES}."
    cure = f"{did_you_mean(name, known.names(kind))} {places}".strip()
    raise BlueprintError(f"unknown {kind} {name!r}", cure=cure)


_PLURALS = {"step": "steps", "transform": "transforms", "analysis": "analyses"}

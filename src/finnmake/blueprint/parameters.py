"""The parameters of plugins in a blueprint: whether those that are written are those that are taken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from finnmake.blueprint.document import Item
from finnmake.blueprint.inherit import Chain
from finnmake.blueprint.names import NameCatalog, did_you_mean
from finnmake.errors import BlueprintError

#: What the backend `mock` takes of any entry, as a signature says it.
_OF_MOCK = ("sleep=0", "fail=False")


class WithMock:
    """A `NameCatalog` with the names of another, whose entries take what the backend `mock` simulates too."""

    def __init__(self, known: NameCatalog) -> None:
        self._known = known

    def find(self, kind: str, name: str) -> str | None:
        """As the other's."""
        return self._known.find(kind, name)

    def names(self, kind: str) -> Iterable[str]:
        """As the other's."""
        return self._known.names(kind)

    def parameters(self, kind: str, name: str) -> Sequence[str] | None:
        """The other's, and those of `mock`."""
        found = self._known.parameters(kind, name)
        return None if found is None else (*found, *_OF_MOCK)


def with_mock(files: Chain, known: NameCatalog) -> NameCatalog:
    """The names that a blueprint may use, for its backend."""
    asked = next((root.value["backend"].value for root in files.files if "backend" in root.value), None)
    return WithMock(known) if asked == "mock" else known


def check_parameters(known: NameCatalog, kind: str, name: str, item: Item, given: Mapping[str, Item]) -> None:
    """Raise BlueprintError for a parameter that a plugin does not have, or for one that it needs.

    Args:
        known: knows the plugins' signatures.
        kind: `step`, `transform` or `analysis`.
        name: of the plugin.
        item: the whole entry.
        given: its parameters.
    """
    taken = known.parameters(kind, name)
    if taken is None:
        return
    names = [each.partition("=")[0] for each in taken if not each.startswith("**")]
    if len(names) == len(taken):
        for key, entry in given.items():
            if key not in names:
                raise BlueprintError(
                    f"the {kind} {name!r} has no parameter {key!r}",
                    where=entry.key_where,
                    cure=did_you_mean(key, names) or _told(names),
                )
    for key in names:
        if key in taken and key not in given:
            name_key = "step" if kind == "step" else "name"
            raise BlueprintError(
                f"the {kind} {name!r} needs the parameter {key!r}",
                where=item.where,
                cure=f"Write {{{name_key}: {name}, parameters: {{{key}: ...}}}}. {_told(taken)}",
            )


def _told(names: Sequence[str]) -> str:
    return f"Its parameters are {', '.join(names)}." if names else "It has none."

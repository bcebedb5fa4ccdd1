"""What the parts of one reading of a blueprint share, and how they collect values that must differ."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from finnmake.blueprint.document import Item, shortened
from finnmake.blueprint.names import NameCatalog, PartTable, find_target
from finnmake.blueprint.paths import BlueprintPaths
from finnmake.blueprint.problems import Problems
from finnmake.errors import BlueprintError
from finnmake.hashing import canonical_json

#: More at one place than any blueprint needs; counted before they are made.
MOST_ALTERNATIVES = 10_000

_Value = TypeVar("_Value")


class Context(NamedTuple):
    """One reading.

    Attributes:
        paths: what paths in the files are relative to.
        known: names of steps, transforms and analyses.
        known_parts: FPGA parts; `None` lets every part pass.
        problems: what is wrong so far.
    """

    paths: BlueprintPaths
    known: NameCatalog
    known_parts: PartTable | None
    problems: Problems

    def checked_name(self, item: Item, kind: str, name: str) -> str:
        """The name of a step, transform or analysis. Raises BlueprintError where it leads nowhere."""
        try:
            find_target(self.known, kind, name)
        except BlueprintError as error:
            raise BlueprintError(error.message, where=item.where, cure=error.cure) from None
        return name

    def distinct(
        self, items: Iterable[Item], read: Callable[[Item], Iterable[_Value]], place: str
    ) -> tuple[_Value, ...]:
        """What is read of the items, in order; what is wrong and what is there already is noted.

        `place` completes the sentence `5 is already …`.
        """
        found: dict[bytes, _Value] = {}
        for item in items:
            with self.problems.collecting():
                for value in read(item):
                    spelling = canonical_json(value)
                    if spelling in found:
                        raise BlueprintError(
                            f"{shown(value)} is already {place}",
                            where=item.where,
                            cure="Take one of them out.",
                        )
                    found[spelling] = value
        return tuple(found.values())


def shown(value: Any) -> str:
    """A value for a message; sequences of steps without the marks of Python."""
    if isinstance(value, tuple):
        return shortened(" + ".join(map(shown, value)) or "nothing (~)")
    return shortened(repr(value))


def refuse_many(count: int, item: Item, what: str) -> None:
    """Raise BlueprintError for more than `MOST_ALTERNATIVES`; `what`: of what, in the plural."""
    if count > MOST_ALTERNATIVES:
        many = f"{count:,}" if count < 10**15 else "far too many"
        raise BlueprintError(
            f"{many} {what}",
            where=item.where,
            cure=f"At one place there may be {MOST_ALTERNATIVES:,}: write fewer, or several places.",
        )

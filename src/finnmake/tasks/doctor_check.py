"""What a check of `doit doctor` finds, and how checks are run: one that breaks is a finding too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from finnmake.errors import FinnmakeError

#: Everything is as it should be; it may be meant so, or costs something; a build will fail or be wrong.
OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        check: what was looked at, in a word or two.
        state: `OK`, `WARNING` or `PROBLEM`.
        found: what was found.
        cure: what to do about it; empty where there is nothing to do.
    """

    check: str
    state: str
    found: str
    cure: str = ""


@dataclass(frozen=True)
class Check:
    """A check.

    Attributes:
        name: what it looks at.
        look: looks, in the project's folder.
        slow: gives what is said before it where it takes seconds, empty where it does not; None: never.
    """

    name: str
    look: Callable[[Path], Iterable[Finding]]
    slow: Callable[[Path], str] | None = None


def examine(checks: Iterable[Check], root: Path, say: Callable[[str], None]) -> Iterator[Finding]:
    """Run the checks in the project `root`; `say` is told before those that take seconds."""
    for check in checks:
        announced = check.slow(root) if check.slow else ""
        if announced:
            say(announced)
        try:
            yield from check.look(root)
        except FinnmakeError as error:
            yield from_error(check.name, error)
        except Exception as error:  # a package that is half there may raise anything, and the rest is wanted
            yield Finding(
                check.name,
                PROBLEM,
                f"the check itself failed: {type(error).__name__}: {error}",
                "See what the other lines say is missing, and mend that first.",
            )


def from_error(check: str, error: FinnmakeError, state: str = PROBLEM) -> Finding:
    """An error of a part of finnmake as a finding."""
    return Finding(check, state, error.located(), error.cure)

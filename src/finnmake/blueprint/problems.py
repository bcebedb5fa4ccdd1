"""All errors of a blueprint at once: collected while it is read, raised together at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from finnmake.errors import BlueprintError


class BlueprintErrors(BlueprintError):
    """Several things are wrong in one blueprint.

    Attributes:
        errors: each by itself, file by file, in the order of each.
    """

    def __init__(self, errors: Sequence[BlueprintError]) -> None:
        """Of at least one error."""
        super().__init__(f"{len(errors)} errors", where=errors[0].where, cure=errors[0].cure)
        self.errors = tuple(errors)

    def __str__(self) -> str:
        """One line for each error."""
        return "\n".join(_one_line(error) for error in self.errors)


def _one_line(error: BlueprintError) -> str:
    return " ".join(line.strip() for line in str(error).splitlines())


class Problems:
    """Collects errors where reading can go on after one."""

    def __init__(self) -> None:
        """With none yet."""
        self._errors: list[BlueprintError] = []

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Keep a BlueprintError that the block raises, and carry on after the block."""
        try:
            yield
        except BlueprintErrors as several:
            self._errors.extend(several.errors)
        except BlueprintError as error:
            self._errors.append(error)

    def __len__(self) -> int:
        """How many there are so far."""
        return len(self._errors)

    def raise_any(self) -> None:
        """Raise what was collected: one error as itself, several as BlueprintErrors, none not at all."""
        if len(self._errors) > 1:
            files = list(dict.fromkeys(error.where.path for error in self._errors))
            raise BlueprintErrors(sorted(self._errors, key=partial(_position, files)))
        if self._errors:
            raise self._errors[0]


def _position(files: Sequence[Path | None], error: BlueprintError) -> tuple[int, int, int]:
    return files.index(error.where.path), error.where.line or 0, error.where.column or 0

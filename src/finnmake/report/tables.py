"""Any JSON value as text in a cell or as a table: what the sections of a report are made of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from finnmake.runner.reports import finite_number

#: Rows of one table; an analysis may write any number.
_MOST_ROWS = 200
#: A wider table is told by names and values.
_MOST_COLUMNS = 16
#: Levels of nesting that are written out.
_DEEPEST = 6

_NO_VALUE = "–"
_NUMBER = re.compile(r"[-\d.,e+]*|–|yes|no")


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; `hidden` rows were left out."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int = 0

    @property
    def of_numbers(self) -> tuple[bool, ...]:
        """Of each column, whether it holds numbers (or yes, no, nothing) alone."""
        return tuple(all(_NUMBER.fullmatch(row[at]) for row in self.rows) for at in range(len(self.header)))


def text(value: Any) -> str:
    """A value in a cell: numbers with separators, at most six digits; of an absolute path only the name."""
    if value is None:
        return _NO_VALUE
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = finite_number(value)
    if number is not None:
        return f"{value:,}" if isinstance(value, int) else f"{number:,.6g}"
    shown = str(value)
    return f"…/{PurePosixPath(shown).name}" if shown.startswith("/") else shown


def table(value: Any) -> Table:
    """Any JSON value as a table: a column for each key where it holds mappings, else names and values."""
    named = _named(value)
    if len(named) > 1 and all(_is_flat_mapping(row) for row in named.values()):
        columns = tuple(dict.fromkeys(str(key) for row in named.values() for key in row))
        lines = [
            (text(name), *(text(row[c]) if c in row else "" for c in columns)) for name, row in named.items()
        ]
        return _limited(("", *columns), lines)
    return pairs(cells(value))


def rows(value: Any) -> Table | None:
    """A table with a row for each mapping of a list, or of a mapping whose mappings have keys in common.

    What has no value is an empty cell; None where the value is nothing of the kind, or has too many columns.
    """
    named = _named(value)
    if not named or not all(isinstance(row, Mapping) and row for row in named.values()):
        return None
    lines = {name: dict(cells(row, no_value="")) for name, row in named.items()}
    columns = tuple(dict.fromkeys(column for line in lines.values() for column in line))
    if not 0 < len(columns) <= _MOST_COLUMNS:
        return None
    found = [tuple(line.get(column, "") for column in columns) for line in lines.values()]
    if isinstance(value, list):
        return _limited(columns, found)
    if not all(map(_is_flat_mapping, named.values())) or len(columns) == sum(map(len, lines.values())):
        return None
    return _limited(("", *columns), [(text(name), *line) for name, line in zip(lines, found, strict=True)])


def pairs(named: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values."""
    return _limited(("", ""), list(named))


def cells(value: Any, name: str = "", no_value: str = _NO_VALUE) -> Iterable[tuple[str, str]]:
    """`value` as (dotted name, text) pairs, a few levels deep; what is empty is left out."""
    return _lines(value, name, _DEEPEST, no_value)


def is_plain(value: Any) -> bool:
    """Whether a value has nothing inside."""
    return not isinstance(value, Mapping | list)


def _limited(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    return Table(header, tuple(rows[:_MOST_ROWS]), max(0, len(rows) - _MOST_ROWS))


def _named(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    return {str(i): entry for i, entry in enumerate(value)} if isinstance(value, list) else {}


def _is_flat_mapping(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(map(is_plain, value.values()))


def _lines(value: Any, name: str, depth: int, no_value: str) -> Iterable[tuple[str, str]]:
    if is_plain(value):
        yield name, no_value if value is None else text(value)
    elif value and isinstance(value, list) and all(map(is_plain, value)):
        yield name, ", ".join(text(entry) for entry in value)
    elif value and depth == 0:
        yield name, "…"
    else:
        for key, entry in _named(value).items():
            label = PurePosixPath(key).name if key.startswith("/") else key
            yield from _lines(entry, f"{name}.{label}" if name else label, depth - 1, no_value)

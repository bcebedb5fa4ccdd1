"""Any JSON value as text in a cell or as a table: what the sections of a report are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from finnmake.runner.reports import finite_number

#: Rows of one table; an analysis may write any number.
_MOST_ROWS = 200
#: Levels of nesting that are written out.
_DEEPEST = 6


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; `hidden` rows were left out."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    hidden: int = 0


def text(value: Any) -> str:
    """A value in a cell: numbers with separators, at most six digits; of an absolute path only the name."""
    if value is None:
        return "–"
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
        rows = [
            (text(name), *(text(row[c]) if c in row else "" for c in columns)) for name, row in named.items()
        ]
        return _limited(("", *columns), rows)
    return _limited(("", ""), list(_lines(value, "", _DEEPEST)))


def _limited(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    return Table(header, tuple(rows[:_MOST_ROWS]), max(0, len(rows) - _MOST_ROWS))


def _named(value: Any) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return {str(key): entry for key, entry in value.items()}
    return {str(i): entry for i, entry in enumerate(value)} if isinstance(value, list) else {}


def _is_flat_mapping(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and not any(isinstance(v, Mapping | list) for v in value.values())
    )


def _lines(value: Any, name: str, depth: int) -> Iterable[tuple[str, str]]:
    """`value` as (dotted name, text) rows, `depth` levels deep; what is empty is left out."""
    if not isinstance(value, Mapping | list):
        yield name, text(value)
    elif value and isinstance(value, list) and not any(isinstance(entry, Mapping | list) for entry in value):
        yield name, ", ".join(text(entry) for entry in value)
    elif value and depth == 0:
        yield name, "…"
    else:
        for key, entry in _named(value).items():
            label = PurePosixPath(key).name if key.startswith("/") else key
            yield from _lines(entry, f"{name}.{label}" if name else label, depth - 1)

"""A comparison of two builds as lines of text: what differs file by file, what is the same by folder.

Works with the standard library alone, as `archived` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from finnmake.tasks.comparison import SAME, Comparison, Row

#: Columns of the states, and of the names where they are short.
_STATE, _NAME = 13, 44


def comparison_text(comparison: Comparison) -> list[str]:
    """The table, in what the environments differ, and how many files are what."""
    lines = list(_lines(comparison))
    if comparison.first:
        lines.append(f"the first step whose model differs is {comparison.first}")
    if comparison.environment:
        lines.append("the environment is not that of the archive:")
        lines += [f"  {each}" for each in comparison.environment]
    states = [row.state for row in comparison.rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))
    return [*lines, f"{len(states)} files: {counts}"]


def _lines(comparison: Comparison) -> Iterator[str]:
    for (folder, state), rows in groupby(comparison.rows, _group):
        found = list(rows)
        if state == SAME and folder and len(found) > 1:
            yield _line(SAME, f"{folder}/", f"{len(found)} files")
        else:
            yield from (_line(row.state, row.name, row.detail) for row in found)


def _group(row: Row) -> tuple[str, str]:
    return row.name.rpartition("/")[0], row.state


def _line(state: str, name: str, detail: str) -> str:
    return f"{state:<{_STATE}} {name:<{_NAME}} {detail}".rstrip()

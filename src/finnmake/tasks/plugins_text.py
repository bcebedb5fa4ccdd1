"""The text of `doit plugins`: a table of names, or one name in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from finnmake.exploration.drawing import cut, printable
from finnmake.tasks.plugin_list import ORIGINS, Listed

#: Characters of a docstring's line, at the least.
_NARROWEST = 60


def plugins_table(listed: Sequence[Listed], width: int) -> str:
    """Each with the first line of its docstring, cut to so many characters, by the place it comes from."""
    groups: dict[str, list[Listed]] = {}
    for each in sorted(listed, key=lambda each: ORIGINS.index(each.origin)):
        groups.setdefault(each.place, []).append(each)
    tables = ("\n".join([place, *_aligned(group, max(width, _NARROWEST))]) for place, group in groups.items())
    return "".join(f"{table}\n\n" for table in tables)


def _aligned(group: Sequence[Listed], width: int) -> Iterator[str]:
    rows = [(each.name, each.kind, each.stage, each.source) for each in group]
    wide = [max(len(row[at]) for row in rows) for at in range(4)]
    for each, row in zip(group, rows, strict=True):
        cells = (text.ljust(space) for text, space in zip(row, wide, strict=True) if space)
        yield f"  {'  '.join(cells)}".rstrip()
        if each.summary:
            yield cut(f"      {printable(each.summary)}", width)


def plugin_in_full(each: Listed) -> str:
    """All about one name."""
    rows = {
        "kind": each.kind,
        "stage": each.stage,
        "from": each.place,
        "source": each.source,
        "target": each.target,
    }
    head = [f"{each.name}({', '.join(each.parameters)})", ""]
    body = [f"  {name:<8} {value}" for name, value in rows.items() if value]
    doc = ["", *(f"  {line}".rstrip() for line in each.doc.splitlines())] if each.doc else []
    return "".join(f"{line}\n" for line in (*head, *body, *doc))

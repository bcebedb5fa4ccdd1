"""The text of `doit plugins`: a table of names, or one name in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from finnmake.exploration.drawing import printable
from finnmake.tasks.plugin_list import BACKEND, ORIGINS, Listed

#: Characters of a docstring's line, at the least.
_NARROWEST = 60


def plugins_table(listed: Sequence[Listed], width: int) -> str:
    """Each with the first sentence of its docstring, in lines of so many characters, by its origin."""
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
        for said in (each.summary, _reach(each)):
            yield from wrap(printable(said), width, initial_indent=" " * 6, subsequent_indent=" " * 6)


def _reach(each: Listed) -> str:
    """Of a backend its other names and how far it goes."""
    also = f"also {', '.join(each.aliases)}; " if each.aliases else ""
    return f"{also}up to {', '.join(each.output_stages)}" if each.output_stages else ""


def plugin_in_full(each: Listed) -> str:
    """All about one name."""
    rows = {
        "kind": each.kind,
        "stage": each.stage,
        "stages": ", ".join(each.output_stages),
        "also": ", ".join(each.aliases),
        "from": each.place,
        "source": each.source,
        "target": each.target,
    }
    taken = "" if each.kind == BACKEND else f"({', '.join(each.parameters)})"
    head = [f"{each.name}{taken}", ""]
    body = [f"  {name:<8} {value}" for name, value in rows.items() if value]
    doc = ["", *(f"  {line}".rstrip() for line in each.doc.splitlines())] if each.doc else []
    return "".join(f"{line}\n" for line in (*head, *body, *doc))

"""The text of `doit status`: how many configurations are in which state, and a line for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from finnmake.exploration.drawing import counted, cut, printable
from finnmake.tasks.status_rows import BUILT, STATES, Row

#: Of more configurations only those that are not built are listed, and of these only so many.
_FEW = 20

_FORMS = {
    "throughput": "{:,.0f} inferences/s",
    "latency": "{:,.2f} µs",
    "lut_utilization": "LUT {:.1%}",
}

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def status_text(rows: Sequence[Row], width: int, everything: bool) -> str:
    """How many are in which state, then the configurations.

    Args:
        width: characters of a line.
        everything: whether all configurations are listed, however many they are.
    """
    shown = list(rows)
    if len(rows) > _FEW and not everything:
        shown = [row for row in rows if row.state != BUILT][:_FEW]
    lines = [_summary(rows), *(line.rstrip() for line in _table(shown, width))]
    if len(shown) < len(rows):
        lines.append(f"and {len(rows) - len(shown):,} more (--all shows them)")
    return "".join(f"{line}\n" for line in lines)


def _summary(rows: Sequence[Row]) -> str:
    count = Counter(row.state for row in rows)
    states = ", ".join(f"{count[state]:,} {state}" for state in STATES if count[state])
    return f"{counted(len(rows), 'configuration')}: {states}" if rows else "no configurations"


def _table(rows: Sequence[Row], width: int) -> Iterator[str]:
    table = [_cells(row) for row in rows]
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row, cells in zip(rows, table, strict=True):
        aligned = (
            cell.rjust(space) if at in (2, 3, 4, 5) else cell.ljust(space)
            for at, (cell, space) in enumerate(zip(cells, wide, strict=True))
            if space
        )
        yield cut(f"{'  '.join(aligned)}  {_remark(row)}".rstrip(), max(width, 60))


def _cells(row: Row) -> tuple[str, ...]:
    figures = (form.format(row.metrics[name]) if name in row.metrics else "" for name, form in _FORMS.items())
    return row.config_id, row.state, _age(row.age), *figures


def _remark(row: Row) -> str:
    """What else there is to say of a configuration."""
    stale = f"from {row.stale.partition(':')[0]} on" if row.stale else ""
    return "  ".join(
        part for part in ("(simulated)" if row.simulated else "", stale, printable(row.message)) if part
    )


def _age(seconds: float | None) -> str:
    """How long ago, roughly: `5 min ago`."""
    if seconds is None:
        return ""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{int(seconds // unit)} {name} ago"
    return "just now"

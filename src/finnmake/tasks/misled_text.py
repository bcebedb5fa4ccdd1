"""Where FINN's estimates misled an exploration, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finnmake.exploration.estimates import Misjudged, Misled, Ratio
    from finnmake.exploration.results import ExplorationResult

#: So many configurations are named in a line.
_NAMED = 10

#: The columns of the table; the first is the metric's.
_COLUMNS = ("measured / FINN's estimate", "builds", "least", "median", "most", "farthest off")


def misled_lines(found: ExplorationResult) -> Iterator[str]:
    """The ratios of what was measured to what was estimated, and what the Pareto set by estimates has wrong.

    Nothing where nothing was both estimated and measured.
    """
    misled = found.misled
    if misled is None:
        return
    yield ""
    rows = [_COLUMNS, *map(_row, misled.ratios)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(_COLUMNS))]
    for first, *others in rows:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join((first.ljust(widths[0]), *cells))
    for ratio in misled.ratios:
        if ratio.unforeseen:
            yield f"{ratio.metric}: {ratio.unforeseen:,} builds take some that were estimated to take none"
    yield from _sets(misled, len(found.pareto))


def _row(ratio: Ratio) -> tuple[str, ...]:
    values = (ratio.least, ratio.median, ratio.most)
    shown = ("–" if value is None else f"{value:,.3g}" for value in values)
    return (ratio.metric, f"{ratio.builds:,}", *shown, ratio.farthest or "–")


def _sets(misled: Misled, measured: int) -> Iterator[str]:
    """How the two Pareto sets differ, where an objective was estimated."""
    if not misled.objectives:
        return
    wanted = ", ".join(misled.objectives)
    if not misled.beaten and not misled.overlooked:
        yield f"Pareto set by estimates ({wanted}): the same"
        return
    yield (
        f"Pareto set by estimates ({wanted}): {len(misled.pareto):,}, of which {len(misled.beaten):,} are "
        f"beaten in fact; of the {measured:,} in fact {len(misled.overlooked):,} are missing"
    )
    if misled.beaten:
        yield f"  beaten in fact: {_named(misled.beaten)}"
    if misled.overlooked:
        yield f"  missing, as estimates put others before them: {_named(misled.overlooked)}"


def _named(misjudged: Sequence[Misjudged]) -> str:
    named = (f"{each.config_id} ({_why(each)})" for each in misjudged[:_NAMED])
    more = f" and {len(misjudged) - _NAMED:,} more" if len(misjudged) > _NAMED else ""
    return ", ".join(named) + more


def _why(misjudged: Misjudged) -> str:
    return f"by {misjudged.by}" if misjudged.by else "by a limit"

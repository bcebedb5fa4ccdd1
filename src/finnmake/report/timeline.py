"""When something was the case in a simulation: cells of a row from the first cycle to the last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from typing import Any

from finnmake.report.choices import as_mapping
from finnmake.runner.reports import finite_number

#: Columns of a row at most: what a page can show, and what keeps it small.
_COLUMNS = 64
#: Shades of a cell, and the share below which it shows nothing.
_SHADES = 4
_FAINT = 0.02


@dataclass(frozen=True)
class Cell:
    """Neighbouring columns that look the same.

    Attributes:
        x: where it begins, in percent of the row.
        width: likewise.
        kind: what was the case, a class of the page's style.
        opacity: of its colour.
        said: the same in words.
    """

    x: float
    width: float
    kind: str
    opacity: float
    said: str


@dataclass(frozen=True)
class Timeline:
    """The parts that a simulation was cut into.

    Attributes:
        width: cycles of a part.
        cycles: of the whole run: the last part may be shorter.
        values: as the report has it.
    """

    width: int
    cycles: int
    values: Mapping[str, Any]

    @classmethod
    def of(cls, activity: Mapping[str, Any], cycles: float | None) -> Timeline | None:
        """From what was observed; None where it does not tell of when."""
        values = as_mapping(activity.get("timeline"))
        width = finite_number(values.get("width"))
        if width is None or width < 1 or cycles is None or cycles < 1:
            return None
        return cls(int(width), int(cycles), values)

    @property
    def column(self) -> int:
        """Cycles of a column."""
        return self.width * -(-self._parts // _COLUMNS)

    @property
    def _parts(self) -> int:
        return -(-self.cycles // self.width)

    def waits(self, layer: str) -> tuple[Cell, ...]:
        """When a layer waited: the greater of blocked and starved in each column, as dark as its share."""
        shares = {
            kind: [value / self._length(at) for at, value in enumerate(self._columns(kind, layer, sum))]
            for kind in ("blocked", "starved")
        }
        return self._cells(shares, "{mean:.0%} {kind}")

    def fill(self, fifo: str, holds: float) -> tuple[Cell, ...]:
        """How full a FIFO was at most, which holds so many words."""
        shares = [value / holds for value in self._columns("fill", fifo, max)]
        return self._cells({"filled": shares}, "up to {most:.0%} full")

    def _columns(self, kind: str, name: str, join: Callable[[Iterable[float]], float]) -> list[float]:
        """The values of the parts, those of each column as one; empty where one of them is no number."""
        found = as_mapping(self.values.get(kind)).get(name)
        parts = [finite_number(each) for each in found] if isinstance(found, list) else []
        numbers = [each for each in parts if each is not None and each >= 0]
        if len(numbers) < len(parts) or len(parts) > self._parts:
            return []
        step = self.column // self.width
        return [join(numbers[at : at + step]) for at in range(0, len(numbers), step)]

    def _length(self, column: int) -> int:
        """Cycles of a column, of which the last may be cut."""
        return min(self.column, self.cycles - column * self.column)

    def _cells(self, shares: Mapping[str, Sequence[float]], words: str) -> tuple[Cell, ...]:
        """Cells of what is greatest in each column; columns of the same shade are one."""
        count = max(map(len, shares.values()))
        if any(len(row) != count for row in shares.values()):
            return ()
        looks = []
        for at in range(count):
            kind = max(shares, key=lambda name: shares[name][at])
            looks.append((kind, _shade(shares[kind][at])))
        cells = []
        for (kind, shade), group in groupby(range(count), key=lambda at: looks[at]):
            columns = list(group)
            if shade > 0:
                cells.append(self._cell(columns, kind, shade, shares[kind], words))
        return tuple(cells)

    def _cell(
        self, columns: Sequence[int], kind: str, shade: int, shares: Sequence[float], words: str
    ) -> Cell:
        first = columns[0] * self.column
        end = columns[-1] * self.column + self._length(columns[-1])
        mean = sum(shares[at] * self._length(at) for at in columns) / (end - first)
        most = max(shares[at] for at in columns)
        said = words.format(mean=mean, most=most, kind=kind).replace("%", " %")
        return Cell(
            x=round(100 * first / self.cycles, 3),
            width=round(100 * (end - first) / self.cycles, 3),
            kind=kind,
            opacity=shade / _SHADES,
            said=f"cycles {first:,.0f} to {end - 1:,.0f}: {said}",
        )


def _shade(share: float) -> int:
    """0 for nothing to see, up to `_SHADES`."""
    return 0 if share < _FAINT else min(_SHADES, ceil(_SHADES * share))

"""A table of results: pandas columns of one type each, and the same as CSV and Parquet."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: The largest whole number that a column of them holds.
_INT64 = 2**63


def make_frame(columns: Mapping[str, Sequence[Any]]) -> pd.DataFrame:
    """The columns as a table.

    A column of truth values, of whole numbers, or of numbers with or without None is one of these; any other
    is text, where None stays None and what is no text is written as in JSON.
    """
    import pandas as pd  # takes half a second

    series = {}
    for name, values in columns.items():
        typed, kind = _typed(values)
        series[name] = pd.Series(typed, dtype=kind)
    return pd.DataFrame(series)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """The table as CSV (UTF-8, a line a row); None and NaN are empty."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """The table as Parquet; text is marked as UTF-8 also where a column has none."""
    frame.to_parquet(path, engine="fastparquet", index=False, object_encoding="utf8")


def _typed(values: Sequence[Any]) -> tuple[list[Any], str]:
    """The values of a column and its type."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return list(values), "bool"
    if kinds == {int} and all(-_INT64 <= value < _INT64 for value in values):
        return list(values), "int64"
    if kinds & {int, float} and kinds <= {int, float, type(None)} and all(map(_is_in_range, values)):
        return [math.nan if value is None else float(value) for value in values], "float64"
    return [None if value is None else _text(value) for value in values], "object"


def _is_in_range(value: float | None) -> bool:
    """Whether it can be a float; integers can be any size."""
    return not isinstance(value, int) or abs(value) <= sys.float_info.max


def _text(value: Any) -> str:
    """Text that can be written as UTF-8: a tool's message may hold bytes that are none."""
    text = value if isinstance(value, str) else {True: "true", False: "false"}.get(value, str(value))
    return text.encode("utf-8", "backslashreplace").decode()

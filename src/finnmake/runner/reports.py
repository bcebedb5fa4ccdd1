"""The reports of one build: each is read once, figures are picked out, what is wrong with it is noted."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from typing import Any

from finnmake.runner.report_shapes import KeyPath

#: No figure of an FPGA build comes near; keeps sums and quotients finite.
_LARGEST = 1e18

#: The first row of the first table of Vivado's `report_timing_summary`: `WNS(ns)  TNS(ns) …`, a rule, values.
#: `NA` stands there where no path is constrained.
_TIMING = re.compile(r"^\s*WNS\(ns\)\s+TNS\(ns\)[^\n]*\n[\s-]*\n\s*(-?\d+(?:\.\d+)?)\s", re.MULTILINE)


def read_json(path: Path) -> tuple[Any, str]:
    """The content of a JSON file that may be anything.

    Returns:
        The value and an empty string; or `None` and what is wrong, empty where there is no such file.
    """
    content, problem = _content(path)
    if content is None:
        return None, problem
    try:
        return json.loads(content.decode()), ""
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as error:  # also UnicodeDecodeError and JSONDecodeError
        return None, f"is not valid JSON ({error})"


def read_timing(path: Path) -> tuple[Any, str]:
    """The worst slack, `{"WNS": ns}`, of a timing summary that may be anything; else as `read_json`."""
    content, problem = _content(path)
    if content is None:
        return None, problem
    found = _TIMING.search(content.decode(errors="replace"))
    return ({"WNS": float(found[1])}, "") if found else (None, "has no worst slack (WNS)")


def finite_number(value: object, texts: bool = False) -> float | None:
    """`value` as a float where it is a number of sane size; `None` for booleans, NaN, infinity and text.

    Args:
        texts: whether a number written as text will do.
    """
    if texts and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None  # no comparison holds for NaN


@dataclass
class Reports:
    """FINN's `report` folder.

    Attributes:
        folder: where it is; it need not exist.
        simulated: whether the reports are made up; sources then say so.
        notes: what there is to say besides the faults of single reports.
    """

    folder: Path
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    _documents: dict[str, Any] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _faults: dict[str, dict[str, None]] = field(default_factory=dict)

    def source(self, file: str, kind: str) -> str:
        """Where a figure comes from, for a reader."""
        return f"report/{file} ({'simulated' if self.simulated else kind})"

    def files(self, name: str) -> list[str]:
        """The name itself; where it has a `*`, the names of the files with a number in its place."""
        if "*" not in name:
            return [name]
        shape = re.compile(re.escape(name).replace(r"\*", r"\d+"))
        return sorted(each for each in self._names if shape.fullmatch(each))

    def get(self, file: str) -> Any:
        """The report's content, `None` where it is missing or of no use."""
        if file not in self._documents:
            read = read_timing if fnmatch(file, "*.rpt") else read_json
            document, problem = read(self.folder / file)
            if problem:
                self.fault(file, problem)
            self._documents[file] = document
        return self._documents[file]

    def has(self, file: str) -> bool:
        """Whether there is such a report, whatever it holds; the name may be anything."""
        return file in self._names and file.endswith(".json")

    @cached_property
    def _names(self) -> frozenset[str]:
        """The names of all that is in the folder; asked for once, as each figure asks."""
        try:
            return frozenset(os.listdir(self.folder))
        except OSError:
            return frozenset()

    def numbers(
        self, file: str, keys: KeyPath, *, texts: bool = False, negative: bool = False
    ) -> list[float]:
        """The figures under `keys`; empty where there is none, or one of them is no number.

        Args:
            texts: whether numbers may be written as text.
            negative: whether they may be below 0.
        """
        values = [value for value in _descend(self.get(file), keys) if value is not None]
        found = [finite_number(value, texts) for value in values]
        numbers = [number for number in found if number is not None and (negative or number >= 0)]
        if len(numbers) < len(values):
            self.fault(file, f"has no usable number under {' > '.join(keys)}")
            return []
        if values:
            self._used.add(file)
        return numbers

    def plain(self, file: str, key: str | None) -> Any:
        """What `key` (`None`: the whole report) holds, where it is text, a number or a mapping to numbers."""
        document = self.get(file)
        value: Any = document if key is None else next(_descend(document, (key,)), None)
        kept = _plain(value)
        if kept is not None:
            self._used.add(file)
        if isinstance(kept, dict) and len(kept) < len(value):
            self.fault(file, "has entries that are not numbers")
        return kept

    def warnings(self) -> list[str]:
        """Everything that was noted, and the reports that are there but gave nothing."""
        for file, document in self._documents.items():
            if document is not None and file not in self._used and file not in self._faults:
                self.fault(file, "holds none of the expected figures")
        faults = [
            f"metrics: report/{file} {fault}" for file, found in self._faults.items() for fault in found
        ]
        return [*self.notes, *faults]

    def fault(self, file: str, fault: str) -> None:
        """Note what is wrong with a report, once: words that go on after its name."""
        self._faults.setdefault(file, {})[fault] = None


def whole(number: float) -> int | float:
    """A count as an integer where it is one: FINN sums counts as floats."""
    return int(number) if number.is_integer() else number


def _content(path: Path) -> tuple[bytes | None, str]:
    """What is in a file; or None and what is wrong, empty where there is no such file."""
    try:
        return path.read_bytes(), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot be read ({error.strerror or error})"


def _descend(value: Any, keys: KeyPath) -> Iterator[Any]:
    """Every value that `keys` leads to."""
    if not keys:
        yield value
    elif keys[0] == "*":
        for element in value if isinstance(value, list) else [value]:
            yield from _descend(element, keys[1:])
    elif not isinstance(value, Mapping):
        return
    elif keys[0] == "**":
        for name, entry in value.items():
            if name != "total":
                yield from _descend(entry, keys[1:])
    elif keys[0] in value:
        yield from _descend(value[keys[0]], keys[1:])


def _plain(value: object) -> Any:
    """Text, a number, or a mapping with its entries that are numbers; `None` for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        numbers = {key: finite_number(entry) for key, entry in value.items()}
        return {key: whole(number) for key, number in numbers.items() if number is not None}
    number = finite_number(value)
    return None if number is None else whole(number)

"""The metrics of a build, read from FINN's reports: the best source there is for each figure.

A figure is never guessed: what no report gives, or gives as something that is not a number, is `None`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.records import BuildMetrics
from finnmake.runner.devices import DeviceTotals, known_parts_hint, totals
from finnmake.runner.report_shapes import (
    METRIC_READINGS,
    RAW_FIGURES,
    RESOURCE_READINGS,
    UTILIZATION,
    KeyPath,
    Reading,
)

_NS_PER_US = 1000.0

#: A thousandth of a fs: below it a clock period is a mistake.
_SHORTEST_PERIOD_NS = 1e-9

#: No figure of an FPGA build comes near; keeps sums and quotients finite.
_LARGEST = 1e18


def collect(
    report_dir: Path, *, fpga_part: str | None, synth_clk_period_ns: float, simulated: bool = False
) -> tuple[BuildMetrics, list[str]]:
    """Read the metrics of a build.

    Args:
        report_dir: FINN's `report` folder; a report that is missing is no error.
        fpga_part: part or device name that utilisation is relative to.
        synth_clk_period_ns: target clock period in ns: the clock unless synthesis reports an fmax, and what
            simulated cycles are turned into µs with.
        simulated: whether the reports are made up; `sources` then say so of every figure in them.

    Returns:
        The metrics, and a warning for each report that cannot be used as it stands. A utilisation is `None`
        where the device has none of the resource, also when none is used: there is no fraction of nothing.
    """
    reports = _Reports(report_dir, simulated)
    metrics = BuildMetrics()
    period = _usable_period(synth_clk_period_ns, reports)
    if period is not None:
        _set(metrics, "clock_frequency", 1000.0 / period, "synth_clk_period_ns (target)")
    for name, ladder in METRIC_READINGS.items():
        found = _first(reports, ladder, period, above_zero=True)
        if found is not None:
            _set(metrics, name, *found)
    metrics.raw_metrics = _raw_figures(reports)
    _utilization(metrics, reports, fpga_part)
    return metrics, reports.warnings()


def read_json(path: Path) -> tuple[Any, str]:
    """The content of a JSON file that may be anything.

    Returns:
        The value and an empty string; or `None` and what is wrong, empty where there is no such file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8")), ""
    except FileNotFoundError:
        return None, ""
    except OSError as error:
        return None, f"cannot be read ({error.strerror or error})"
    except RecursionError:
        return None, "is nested too deeply"
    except ValueError as error:  # also UnicodeDecodeError and JSONDecodeError
        return None, f"is not valid JSON ({error})"


def finite_number(value: object) -> float | None:
    """`value` as a float where it is a number of sane size; `None` for text, booleans, NaN and infinity."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) <= _LARGEST else None  # no comparison holds for NaN


@dataclass
class _Reports:
    """The reports of one build, each read once, and what was wrong with them."""

    folder: Path
    simulated: bool = False
    notes: list[str] = field(default_factory=list)
    _documents: dict[str, Any] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)
    _faults: dict[str, dict[str, None]] = field(default_factory=dict)

    def source(self, file: str, kind: str) -> str:
        """Where a figure comes from, for a reader."""
        return f"report/{file} ({'simulated' if self.simulated else kind})"

    def get(self, file: str) -> Any:
        """The report's content, `None` where it is missing or of no use."""
        if file not in self._documents:
            document, problem = read_json(self.folder / file)
            if problem:
                self._fault(file, problem)
            self._documents[file] = document
        return self._documents[file]

    def numbers(self, file: str, keys: KeyPath) -> list[float]:
        """The figures under `keys`, each 0 or more; empty where there is none or one is not such a number."""
        values = [value for value in _descend(self.get(file), keys) if value is not None]
        numbers = [number for value in values if (number := finite_number(value)) is not None and number >= 0]
        if len(numbers) < len(values):
            self._fault(file, f"has no usable number under {' > '.join(keys)}")
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
            self._fault(file, "has entries that are not numbers")
        return kept

    def warnings(self) -> list[str]:
        """Everything that was noted, and the reports that are there but gave nothing."""
        for file, document in self._documents.items():
            if document is not None and file not in self._used and file not in self._faults:
                self._fault(file, "holds none of the expected figures")
        faults = [f"report/{file} {fault}" for file, faults in self._faults.items() for fault in faults]
        return [*self.notes, *faults]

    def _fault(self, file: str, fault: str) -> None:
        """Note what is wrong with a report, once."""
        self._faults.setdefault(file, {})[fault] = None


def _descend(value: Any, keys: KeyPath) -> Iterator[Any]:
    """Every value that `keys` leads to."""
    if not keys:
        yield value
    elif keys[0] == "*":
        for element in value if isinstance(value, list) else [value]:
            yield from _descend(element, keys[1:])
    elif isinstance(value, Mapping) and keys[0] in value:
        yield from _descend(value[keys[0]], keys[1:])


def _plain(value: object) -> Any:
    """Text, a number, or a mapping with its entries that are numbers; `None` for anything else."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        numbers = {key: finite_number(entry) for key, entry in value.items()}
        return {key: _whole(number) for key, number in numbers.items() if number is not None}
    number = finite_number(value)
    return None if number is None else _whole(number)


def _whole(number: float) -> int | float:
    """A count as an integer where it is one: FINN sums counts as floats."""
    return int(number) if number.is_integer() else number


def _usable_period(synth_clk_period_ns: object, reports: _Reports) -> float | None:
    period = finite_number(synth_clk_period_ns)
    if period is None or period < _SHORTEST_PERIOD_NS:
        reports.notes.append(f"synth_clk_period_ns is {synth_clk_period_ns!r}: the clock is not known")
        return None
    return period


def _first(
    reports: _Reports, ladder: tuple[Reading, ...], period_ns: float | None, *, above_zero: bool
) -> tuple[float, str] | None:
    """The figure of the best reading that gives one, and its source."""
    for reading in ladder:
        figure = _read(reports, reading, period_ns)
        if figure is not None and (figure[0] > 0 or not above_zero):
            return figure
    return None


def _read(reports: _Reports, reading: Reading, period_ns: float | None) -> tuple[float, str] | None:
    values = [
        factor * reading.pick(numbers)
        for keys, factor in reading.terms
        if (numbers := reports.numbers(reading.file, keys))
    ]
    if not values or (reading.in_cycles and period_ns is None):
        return None
    figure, source = sum(values), reports.source(reading.file, reading.kind)
    if reading.in_cycles and period_ns is not None:
        return figure * period_ns / _NS_PER_US, source
    return _with_other_layers(reports, reading, figure, source)


def _with_other_layers(reports: _Reports, reading: Reading, figure: float, source: str) -> tuple[float, str]:
    """Add the layers that the reading's report does not list, from the report that does."""
    if reading.other_layers is None:
        return figure, source
    file, key = reading.other_layers
    listed, estimated = reports.get(reading.file), reports.get(file)
    missing = [layer for layer in estimated if layer not in listed] if isinstance(estimated, Mapping) else []
    if not missing:
        return figure, source
    rest = sum(number for layer in missing for number in reports.numbers(file, (layer, key)))
    return figure + rest, f"{source}; other layers: {reports.source(file, 'estimate')}"


def _raw_figures(reports: _Reports) -> dict[str, Any]:
    figures = {name: reports.plain(file, key) for name, (file, key) in RAW_FIGURES.items()}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _utilization(metrics: BuildMetrics, reports: _Reports, fpga_part: str | None) -> None:
    """Fill in the counts (raw) and, where the device is known, the fractions of it."""
    device = _device(reports, fpga_part)
    if device is not None:
        metrics.raw_metrics["device"] = {"name": device.device, "source": device.source, **device.counts()}
    metric_of = {resource: metric for metric, resource in UTILIZATION.items()}
    for resource, ladder in RESOURCE_READINGS.items():
        found = _first(reports, ladder, None, above_zero=False)
        if found is None:
            continue
        count, source = found
        metrics.raw_metrics[resource] = _whole(count)
        if device is not None and resource in metric_of:
            fraction = _fraction(reports, device, resource, count)
            if fraction is not None:
                _set(metrics, metric_of[resource], fraction, source)


def _device(reports: _Reports, fpga_part: str | None) -> DeviceTotals | None:
    if fpga_part is None:
        reports.notes.append("utilisation is not known: the configuration names no fpga_part")
        return None
    device = totals(fpga_part)
    if device is None:
        alike = ", ".join(known_parts_hint(fpga_part))
        hint = f" (known and written alike: {alike})" if alike else ""
        reports.notes.append(f"utilisation is not known: no device totals for fpga_part {fpga_part}{hint}")
    return device


def _fraction(reports: _Reports, device: DeviceTotals, resource: str, count: float) -> float | None:
    available = device.counts()[resource]
    if available:
        return count / available
    if count:
        reports.notes.append(f"the design takes {count:g} {resource}, and {device.device} has none")
    return None


def _set(metrics: BuildMetrics, name: str, value: float, source: str) -> None:
    setattr(metrics, name, value)
    metrics.sources[name] = source

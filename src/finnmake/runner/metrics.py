"""The metrics of a build, read from FINN's reports: the best source there is for each figure.

A figure is never guessed: what no report gives, or gives as something that is not a number, is `None`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from finnmake.records import ESTIMATED, BuildMetrics
from finnmake.runner.anomalies import Evidence, Figure, anomalies
from finnmake.runner.devices import DeviceTotals, known_parts_hint, totals
from finnmake.runner.report_shapes import (
    ESTIMATED_RESOURCES,
    FINN_ESTIMATES,
    HARDWARE_ACCURACY,
    METRIC_READINGS,
    RAW_FIGURES,
    RESOURCE_READINGS,
    UTILIZATION,
    Reading,
)
from finnmake.runner.reports import Reports, finite_number, read_json, whole

_NS_PER_S, _NS_PER_US = 1e9, 1e3
_MHZ_NS = 1000.0

#: A thousandth of a fs: below it a clock period is a mistake.
_SHORTEST_PERIOD_NS = 1e-9

#: What the analysis `accuracy_validation` leaves, in the folder of the analyses.
ACCURACY = "accuracy_validation.json"


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
        The metrics, and warnings: `metrics: …` for each report that cannot be used as it stands, and what is
        odd about the figures (see `anomalies`). A utilisation is `None` where the device has none of the
        resource, also when none is used: there is no fraction of nothing.
    """
    reports = Reports(report_dir, simulated)
    metrics = BuildMetrics()
    period = _usable_period(synth_clk_period_ns, reports)
    if period is not None:
        _set(metrics, "clock_frequency", _MHZ_NS / period, "synth_clk_period_ns (target)")
    ladders = {**METRIC_READINGS, **RESOURCE_READINGS}
    figures = {name: list(_figures(reports, ladder, period)) for name, ladder in ladders.items()}
    for name in METRIC_READINGS:
        best = next((each for each in figures[name] if each.value > 0), None)
        if best is not None:
            _set(metrics, name, best.value, best.source)
    _hardware_accuracy(metrics, reports)
    metrics.raw_metrics = _raw_figures(reports)
    device = _device(reports, fpga_part)
    _utilization(metrics, reports, device, figures)
    estimated = dict(_estimated(figures, device))
    if estimated:
        metrics.raw_metrics[ESTIMATED] = estimated
    odd = anomalies(Evidence(metrics.validated(), figures, period, device))
    return metrics, [*reports.warnings(), *odd]


def _hardware_accuracy(metrics: BuildMetrics, reports: Reports) -> None:
    """Set the accuracy that was measured on simulated hardware, where it was."""
    file, key, kind = HARDWARE_ACCURACY
    found = next(iter(reports.numbers(file, (key,))), None)
    if found is None:
        return
    if found > 1:
        reports.fault(file, "has no accuracy from 0 to 1")
        return
    _set(metrics, "accuracy", found, reports.source(file, kind))


def add_accuracy(metrics: BuildMetrics, analyses: Path) -> list[str]:
    """Set the accuracy that the analysis `accuracy_validation` measured, where it ran.

    It takes the place of one that was measured on simulated hardware: the analysis was asked for by itself,
    on images of its own.

    Args:
        metrics: to be added to.
        analyses: the folder of the analyses' files.

    Returns:
        A warning where its file cannot be used.
    """
    found, problem = read_json(analyses / ACCURACY)
    if found is None and not problem:
        return []
    if isinstance(found, Mapping) and (_simulated(found) or found.get("accuracy", "") is None):
        return []  # there is nothing to read; the analysis' own warnings tell why
    accuracy = finite_number(found.get("accuracy")) if isinstance(found, Mapping) else None
    if accuracy is None or not 0 <= accuracy <= 1:
        wrong = problem or "has no accuracy from 0 to 1"
        return [f"metrics: {analyses.name}/{ACCURACY} {wrong}"]
    _set(metrics, "accuracy", accuracy, f"{analyses.name}/{ACCURACY} ({_top_1(found)})")
    return []


def _simulated(analysis: Mapping[str, Any]) -> bool:
    """Whether the file stands in for one: what simulates runs no analysis."""
    return analysis.get("simulated") is True


def _top_1(analysis: Mapping[str, Any]) -> str:
    """What the accuracy is: of which model, where it is not the final one's."""
    models, measured = analysis.get("models"), analysis.get("accuracy_of")
    last = models[-1] if isinstance(models, list) and models else None
    final = last.get("model") if isinstance(last, Mapping) else None
    return f"top-1 of {measured}" if isinstance(measured, str) and measured != final else "top-1"


def _usable_period(synth_clk_period_ns: object, reports: Reports) -> float | None:
    period = finite_number(synth_clk_period_ns)
    if period is None or period < _SHORTEST_PERIOD_NS:
        reports.notes.append(f"synth_clk_period_ns is {synth_clk_period_ns!r}: the clock is not known")
        return None
    return period


def _figures(reports: Reports, ladder: tuple[Reading, ...], period_ns: float | None) -> Iterator[Figure]:
    """What each reading gives that gives anything, best first."""
    for reading in ladder:
        found = [_read(reports, reading, file, period_ns) for file in reports.files(reading.file)]
        figures = [figure for figure in found if figure is not None]
        if figures:
            yield max(figures, key=lambda figure: figure.value)


def _read(reports: Reports, reading: Reading, file: str, period_ns: float | None) -> Figure | None:
    """What a reading gives in one file."""
    values = [
        factor * reading.pick(numbers)
        for keys, factor in reading.terms
        if (numbers := reports.numbers(file, keys, texts=reading.texts, negative=reading.from_slack))
    ]
    if not values:
        return None
    if reading.needs and not reports.numbers(file, reading.needs, negative=True):
        shown = " > ".join(reading.terms[0][0])
        reports.fault(file, f"has no {' > '.join(reading.needs)}, without which {shown} does not count")
        return None
    value = _converted(reading, sum(values), period_ns)
    if value is None:
        return None
    figure = Figure(value, file, reports.source(file, reading.kind))
    figure = _with_other_layers(reports, reading, figure)
    return _with_bodies(reports, reading, figure, period_ns)


def _converted(reading: Reading, value: float, period_ns: float | None) -> float | None:
    """The figure in the unit of its metric; None where that takes a clock that is not known."""
    if reading.in_cycles:
        return None if period_ns is None else value * period_ns / _NS_PER_US
    if reading.interval:
        return None if period_ns is None or value == 0 else _NS_PER_S / (value * period_ns)
    if reading.from_slack:
        return None if period_ns is None or period_ns <= value else _MHZ_NS / (period_ns - value)
    return value


def _with_other_layers(reports: Reports, reading: Reading, figure: Figure) -> Figure:
    """Add the layers that the reading's report does not list, from the report that does."""
    if reading.other_layers is None:
        return figure
    file, key = reading.other_layers
    listed, estimated = reports.get(figure.file), reports.get(file)
    layers = [*estimated] if isinstance(estimated, Mapping) else []
    missing = [layer for layer in layers if layer != "total" and layer not in listed]
    if not missing:
        return figure
    rest = sum(number for layer in missing for number in reports.numbers(file, (layer, key)))
    source = f"{figure.source}; other layers: {reports.source(file, 'estimate')}"
    return Figure(figure.value + rest, figure.file, source)


def _with_bodies(reports: Reports, reading: Reading, figure: Figure, period_ns: float | None) -> Figure:
    """Add the bodies of loops, each of which is in the hardware once, however often it is run."""
    layers = reports.get(ESTIMATED_RESOURCES) if reading.bodies else None
    for layer in layers if isinstance(layers, Mapping) else ():
        body = reading.of_body(layer)
        if reports.has(body.file):
            found = _read(reports, body, body.file, period_ns)
            if found is not None:
                source = f"{figure.source}; body of {layer}: {found.source}"
                figure = Figure(figure.value + found.value, figure.file, source)
    return figure


def _raw_figures(reports: Reports) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for name, places in RAW_FIGURES.items():
        found = (reports.plain(file, key) for file, key in places)
        figures[name] = next((figure for figure in found if figure is not None), None)
    return {name: figure for name, figure in figures.items() if figure is not None}


def _utilization(
    metrics: BuildMetrics,
    reports: Reports,
    device: DeviceTotals | None,
    figures: Mapping[str, list[Figure]],
) -> None:
    """Fill in the counts (raw) and, where the device is known, the fractions of it."""
    if device is not None:
        metrics.raw_metrics["device"] = {"name": device.device, "source": device.source, **device.counts()}
    metric_of = {resource: metric for metric, resource in UTILIZATION.items()}
    for resource in RESOURCE_READINGS:
        best = next(iter(figures[resource]), None)
        if best is None:
            continue
        metrics.raw_metrics[resource] = whole(best.value)
        if device is not None and resource in metric_of:
            fraction = _fraction(reports, device, resource, best.value)
            if fraction is not None:
                _set(metrics, metric_of[resource], fraction, best.source)


def _estimated(
    figures: Mapping[str, list[Figure]], device: DeviceTotals | None
) -> Iterator[tuple[str, float]]:
    """Metrics that FINN estimated, in their units, where another source is the better one."""
    for metric in (*METRIC_READINGS, *UTILIZATION):
        resource = UTILIZATION.get(metric)
        found = [each for each in figures[resource or metric] if resource or each.value > 0]
        guess = next((each for each in found if each.file in FINN_ESTIMATES), None)
        if guess is None or found[0].file in FINN_ESTIMATES:
            continue
        if resource is None:
            yield metric, guess.value
        elif device is not None and device.counts()[resource]:
            yield metric, guess.value / device.counts()[resource]


def _device(reports: Reports, fpga_part: str | None) -> DeviceTotals | None:
    if fpga_part is None:
        reports.notes.append("utilisation is not known: the configuration names no fpga_part")
        return None
    device = totals(fpga_part)
    if device is None:
        alike = ", ".join(known_parts_hint(fpga_part))
        hint = f" (known and written alike: {alike})" if alike else ""
        reports.notes.append(f"utilisation is not known: no device totals for fpga_part {fpga_part}{hint}")
    return device


def _fraction(reports: Reports, device: DeviceTotals, resource: str, count: float) -> float | None:
    available = device.counts()[resource]
    if available:
        return count / available
    if count:
        reports.notes.append(f"the design takes {count:g} {resource}, and {device.device} has none")
    return None


def _set(metrics: BuildMetrics, name: str, value: float, source: str) -> None:
    setattr(metrics, name, value)
    metrics.sources[name] = source

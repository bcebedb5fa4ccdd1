"""What is odd about the figures of a build: one table of checks, each with its reason and source.

An anomaly is a warning: the figures stay as the tools gave them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finnmake.records import BuildMetrics
from finnmake.runner.devices import DeviceTotals
from finnmake.runner.report_shapes import (
    ESTIMATES,
    METRIC_READINGS,
    OUT_OF_CONTEXT,
    PERFORMANCE,
    UTILIZATION,
)

#: Rounding in reports: figures that are nearer than this are the same.
_TOLERANCE = 0.01

#: A throughput that was simulated over a few inferences, and a latency that was not, differ by this much.
_IN_FLIGHT = 0.9

#: A measured figure so many times its estimate, or a part of it, is far from it …
_FAR = 3.0

#: … where the difference is also this part of the device: small layers are all overhead.
_MATTERS = 0.05

#: Estimates that are upper bounds: FINN adds up the cycles of layers that work at the same time.
_UPPER_BOUNDS = ("latency",)


@dataclass(frozen=True)
class Figure:
    """A figure of a report.

    Attributes:
        value: in the unit of its metric; of a resource, how many.
        file: the report.
        source: the same in words, as in `BuildMetrics.sources`.
    """

    value: float
    file: str
    source: str


@dataclass(frozen=True)
class Evidence:
    """What the checks look at.

    Attributes:
        metrics: the figures that were chosen.
        figures: metric or resource -> all that reports give for it, best first.
        period_ns: the clock period that was asked for; None where it is not known.
        device: what the device holds; None where it is not known.
    """

    metrics: BuildMetrics
    figures: Mapping[str, Sequence[Figure]]
    period_ns: float | None
    device: DeviceTotals | None

    def best(self, name: str) -> Figure | None:
        """The figure that counts for a metric or resource."""
        return next((each for each in self.figures.get(name, ()) if each.value > 0), None)

    @property
    def asked_mhz(self) -> float | None:
        """The clock that was asked for, in MHz."""
        return None if self.period_ns is None else 1000 / self.period_ns


@dataclass(frozen=True)
class Check:
    """One thing that can be odd.

    Attributes:
        find: gives what it finds, in words: the figure and what it is held against.
        reason: why that is odd, or what follows from it; the end of the warning.
        source: where that is known from.
    """

    find: Callable[[Evidence], Iterator[str]]
    reason: str
    source: str


def anomalies(evidence: Evidence) -> list[str]:
    """A warning for everything that is odd about the figures of a build."""
    return [f"{found}: {check.reason}" for check in CHECKS for found in check.find(evidence)]


def _does_not_fit(evidence: Evidence) -> Iterator[str]:
    for metric, resource in UTILIZATION.items():
        value = getattr(evidence.metrics, metric)
        if value is not None and value > 1 and evidence.device is not None:
            used, there = evidence.figures[resource][0].value, evidence.device.counts()[resource]
            yield f"{metric} is {value:.2f} ({used:,.0f} of {there:,} {resource} in {evidence.device.device})"


def _faster(evidence: Evidence) -> Iterator[str]:
    clock, asked = evidence.metrics.clock_frequency, evidence.asked_mhz
    if clock is not None and asked is not None and clock > asked * (1 + _TOLERANCE):
        yield f"clock_frequency is {clock:.4g} MHz, {asked:.4g} MHz were asked for"


def _slower(evidence: Evidence) -> Iterator[str]:
    clock, asked = evidence.metrics.clock_frequency, evidence.asked_mhz
    if clock is not None and asked is not None and clock < asked * (1 - _TOLERANCE / 10):
        yield f"clock_frequency is {clock:.4g} MHz, {asked:.4g} MHz were asked for"


def _too_short(evidence: Evidence) -> Iterator[str]:
    latency, period = evidence.metrics.latency, evidence.period_ns
    layers = evidence.metrics.raw_metrics.get("layer_cycles")
    if latency is None or period is None or not isinstance(layers, Mapping):
        return
    cycles, least = latency * 1000 / period, sum(1 for each in layers.values() if each >= 1)
    if cycles < least * (1 - _TOLERANCE):
        yield f"latency is {latency:.4g} µs, {cycles:.1f} clock cycles through {least} layers"


def _none_in_flight(evidence: Evidence) -> Iterator[str]:
    throughput, latency = evidence.best("throughput"), evidence.best("latency")
    if throughput is None or latency is None or throughput.file != latency.file:
        return
    in_flight = throughput.value * latency.value * 1e-6
    if in_flight < _IN_FLIGHT:
        yield (
            f"throughput {throughput.value:.4g} inferences/s and latency {latency.value:.4g} µs "
            f"make {in_flight:.2g} inferences at once"
        )


def _other_clock(evidence: Evidence) -> Iterator[str]:
    cycles = evidence.metrics.raw_metrics.get("max_cycles")
    estimate = next((each for each in evidence.figures["throughput"] if each.file == PERFORMANCE), None)
    if estimate is None or evidence.period_ns is None or not isinstance(cycles, int | float) or cycles <= 0:
        return
    expected = 1e9 / (evidence.period_ns * cycles)
    if _differ(estimate.value, expected, 1 + _TOLERANCE):
        yield (
            f"the estimated throughput is {estimate.value:.4g} inferences/s, {cycles:,} cycles of "
            f"{evidence.period_ns:.4g} ns make {expected:.4g}"
        )


def _far_from_estimate(evidence: Evidence) -> Iterator[str]:
    for name, found in evidence.figures.items():
        figures = [each for each in found if each.value > 0]
        estimate = next((each for each in reversed(figures) if each.file in ESTIMATES), None)
        if estimate is None or figures[0].file in ESTIMATES:
            continue
        best = figures[0]
        if _differ(best.value, estimate.value, _FAR) and _matters(evidence, name, best, estimate):
            yield (
                f"{name} is {best.value:,.4g} by {best.source}, "
                f"{best.value / estimate.value:.2g} times the estimate {estimate.value:,.4g}"
            )


def _matters(evidence: Evidence, name: str, best: Figure, estimate: Figure) -> bool:
    """Whether a difference counts: of a resource where it is much of the device."""
    if name in METRIC_READINGS or evidence.device is None:
        return name not in _UPPER_BOUNDS or best.value > estimate.value
    return abs(best.value - estimate.value) > _MATTERS * evidence.device.counts()[name]


def _zero(evidence: Evidence) -> Iterator[str]:
    for name in METRIC_READINGS:
        for each in evidence.figures[name]:
            if each.value == 0:
                yield f"{name} is 0 by {each.source}"


def _slack(evidence: Evidence) -> Iterator[str]:
    clock, period = evidence.best("clock_frequency"), evidence.period_ns
    slack = evidence.metrics.raw_metrics.get("wns_ns")
    if clock is None or clock.file != OUT_OF_CONTEXT or period is None or not isinstance(slack, int | float):
        return
    if period > slack and _differ(clock.value, 1000 / (period - slack), 1 + _TOLERANCE):
        yield (
            f"clock_frequency is {clock.value:.4g} MHz, a slack of {slack:g} ns at {period:.4g} ns makes "
            f"{1000 / (period - slack):.4g} MHz"
        )


def _differ(left: float, right: float, times: float) -> bool:
    """Whether one is more than `times` the other."""
    return left > right * times or right > left * times


CHECKS = (
    Check(
        _does_not_fit,
        "the design does not fit on the device",
        "the data sheet named in devices.json",
    ),
    Check(
        _faster,
        "the design has slack, but a bitfile runs at the clock that was asked for",
        "finn/transformation/fpgadataflow/make_driver.py: the driver sets fclk_mhz = 1000 / clk_period_ns",
    ),
    Check(
        _slower,
        "timing is not met, and what the hardware computes at the clock asked for is not defined",
        "AMD UG906, Design Analysis and Closure Techniques: worst negative slack",
    ),
    Check(
        _too_short,
        "each layer takes a clock cycle at least",
        "finn/analysis/fpgadataflow/dataflow_performance.py: a path takes the sum of its layers' cycles",
    ),
    Check(
        _none_in_flight,
        "an inference cannot be done before the slowest layer is, which sets the interval between two",
        "finn/analysis/fpgadataflow/dataflow_performance.py: the slowest layer is on the critical path",
    ),
    Check(
        _other_clock,
        "the report was made at another clock",
        "finn/builder/build_dataflow_steps.py, step_generate_estimate_reports: 1e9 / period / max_cycles",
    ),
    Check(
        _far_from_estimate,
        "look for a layer that became something else, and at what the shell takes",
        "a threshold of finnmake's own, three times",
    ),
    Check(
        _zero,
        "the tool did not find it, so that it does not count",
        "finn/util/vivado.py: FINN writes 0 for an fmax, and for what it computes from one, that it does not "
        "know; a powered device has static power",
    ),
    Check(
        _slack,
        "FINN took another clock period for the fmax than the build's",
        "finn/util/vivado.py, parse_ooc_synth_results: 5 ns where Vivado's metadata is missing",
    ),
)

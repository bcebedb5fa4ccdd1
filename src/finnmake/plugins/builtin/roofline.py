"""The analysis `roofline`: what the device could do for this network at most, and what the build does."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from finnmake.plugins.build import Build
from finnmake.plugins.builtin.checks import number, refused
from finnmake.plugins.builtin.finn_reports import COUNTS, Reports, count, figure, ratio, raw
from finnmake.plugins.builtin.nodes import attribute

_MACS = re.compile(r"op_mac_(\d+)bx(\d+)b")
_WEIGHTS = re.compile(r"param_weight_(\d+)b")

#: Overhead of the LUT estimate that FINN takes from FINN-R.
_OVERHEAD = 1.1

#: DSP blocks: multiply-accumulates of one in an RTL layer, by whether it is a DSP58; the operands that these
#: layers take, in bits; the widest product, in bits, of which FINN counts one a block.
_LANES = {True: 3, False: 4}
_RTL_BITS = range(2, 9)
_WIDEST_PRODUCT = 48

#: Devices with DSP58 (Versal), as `finn.util.basic.is_versal` tells them.
_VERSAL = re.compile(r"x[cq]v[cemp]\d|xqrvc|xcv80")


@dataclass(frozen=True)
class Work:
    """So many multiply-accumulates an inference of operands of so many bits."""

    bits: tuple[int, int]
    macs: float

    @property
    def luts(self) -> float:
        """LUTs of one multiply-accumulate every clock cycle: multiplier and its part of the adder tree.

        FINN's `MVAU_hls.lut_estimation`, after M. Blott et al., FINN-R, ACM TRETS 11(3), 2018; without what a
        layer takes once, and an accumulator shared by so many inputs that it does not count.
        """
        both = sum(self.bits)
        return _OVERHEAD * ((2 * math.ceil(both / 6) - 1) * both + 2 * both)

    def per_dsp(self, versal: bool) -> int:
        """Multiply-accumulates of one DSP block a clock cycle: `dsp_estimation` of MVAU_rtl and MVAU_hls."""
        if all(bits in _RTL_BITS for bits in self.bits):
            return _LANES[versal]
        return int(sum(self.bits) <= _WIDEST_PRODUCT)


def roofline(
    build: Build, memory_bandwidth_gb_s: float | None = None, usable_share: float = 1.0
) -> dict[str, Any]:
    """Set the build against the device's roofs (S. Williams, A. Waterman, D. Patterson, CACM 52(4), 2009).

    An operation is a multiplication or an addition, two for each multiply-accumulate of FINN's
    `op_and_param_counts.json`. Operational intensity is operations for each byte that passes between
    accelerator and memory: the network's input and output, and the weights of the layers that stream them
    (`mem_mode` external, once for every input vector); all other weights and activations stay on the
    chip. The compute roof is what all LUTs and DSPs together do at the build's clock if they do nothing else,
    each layer's precision having its share; the memory's roof is bandwidth times intensity. The lower of both
    is attainable.

    Args:
        build: the finished build.
        memory_bandwidth_gb_s: what the memory moves, 10^9 bytes/s, both directions together; where it is not
            given there is no memory roof, and `attainable_gops` is the compute roof.
        usable_share: of the device's LUTs and DSPs, above 0 up to 1.

    Returns:
        `operations` and `traffic_bytes` of one inference, `operational_intensity` (ops/byte), the roofs,
        `ridge_point` (ops/byte from which compute is the limit), attainable and attained rate (10^9 ops/s),
        `bound` (`compute`, `memory` or null) and the `assumptions` in words.
    """
    bandwidth = (
        None if memory_bandwidth_gb_s is None else number("memory_bandwidth_gb_s", memory_bandwidth_gb_s)
    )
    _check(bandwidth, number("usable_share", usable_share))
    reports = Reports(build)
    rows = reports.rows(COUNTS)
    work = _work(reports, rows.get("total", {}))
    macs = sum(each.macs for each in work)
    traffic = _traffic(build.model, rows)
    roof, lacking = _compute_roof(build.metrics, work, usable_share)
    intensity = ratio(2 * macs, sum(traffic.values()))
    memory_roof = intensity * bandwidth if intensity is not None and bandwidth is not None else None
    attainable = roof if memory_roof is None or roof is None else min(roof, memory_roof)
    rate = figure(build.metrics, "throughput")
    attained = 2 * macs * rate / 1e9 if rate is not None and macs else None
    return {
        "operations": {
            "total": 2 * macs,
            "precisions": [_row(each, _versal(build.metrics)) for each in work],
        },
        "traffic_bytes": traffic,
        "operational_intensity": intensity,
        "compute_roof_gops": _rounded(roof),
        "memory_bandwidth_gb_s": bandwidth,
        "memory_roof_gops": _rounded(memory_roof),
        "ridge_point": ratio(roof, bandwidth),
        "attainable_gops": _rounded(attainable),
        "attained_gops": _rounded(attained),
        "attained_share": ratio(attained, attainable),
        "bound": _bound(roof, memory_roof),
        "assumptions": _assumptions(bandwidth, usable_share, build.metrics),
        "warnings": [*reports.warnings, *lacking, *_beyond(attained, attainable)],
    }


def _beyond(attained: float | None, attainable: float | None) -> list[str]:
    """A warning for a rate above the roof: one of the figures or assumptions is wrong."""
    if attained is None or attainable is None or attained <= attainable:
        return []
    return [
        f"{attained:,.6g} Gop/s are attained, above the attainable {attainable:,.6g}: "
        "memory_bandwidth_gb_s, usable_share or an assumption does not fit this build"
    ]


def _check(bandwidth: float | None, usable: float) -> None:
    if bandwidth is not None and bandwidth <= 0:
        raise refused(
            "memory_bandwidth_gb_s", f"{bandwidth:g} is no bandwidth", "Write 10^9 bytes/s, e.g. 19.2."
        )
    if not 0 < usable <= 1:
        raise refused("usable_share", f"{usable:g} is no share", "Write a number above 0, up to 1.")


def _work(reports: Reports, totals: Mapping[str, float]) -> list[Work]:
    """The multiply-accumulates of an inference by precision."""
    found = ((_MACS.fullmatch(name), value) for name, value in totals.items())
    work = [Work((int(match[1]), int(match[2])), value) for match, value in found if match]
    if not work and not reports.warnings:
        reports.warnings.append(f"report/{COUNTS} counts no multiply-accumulates")
    return work


def _row(work: Work, versal: bool) -> dict[str, Any]:
    return {
        "operands": f"{work.bits[0]} x {work.bits[1]} bit",
        "operations": 2 * work.macs,
        "luts_for_one_mac": round(work.luts, 1),
        "macs_of_one_dsp": work.per_dsp(versal),
    }


def _traffic(model: Any, rows: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Bytes of one inference between accelerator and memory, values packed at their own bit widths."""
    graph = model.graph
    inputs = [each.name for each in graph.input if model.get_initializer(each.name) is None]
    outputs = [each.name for each in graph.output]
    return {
        "input": sum(_bits(model, name) for name in inputs) / 8,
        "output": sum(_bits(model, name) for name in outputs) / 8,
        "weights": sum(_streamed_bits(node, rows.get(node.name, {})) for node in graph.node) / 8,
    }


def _bits(model: Any, tensor: str) -> int:
    shape = model.get_tensor_shape(tensor) or []
    return int(math.prod(shape) * model.get_tensor_datatype(tensor).bitwidth())


def _streamed_bits(node: Any, counts: Mapping[str, float]) -> float:
    """Bits of weights that a layer takes from outside for one inference: one for each multiply-accumulate."""
    if attribute(node, "mem_mode") != "external":
        return 0.0
    macs = sum(value for name, value in counts.items() if _MACS.fullmatch(name))
    bits = [int(match[1]) for match in map(_WEIGHTS.fullmatch, counts) if match]
    return macs * max(bits, default=0)


def _compute_roof(
    metrics: Mapping[str, Any], work: list[Work], usable: float
) -> tuple[float | None, list[str]]:
    """10^9 operations/s of the whole device on this mix of precisions; None and why where not known."""
    device = raw(metrics).get("device")
    totals = device if isinstance(device, Mapping) else {}
    luts, dsps = count(totals.get("LUT")), count(totals.get("DSP"))
    clock = figure(metrics, "clock_frequency")
    macs = sum(each.macs for each in work)
    if luts is None or dsps is None:
        return None, ["the device's totals are not known, so there is no compute roof"]
    if not clock:
        return None, ["the clock is not known, so there is no compute roof"]
    if not macs:
        return None, []
    by_luts = macs / sum(each.macs * each.luts for each in work)
    rates = [(each.macs, each.per_dsp(_versal(metrics))) for each in work]
    by_dsps = 0.0 if any(not per for _, per in rates) else macs / sum(part / per for part, per in rates)
    return 2 * clock * 1e6 * usable * (luts * by_luts + dsps * by_dsps) / 1e9, []


def _versal(metrics: Mapping[str, Any]) -> bool:
    device = raw(metrics).get("device")
    return isinstance(device, Mapping) and bool(_VERSAL.match(str(device.get("name", ""))))


def _bound(roof: float | None, memory_roof: float | None) -> str | None:
    if roof is None or memory_roof is None:
        return None
    return "compute" if roof <= memory_roof else "memory"


def _assumptions(bandwidth: float | None, usable: float, metrics: Mapping[str, Any]) -> list[str]:
    """What the figures rest on beyond the build's own."""
    sources = metrics.get("sources")
    clock = sources.get("clock_frequency") if isinstance(sources, Mapping) else None
    lanes = _LANES[_versal(metrics)]
    return [
        f"{usable:.0%} of the device's LUTs and DSPs multiply and add, all at once",
        "LUTs of a multiply-accumulate as FINN estimates them (FINN-R, ACM TRETS 11(3), 2018)",
        f"a DSP does {lanes} multiply-accumulates a cycle with operands of 2 to 8 bits, as FINN counts (RTL)",
        f"the clock is {clock or 'as configured'}",
        "values are packed at their own bit widths between accelerator and memory",
        "weights stay on the chip, but those of layers with mem_mode external",
        *(
            []
            if bandwidth
            else ["memory_bandwidth_gb_s is not given: which roof is the lower one is not known"]
        ),
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")

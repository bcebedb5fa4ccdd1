"""Where FINN's reports keep the figures: one table, both dialects.

Shapes are those of finn-plus 1.6 and of upstream FINN, read from the code that writes them:
`finn/builder/build_dataflow_steps.py` (estimates, rtlsim, out-of-context and post-synthesis reports),
`finn/util/vivado.py`, `finn/analysis/fpgadataflow/{post_synth_res,hls_synth_res_estimation}.py` and
`finn/transformation/fpgadataflow/vivado_power_estimation.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

#: Keys from the top of a report down to a figure; `*` stands for every element of a list, and is passed over
#: where there is no list.
KeyPath = tuple[str, ...]

ESTIMATED_RESOURCES = "estimate_layer_resources.json"
PERFORMANCE = "estimate_network_performance.json"
HLS_RESOURCES = "estimate_layer_resources_hls.json"
LAYER_CYCLES = "estimate_layer_cycles.json"
COUNTS = "op_and_param_counts.json"
RTLSIM = "rtlsim_performance.json"
OUT_OF_CONTEXT = "ooc_synth_and_timing.json"
POST_SYNTHESIS = "post_synth_resources.json"
POWER = "power_estimate_summary.json"


@dataclass(frozen=True)
class Reading:
    """One place that a figure can be read from.

    Attributes:
        file: the report's name.
        kind: how the tool came by the figure, for a reader.
        terms: (keys, factor) pairs; the figure is the sum of factor x value over those that are there.
        pick: which value counts where a list gives several (one for each output stream).
        in_cycles: the figure counts clock cycles and becomes µs with the clock period.
        other_layers: (file, key): a report whose layers are added where this one does not list them.
    """

    file: str
    kind: str
    terms: tuple[tuple[KeyPath, float], ...]
    pick: Callable[[Iterable[float]], float] = max
    in_cycles: bool = False
    other_layers: tuple[str, str] | None = None


def _one(file: str, kind: str, *keys: str, factor: float = 1.0) -> Reading:
    return Reading(file, kind, ((keys, factor),))


def _post_synthesis(*terms: tuple[str, float]) -> Reading:
    return Reading(POST_SYNTHESIS, "post-synthesis", tuple((("(top)", key), factor) for key, factor in terms))


def _out_of_context(*terms: tuple[str, float]) -> Reading:
    return Reading(
        OUT_OF_CONTEXT, "out-of-context synthesis", tuple(((key,), factor) for key, factor in terms)
    )


def _hls(resource: str, *keys: str) -> Reading:
    """HLS reports only HLS layers: RTL layers would count as nothing, so their estimates are added."""
    terms = tuple((("total", key), 1.0) for key in keys)
    return Reading(HLS_RESOURCES, "HLS estimate", terms, other_layers=(ESTIMATED_RESOURCES, resource))


def _estimate(resource: str) -> Reading:
    return _one(ESTIMATED_RESOURCES, "estimate", "total", resource)


#: For each metric (units of `BuildMetrics`), where to look, best first. A figure of 0 does not count: FINN
#: writes an fmax of 0 where it does not know it.
METRIC_READINGS = {
    "throughput": (
        Reading(RTLSIM, "RTL simulation", ((("*", "throughput_fps"), 1.0),), pick=min),
        _one(RTLSIM, "RTL simulation", "stable_throughput[images/s]"),
        _one(RTLSIM, "RTL simulation", "throughput[images/s]"),
        _one(OUT_OF_CONTEXT, "estimated cycles at the synthesised fmax", "estimated_throughput_fps"),
        _one(PERFORMANCE, "estimate", "estimated_throughput_fps"),
    ),
    "latency": (
        Reading(RTLSIM, "RTL simulation", ((("*", "latency_cycles", "*"), 1.0),), in_cycles=True),
        _one(PERFORMANCE, "estimate", "estimated_latency_ns", factor=1e-3),
    ),
    "clock_frequency": (_one(OUT_OF_CONTEXT, "fmax of out-of-context synthesis", "fmax_mhz"),),
    "total_power": (
        _one(POWER, "Vivado, simulated switching activity", "power_sim_total"),
        _one(POWER, "Vivado, toggle rate 12.5 %", "power_12.5_0.5_total"),
        _one(OUT_OF_CONTEXT, "Vivado, default switching activity", "total_power_W"),
    ),
}

#: The same for each resource, counted as in `DeviceTotals.counts()`. Vivado's `BRAM` is tiles of 36 Kb.
RESOURCE_READINGS = {
    "LUT": (_post_synthesis(("LUT", 1)), _out_of_context(("LUT", 1)), _hls("LUT", "LUT"), _estimate("LUT")),
    "FF": (_post_synthesis(("FF", 1)), _out_of_context(("FF", 1))),
    "DSP": (
        _post_synthesis(("DSP", 1)),
        _out_of_context(("DSP", 1)),
        _hls("DSP", "DSP", "DSP48E"),  # Vitis HLS writes DSP and leaves FINN's DSP48E at 0
        _estimate("DSP"),
    ),
    "BRAM_18K": (
        _post_synthesis(("BRAM_36K", 2), ("BRAM_18K", 1)),
        _out_of_context(("BRAM_36K", 2), ("BRAM_18K", 1)),
        _out_of_context(("BRAM", 2)),
        _hls("BRAM_18K", "BRAM_18K"),
        _estimate("BRAM_18K"),
    ),
    "URAM": (
        _post_synthesis(("URAM", 1)),
        _out_of_context(("URAM", 1)),
        _hls("URAM", "URAM"),
        _estimate("URAM"),
    ),
}

#: What `raw_metrics` keeps as it stands: name -> (file, key or None for the whole report).
RAW_FIGURES = {
    "max_cycles": (PERFORMANCE, "max_cycles"),
    "max_cycles_node_name": (PERFORMANCE, "max_cycles_node_name"),
    "critical_path_cycles": (PERFORMANCE, "critical_path_cycles"),
    "layer_cycles": (LAYER_CYCLES, None),
    "op_and_param_counts": (COUNTS, "total"),
    "wns_ns": (OUT_OF_CONTEXT, "WNS"),
}

#: Which resource each utilisation is of.
UTILIZATION = {
    "lut_utilization": "LUT",
    "dsp_utilization": "DSP",
    "bram_utilization": "BRAM_18K",
    "uram_utilization": "URAM",
}

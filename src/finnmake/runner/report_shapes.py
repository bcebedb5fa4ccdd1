"""Where FINN's reports keep the figures: one table, both dialects.

Shapes are those of finn-plus 1.6 and of upstream FINN (`main` and `dev`, April 2026), read from the code
that writes them: `finn/builder/build_dataflow_steps.py` (all of `report/`), `finn/util/vivado.py` and
`vivadocompile.tcl` of oh-my-xilinx (out-of-context), `finn/core/throughput_test.py`, `finn_xsi/` and
`finn/transformation/fpgadataflow/simulation_connected.py` (RTL simulation),
`finn/analysis/fpgadataflow/{post_synth_res,hls_synth_res_estimation,empirical_qor_estimation}.py` and
`finn/transformation/fpgadataflow/vivado_power_estimation.py`.
Those of finnmake's own backend, `open_rtl_….json`, are written by `finnmake.backends.open_rtl.steps`.

Not read: `estimate_power_empirical.json` (finn-plus; dynamic power only, a layer without a fitted model
counts as 0), `time_per_step.json` (whole seconds), and what drivers measure on a board, which no build
writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

#: Keys from the top of a report down to a figure; `*` stands for every element of a list, and is passed over
#: where there is no list; `**` for every entry of a mapping but `total`.
KeyPath = tuple[str, ...]

ESTIMATED_RESOURCES = "estimate_layer_resources.json"
EMPIRICAL_RESOURCES = "estimate_layer_resources_empirical.json"
PERFORMANCE = "estimate_network_performance.json"
HLS_RESOURCES = "estimate_layer_resources_hls.json"
LAYER_CYCLES = "estimate_layer_cycles.json"
COUNTS = "op_and_param_counts.json"
FIFOS = "fifo_sizing.json"
RTLSIM = "rtlsim_performance.json"
OUT_OF_CONTEXT = "ooc_synth_and_timing.json"
CHECKPOINT = "post_synth_resources_dcp.json"
POST_SYNTHESIS = "post_synth_resources.json"
POST_SYNTHESIS_BY_DEVICE = "post_synth_resources_*.json"
POST_ROUTE = "post_route_timing.rpt"
YOSYS = "open_rtl_synthesis.json"
OPEN_RTL_SIMULATION = "open_rtl_simulation.json"
POWER = "power_estimate_summary.json"

#: What analytical models wrote: the rest was simulated, synthesised or measured by a tool.
ESTIMATES = (ESTIMATED_RESOURCES, EMPIRICAL_RESOURCES, PERFORMANCE, HLS_RESOURCES)

#: Those of FINN itself, made before any tool has run.
FINN_ESTIMATES = (ESTIMATED_RESOURCES, EMPIRICAL_RESOURCES, PERFORMANCE)


@dataclass(frozen=True)
class Reading:
    """One place that a figure can be read from.

    Attributes:
        file: the report's name; `*` in it stands for a number: of several files the largest figure counts.
        kind: how the tool came by the figure, for a reader.
        terms: (keys, factor) pairs; the figure is the sum of factor x value over those that are there.
        pick: what becomes of several values (one for each output stream, or each layer).
        in_cycles: the figure counts clock cycles and becomes µs with the clock period.
        interval: it counts clock cycles from one inference to the next, and becomes inferences/s.
        from_slack: the figure is a slack in ns, and becomes the MHz that it leaves room for with the period.
        texts: whether numbers may be written as text.
        needs: where nothing is there, the figure does not count.
        other_layers: (file, key): a report whose layers are added where this one does not list them.
        bodies: whether the body of a layer that is a loop has a report of its own, to be added.
    """

    file: str
    kind: str
    terms: tuple[tuple[KeyPath, float], ...]
    pick: Callable[[Iterable[float]], float] = max
    in_cycles: bool = False
    interval: bool = False
    from_slack: bool = False
    texts: bool = False
    needs: KeyPath = ()
    other_layers: tuple[str, str] | None = None
    bodies: bool = False

    def of_body(self, loop: str) -> Reading:
        """The same for the body of a loop (a FINNLoop's name), which FINN reports by itself."""
        others = self.other_layers and (_beside(self.other_layers[0], loop), self.other_layers[1])
        return replace(self, file=_beside(self.file, loop), other_layers=others, bodies=False)


def _beside(file: str, loop: str) -> str:
    return file.replace(".json", f"_{loop}.json")


def _one(file: str, kind: str, *keys: str, factor: float = 1.0, needs: KeyPath = ()) -> Reading:
    return Reading(file, kind, ((keys, factor),), needs=needs)


def _post_synthesis(*terms: tuple[str, float]) -> tuple[Reading, ...]:
    """Of Zynq and of upstream's Alveo in one file, of finn-plus' Alveo in one a device."""
    found = tuple((("(top)", key), factor) for key, factor in terms)
    return tuple(
        Reading(file, "post-synthesis", found) for file in (POST_SYNTHESIS, POST_SYNTHESIS_BY_DEVICE)
    )


def _out_of_context(*terms: tuple[str, float]) -> Reading:
    return Reading(
        OUT_OF_CONTEXT, "out-of-context synthesis", tuple(((key,), factor) for key, factor in terms)
    )


def _checkpoint(*terms: tuple[str, float]) -> Reading:
    """finn-plus, `stitched_ip_gen_dcp`: by device, of which there is one."""
    found = tuple((("**", "(top)", key), factor) for key, factor in terms)
    return Reading(CHECKPOINT, "synthesis of the stitched IP, not placed", found)


def _yosys(resource: str) -> Reading:
    """finnmake's backend open_rtl, see `finnmake.backends.open_rtl.synthesis`."""
    return _one(YOSYS, "synthesis by Yosys, not placed", "total", resource)


def _hls(resource: str, *keys: str) -> tuple[Reading, ...]:
    """HLS reports only HLS layers: RTL layers would count as nothing, so their estimates are added.

    finn-plus adds the layers up; upstream does not, and writes the numbers as Vitis HLS' XML has them.
    """
    others = (ESTIMATED_RESOURCES, resource)
    total = tuple((("total", key), 1.0) for key in keys)
    layers = tuple((("**", key), 1.0) for key in keys)
    return (
        Reading(HLS_RESOURCES, "HLS estimate", total, other_layers=others, bodies=True),
        Reading(
            HLS_RESOURCES, "HLS estimate", layers, pick=sum, texts=True, other_layers=others, bodies=True
        ),
    )


def _estimate(resource: str) -> tuple[Reading, ...]:
    terms = ((("total", resource), 1.0),)
    return (
        Reading(EMPIRICAL_RESOURCES, "estimate fitted to synthesised layers", terms, bodies=True),
        Reading(ESTIMATED_RESOURCES, "estimate", terms, bodies=True),
    )


#: For each metric (units of `BuildMetrics`), where to look, best first. A figure of 0 does not count: FINN
#: writes an fmax of 0 where it does not know it; and finn-plus takes a slack that it could not read as 0, so
#: that an fmax counts only beside a slack.
METRIC_READINGS = {
    "throughput": (
        Reading(RTLSIM, "RTL simulation", ((("*", "throughput_fps"), 1.0),), pick=min),
        Reading(RTLSIM, "RTL simulation", ((("interval_cycles",), 1.0),), interval=True),  # upstream's dev
        _one(RTLSIM, "RTL simulation", "stable_throughput[images/s]"),
        _one(RTLSIM, "RTL simulation", "throughput[images/s]"),
        _one(
            OUT_OF_CONTEXT,
            "estimated cycles at the synthesised fmax",
            "estimated_throughput_fps",
            needs=("WNS",),
        ),
        _one(PERFORMANCE, "estimate", "estimated_throughput_fps"),
    ),
    "latency": (
        Reading(RTLSIM, "RTL simulation", ((("*", "latency_cycles", "*"), 1.0),), in_cycles=True),
        _one(PERFORMANCE, "estimate", "estimated_latency_ns", factor=1e-3),
    ),
    "clock_frequency": (
        Reading(POST_ROUTE, "worst slack after routing", ((("WNS",), 1.0),), from_slack=True),
        _one(OUT_OF_CONTEXT, "fmax of out-of-context synthesis", "fmax_mhz", needs=("WNS",)),
    ),
    "total_power": (
        _one(POWER, "Vivado, simulated switching activity", "power_sim_total"),
        _one(POWER, "Vivado, toggle rate 12.5 %", "power_12.5_0.5_total"),
        _one(OUT_OF_CONTEXT, "Vivado, default switching activity", "total_power_W"),
    ),
}

#: The same for each resource, counted as in `DeviceTotals.counts()`. Vivado's `BRAM` is tiles of 36 Kb.
RESOURCE_READINGS = {
    "LUT": (
        *_post_synthesis(("LUT", 1)),
        _out_of_context(("LUT", 1)),
        _checkpoint(("LUT", 1)),
        _yosys("LUT"),
        *_hls("LUT", "LUT"),
        *_estimate("LUT"),
    ),
    "FF": (*_post_synthesis(("FF", 1)), _out_of_context(("FF", 1)), _checkpoint(("FF", 1)), _yosys("FF")),
    "DSP": (
        *_post_synthesis(("DSP", 1)),
        _out_of_context(("DSP", 1)),
        _checkpoint(("DSP", 1)),
        _yosys("DSP"),
        *_hls("DSP", "DSP", "DSP48E"),  # Vitis HLS writes DSP and leaves FINN's DSP48E at 0
        *_estimate("DSP"),
    ),
    "BRAM_18K": (
        *_post_synthesis(("BRAM_36K", 2), ("BRAM_18K", 1)),
        _out_of_context(("BRAM_36K", 2), ("BRAM_18K", 1)),
        _out_of_context(("BRAM", 2)),
        _checkpoint(("BRAM_36K", 2), ("BRAM_18K", 1)),
        _yosys("BRAM_18K"),
        *_hls("BRAM_18K", "BRAM_18K"),
        *_estimate("BRAM_18K"),
    ),
    "URAM": (
        *_post_synthesis(("URAM", 1)),
        _out_of_context(("URAM", 1)),
        _checkpoint(("URAM", 1)),
        _yosys("URAM"),
        *_hls("URAM", "URAM"),
        *_estimate("URAM"),
    ),
}

#: Where the accuracy of the simulated hardware is: report, key, what it is. One of 0 counts, and where
#: classes are not known it is null. Written by `finnmake.backends.open_rtl.steps`.
HARDWARE_ACCURACY = (OPEN_RTL_SIMULATION, "accuracy", "top-1 of the simulated hardware")

#: What `raw_metrics` keeps as it stands: name -> places, best first: (file, key or None for all of it).
RAW_FIGURES = {
    "max_cycles": ((PERFORMANCE, "max_cycles"),),
    "max_cycles_node_name": ((PERFORMANCE, "max_cycles_node_name"),),
    "critical_path_cycles": ((PERFORMANCE, "critical_path_cycles"),),
    "layer_cycles": ((LAYER_CYCLES, None),),
    "op_and_param_counts": ((COUNTS, "total"),),
    "fifo_size_kib": ((FIFOS, "total_fifo_size_kiB"),),
    "simulated_inferences": ((OPEN_RTL_SIMULATION, "inferences"),),
    "wns_ns": ((POST_ROUTE, "WNS"), (OUT_OF_CONTEXT, "WNS")),
    "power_static_w": ((POWER, "power_sim_static"), (POWER, "power_12.5_0.5_static")),
    "power_dynamic_w": ((POWER, "power_sim_dynamic"), (POWER, "power_12.5_0.5_dynamic")),
}

#: Which resource each utilisation is of.
UTILIZATION = {
    "lut_utilization": "LUT",
    "dsp_utilization": "DSP",
    "bram_utilization": "BRAM_18K",
    "uram_utilization": "URAM",
}

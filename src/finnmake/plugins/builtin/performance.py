"""The analysis `performance_analysis`: how fast the build is, what limits it, and what its target takes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from finnmake.plugins.build import Build
from finnmake.plugins.builtin.finn_reports import LAYER_CYCLES, NETWORK, Reports, count, figure, ratio

#: FINN's default of `synth_clk_period_ns`.
_FINN_PERIOD_NS = 10.0

#: Layers that a warning names.
_NAMED = 3

#: PE and SIMD of a matrix layer divide these attributes of it, its output and input channels.
_LIMITS = {"PE": "MH", "SIMD": "MW"}


def performance_analysis(build: Build) -> dict[str, Any]:
    """Set the measured figures against the target, and break cycles and latency down by layer.

    A layer is busy `cycles / cycles of the slowest layer` of the time, as all work at once, on successive
    inferences. `balance` is the mean of that over the layers: 1 where all are equally slow, and the closer to
    0, the more of the hardware waits for one layer. The latency by layer is that of FINN's estimate
    (`finn.analysis.fpgadataflow.dataflow_performance`): the cycles of the layers along the longest path from
    input to output, with no overlap between them, which is pessimistic.

    Returns:
        `measured`: throughput (inferences/s), latency (µs), clock (MHz) and where each comes from;
        `target`: the rate asked for, whether it is met, the cycles a layer may take (clock / target) and,
        where it is missed, the layers that take more and by which factor each has to be folded out;
        `bottleneck`, `balance`, `critical_path_cycles`, and `layers` in the order of the network.
    """
    reports = Reports(build)
    cycles = reports.numbers(LAYER_CYCLES)
    path = _longest_path(build.model, cycles)
    slowest = max(cycles, key=lambda layer: cycles[layer]) if cycles else None
    most = cycles[slowest] if slowest is not None else 0
    period = _period_ns(build.config)
    target, warnings = _target(build, cycles, period)
    length = sum(cycles[layer] for layer in path)
    return {
        "measured": _measured(build.metrics),
        "target": target,
        "bottleneck": slowest,
        "balance": ratio(sum(cycles.values()), most * len(cycles)),
        "critical_path_cycles": length if cycles else None,
        "layers": [
            {
                "layer": layer,
                "cycles": taken,
                "busy": ratio(taken, most),
                "latency_us": float(f"{taken * period / 1000:.6g}") if layer in path else 0.0,
                "latency_share": ratio(taken, length) if layer in path else 0.0,
            }
            for layer, taken in cycles.items()
        ],
        "warnings": [*reports.warnings, *_path_warnings(reports, length), *warnings],
    }


def _measured(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The build's figures, of the best source there is, and the source of each."""
    sources = metrics.get("sources")
    told = sources if isinstance(sources, Mapping) else {}
    named = {"throughput": "throughput", "latency_us": "latency", "clock_mhz": "clock_frequency"}
    figures = {key: figure(metrics, name) for key, name in named.items()}
    return {**figures, **{f"{name}_source": told.get(name) for name in named.values()}}


def _period_ns(config: Mapping[str, Any]) -> float:
    """The clock period that FINN folds and estimates for."""
    return count(_flags(config).get("synth_clk_period_ns")) or _FINN_PERIOD_NS


def _flags(config: Mapping[str, Any]) -> Mapping[str, Any]:
    flags = config.get("config_flags")
    return flags if isinstance(flags, Mapping) else {}


def _target(
    build: Build, cycles: Mapping[str, float], period: float
) -> tuple[dict[str, Any] | None, list[str]]:
    """The target against what was reached, and a warning where it is missed; None without a target."""
    wanted = count(_flags(build.config).get("target_fps"))
    if not wanted:
        return None, []
    reached = figure(build.metrics, "throughput")
    allowed = math.floor(1e9 / period / wanted)
    slow = {layer: taken for layer, taken in cycles.items() if taken > allowed}
    missed = reached is not None and reached < wanted
    target = {
        "throughput": wanted,
        "met": None if reached is None else not missed,
        "reached_share": ratio(reached, wanted),
        "cycles_per_layer": allowed,
        "too_slow": [_needed(build.model, layer, taken, allowed) for layer, taken in slow.items()]
        if missed
        else [],
    }
    return target, [_miss(build.metrics, wanted, allowed, slow)] if missed else []


def _miss(metrics: Mapping[str, Any], wanted: float, allowed: int, slow: Mapping[str, float]) -> str:
    """In words: the target is missed, and what it would take."""
    said = f"target_fps is {wanted:,.0f}, and the build reaches {metrics['throughput']:,.0f} inferences/s"
    if not allowed:
        return f"{said}: at this clock no layer can do an inference in less than the one cycle it takes"
    if not slow:
        return (
            f"{said}, though by FINN's estimate no layer takes more than the {allowed:,} cycles that it may"
        )
    worst = sorted(slow, key=lambda layer: -slow[layer])
    layers = ", ".join(f"{layer} ({slow[layer]:,.0f})" for layer in worst[:_NAMED])
    more = f" and {len(worst) - _NAMED} other layers" if len(worst) > _NAMED else ""
    return f"{said}: a layer may take {allowed:,} cycles, and more are taken by {layers}{more}"


def _needed(model: Any, layer: str, taken: float, allowed: int) -> dict[str, Any]:
    """What folding a layer needs: the factor, and for a matrix layer what it has and could have at most."""
    needed = {"layer": layer, "cycles": taken, "factor": ratio(taken, allowed, 4)}
    node = next((node for node in model.graph.node if node.name == layer), None)
    value = {} if node is None else {each.name: each.i for each in node.attribute}
    if not {*_LIMITS, *_LIMITS.values()} <= value.keys():
        return needed
    return {
        **needed,
        "parallelism": math.prod(value[name] for name in _LIMITS),
        "parallelism_at_most": math.prod(value[name] for name in _LIMITS.values()),
    }


def _longest_path(model: Any, cycles: Mapping[str, float]) -> list[str]:
    """The layers along the slowest way through the model; all layers where the model does not hold them.

    FINN counts a node that has no cycles (the host's, an empty estimate) as nothing.
    """
    nodes = list(model.graph.node)
    if not {node.name for node in nodes} >= set(cycles):
        return list(cycles)
    made_by = {tensor: node.name for node in nodes for tensor in node.output}
    best: dict[str, tuple[float, str | None]] = {}
    for node in nodes:  # in topological order, as ONNX demands
        before = [made_by[tensor] for tensor in node.input if made_by.get(tensor) in best]
        last = max(before, key=lambda name: best[name][0], default=None)
        length = best[last][0] if last is not None else 0.0
        best[node.name] = (length + cycles.get(node.name, 0), last)
    at: str | None = max(reversed(best), key=lambda name: best[name][0], default=None)
    path = []
    while at is not None:
        path.append(at)
        at = best[at][1]
    return [name for name in reversed(path) if name in cycles]


def _path_warnings(reports: Reports, length: float) -> list[str]:
    """Whether FINN's own figure of the critical path is another one."""
    told = count(reports.mapping(NETWORK, wanted=False).get("critical_path_cycles"))
    if not told or not length or told == length:
        return []
    return [f"the layers on the longest path take {length:,.0f} cycles, and FINN's report says {told:,.0f}"]

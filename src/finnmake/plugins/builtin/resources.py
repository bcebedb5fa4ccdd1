"""The analysis `resource_analysis`: what each layer takes of the device, and what the device gives for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from finnmake.plugins.build import Build
from finnmake.plugins.builtin.finn_reports import (
    HLS_RESOURCES,
    LAYER_RESOURCES,
    SYNTHESISED,
    SYNTHESISED_BY_DEVICE,
    Reports,
    count,
    figure,
    of_body,
    ratio,
    raw,
)
from finnmake.plugins.builtin.nodes import attribute, inside

_RESOURCES = ("LUT", "FF", "DSP", "BRAM_18K", "URAM")

#: Vivado's and Vitis HLS's counts -> (resource, factor). `DSP48E` is what FINN writes where HLS writes `DSP`.
_COUNTED = {
    "LUT": ("LUT", 1),
    "FF": ("FF", 1),
    "DSP": ("DSP", 1),
    "DSP48E": ("DSP", 1),
    "BRAM_18K": ("BRAM_18K", 1),
    "BRAM_36K": ("BRAM_18K", 2),
    "URAM": ("URAM", 1),
}

Counts = dict[str, float]


def resource_analysis(build: Build) -> dict[str, Any]:
    """Set what the layers take against the device, and the throughput against what it takes.

    A layer's counts are those of synthesis where there are any, else of Vitis HLS (RTL layers: FINN's
    estimate), else FINN's estimate. Those of the whole build are the metrics', which also know synthesis out
    of context; after synthesis the layers can add up to less, as the shell and the links between layers
    are of no layer. The body of a loop counts once, its layers besides the loop's own. A block RAM is one of
    18 Kb, of which one of 36 Kb makes two.

    Returns:
        `device`: for each resource `used`, `available` and `share` (0 to 1) of the device;
        `efficiency`: inferences/s for each LUT, DSP, block RAM and watt, null where a figure is not known or
        nothing is taken; `largest`: for each resource the layer that takes most, and its share of all layers;
        `layers` in the order of the network, with their shares of the device; `source` of the layers' counts.
    """
    reports = Reports(build)
    layers, source = _layers(reports, build)
    device = raw(build.metrics).get("device")
    totals = device if isinstance(device, Mapping) else {}
    if not totals:
        reports.warnings.append(
            "the device's totals are not known: there are counts, and no shares of the device"
        )
    return {
        "device": {"name": totals.get("name"), "resources": _device(raw(build.metrics), totals)},
        "efficiency": _efficiency(build.metrics),
        "largest": _largest(layers),
        "layers": [
            {"layer": layer, **taken, **_shares(taken, totals, "_share")} for layer, taken in layers.items()
        ],
        "source": source,
        "warnings": reports.warnings,
    }


def _layers(reports: Reports, build: Build) -> tuple[dict[str, Counts], str | None]:
    """Layer -> counts, from the best report there is, and which that is."""
    loops = [*_layer_counts(reports, LAYER_RESOURCES)]
    estimated = _with_bodies(reports, LAYER_RESOURCES, loops)
    for name in (SYNTHESISED, SYNTHESISED_BY_DEVICE):
        synthesised = _synthesised(reports, reports.files(name), {*estimated, *_names(build)})
        if synthesised:
            return synthesised, f"report/{name} (post-synthesis)"
    by_hls = _with_bodies(reports, HLS_RESOURCES, loops)
    if by_hls:
        order = [*estimated, *(layer for layer in by_hls if layer not in estimated)]
        merged = {layer: by_hls.get(layer) or estimated.get(layer, {}) for layer in order}
        return (
            merged,
            f"report/{HLS_RESOURCES} (HLS estimate); other layers: report/{LAYER_RESOURCES} (estimate)",
        )
    if not estimated:
        reports.mapping(LAYER_RESOURCES)  # say that it is missing
        return {}, None
    return estimated, f"report/{LAYER_RESOURCES} (estimate)"


def _synthesised(reports: Reports, files: Iterable[str], known: set[str]) -> dict[str, Counts]:
    """Layer -> counts after synthesis, of all devices; what FINN's shell holds is no layer."""
    rows = (row for file in files for row in _layer_counts(reports, file).items())
    return {layer: taken for layer, taken in rows if layer in known}


def _names(build: Build) -> Iterable[str]:
    """The names of the layers, in partitions and loops too."""
    from qonnx.core.modelwrapper import ModelWrapper

    def partition(node: Any) -> Any:
        child = build.file(attribute(node, "model"))
        return None if child is None else ModelWrapper(str(child))

    return (each.node.name for each in inside(build.model, "", partition))


def _with_bodies(reports: Reports, name: str, loops: Iterable[str]) -> dict[str, Counts]:
    """Layer -> counts of a report, and of those that FINN writes beside it for the bodies of loops."""
    found = _layer_counts(reports, name)
    for body, loop in ((of_body(name, loop), loop) for loop in loops):
        for layer, taken in _layer_counts(reports, body).items() if reports.has(body) else ():
            found[layer if layer not in found else f"{loop} > {layer}"] = taken
    return found


def _layer_counts(reports: Reports, name: str) -> dict[str, Counts]:
    rows = reports.rows(name, wanted=False)
    return {layer: _counts(row) for layer, row in rows.items() if layer not in ("total", "(top)")}


def _counts(row: Mapping[str, float]) -> Counts:
    """A report's row in terms of `_RESOURCES`, as far as it tells."""
    found: Counts = {}
    for key, value in row.items():
        if key in _COUNTED:
            resource, factor = _COUNTED[key]
            found[resource] = found.get(resource, 0) + factor * value
    return {resource: found[resource] for resource in _RESOURCES if resource in found}


def _shares(taken: Mapping[str, float], totals: Mapping[str, Any], suffix: str) -> dict[str, float | None]:
    """Resource -> fraction of the device, for those that the device has."""
    available = {resource: count(totals.get(resource)) for resource in taken}
    return {f"{r}{suffix}": ratio(taken[r], most) for r, most in available.items() if most}


def _device(figures: Mapping[str, Any], totals: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for resource in _RESOURCES:
        used, available = count(figures.get(resource)), count(totals.get(resource))
        share = ratio(used, available)
        if used is not None or available is not None:
            rows.append({"resource": resource, "used": used, "available": available, "share": share})
    return rows


def _efficiency(metrics: Mapping[str, Any]) -> dict[str, float | None]:
    rate, counts = figure(metrics, "throughput"), raw(metrics)
    return {
        "throughput": rate,
        "throughput_per_lut": ratio(rate, count(counts.get("LUT"))),
        "throughput_per_dsp": ratio(rate, count(counts.get("DSP"))),
        "throughput_per_bram_18k": ratio(rate, count(counts.get("BRAM_18K"))),
        "throughput_per_watt": ratio(rate, figure(metrics, "total_power")),
    }


def _largest(layers: Mapping[str, Counts]) -> list[dict[str, Any]]:
    """The layer that takes most of each resource that any layer takes."""
    rows = []
    for resource in _RESOURCES:
        total = sum(taken.get(resource, 0) for taken in layers.values())
        if total:
            layer = max(layers, key=lambda name: layers[name].get(resource, 0))
            most = layers[layer][resource]
            rows.append({"resource": resource, "layer": layer, "taken": most, "share": ratio(most, total)})
    return rows

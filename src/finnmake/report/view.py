"""What a report page shows, worked out from the JSON files of a build: plain values, no markup.

Nothing here depends on when or where the build ran: there are no dates, durations or absolute paths in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.records import BuildMetrics
from finnmake.report.analyses import FOLDER, analyses
from finnmake.report.choices import as_mapping, choices, part_of, position_of
from finnmake.report.hardware import hardware
from finnmake.report.tables import table, text
from finnmake.runner.metrics import add_accuracy
from finnmake.runner.preprocessing import passed_over
from finnmake.runner.report_shapes import COUNTS, ESTIMATED_RESOURCES, LAYER_CYCLES, PERFORMANCE, UTILIZATION
from finnmake.runner.reports import finite_number, read_json

#: metric -> (label, unit, factor from the unit of `BuildMetrics`).
_HEADLINES = {
    "throughput": ("Throughput", "inferences/s", 1.0),
    "latency": ("Latency", "µs", 1.0),
    "clock_frequency": ("Clock", "MHz", 1.0),
    "total_power": ("Power", "W", 1.0),
    "accuracy": ("Accuracy", "%", 100.0),
}

_MAC = re.compile(r"op_mac_(\w+)bx(\w+)b")
_PARAMETER = re.compile(r"param_([a-z]+)_(\d+)b")


@dataclass(frozen=True)
class Headline:
    """One figure at the top: `value` is empty where it is not known, and `unknown` then says so in words."""

    label: str
    value: str
    unit: str
    source: str
    unknown: str


@dataclass(frozen=True)
class Bar:
    """The use of one resource of the device.

    Attributes:
        percent: of the device; `None` where it is not known.
        width: length of the bar in percent of the axis.
        mark: where 100 % of the device stands on the axis, in percent.
        text: count and total in words.
    """

    label: str
    percent: float | None
    width: float
    mark: float
    text: str
    source: str


@dataclass(frozen=True)
class Layer:
    """One row of the layer table; `width` is the bar's length in percent of the slowest layer."""

    name: str
    cycles: float | None
    width: float
    bottleneck: bool
    resources: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One step that ran or was taken from the store."""

    name: str
    kind: str
    action_key: str
    output: str


@dataclass
class Build:
    """The JSON files of one build, and what was wrong with them."""

    folder: Path
    problems: list[str] = field(default_factory=list)
    config: Mapping[str, Any] = field(init=False)
    metrics: Mapping[str, Any] = field(init=False)
    manifest: Mapping[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        """Read the files that every build has."""
        self.config = self.mapping("config.json", expected=True)
        self.metrics = self.mapping("metrics.json", expected=True)
        self.manifest = self.mapping("manifest.json", expected=True)

    def mapping(self, name: str, *, expected: bool = False) -> Mapping[str, Any]:
        """The file's content; empty, and a problem noted, where it is not a JSON object."""
        value = self.value(name)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.problems.append(f"{name} is not a JSON object.")
        elif expected and not (self.folder / name).exists():
            self.problems.append(f"{name} is missing.")
        return {}

    def report(self, name: str) -> Mapping[str, Any]:
        """The content of one of FINN's reports, empty where it is missing."""
        return self.mapping(f"artifacts/report/{name}")

    def value(self, name: str) -> Any:
        """The file's content, whatever it is; `None` where it is missing or not readable."""
        value, problem = read_json(self.folder / name)
        if problem:
            self.problems.append(f"{name} {problem}.")
        return value


def page(folder: Path) -> dict[str, Any]:
    """Everything that the template `report.html.j2` names, for the build in `folder`."""
    build = Build(folder)
    metrics = _with_accuracy(build.metrics, folder)
    layers, layer_totals = _layers(build)
    view = {
        "blueprint": text(build.manifest.get("blueprint") or build.config.get("design_space_id") or ""),
        "config_id": text(build.manifest.get("config_id") or build.config.get("id") or folder.name),
        "position": position_of(build.config),
        "model": text(as_mapping(build.manifest.get("model")).get("path") or build.config.get("model_path")),
        "part": part_of(build.config),
        "backend": text(build.config.get("backend")),
        "simulated": build.manifest.get("simulated") is True,
        "unknown": _unknown(build.config),
        "headlines": _headlines(metrics, _unknown(build.config)),
        "device": text(_device(build.metrics).get("name")),
        "device_source": text(_device(build.metrics).get("source")),
        "bars": _bars(build.metrics),
        "layers": layers,
        "layer_totals": layer_totals,
        "hardware": hardware(build),
        "work": _work(build.report(COUNTS)),
        "configuration": table(choices(build.config)),
        "analyses": analyses(build),
        "steps": _steps(build.manifest),
        "sources": table(as_mapping(metrics.get("sources"))),
        "inputs": table(as_mapping(build.manifest.get("inputs"))),
        "toolchain": table(as_mapping(build.manifest.get("toolchain"))),
        "model_digest": text(as_mapping(build.manifest.get("model")).get("sha256")),
        "content_id": text(build.config.get("content_id")),
    }
    return {**view, "problems": tuple(dict.fromkeys([*passed_over(folder), *build.problems]))}


def _device(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_mapping(as_mapping(metrics.get("raw_metrics")).get("device"))


def _unknown(config: Mapping[str, Any]) -> str:
    """What to say where a figure is missing."""
    stage = as_mapping(config.get("global_config")).get("output_stage", "ESTIMATES")
    return "not known from estimates" if stage == "ESTIMATES" else "not known"


def _with_accuracy(metrics: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """The metrics with the accuracy that an analysis measured after metrics.json was written."""
    measured = BuildMetrics()
    add_accuracy(measured, folder / FOLDER)  # what is wrong with its file is in the build's warnings
    if measured.accuracy is None:
        return metrics
    sources = {**as_mapping(metrics.get("sources")), **measured.sources}
    return {**metrics, "accuracy": measured.accuracy, "sources": sources}


def _headlines(metrics: Mapping[str, Any], unknown: str) -> list[Headline]:
    """The figures at the top; an accuracy is measured or not, whatever stage the build goes to."""
    sources = as_mapping(metrics.get("sources"))
    headlines = []
    for name, (label, unit, factor) in _HEADLINES.items():
        number = finite_number(metrics.get(name))
        shown = "" if number is None else _rounded(number * factor)
        source = _kind(sources.get(name)) if shown else ""
        words = "not measured" if name == "accuracy" else unknown
        headlines.append(Headline(label, shown, unit, source, words))
    return headlines


def _kind(source: Any) -> str:
    """`estimate` of `report/estimate_network_performance.json (estimate)`."""
    found = re.search(r"\((.*)\)$", text(source))
    return found[1] if found else text(source)


def _rounded(number: float) -> str:
    """Four significant digits, thousands whole."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _bars(metrics: Mapping[str, Any]) -> list[Bar]:
    """A bar for each resource, on one axis that ends a little beyond the device or the largest use."""
    fractions = {name: finite_number(metrics.get(name)) for name in UTILIZATION}
    axis = 1.05 * max(1.0, *(f for f in fractions.values() if f is not None), 0.0)
    sources = as_mapping(metrics.get("sources"))
    return [
        Bar(
            label=resource,
            percent=None if fraction is None else 100 * fraction,
            width=_bar_width((fraction or 0.0) / axis),
            mark=round(100 / axis, 3),
            text=_use(metrics, resource),
            source=text(sources.get(name, "")),
        )
        for (name, resource), fraction in zip(UTILIZATION.items(), fractions.values(), strict=True)
    ]


def _bar_width(fraction: float) -> float:
    """Percent of the axis; a use above nothing stays visible."""
    return round(max(100 * fraction, 0.4), 3) if fraction > 0 else 0.0


def _use(metrics: Mapping[str, Any], resource: str) -> str:
    """`2,566 of 53,200`, as far as it is known."""
    count = finite_number(as_mapping(metrics.get("raw_metrics")).get(resource))
    available = finite_number(_device(metrics).get(resource))
    if available == 0 and not count:
        return "the device has none"
    used = "?" if count is None else f"{count:,.0f}"
    return used if available is None else f"{used} of {available:,.0f}"


def _layers(build: Build) -> tuple[list[Layer], tuple[str, ...]]:
    """The layers in the network's order, and the totals of their resources."""
    cycles, resources = build.report(LAYER_CYCLES), build.report(ESTIMATED_RESOURCES)
    slowest = build.report(PERFORMANCE).get("max_cycles_node_name")
    most = max([1.0, *filter(None, map(finite_number, cycles.values()))])
    names = dict.fromkeys([*cycles, *(name for name in resources if name != "total")])
    layers = [
        Layer(
            name=name,
            cycles=(count := finite_number(cycles.get(name))),
            width=_bar_width((count or 0.0) / most),
            bottleneck=name == slowest,
            resources=_resources(resources.get(name)),
        )
        for name in names
    ]
    return layers, _resources(resources.get("total"))


def _resources(counts: Any) -> tuple[str, ...]:
    """The counts in the order of `UTILIZATION`."""
    numbers = (finite_number(as_mapping(counts).get(resource)) for resource in UTILIZATION.values())
    return tuple("–" if number is None else f"{number:,.0f}" for number in numbers)


def _work(counts: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """(what, how many, size) for the multiply-accumulates and parameters of one inference."""
    rows = []
    for name, value in as_mapping(counts.get("total")).items():
        count = finite_number(value)
        if count is not None:
            rows.append((_work_label(name), f"{count:,.0f}", _size(name, count)))
    return rows


def _work_label(name: str) -> str:
    if mac := _MAC.fullmatch(name):
        return f"multiply-accumulates, {mac[1]} × {mac[2]} bit"
    if parameter := _PARAMETER.fullmatch(name):
        return f"{parameter[1]}s, {parameter[2]} bit"
    return name


def _size(name: str, count: float) -> str:
    """Memory that parameters take, packed."""
    parameter = _PARAMETER.fullmatch(name)
    if parameter is None:
        return ""
    size = count * int(parameter[2]) / 8
    return f"{size / 1024:,.4g} KiB" if size >= 1024 else f"{size:,.0f} B"


def _steps(manifest: Mapping[str, Any]) -> list[Step]:
    steps = manifest.get("steps")
    entries = [as_mapping(step) for step in steps] if isinstance(steps, list) else []
    return [
        Step(*(text(entry.get(key, "")) for key in ("name", "kind", "action_key", "output")))
        for entry in entries
        if entry
    ]

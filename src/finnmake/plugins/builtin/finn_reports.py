"""FINN's reports of a build, as analyses read them: what is missing or of no use is told in words, once."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from finnmake.plugins.build import Build

_ESTIMATES = "step_generate_estimate_reports"

LAYER_CYCLES = "estimate_layer_cycles.json"
NETWORK = "estimate_network_performance.json"
LAYER_RESOURCES = "estimate_layer_resources.json"
HLS_RESOURCES = "estimate_layer_resources_hls.json"
SYNTHESISED = "post_synth_resources.json"
#: The same of Alveo in finn-plus: one for each device, with a number in place of the `*`.
SYNTHESISED_BY_DEVICE = "post_synth_resources_*.json"
COUNTS = "op_and_param_counts.json"

#: Report -> the step of FINN's that writes it.
_WRITERS = {
    LAYER_CYCLES: _ESTIMATES,
    NETWORK: _ESTIMATES,
    LAYER_RESOURCES: _ESTIMATES,
    COUNTS: _ESTIMATES,
    HLS_RESOURCES: "step_hw_ipgen",
    SYNTHESISED: "step_synthesize_bitfile",
}

#: No figure of an FPGA build comes near; keeps sums and quotients finite.
_LARGEST = 1e18


class Reports:
    """The reports of one build; `warnings` tells of those that are wanted and cannot be used."""

    def __init__(self, build: Build) -> None:
        self._folder = build.artifacts / "report"
        self.warnings: list[str] = []

    def mapping(self, name: str, *, wanted: bool = True) -> dict[str, Any]:
        """A report's content; empty where there is none, which is a warning if it is `wanted`."""
        try:
            content = json.loads((self._folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            writer = f": {_WRITERS[name]} writes it" if name in _WRITERS else ""
            return self._none(f"report/{name} is missing{writer}", wanted)
        except (OSError, ValueError, RecursionError) as error:
            reason = "is nested too deeply" if isinstance(error, RecursionError) else str(error)
            return self._none(f"report/{name} cannot be read: {reason}", True)
        if not isinstance(content, dict):
            return self._none(f"report/{name} holds no JSON object", True)
        return content

    def numbers(self, name: str) -> dict[str, float]:
        """A report with a number for each layer; what is not one of 0 or more is left out, with a warning."""
        content = self.mapping(name)
        return self._kept(name, {key: count(value) for key, value in content.items()})

    def files(self, name: str) -> list[str]:
        """The reports that there are of this name, in which a `*` stands for a number."""
        shape = re.compile(re.escape(name).replace(r"\*", r"\d+"))
        return sorted(path.name for path in self._folder.glob(name) if shape.fullmatch(path.name))

    def has(self, name: str) -> bool:
        """Whether there is a report of exactly this name, whatever a layer is called."""
        return any(path.name == name for path in self._folder.glob("*.json"))

    def rows(self, name: str, *, wanted: bool = True) -> dict[str, dict[str, float]]:
        """A report with several numbers for each layer; what is none is left out, with a warning.

        Upstream FINN writes those of Vitis HLS as text, as its XML has them.
        """
        content = self.mapping(name, wanted=wanted)
        rows = self._kept(
            name, {key: value if isinstance(value, dict) else None for key, value in content.items()}
        )
        return {
            key: self._kept(name, {f: count(_number(v)) for f, v in row.items()}, f"{key} > ")
            for key, row in rows.items()
        }

    def _kept(self, name: str, values: Mapping[str, Any], where: str = "") -> dict[str, Any]:
        for key, value in values.items():
            if value is None:
                self._none(f"report/{name} has nothing usable under {where}{key}", True)
        return {key: value for key, value in values.items() if value is not None}

    def _none(self, warning: str, wanted: bool) -> dict[str, Any]:
        if wanted and warning not in self.warnings:
            self.warnings.append(warning)
        return {}


def of_body(name: str, loop: str) -> str:
    """The report of the body of a loop (a FINNLoop's name), beside that of the network."""
    return name.replace(".json", f"_{loop}.json")


def _number(value: object) -> object:
    """The number that a text holds; all else as it is."""
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def count(value: object) -> float | None:
    """`value` where it is a finite number of 0 or more, else None; whole numbers as integers."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LARGEST:
        return None
    return int(value) if float(value).is_integer() else float(value)


def figure(metrics: Mapping[str, Any], name: str) -> float | None:
    """One of the build's metrics; None where it is not known."""
    return count(metrics.get(name))


def raw(metrics: Mapping[str, Any]) -> Mapping[str, Any]:
    """The counts behind the metrics: `raw_metrics`."""
    found = metrics.get("raw_metrics")
    return found if isinstance(found, Mapping) else {}


def ratio(part: float | None, whole: float | None, digits: int = 6) -> float | None:
    """`part / whole`, rounded to so many significant digits; None where one is not known or nothing."""
    if part is None or not whole:
        return None
    return float(f"{part / whole:.{digits}g}")

"""The toy model behind the backend `mock`: FINN's estimate reports from a few closed formulas.

Nothing here is measured, and the name of every layer says so. The formulas are chosen so that a design
space behaves as one does: more parallelism takes fewer cycles and more of the device, a faster clock costs
LUTs, RTL layers trade LUTs for DSPs, every further kernel is one more layer, and every other choice moves
the figures a little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from math import ceil
from typing import Any

from finnmake.hashing import digest_value

#: FINN's default for `synth_clk_period_ns`.
DEFAULT_CLOCK_NS = 10.0

#: Bits of a weight.
_WEIGHT_BITS = 2

#: Bits of a block RAM, and its width in bits.
_BRAM_BITS, _BRAM_WIDTH = 18 * 1024, 36

#: A weight memory of fewer words than this is made of LUTs, 64 bits each.
_SHALLOW_WORDS, _LUT_BITS = 128, 64


@dataclass(frozen=True)
class _Layer:
    """One layer: its kernel, how much it has to do for one inference, its backend unless one is chosen."""

    kernel: str
    work: int
    backend: str = "hls"

    @property
    def weights(self) -> int:
        """How many weights it holds: one for each multiply-accumulate, as in a fully connected layer."""
        return self.work if self.kernel == "MVAU" else 0


#: A perceptron of three layers behind a quantiser.
_LAYERS = (
    _Layer("Thresholding", 784, "rtl"),
    _Layer("MVAU", 50176),
    _Layer("MVAU", 4096),
    _Layer("MVAU", 640),
)

#: What a kernel has to do that the perceptron does not have.
_FURTHER_WORK = 784

#: Ends the name of every layer.
_MARK = "simulated"


@dataclass(frozen=True)
class Design:
    """What the steps so far have decided. Passes from step to step inside the model file.

    Attributes:
        budget: cycles that one inference may take; None for no folding.
        backends: kernel -> `hls` or `rtl`, where one was chosen.
        kernels: those that were chosen anything for.
        flavour: digest of every choice that the formulas do not name.
    """

    budget: float | None = None
    backends: Mapping[str, str] = field(default_factory=dict)
    kernels: tuple[str, ...] = ()
    flavour: str = "0" * 64

    @property
    def layers(self) -> tuple[_Layer, ...]:
        """The perceptron's, and one for each further kernel."""
        own = {layer.kernel for layer in _LAYERS}
        return (*_LAYERS, *(_Layer(name, _FURTHER_WORK) for name in self.kernels if name not in own))

    @property
    def parallel(self) -> tuple[int, ...]:
        """For each layer, how much it does in one cycle: powers of two."""
        if self.budget is None:
            return (1,) * len(self.layers)
        return tuple(_parallelism(layer.work, self.budget) for layer in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Design:
        """The record again, from what `to_dict` gave."""
        return cls(**{**data, "kernels": tuple(data["kernels"])})

    def folded(self, target_fps: float | None, clock_ns: float) -> Design:
        """With the least parallelism that reaches `target_fps`, or with all there is."""
        if target_fps is None:
            return self
        return replace(self, budget=1e9 / (clock_ns * target_fps))

    def specialized(self, kernels: Mapping[str, Mapping[str, Any]]) -> Design:
        """With the first backend of each kernel, `{"MVAU": {"backends": ["MVAU_rtl", …]}}`."""
        chosen = {
            kernel: "rtl" if choice["backends"][0].endswith("_rtl") else "hls"
            for kernel, choice in kernels.items()
            if choice.get("backends")
        }
        named = tuple(sorted({*self.kernels, *kernels}))
        return replace(self, backends={**self.backends, **chosen}, kernels=named)

    def flavoured(self, choice: Any) -> Design:
        """With one more choice (a JSON value) that changes the figures a little."""
        return replace(self, flavour=digest_value("mock flavour", [self.flavour, choice]))


def _parallelism(work: int, budget: float) -> int:
    parallel = 1
    while ceil(work / parallel) > budget and 2 * parallel <= work:
        parallel *= 2
    return parallel


def reports(design: Design, clock_ns: float, part: str) -> dict[str, dict[str, Any]]:
    """FINN's estimate reports by file name, in FINN's shapes.

    Args:
        clock_ns: the clock period.
        part: the FPGA part.
    """
    names, layers, parallels = _names(design), design.layers, design.parallel
    cycles = {
        name: ceil(layer.work / parallel)
        for name, layer, parallel in zip(names, layers, parallels, strict=True)
    }
    nudges = _nudges(design)
    resources = {
        name: _resources(layer, parallel, design.backends, nudge, clock_ns, part)
        for name, layer, parallel, nudge in zip(names, layers, parallels, nudges, strict=True)
    }
    counts = {name: _counts(layer) for name, layer in zip(names, layers, strict=True)}
    slowest = max(cycles, key=lambda name: cycles[name])
    path = sum(cycles.values()) + sum(16 + nudge % 48 for nudge in nudges)  # pipelines to fill
    performance = {
        "critical_path_cycles": path,
        "max_cycles": cycles[slowest],
        "max_cycles_node_name": slowest,
        "estimated_throughput_fps": 1e9 / (clock_ns * cycles[slowest]),
        "estimated_latency_ns": path * clock_ns,
    }
    total = {key: _total(resources, key) for key in ("BRAM_18K", "LUT", "URAM", "DSP")}
    kinds = sorted({kind for entry in counts.values() for kind in entry})
    return {
        "estimate_layer_cycles.json": cycles,
        "estimate_layer_resources.json": {**resources, "total": total},
        "estimate_network_performance.json": performance,
        "op_and_param_counts.json": {**counts, "total": {kind: _total(counts, kind) for kind in kinds}},
    }


def _names(design: Design) -> list[str]:
    """The layers' names as FINN forms them: kernel, backend, number within the two; marked."""
    names: list[str] = []
    for layer in design.layers:
        stem = f"{layer.kernel}_{design.backends.get(layer.kernel, layer.backend)}_"
        names.append(f"{stem}{sum(name.startswith(stem) for name in names)}_{_MARK}")
    return names


def _nudges(design: Design) -> list[int]:
    """For each layer a number from 0 to 255, as good as random."""
    numbers = bytes.fromhex(design.flavour)
    return [numbers[index % len(numbers)] for index in range(len(design.layers))]


def _resources(
    layer: _Layer, parallel: int, backends: Mapping[str, str], nudge: int, clock_ns: float, part: str
) -> dict[str, float]:
    rtl = backends.get(layer.kernel, layer.backend) == "rtl"
    words, width = ceil(layer.weights / parallel), parallel * _WEIGHT_BITS
    shallow = words < _SHALLOW_WORDS
    rams = 0 if shallow else max(ceil(words * width / _BRAM_BITS), ceil(width / _BRAM_WIDTH))
    lut = 180 + 9 * parallel if rtl else 250 + 22 * parallel
    lut += ceil(words * width / _LUT_BITS) if shallow else 0
    speed = 1 + 1 / clock_ns
    generation = 1.1 if part.lower().startswith("xc7") else 1.0
    by_choice = 1 + 0.08 * nudge / 255
    return {
        "BRAM_18K": rams,
        "BRAM_efficiency": words * width / (rams * _BRAM_BITS) if rams else 1,
        "LUT": round(lut * speed * generation * by_choice),
        "URAM": 0,
        "URAM_efficiency": 1,
        "DSP": ceil(parallel / 4) if rtl and layer.weights else 0,
    }


def _counts(layer: _Layer) -> dict[str, int]:
    bits = f"{_WEIGHT_BITS}b"
    return (
        {f"op_mac_{bits}x{bits}": layer.work, f"param_weight_{bits}": layer.weights} if layer.weights else {}
    )


def _total(entries: Mapping[str, Mapping[str, float]], key: str) -> float:
    """The sum over all layers: a float, as FINN's are."""
    return float(sum(entry.get(key, 0) for entry in entries.values()))

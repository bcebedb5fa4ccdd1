"""The records that pass between the layers: plain dataclasses, no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any


class BuildStatus(str, Enum):
    """How a build ended."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    SKIPPED = "SKIPPED"


class OutputStage(str, Enum):
    """How far a build goes, in the order of the flow."""

    ESTIMATES = "ESTIMATES"
    DATAFLOW_GRAPH = "DATAFLOW_GRAPH"
    RTL = "RTL"
    STITCHED_IP = "STITCHED_IP"
    BITFILE = "BITFILE"


@dataclass(frozen=True)
class TensorInfo:
    """An input or output of a model: name, shape (0 where a dimension is not fixed), QONNX datatype."""

    name: str
    shape: tuple[int, ...]
    datatype: str


@dataclass(frozen=True)
class ModelInfo:
    """What a model is.

    Attributes:
        path: the file.
        inputs: what has to be given; no stored weights.
        outputs: what comes out, of the datatypes that QONNX infers.
        operators: operator -> how many nodes, as in the file.
        quantisation: `weights` and `activations` -> QONNX datatype -> how many. Weights: layers that multiply
            (Conv, Gemm, MatMul) by a constant of it; activations: quantisers of it.
        parameters: weights of these layers; biases, batch norms and scales do not count.
        parameter_bits: what the weights take at their own bit widths.
        macs: multiply-accumulates of one run with the shapes of `inputs`, zero weights included; `None` where
            an input's shape is not fixed.
    """

    path: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    operators: Mapping[str, int]
    quantisation: Mapping[str, Mapping[str, int]]
    parameters: int
    parameter_bits: int
    macs: int | None

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModelInfo:
        """The record again, from what `to_dict` gave, through JSON too."""
        tensors = {
            side: tuple(
                TensorInfo(each["name"], tuple(each["shape"]), each["datatype"]) for each in data[side]
            )
            for side in ("inputs", "outputs")
        }
        return cls(**{**data, **tensors})


@dataclass(frozen=True, slots=True)
class BuildConfig:
    """One point of a design space.

    Attributes:
        id: `config_001` …, by position in the design space.
        design_space_id: the blueprint's name.
        content_id: digest of everything below that can change a result; survives reordering.
        model_path: the QONNX model; relative to the project where it lies inside it.
        kernels: (kernel, backends in order of priority) pairs.
        transforms_by_stage: stage -> entries, each a name or `{name, parameters}`.
        build_steps: FINN steps and plugins in order, each a name or `{step, parameters}`.
        config_flags: fields of FINN's `DataflowBuildConfig` by their own names, JSON values; paths are
            relative to the project where they lie inside it.
        global_config: output_stage, timeout_seconds …
        backend: `finn`, `mock` …
        output_dir: where the outputs appear, relative to the project.
        combination_index: 0-based position in the design space.
        total_combinations: how many configurations the design space has.
        kernel_attributes: kernel -> node attributes of FINN's that all its nodes get, JSON values.
    """

    id: str
    design_space_id: str
    content_id: str
    model_path: str
    kernels: tuple[tuple[str, tuple[str, ...]], ...]
    transforms_by_stage: Mapping[str, list[Any]]
    build_steps: tuple[Any, ...]
    config_flags: Mapping[str, Any]
    global_config: Mapping[str, Any]
    backend: str
    output_dir: str
    combination_index: int
    total_combinations: int
    kernel_attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def fields(self) -> dict[str, Any]:
        """The attributes by name, the values themselves: for looking at, not for keeping."""
        return {name: getattr(self, name) for name in self.__slots__}

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {name: _plain(value) for name, value in self.fields().items()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildConfig:
        """The record again, from what `to_dict` gave, through JSON too."""
        kernels = tuple((name, tuple(backends)) for name, backends in data["kernels"])
        return cls(**{**data, "kernels": kernels, "build_steps": tuple(data["build_steps"])})


@dataclass
class BuildMetrics:
    """What a build is worth; `None` where the flow cannot know.

    Attributes:
        throughput: inferences/s.
        latency: µs for one inference.
        clock_frequency: MHz.
        lut_utilization: fraction of the device (likewise dsp, bram, uram); above 1 it does not fit.
        total_power: W.
        accuracy: top-1, 0 to 1.
        sources: metric -> "file (kind)", e.g. `report/estimate_network_performance.json (estimate)`.
        raw_metrics: the counts that the figures come from, under the tools' own names.
    """

    throughput: float | None = None
    latency: float | None = None
    clock_frequency: float | None = None
    lut_utilization: float | None = None
    dsp_utilization: float | None = None
    bram_utilization: float | None = None
    uram_utilization: float | None = None
    total_power: float | None = None
    accuracy: float | None = None
    sources: dict[str, str] = field(default_factory=dict)
    raw_metrics: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildMetrics:
        """The record again, from what `to_dict` gave."""
        return cls(**data)


@dataclass
class BuildResult:
    """What a build returns. Times: seconds since the epoch (UTC); paths: relative to its folder."""

    config_id: str
    status: BuildStatus
    metrics: BuildMetrics | None = None
    start_time: float = 0.0
    end_time: float = 0.0
    duration_seconds: float = 0.0
    artifacts: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error_category: str | None = None
    error_message: str | None = None
    tips: list[str] = field(default_factory=list)
    simulated: bool = False

    def complete(self, status: BuildStatus, end_time: float, error_message: str | None = None) -> None:
        """Close the record at `end_time` (seconds since the epoch)."""
        self.status = status
        self.end_time = end_time
        self.duration_seconds = max(0.0, end_time - self.start_time)
        self.error_message = error_message

    def is_successful(self) -> bool:
        """Whether the build ended well."""
        return self.status is BuildStatus.SUCCESS

    def has_metrics(self) -> bool:
        """Whether any figure was found."""
        return self.metrics is not None and any(
            value is not None
            for key, value in self.metrics.to_dict().items()
            if key not in ("sources", "raw_metrics")
        )

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return {**asdict(self), "status": self.status.value}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildResult:
        """The record again, from what `to_dict` gave."""
        values = dict(data)
        metrics = values.pop("metrics", None)
        status = BuildStatus(values.pop("status"))
        return cls(metrics=BuildMetrics.from_dict(metrics) if metrics else None, status=status, **values)


def _plain(value: Any) -> Any:
    """A JSON value with containers of its own; `asdict` takes five times as long for a configuration."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value

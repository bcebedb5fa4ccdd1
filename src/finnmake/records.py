"""The records that pass between the layers: plain dataclasses, no input or output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, NamedTuple

from finnmake.checked import arguments, figure, refusal, validate


class BuildStatus(str, Enum):
    """How a build ended."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    SKIPPED = "SKIPPED"


_STATUSES = f"one of {', '.join(status.value for status in BuildStatus)}"


class OutputStage(str, Enum):
    """How far a build goes, in the order of the flow."""

    ESTIMATES = "ESTIMATES"
    DATAFLOW_GRAPH = "DATAFLOW_GRAPH"
    RTL = "RTL"
    STITCHED_IP = "STITCHED_IP"
    BITFILE = "BITFILE"


class TensorInfo(NamedTuple):
    """An input or output of a model: name, shape (0 where a dimension is not fixed), QONNX datatype."""

    name: str
    shape: tuple[int, ...]
    datatype: str


class ModelInfo(NamedTuple):
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
        tensors = {side: [each._asdict() for each in getattr(self, side)] for side in ("inputs", "outputs")}
        return {**self._asdict(), **tensors}

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
        """The record that `to_dict` gave, also through JSON. Raises ValueError for anything else."""
        values = arguments(cls, data)
        try:
            values["kernels"] = tuple((name, tuple(backends)) for name, backends in values["kernels"])
            values["build_steps"] = tuple(values["build_steps"])
        except (TypeError, ValueError) as error:
            raise ValueError(f"kernels or build_steps is no list as it should be: {error}") from error
        config = cls(**values)
        validate(config)
        return config


#: In `BuildMetrics.raw_metrics`: metric -> what FINN estimated, in its unit, where the metric was measured.
ESTIMATED = "estimated"


@dataclass
class BuildMetrics:
    """What a build is worth; `None` where the flow cannot know. Raises ValueError for what cannot be.

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

    throughput: float | None = figure("inferences/s")
    latency: float | None = figure("µs")
    clock_frequency: float | None = figure("MHz")
    lut_utilization: float | None = figure("fraction of the device")
    dsp_utilization: float | None = figure("fraction of the device")
    bram_utilization: float | None = figure("fraction of the device")
    uram_utilization: float | None = figure("fraction of the device")
    total_power: float | None = figure("W")
    accuracy: float | None = figure("0 to 1", most=1.0)
    sources: dict[str, str] = field(default_factory=dict)
    raw_metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.validated()

    def validated(self) -> BuildMetrics:
        """The record itself. Raises ValueError for a field with a value that cannot be; it says what can."""
        validate(self)
        return self

    def to_dict(self) -> dict[str, Any]:
        """The record as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildMetrics:
        """The record again, from what `to_dict` gave. Raises ValueError for anything else."""
        return cls(**arguments(cls, data))


@dataclass
class BuildResult:
    """What a build returns. Times: seconds since the epoch (UTC); paths: relative to its folder.

    A failed build tells the step and the ONNX node concerned (`error_step`, `error_node`), where they are
    known, and the last lines of the step's log (`log_tail`). Raises ValueError for what cannot be.
    """

    config_id: str
    status: BuildStatus
    metrics: BuildMetrics | None = None
    start_time: float = figure("s since the epoch", default=0.0)
    end_time: float = figure("s since the epoch", default=0.0)
    duration_seconds: float = figure("s", default=0.0)
    artifacts: dict[str, str] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error_category: str | None = None
    error_message: str | None = None
    error_step: str | None = None
    error_node: str | None = None
    tips: list[str] = field(default_factory=list)
    log_tail: list[str] = field(default_factory=list)
    simulated: bool = False

    def __post_init__(self) -> None:
        self.validated()

    def validated(self) -> BuildResult:
        """The record itself. Raises ValueError for a field with a value that cannot be; it says what can."""
        validate(self)
        if not isinstance(self.status, BuildStatus):
            raise refusal("status", self.status, _STATUSES)
        if not (self.metrics is None or isinstance(self.metrics, BuildMetrics)):
            raise refusal("metrics", self.metrics, "a BuildMetrics or null")
        if self.metrics is not None:
            self.metrics.validated()
        return self

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
        """The record again, from what `to_dict` gave. Raises ValueError for anything else."""
        values = arguments(cls, data)
        try:
            values["status"] = BuildStatus(values["status"])
        except ValueError as error:
            raise refusal("status", values["status"], _STATUSES) from error
        if values.get("metrics") is not None:
            values["metrics"] = BuildMetrics.from_dict(values["metrics"])
        return cls(**values)


def _plain(value: Any) -> Any:
    """A JSON value with containers of its own; `asdict` takes five times as long for a configuration."""
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return value

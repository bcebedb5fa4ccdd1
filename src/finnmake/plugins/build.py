"""What an analysis is given: a finished build, with the model at every point of its flow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Where the models lie in the folder in which an analysis runs: as given, as the first step got it, and after
#: each transform and step, `NNN_<name>.onnx` in the order of the flow.
ORIGINAL = "original.onnx"
PROCESSED = "processed.onnx"
AFTER = "after"

#: The model around the accelerator, which FINN keeps beside the others (`save_intermediate_models`).
_PARENT = "intermediate_models/dataflow_parent.onnx"


@dataclass(frozen=True)
class Build:
    """A finished build, as an analysis sees it.

    Attributes:
        config: the configuration, as in `config.json`.
        metrics: the metrics, as in `metrics.json` (throughput in inferences/s, latency in µs …).
        artifacts: FINN's output folder; `artifacts / "report"` holds its reports.
        model: the final model, a QONNX `ModelWrapper`.
        models: the folder of the models on the way, ONNX files: `original.onnx` as the user gave it,
            `processed.onnx` after the `pre_proc` transforms, `after/NNN_<name>.onnx` after each transform and
            step, in order.
        project: the project's folder: paths in parameters are relative to it.
    """

    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    artifacts: Path
    model: Any
    models: Path
    project: Path

    def after(self) -> dict[str, Path]:
        """`NNN_<name>` -> the model after each transform and step, in the order of the flow."""
        return {path.stem: path for path in sorted((self.models / AFTER).glob("*.onnx"))}

    @property
    def dataflow_parent(self) -> Path | None:
        """The model around the accelerator, with what the host does; None where FINN kept none."""
        path = self.artifacts / _PARENT
        return path if path.is_file() else None

    def file(self, name: str) -> Path | None:
        """The file that a node of a model points to, by the path in it; None where there is none."""
        places = (Path(name), self.artifacts.parent / name)
        return next((path for path in places if name and path.is_file()), None)

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

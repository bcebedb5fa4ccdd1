"""A build made of a few written reports, for analyses that read no more."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.plugins import Build
from tests.plugins.real_flow import DEVICE

#: A layer: its name, and the tensors that it reads; it writes its name in lower case.
Layer = tuple[str, Sequence[str]]

FLAGS = {"target_fps": 10_000, "synth_clk_period_ns": 10.0, "fpga_part": "xc7z020clg400-1"}

METRICS = {
    "throughput": 50_000.0,
    "latency": 30.0,
    "clock_frequency": 100.0,
    "total_power": None,
    "sources": {
        "throughput": "report/estimate_network_performance.json (estimate)",
        "latency": "report/estimate_network_performance.json (estimate)",
        "clock_frequency": "synth_clk_period_ns (target)",
    },
    "raw_metrics": {"LUT": 1000, "DSP": 0, "BRAM_18K": 4, "URAM": 0, "device": DEVICE},
}


def layers(*wanted: Layer, bits: str = "UINT8", size: int = 64, **attributes: Any) -> ModelWrapper:
    """Matrix layers in HLS, each `[1, size]` to `[1, size]`; the input is `x`, the last gives the output."""
    nodes = [
        helper.make_node(
            "MVAU_hls",
            list(inputs),
            [name.lower()],
            name=name,
            domain="finn.custom_op.fpgadataflow.hls",
            MW=size,
            MH=size,
            PE=2,
            SIMD=4,
            inputDataType=bits,
            weightDataType="INT2",
            outputDataType=bits,
            **attributes,
        )
        for name, inputs in wanted
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, size])
        for name in ("x", wanted[-1][0].lower())
    ]
    model = ModelWrapper(helper.make_model(helper.make_graph(nodes, "crafted", [ends[0]], [ends[1]])))
    for end in ends:
        model.set_tensor_datatype(end.name, DataType[bits])
    return model


def crafted(
    folder: Path,
    model: ModelWrapper,
    reports: Mapping[str, Any],
    *,
    flags: Mapping[str, Any] = FLAGS,
    **metrics: Any,
) -> Build:
    """A build with these reports; what is text is written as it stands."""
    target = folder / "artifacts" / "report"
    target.mkdir(parents=True)
    for name, content in reports.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (target / f"{name}.json").write_text(text)
    return Build(
        {"config_flags": dict(flags)}, {**METRICS, **metrics}, folder / "artifacts", model, folder, folder
    )

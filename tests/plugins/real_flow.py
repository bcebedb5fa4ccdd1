"""A model through FINN's own steps, in this process: what an analysis is given of a finished build."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finnmake.backends import finn
from finnmake.plugins import Build

REPOSITORY = Path(__file__).parents[2]

MLP = REPOSITORY / "models" / "digits_mlp_w2a2.onnx"
CNN = REPOSITORY / "models" / "digits_cnn_w4a4.onnx"

#: FINN's list for estimates.
STEPS = (
    "step_qonnx_to_finn",
    "step_tidy_up",
    "step_streamline",
    "step_convert_to_hw",
    "step_minimize_bit_width_initial",
    "step_create_dataflow_partition",
    "step_specialize_layers",
    "step_target_fps_parallelization",
    "step_apply_folding_config",
    "step_minimize_bit_width",
    "step_generate_estimate_reports",
)

#: A step by its name in FINN's table, or (name, function of model and configuration).
Step = str | tuple[str, Callable[[Any, Any], Any]]

DEVICE = {
    "name": "xc7z020",
    "LUT": 53200,
    "FF": 106400,
    "DSP": 220,
    "BRAM_18K": 280,
    "URAM": 0,
    "source": "DS190",
}


def build(folder: Path, model: Path, steps: Sequence[Step] = STEPS, **flags: Any) -> Build:
    """`model` through `steps`, below an empty `folder`; the project is this repository."""
    finn.preload()
    from finn.builder.build_dataflow_config import DataflowBuildConfig
    from finn.builder.build_dataflow_steps import build_dataflow_step_lookup

    fields = {
        "synth_clk_period_ns": 10.0,
        "fpga_part": "xc7z020clg400-1",
        "generate_outputs": ["estimate_reports"],
        **flags,
    }
    models = folder / "models"
    (models / "after").mkdir(parents=True)
    for name in ("original.onnx", "processed.onnx"):
        shutil.copyfile(model, models / name)
    loaded = finn.load(model)
    with contextlib.chdir(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FINN's and QONNX's own, of layouts that they assume
        config = DataflowBuildConfig.from_dict({**fields, "output_dir": "artifacts"})
        for at, step in enumerate(steps):
            name, function = (step, build_dataflow_step_lookup[step]) if isinstance(step, str) else step
            loaded = function(loaded, config)
            loaded.save(str(models / "after" / f"{at:03}_{name}.onnx"))
    metrics = {
        "throughput": 20000.0,
        "clock_frequency": 100.0,
        "sources": {"clock_frequency": "synth_clk_period_ns (target)"},
        "raw_metrics": {"device": DEVICE},
    }
    return Build({"config_flags": fields}, metrics, folder / "artifacts", loaded, models, REPOSITORY)


def changed(given: Build, **fields: Any) -> Build:
    """The same build but for these fields."""
    return dataclasses.replace(given, **fields)

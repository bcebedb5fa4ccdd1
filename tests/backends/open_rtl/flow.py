"""The steps of the backend in this process, without the engine: from a network to a stitched design."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finnmake.backends import finn
from finnmake.backends.open_rtl import steps as own_steps
from finnmake.blueprint.open_rtl_steps import PARAMETERS, default_steps

#: FINN's steps for networks with branches, in place of its own.
BRANCHES = {"step_streamline": "finn.builder.custom_step_library.resnet:step_resnet_streamline"}

STITCHED = "step_open_rtl_stitch"

PART = "xc7z020clg400-1"

#: What most designs are built with.
CONFIG = {
    "fpga_part": PART,
    "synth_clk_period_ns": 5.0,
    "standalone_thresholds": True,
    "generate_outputs": ["estimate_reports"],
}


def run(
    model: Any,
    folder: Path,
    *,
    until: str = STITCHED,
    steps: Sequence[str] = (),
    instead: Mapping[str, str] = {},
    parameters: Mapping[str, Mapping[str, Any]] = {},
    **config: Any,
) -> Any:
    """The model after the step `until`; what the steps write is in the folder.

    Args:
        steps: those that run, in place of the default ones up to `until`.
        instead: step -> another one, `module:attribute`.
        parameters: of steps.
        config: fields, besides those of `CONFIG`.
    """
    finn.preload()
    before = Path.cwd()
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _run(model, folder, steps or _names(until), instead, parameters, {**CONFIG, **config})
    finally:
        os.chdir(before)


def _names(until: str) -> Sequence[str]:
    every = default_steps("STITCHED_IP")
    return every[: every.index(until) + 1]


def _run(
    model: Any,
    folder: Path,
    names: Sequence[str],
    instead: Mapping[str, str],
    parameters: Mapping[str, Mapping[str, Any]],
    config: Mapping[str, Any],
) -> Any:
    builder = importlib.import_module("finn.builder.build_dataflow_config").DataflowBuildConfig
    (folder / "work").mkdir(exist_ok=True)
    finn._prepare(folder / "work")
    values = builder.from_dict({**config, "output_dir": "artifacts"})
    for name in names:
        model = _step(instead.get(name, name))(model, values, **parameters.get(name, {}))
    return model


def _step(name: str) -> Any:
    if name in PARAMETERS:
        return getattr(own_steps, name)
    module, _, attribute = name.partition(":")
    if attribute:
        return getattr(importlib.import_module(module), attribute)
    return importlib.import_module("finn.builder.build_dataflow_steps").build_dataflow_step_lookup[name]


def design(folder: Path) -> Path:
    """Where the design lies after `run`."""
    return folder / "artifacts" / own_steps.FOLDER / own_steps.RTL

"""Layers of FINN's RTL library that few networks have: exact and readable for Yosys, or refused."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnmake.backends.open_rtl import PARTS_FOLDER, graph, library, simulate, support
from finnmake.backends.open_rtl import design as designs
from finnmake.engine.parts import Parts
from finnmake.errors import StepError
from tests.backends.open_rtl import flow

pytestmark = pytest.mark.finn

#: From hardware layers to a design that was simulated.
STEPS = (
    *("step_open_rtl_reference", "step_open_rtl_partition", "step_specialize_layers", "step_open_rtl_graph"),
    *("step_open_rtl_layers", "step_open_rtl_fifos", "step_open_rtl_stitch", "step_open_rtl_simulate"),
)


def layer(operator: str, given: list[str], out: str, **attributes: Any) -> Any:
    from onnx import helper

    domain = "finn.custom_op.fpgadataflow"
    return helper.make_node(operator, given, [out], domain=domain, name=f"{operator}_{out}", **attributes)


def padding(given: list[str], out: str, tokens: int, left: int, right: int, simd: int) -> Any:
    sizes = {"NumTokens": tokens, "NumChannels": 4, "PadLeft": left, "PadRight": right, "SIMD": simd}
    return layer("Pad1D", given, out, inputDataType="INT4", outputDataType="INT4", **sizes)


def model(
    nodes: list[Any],
    inputs: Mapping[str, tuple[int, ...]],
    outputs: Mapping[str, tuple[int, ...]],
    constants: Mapping[str, np.ndarray] = {},
    datatype: str = "INT4",
) -> Any:
    from onnx import TensorProto, helper
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each.items()]
        for each in (inputs, outputs)
    ]
    made = ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "layers", *ends)))
    for name, values in constants.items():
        made.set_initializer(name, values.astype(np.float32))
    for name in dict.fromkeys(each for node in nodes for each in (*node.input, *node.output) if each):
        made.set_tensor_datatype(name, DataType[datatype])
    return made


@pytest.fixture(scope="module")
def simulated(finn_layers: None, tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Path:
    """A design of two paddings side by side, that was simulated with and without pauses."""
    random = np.random.default_rng(3)
    constants = {
        "left": random.integers(-8, 8, (1, 2, 4)),
        "right": random.integers(-8, 8, (1, 1, 4)),
        "nothing": np.zeros((1, 1, 4)),
        "behind": random.integers(-8, 8, (1, 3, 4)),
    }
    nodes = [
        padding(["a", "left", "right"], "a_out", tokens=5, left=2, right=1, simd=2),
        padding(["b", "nothing", "behind"], "b_out", tokens=3, left=0, right=3, simd=4),
    ]
    inputs = {"a": (1, 5, 4), "b": (1, 3, 4)}
    made = model(nodes, inputs, {"a_out": (1, 8, 4), "b_out": (1, 6, 4)}, constants)
    folder = tmp_path_factory.mktemp("layers")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulate, "build", functools.partial(simulate.build, optimise="-O0"))
        patch.setenv(PARTS_FOLDER, str(runtime.folder.parent / "open_rtl_parts"))
        flow.run(made, folder, steps=STEPS, parameters={"step_open_rtl_simulate": {"inferences": 10}})
    return folder


@pytest.mark.slow
def test_padding_is_exact(simulated: Path) -> None:
    report = json.loads((simulated / "artifacts/report/open_rtl_simulation.json").read_text())
    assert (report["inferences"], report["worst_difference"]) == (10, 0)


@pytest.mark.slow
def test_yosys_reads_padding(simulated: Path) -> None:
    folder = flow.design(simulated)
    files = " ".join(designs.read(folder).sources)
    options = "--allow-use-before-declare --ignore-assertions --ignore-timing"
    script = (
        "from pyosys import libyosys\n"
        f"for each in ('read_slang --top finn_top {options} {files}', 'hierarchy -check', 'proc'):\n"
        "    libyosys.run_pass(each)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def refusal(made: Any) -> support.Refusal:
    """Why the first layer of a model cannot be RTL."""
    found = support.refusals(made, flow.PART)
    assert found and found[0].cure
    return found[0]


def test_a_padding_of_nothing_is_refused(finn_layers: None) -> None:
    made = model([padding(["a"], "b", 5, 0, 0, 2)], {"a": (1, 5, 4)}, {"b": (1, 5, 4)})
    assert "pads nothing" in refusal(made).reason


def test_a_padding_with_a_stream_is_refused(finn_layers: None) -> None:
    inputs = {"a": (1, 5, 4), "left": (1, 1, 4)}
    made = model([padding(["a", "left"], "b", 5, 1, 0, 2)], inputs, {"b": (1, 6, 4)})
    assert "no constant" in refusal(made).reason


def test_a_requantisation_is_refused_with_the_way_to_thresholds(finn_layers: None) -> None:
    types = {"inputDataType": "INT4", "outputDataType": "INT4"}
    node = layer("Requant", ["a"], "b", NumChannels=4, numInputVectors=[1], **types)
    found = refusal(model([node], {"a": (1, 4)}, {"b": (1, 4)}))
    assert "floating point parameters" in found.reason and "requant_bitwidth_threshold" in found.cure


def test_weights_that_change_with_the_round_of_a_loop_are_refused(finn_layers: None) -> None:
    types = {"inputDataType": "INT4", "weightDataType": "INT4", "outputDataType": "INT4"}
    counts = {"NumChannels": 4, "PE": 1, "numSteps": 15, "numInputVectors": [1], "mlo_max_iter": 2}
    node = layer("Thresholding", ["a", "thresholds"], "b", **counts, **types)
    thresholds = {"thresholds": np.zeros((4, 15))}
    found = refusal(model([node], {"a": (1, 4)}, {"b": (1, 4)}, thresholds))
    assert "round of a loop" in found.reason


def test_what_is_refused_is_not_offered_as_a_cure(finn_layers: None) -> None:
    said = support._no_rtl("Lookup")
    assert "Requant" not in said and "Shuffle" not in said and "Pad1D" in said


def test_a_shuffle_at_the_end_is_left_to_the_host(finn_layers: None) -> None:
    shape, turned = [1, 2, 3, 4], [1, 4, 2, 3]
    sizes = {
        "in_shape": shape,
        "transpose_in_shape": shape,
        "out_shape": turned,
        "transpose_out_shape": turned,
    }
    crop = {"ImgDim": [2, 3], "NumChannels": 4, "SIMD": 2, "DataType": "INT4", "numInputVectors": [1]}
    sides = dict.fromkeys(("CropNorth", "CropSouth", "CropWest", "CropEast"), 0)
    nodes = [
        layer("Crop", ["a"], "b", **crop, **sides),
        layer("Shuffle", ["b"], "c", perm=[0, 3, 1, 2], SIMD=1, NumChannels=4, data_type="INT4", **sizes),
    ]
    made = model(nodes, {"a": (1, 2, 3, 4)}, {"c": (1, 4, 2, 3)})
    made.set_tensor_shape("b", shape)
    parts = graph.split("step", made, flow.PART)
    assert graph.operators(parts.hardware) == ("Crop",) and graph.operators(parts.tail) == ("Shuffle",)
    with pytest.raises(StepError, match="cannot be RTL"):
        support.check("step", made, flow.PART)
    assert "Shuffle_hls" not in library.OPS

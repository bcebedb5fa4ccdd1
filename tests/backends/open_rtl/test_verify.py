"""Comparing a design with its model: right, and with one thing wrong, which has to be found and named."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnmake.backends.open_rtl import reference, verify
from finnmake.backends.open_rtl.graph import Split
from finnmake.backends.open_rtl.simulate import Program, Run
from finnmake.backends.open_rtl.verify import Case
from finnmake.errors import StepError
from tests.backends.open_rtl import handmade

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: What a unit of the design's integers at out0 stands for; no power of two, so that it rounds.
SCALE = 0.1

_SHAPES = {name: [1, handmade.BEATS, 2] for name in ("x", "in0", "sum", "out0", "y")}
_SHAPES |= {name: [1, 4, 5] for name in ("in1", "out1")}

#: The parts of the model: operator, inputs, output; what is no tensor is a constant.
_HEAD = (("Mul", ("x", np.float32(8)), "in0"),)
_HARDWARE = (
    ("Add", ("in0", "in0"), "sum"),
    ("Mul", ("sum", np.array(handmade.WEIGHTS, np.float32)), "out0"),
    ("Neg", ("in1",), "out1"),
)
_TAIL = (("Mul", ("out0", np.float32(SCALE)), "y"),)

#: The original scales the weights instead: its outputs are rounded in another place.
_ORIGINAL = (
    *_HEAD,
    _HARDWARE[0],
    ("Mul", ("sum", np.array(handmade.WEIGHTS, np.float32) * np.float32(SCALE)), "y"),
    _HARDWARE[2],
)


def model(nodes: Sequence[tuple[str, tuple[Any, ...], str]], ins: Sequence[str], outs: Sequence[str]) -> Any:
    from onnx import TensorProto, helper, numpy_helper
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.transformation.infer_shapes import InferShapes
    from qonnx.util.basic import qonnx_make_model

    made, constants = [], []
    for operator, given, out in nodes:
        names = []
        for each in given:
            names.append(each if isinstance(each, str) else f"constant_{len(constants)}")
            if not isinstance(each, str):
                constants.append(numpy_helper.from_array(np.asarray(each), names[-1]))
        made.append(helper.make_node(operator, names, [out]))

    def infos(names: Sequence[str]) -> list[Any]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, _SHAPES[name]) for name in names]

    graph = helper.make_graph(made, "graph", infos(ins), infos(outs), initializer=constants)
    return ModelWrapper(qonnx_make_model(graph)).transform(InferShapes())


@pytest.fixture(scope="module")
def case(observed: Program) -> Case:
    hardware = model(_HARDWARE, ["in0", "in1"], ["out0", "out1"])
    return Case(
        original=model(_ORIGINAL, ["x", "in1"], ["y", "out1"]),
        split=Split(
            model(_HEAD, ["x"], ["in0"]), hardware, model(_TAIL, ["out0"], ["y"]), ("x", "in1"), ("y", "out1")
        ),
        stitched=hardware,
        program=observed,
        observed=lambda: observed,
    )


def given(inferences: int = 6) -> dict[str, np.ndarray]:
    fed = handmade.inputs(inferences, seed=5)
    return {"x": fed["in0"] / 8, "in1": fed["in1"]}


def altered(case: Case, folder: Path, weights: tuple[int, int]) -> Case:
    """The same program with other weights."""
    handmade.write(folder, weights=weights)
    program = dataclasses.replace(case.program, folder=folder)
    return dataclasses.replace(case, program=program, observed=lambda: program)


@pytest.mark.parametrize("stall", [0, 0.4])
def test_a_right_design_gives_what_the_original_gives(case: Case, stall: float):
    found = verify.verify(case, given(), Run(stall_in=stall, stall_out=stall, seed=3))
    assert found.inferences == 6
    assert 0 < found.worst < 1e-4, "the host rounds in another order, and by no more"
    expected = handmade.expected(handmade.inputs(6, seed=5))
    np.testing.assert_allclose(found.outputs["y"], expected["out0"] * SCALE, rtol=1e-6)
    np.testing.assert_array_equal(found.outputs["out1"], expected["out1"])


def test_runs_at_once_give_what_each_gives_alone(case: Case):
    runs = [Run(), Run(stall_in=0.4, stall_out=0.4, seed=3)]
    for found, run in zip(verify.verify_all(case, given(), runs), runs, strict=True):
        alone = verify.verify(case, given(), run)
        assert found.measured.to_dict() == alone.measured.to_dict()
        for name, values in alone.outputs.items():
            np.testing.assert_array_equal(found.outputs[name], values)


def test_one_altered_weight_is_found_and_its_layer_named(case: Case, tmp_path: Path):
    wrong = altered(case, tmp_path / "rtl", (handmade.WEIGHTS[0], handmade.WEIGHTS[1] + 1))
    waves = tmp_path / "first.fst"
    with pytest.raises(StepError, match=r"the first layer that differs: scale_0 \(Scale_rtl\)") as caught:
        verify.verify(wrong, given(), waves=waves)
    assert caught.value.node == "scale_0"
    assert "element 1 of out0" in str(caught.value)
    assert waves.stat().st_size > 0


def test_the_first_inference_that_differs_is_named(case: Case, tmp_path: Path):
    wrong = altered(case, tmp_path, (handmade.WEIGHTS[0], handmade.WEIGHTS[1] + 1))
    fed = given()
    fed["x"][:4] = 0  # a wrong weight makes no difference here
    with pytest.raises(StepError, match="2 inferences differ from the original model, the first is 4"):
        verify.verify(wrong, fed, Run(stall_out=0.3))


def test_a_layer_before_the_others_is_named_first(case: Case):
    stitched = model((("Add", ("in0", "in0"), "sum"), *_HARDWARE[1:]), ["in0", "in1"], ["out0", "out1"])
    stitched.graph.node[0].op_type = "Mul"
    original = model((*_HEAD, ("Mul", ("in0", "in0"), "sum"), *_ORIGINAL[2:]), ["x", "in1"], ["y", "out1"])
    with pytest.raises(StepError, match="the first layer that differs: add_0"):
        verify.verify(dataclasses.replace(case, original=original, stitched=stitched), given())


def test_a_graph_that_differs_from_the_original_is_not_blamed_on_a_layer(case: Case):
    original = model((*_ORIGINAL[:3], ("Abs", ("in1",), "out1")), ["x", "in1"], ["y", "out1"])
    with pytest.raises(StepError, match="all layers compute what their graph does") as caught:
        verify.verify(dataclasses.replace(case, original=original), given())
    assert caught.value.category == "verification"


def test_a_deadlock_names_the_fifo_and_the_layer(case: Case, tmp_path: Path):
    waves = tmp_path / "stuck.fst"
    with pytest.raises(StepError, match="FIFO fifo_0 is full, and add_0 waits for held_q"):
        verify.verify(case, given(), Run(depths={"fifo_0": 2}, patience=500), waves)
    assert waves.stat().st_size > 0


def test_values_behind_a_depthwise_window_are_brought_into_the_order_of_the_stream():
    # Two places of a window, four channels, two of them at a time.
    values = np.array([[[["a0", "a1", "a2", "a3", "b0", "b1", "b2", "b3"]]]])
    order = reference.in_stream_order(values, (2, 2, 2))
    assert order.tolist() == ["a0", "a1", "b0", "b1", "a2", "a3", "b2", "b3"]


def test_the_order_goes_through_fifos_and_converters_and_ends_at_the_next_layer(finn_layers: None):
    from onnx import helper

    domain = "finn.custom_op.fpgadataflow.rtl"
    window = {"ConvKernelDim": [2, 1], "IFMChannels": 4, "SIMD": 2, "depthwise": 1}
    nodes = [
        helper.make_node("ConvolutionInputGenerator_rtl", ["a"], ["b"], domain=domain, **window),
        helper.make_node("StreamingFIFO_rtl", ["b"], ["c"], domain=domain),
        helper.make_node("StreamingDataWidthConverter_rtl", ["c"], ["d"], domain=domain),
        helper.make_node("Pool_hls", ["d"], ["e"], domain="finn.custom_op.fpgadataflow.hls"),
    ]
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.util.basic import qonnx_make_model

    graph = ModelWrapper(qonnx_make_model(helper.make_graph(nodes, "graph", [], [])))
    assert reference.interleaved(graph) == dict.fromkeys("bcd", (2, 2, 2))
    assert [node.op_type for node in reference.abstract(graph).graph.node] == [
        "ConvolutionInputGenerator",
        "StreamingFIFO",
        "StreamingDataWidthConverter",
        "Pool",
    ]


def test_a_fault_between_the_layers_is_found_at_once(case: Case, tmp_path: Path):
    verify.inspect(case, given(3), Run(stall_out=0.3))
    wrong = altered(case, tmp_path, (handmade.WEIGHTS[0] + 1, handmade.WEIGHTS[1]))
    with pytest.raises(StepError, match=r"scale_0 \(Scale_rtl\) gives .* element 0 of out0, cycle") as caught:
        verify.inspect(wrong, given(3), waves=tmp_path / "waves.fst")
    assert f"Waveform: {tmp_path}/waves.fst, cycle " in caught.value.cure
    assert (tmp_path / "waves.fst").stat().st_size > 0

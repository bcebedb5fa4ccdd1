"""What becomes hardware, what is refused and with which words, and where FIFOs and their depths come from."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finnmake.backends.open_rtl import design as designs
from finnmake.backends.open_rtl import graph
from finnmake.backends.open_rtl.steps import FOLDER, PARTS
from finnmake.errors import StepError
from tests.backends.open_rtl import flow

pytestmark = pytest.mark.finn

PARTITION, FIFOS = "step_open_rtl_partition", "step_open_rtl_fifos"
ULTRASCALE = "xczu3eg-sbva484-1-e"


def dense(bits: int = 4, *, signed: bool = True, narrow: bool = True, output: float | None = None) -> Any:
    """Two fully connected layers; `output` is the scale of a float multiplication behind them."""
    from tests.backends.open_rtl.networks import Network

    network = Network((1, 8), bits=max(bits, 2))
    least = -(2 ** (bits - 1)) + narrow if signed else 0
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    values = np.random.default_rng(1).integers(least, most + 1, (8, 8))
    values[0, 0], values[0, 1] = least, most
    weights = network.quantise(network._constant(values), bits, signed=signed, narrow=narrow and signed)
    hidden = network.activation(network.apply("MatMul", network.input, weights), bits=4, scale=17)
    last = network.dense(hidden, (8, 4))
    if output is not None:
        last = network.apply("Mul", last, network._constant(output))
    return network.model(last)


def refused(model: Any, folder: Path, **config: Any) -> str:
    """What the partition says of layers that cannot be RTL."""
    with pytest.raises(StepError) as caught:
        flow.run(model, folder, until=PARTITION, **config)
    assert caught.value.category == "kernel"
    return str(caught.value)


def test_a_layer_with_its_thresholds_inside_is_named_with_the_cure(tmp_path: Path) -> None:
    said = refused(dense(), tmp_path, standalone_thresholds=False)
    assert "MVAU_0 (MVAU): its thresholds are a part of it" in said
    assert "Set standalone_thresholds: true" in said


@pytest.mark.parametrize(
    ("make", "words", "cure"),
    [
        (lambda: dense(narrow=False), "a weight is -8, the smallest INT4, which DSP48E1", "narrow=1"),
        (lambda: dense(2, narrow=False), "a weight is -2, the smallest INT2, which DSP48E1", "narrow=1"),
    ],
    ids=["not narrow", "two bits"],
)
def test_arithmetic_that_the_part_cannot_do_is_named(
    tmp_path: Path, make: Callable[[], Any], words: str, cure: str
) -> None:
    said = refused(make(), tmp_path)
    assert "1 of the layers cannot be RTL" in said and words in said and cure in said


def test_another_part_can_do_what_one_cannot(tmp_path: Path) -> None:
    flow.run(dense(narrow=False), tmp_path, until=PARTITION, fpga_part=ULTRASCALE)


@pytest.mark.parametrize(("bits", "wanted"), [(1, "INT2"), (4, "INT5")])
def test_unsigned_weights_become_signed_ones_with_a_bit_more(tmp_path: Path, bits: int, wanted: str) -> None:
    from qonnx.custom_op.registry import getCustomOp

    for until in (PARTITION, "step_open_rtl_graph"):  # FINN makes them unsigned again in between
        model = flow.run(dense(bits, signed=False), tmp_path / until, until=until)
        (first, *_) = (node for node in model.graph.node if node.op_type.startswith("MVAU"))
        assert getCustomOp(first).get_input_datatype(1).name == wanted
        assert model.get_tensor_datatype(first.input[1]).name == wanted


def test_sums_have_room_for_a_product(tmp_path: Path) -> None:
    from qonnx.custom_op.registry import getCustomOp

    from tests.backends.open_rtl.networks import Network

    network = Network((1, 2), bits=4)
    weights = network.quantise(network._constant([[3, 0], [0, 1]]), 3, signed=True, narrow=True)
    sums = network.apply("MatMul", network.input, weights)
    model = network.model(network.dense(network.activation(sums, bits=4, scale=7), (2, 2)))
    model = flow.run(model, tmp_path, until="step_open_rtl_graph")
    for node in model.graph.node:
        if node.op_type == "MVAU_rtl":
            layer = getCustomOp(node)
            product = layer.get_input_datatype(0).bitwidth() + layer.get_input_datatype(1).bitwidth()
            assert layer.get_output_datatype().bitwidth() >= product


def test_negative_thresholds_of_what_is_not_are_cut(tmp_path: Path) -> None:
    from tests.backends.open_rtl.networks import Network

    network = Network((1, 4), bits=4)
    again = network.quantise(network.input, 3, signed=True, scale=3)
    model = flow.run(network.model(network.dense(again, (4, 2))), tmp_path, until=PARTITION)
    thresholds = [node.input[1] for node in model.graph.node if node.op_type == "Thresholding"]
    assert thresholds and all(model.get_initializer(name).min() >= 0 for name in thresholds)


def test_all_layers_are_named_at_once(tmp_path: Path) -> None:
    from tests.backends.open_rtl.networks import Network

    network = Network((1, 8))
    first = network.activation(network.apply("MatMul", network.input, _whole_range(network, (8, 8))))
    model = network.model(network.apply("MatMul", first, _whole_range(network, (8, 4))))
    said = refused(model, tmp_path)
    assert "2 of the layers" in said and "MVAU_0 (MVAU)" in said and "MVAU_1 (MVAU)" in said
    assert said.count("narrow=1") == 1


def _whole_range(network: Any, shape: tuple[int, int]) -> str:
    values = np.random.default_rng(1).integers(-4, 4, shape)
    values[0, 0] = -4
    return str(network.quantise(network._constant(values), 3, signed=True))


def test_a_float_tail_is_left_to_the_host_and_executed_there(tmp_path: Path) -> None:
    from qonnx.core.onnx_exec import execute_onnx

    model = dense(output=0.3)
    hardware = flow.run(model, tmp_path, until=PARTITION)
    parts = graph.Split.read(tmp_path / "artifacts" / FOLDER / PARTS)
    assert graph.operators(parts.head) == () and graph.operators(parts.tail) == ("ElementwiseMul",)
    assert [node.op_type for node in hardware.graph.node][-1] == "MVAU"
    values = np.arange(8, dtype=np.float32).reshape(1, 8)
    (wanted,) = execute_onnx(model, {"x": values}).values()
    (inner,) = execute_onnx(parts.hardware, {parts.inputs[0]: values}).values()
    (given,) = execute_onnx(parts.tail, {parts.tail.graph.input[0].name: inner}).values()
    assert np.allclose(given, wanted) and parts.tail.graph.output[0].name == parts.outputs[0]


def test_a_model_of_floats_alone_is_refused(tmp_path: Path) -> None:
    from tests.backends.open_rtl.networks import Network

    network = Network((1, 8))
    network._nodes.clear()
    model = network.model(network.apply("Mul", "x", network._constant(0.5)))
    assert "cannot be RTL" in refused(model, tmp_path) or "no layer" in refused(model, tmp_path)


def fifos(model: Any) -> dict[str, int]:
    from qonnx.custom_op.registry import getCustomOp

    return {
        node.name: getCustomOp(node).get_nodeattr("depth") for node in model.graph.node if graph.is_fifo(node)
    }


def test_fifos_hold_what_the_step_says_but_for_those_that_the_folding_sets(tmp_path: Path) -> None:
    from qonnx.custom_op.registry import getCustomOp

    model = flow.run(dense(), tmp_path, until="step_open_rtl_graph")
    names = [node.name for node in model.graph.node]
    plain = graph.insert_fifos(model, flow.PART, 48)
    assert set(fifos(plain).values()) == {48}
    assert [node.name for node in plain.graph.node if not graph.is_fifo(node)] == names
    getCustomOp(model.graph.node[0]).set_nodeattr("outFIFODepths", [100])
    assert list(fifos(graph.insert_fifos(model, flow.PART, 48)).values()) == [48, 100, 48, 48, 48, 48]


def test_a_file_sets_all_depths_and_has_to(tmp_path: Path) -> None:
    depths = {f"StreamingFIFO_rtl_{index}": 10 + index for index in range(6)}
    styles = {"impl_style": dict.fromkeys(depths, "rtl"), "ram_style": dict.fromkeys(depths, "auto")}
    file = tmp_path / "fifos.json"
    file.write_text(json.dumps({"fifo_depths": depths, **styles}))
    model = flow.run(dense(), tmp_path / "a", until=FIFOS, fifo_config_file=str(file))
    assert fifos(model) == depths
    del depths["StreamingFIFO_rtl_0"]
    file.write_text(json.dumps({"fifo_depths": depths, **styles}))
    with pytest.raises(Exception, match="FIFO nodes"):
        flow.run(dense(), tmp_path / "b", until=FIFOS, fifo_config_file=str(file))


def test_finn_takes_folding_and_depths_from_the_file(tmp_path: Path) -> None:
    from finn.transformation.general import ApplyConfig

    folded = flow.run(dense(), tmp_path / "a", until=FIFOS, target_fps=10_000_000)
    for depth, node in enumerate(filter(graph.is_fifo, folded.graph.node), start=7):
        graph.set_depth(node, depth)
    wanted = graph.folding(folded)
    assert max(values.get("PE", 0) * values.get("SIMD", 0) for values in wanted.values()) > 1
    file = tmp_path / "folding_config.json"
    file.write_text(json.dumps(wanted))
    again = flow.run(dense(), tmp_path / "b", until=FIFOS, folding_config_file=str(file))
    assert graph.folding(again) != wanted  # FIFOs come later than folding: FINN applies the file once more
    assert graph.folding(again.transform(ApplyConfig(str(file)))) == wanted


def test_another_clock_and_folder_give_the_same_design(tmp_path: Path) -> None:
    def files(name: str, clock_ns: float) -> dict[str, bytes]:
        flow.run(dense(), tmp_path / name, synth_clk_period_ns=clock_ns, target_fps=None)
        return {path.name: path.read_bytes() for path in flow.design(tmp_path / name).iterdir()}

    assert files("a", 10.0) == files("a longer name", 2.5)


def test_a_chain_of_dsp58_is_cut_by_the_clock(tmp_path: Path) -> None:
    part = "xcvc1902-vsva2197-2MP-e-S"

    def text(name: str, clock_ns: float) -> str:
        folder = tmp_path / name
        flow.run(dense(), folder, fpga_part=part, synth_clk_period_ns=clock_ns, target_fps=100_000_000)
        return (flow.design(folder) / "MVAU_rtl_0_wrapper.v").read_text()

    slow, fast = text("slow", 10.0), text("fast", 1.0)
    assert "VERSION = 3" in slow and "SEGMENTLEN = 0," not in slow and slow != fast
    assert designs.read(flow.design(tmp_path / "slow")).layers

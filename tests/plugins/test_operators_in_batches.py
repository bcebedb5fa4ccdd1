"""A model run on many images gives what QONNX gives for each of them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.transformation.insert_topk import InsertTopK

from finnmake.plugins.builtin.execution import Network
from finnmake.plugins.builtin.operators import NotExecutable
from tests.plugins.real_flow import CNN, MLP, REPOSITORY

SHARED = Path(os.environ.get("FINNMAKE_SHARED_MODELS", REPOSITORY.parent / "shared" / "models"))


def network(model: ModelWrapper) -> Network:
    return Network(model, lambda path: ModelWrapper(path))


def one_by_one(model: ModelWrapper, images: np.ndarray) -> np.ndarray:
    """What QONNX itself gives."""
    source, target = model.graph.input[0].name, model.graph.output[0].name
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a shape that is not that of the file
        return np.stack([execute_onnx(model, {source: image})[target] for image in images])


def graph(
    nodes: Sequence[Any], shape: Sequence[Any], out: Sequence[int], opset: int = 13, **constants: Any
) -> ModelWrapper:
    """A model from `x` to `y`."""
    made = helper.make_graph(
        list(nodes),
        "tested",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("qonnx.custom_op.general", 1)]
    model = ModelWrapper(helper.make_model(made, opset_imports=opsets, ir_version=8))
    for name, value in constants.items():
        model.set_initializer(name, np.asarray(value))
    return model


def random(shape: Sequence[int], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 9, shape).astype(np.float32)


@pytest.mark.parametrize("path", [MLP, CNN], ids=lambda path: path.stem)
def test_networks_as_they_were_trained(path: Path) -> None:
    model = ModelWrapper(str(path))
    images = random((5, *model.get_tensor_shape("global_in")))
    assert np.array_equal(network(model).run(images), one_by_one(model, images))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Some old-style domain attributes")
@pytest.mark.parametrize("name", ["tfc_w1a1", "tfc_2w2a", "kwsmlp_w3a3"])
def test_networks_of_others(name: str) -> None:
    if not (SHARED / f"{name}.onnx").exists():
        pytest.skip("the shared models are not here")
    model = ModelWrapper(str(SHARED / f"{name}.onnx")).transform(InferShapes())
    images = random((4, *model.get_tensor_shape(model.graph.input[0].name)))
    assert np.allclose(network(model).run(images), one_by_one(model, images), atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(3, 6),
    channels=st.integers(1, 3),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 2),
    pad=st.integers(0, 1),
    images=st.integers(1, 5),
)
def test_an_operator_that_mixes_the_images_of_a_batch(
    height: int, channels: int, kernel: int, stride: int, pad: int, images: int
) -> None:
    side = (height + 2 * pad - kernel) // stride + 1
    node = helper.make_node(
        "Im2Col",
        ["x"],
        ["y"],
        domain="qonnx.custom_op.general",
        stride=[stride, stride],
        kernel_size=[kernel, kernel],
        pad_amount=[pad] * 4,
        input_shape=f"(1,{height},{height},{channels})",
    )
    model = graph([node], [1, height, height, channels], [1, side, side, kernel * kernel * channels])
    model.set_tensor_datatype("x", DataType["UINT4"])
    values = random((images, 1, height, height, channels))
    assert np.array_equal(network(model).run(values), one_by_one(model, values))


REARRANGING = {
    "a shape that says one image": ("Reshape", {}, {"form": np.array([1, 12])}, [1, 12]),
    "images that leave the first dimension": ("Transpose", {"perm": [1, 0, 2]}, {}, [3, 1, 4]),
    "an operator across images": ("Softmax", {"axis": 0}, {}, [1, 3, 4]),
    "one that takes many": ("Relu", {}, {}, [1, 3, 4]),
}


@pytest.mark.parametrize("case", REARRANGING)
def test_operators_that_are_made_for_one_image(case: str) -> None:
    operator, attributes, constants, out = REARRANGING[case]
    node = helper.make_node(operator, ["x", *constants], ["y"], **attributes)
    model = graph([node], [1, 3, 4], out, **constants)
    images = random((6, 1, 3, 4))
    assert np.array_equal(network(model).run(images), one_by_one(model, images))


def test_a_number_of_images_that_the_model_leaves_open_is_one() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["h"]), helper.make_node("Neg", ["h"], ["y"])]
    ready = network(graph(nodes, ["batch", 4], ["batch", 4]))
    assert ready.input_shape == (1, 4)
    images = random((7, 1, 4))
    assert np.array_equal(ready.run(images), -images)


def test_values_annotated_as_integers_become_whole_ones() -> None:
    node = helper.make_node("Mul", ["x", "c"], ["y"])
    model = graph([node], [1, 2], [1, 2], c=np.float32(1 / 3))
    model.set_tensor_datatype("y", DataType["INT8"])
    images = np.array([[[3, 6]], [[9, 12]], [[15, 18]]], dtype=np.float32)
    found = network(model).run(images)
    assert found.tolist() == [[[1, 2]], [[3, 4]], [[5, 6]]]


def test_values_far_from_integers_are_told() -> None:
    model = graph([helper.make_node("Mul", ["x", "c"], ["y"])], [1, 2], [1, 2], c=np.float32(0.5))
    model.set_tensor_datatype("y", DataType["INT8"])
    with pytest.raises(NotExecutable, match="y is annotated as INT8 and is not whole"):
        network(model).run(np.ones((3, 1, 2), np.float32))


@pytest.mark.parametrize("opset", [9, 13])
def test_places_of_the_largest_are_told_from_scores(opset: int) -> None:
    scores = graph([helper.make_node("Neg", ["x"], ["y"])], [1, 5], [1, 5], opset=opset)
    ranked = scores.transform(InsertTopK(k=2))
    assert not network(scores).gives_indices
    ready = network(ranked)
    assert ready.gives_indices
    images = random((8, 1, 5), seed=3) + np.arange(5) / 10
    assert np.array_equal(ready.run(images.astype(np.float32))[:, 0, 0], images[:, 0].argmin(axis=1))


def test_an_operator_that_nothing_runs_is_named() -> None:
    node = helper.make_node("Warp", ["x"], ["y"], domain="somebody.else", name="Warp_0")
    with pytest.raises(NotExecutable, match=r"nothing runs Warp of somebody\.else \(Warp_0\)"):
        network(graph([node], [1, 2], [1, 2]))


def test_an_operator_that_fails_is_named() -> None:
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="MatMul_7")
    model = graph([node], [1, 2], [1, 2], w=np.ones((3, 2), np.float32))
    with pytest.raises(NotExecutable, match="MatMul MatMul_7 does not run: "):
        network(model).run(np.ones((3, 1, 2), np.float32))


def test_two_inputs_are_one_too_many() -> None:
    model = graph([helper.make_node("Add", ["x", "x2"], ["y"])], [1, 2], [1, 2])
    model.graph.input.append(helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, 2]))
    with pytest.raises(NotExecutable, match="it has 2 inputs and 1 outputs"):
        network(model)


def test_a_model_whose_output_is_a_constant_is_told() -> None:
    model = graph([helper.make_node("Neg", ["c"], ["y"])], [1, 2], [1, 2], c=np.ones((1, 2), np.float32))
    with pytest.raises(NotExecutable, match="does not depend on its input"):
        network(model).run(np.ones((3, 1, 2), np.float32))


def test_large_images_go_through_a_few_at_a_time() -> None:
    small = graph([helper.make_node("Relu", ["x"], ["y"])], [1, 64], [1, 64])
    large = graph([helper.make_node("Relu", ["x"], ["y"])], [1, 3, 1024, 1024], [1, 3, 1024, 1024])
    assert network(small).images_at_once > 1000
    assert network(large).images_at_once == 1

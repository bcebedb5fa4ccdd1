"""Small float models, and ways to run models, for the tests of the built-in transforms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

REPOSITORY = Path(__file__).parents[2]
MODELS = REPOSITORY / "models"

Array = npt.NDArray[Any]


def model_of(
    nodes: Sequence[onnx.NodeProto],
    stored: dict[str, Array],
    shape: Sequence[int | str],
    kind: int = TensorProto.FLOAT,
) -> ModelWrapper:
    """A model from `x` of that shape to `y`."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(value, name) for name, value in stored.items()],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return ModelWrapper(made).transform(InferShapes())


def node(operator: str, inputs: str, output: str, **attributes: Any) -> onnx.NodeProto:
    """A node; names of inputs separated by spaces."""
    return helper.make_node(operator, inputs.split(), [output], name=f"{operator}_{output}", **attributes)


def floats(seed: int, *shape: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def dense(seed: int = 0, sizes: Sequence[int] = (6, 5, 4), batch: int | str = 1) -> ModelWrapper:
    """MatMul, batch norm, ReLU, Gemm with a bias."""
    inputs, hidden, outputs = sizes
    nodes = [
        node("MatMul", "x w0", "a"),
        node("BatchNormalization", "a scale bias mean variance", "b"),
        node("Relu", "b", "c"),
        node("Gemm", "c w1 b1", "y", transB=1),
    ]
    stored = {
        "w0": floats(seed, inputs, hidden),
        "scale": floats(seed + 1, hidden),
        "bias": floats(seed + 2, hidden),
        "mean": floats(seed + 3, hidden),
        "variance": np.abs(floats(seed + 4, hidden)) + np.float32(0.1),
        "w1": floats(seed + 5, outputs, hidden),
        "b1": floats(seed + 6, outputs),
    }
    return model_of(nodes, stored, [batch, inputs])


def convolution(seed: int = 0) -> ModelWrapper:
    """Conv with a bias, ReLU, max-pool, Conv, ReLU, mean over the pixels, MatMul; input `[1, 2, 6, 6]`."""
    nodes = [
        node("Conv", "x w0 b0", "a", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", "a", "b"),
        node("MaxPool", "b", "c", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "c w1", "d", kernel_shape=[3, 3]),
        node("Relu", "d", "e"),
        node("GlobalAveragePool", "e", "f"),
        node("Flatten", "f", "g"),
        node("MatMul", "g w2", "y"),
    ]
    stored = {
        "w0": floats(seed, 4, 2, 3, 3),
        "b0": floats(seed + 1, 4),
        "w1": floats(seed + 2, 5, 4, 3, 3),
        "w2": floats(seed + 3, 5, 3),
    }
    return model_of(nodes, stored, [1, 2, 6, 6])


def run(model: ModelWrapper, samples: Iterable[Array]) -> npt.NDArray[np.float32]:
    """The outputs for samples one by one, by QONNX: `[samples, values]`."""
    inner = model.transform(InferShapes())
    source, result = inner.graph.input[0].name, inner.graph.output[0].name
    return np.stack([execute_onnx(inner, {source: x[None]})[result].ravel() for x in samples])


def operators(model: ModelWrapper) -> list[str]:
    return [each.op_type for each in model.graph.node]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is that of a step: the project is at `project/`."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "project").symlink_to(root)
    monkeypatch.chdir(tmp_path)
    return root

"""What quantisation asks of a float model: the layers with weights, and where values come from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.modelwrapper import ModelWrapper

from finnmake.plugins.builtin.checks import TransformError

#: Operators that multiply by weights.
_LAYERS = ("Conv", "Gemm", "MatMul")

#: Operators whose outputs are values of their first input, and no others.
_PASSING = ("Flatten", "Identity", "MaxPool", "Reshape", "Squeeze", "Transpose", "Unsqueeze")

#: Operators that a normalisation is made of.
_ARITHMETIC = ("Add", "Sub", "Mul", "Div", "BatchNormalization")

#: Operators whose outputs are never negative, and those that keep that of their first input.
_NOT_NEGATIVE = ("Relu", "Sigmoid", "Softmax")
_KEEPING_SIGN = (*_PASSING, "AveragePool", "GlobalAveragePool", "GlobalMaxPool")

#: Operators of a model that is quantised already.
_QUANTISERS = (
    *("Quant", "IntQuant", "FloatQuant", "BipolarQuant", "Trunc", "MultiThreshold"),
    *("QuantizeLinear", "DequantizeLinear", "QLinearConv", "QLinearMatMul"),
)


@dataclass(frozen=True)
class Layer:
    """A node that multiplies by stored weights; `axis` of these is the output channel."""

    node: onnx.NodeProto
    axis: int

    def rows(self, model: ModelWrapper) -> npt.NDArray[np.float32]:
        """The weights by output channel, `[channels, values]`. Raises TransformError for infinite ones."""
        weights = model.get_initializer(self.node.input[1])
        if not np.isfinite(weights).all():
            raise TransformError(
                f"weights of {self.node.name!r} are infinite or undefined", cure="Train or export it again."
            )
        rows: npt.NDArray[np.float32] = np.moveaxis(weights, self.axis, 0).reshape(
            weights.shape[self.axis], -1
        )
        return rows


def check_float(model: ModelWrapper) -> None:
    """Raise TransformError for a model that is quantised already, or not in single precision."""
    found = [node for node in model.graph.node if node.op_type in _QUANTISERS]
    if found:
        first = found[0]
        raise TransformError(
            f"the model is quantised already: {first.name or first.output[0]!r} is a {first.op_type}",
            cure="Give the float model, or take quantize_model out of the blueprint.",
        )
    for tensor in [*model.graph.input, *model.graph.initializer]:
        kind = tensor.type.tensor_type.elem_type if hasattr(tensor, "type") else tensor.data_type
        if kind in (onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16):
            raise TransformError(
                f"{tensor.name!r} is {onnx.TensorProto.DataType.Name(kind)}, not FLOAT",
                cure="Export it in single precision, or put DoubleToSingleFloat before quantize_model.",
            )


def layers_of(model: ModelWrapper) -> Iterator[Layer]:
    """The layers that multiply by stored weights, in order; what others stay in float is told in the log."""
    for node in model.graph.node:
        if node.op_type not in _LAYERS:
            continue
        weights, data = (model.get_initializer(name) for name in (node.input[1], node.input[0]))
        if weights is None or weights.ndim < 2 or data is not None:
            print(f"{node.op_type} {node.name} has no stored matrix of weights: it stays in floating point")
            continue
        yield Layer(node, _channel_axis(node, weights.ndim))


def _channel_axis(node: onnx.NodeProto, dimensions: int) -> int:
    if node.op_type == "MatMul":
        return dimensions - 1
    transposed = any(each.name == "transB" and each.i for each in node.attribute)
    return 0 if node.op_type == "Conv" or transposed else 1


def source_of(model: ModelWrapper, tensor: str) -> str:
    """Where the values of a tensor come from: up the graph, past what only reshapes or selects them."""
    producer = model.find_producer(tensor)
    while producer is not None and producer.op_type in _PASSING:
        tensor = producer.input[0]
        producer = model.find_producer(tensor)
    return tensor


def input_behind(model: ModelWrapper, tensor: str) -> str | None:
    """The input of the model that a tensor is, or is worked out from with constants alone (normalised)."""
    producer = model.find_producer(tensor)
    while producer is not None:
        given = [name for name in producer.input if model.get_initializer(name) is None]
        if len(given) != 1 or producer.op_type not in (*_ARITHMETIC, *_PASSING):
            return None
        tensor = given[0]
        producer = model.find_producer(tensor)
    return tensor


def never_negative(model: ModelWrapper, tensor: str) -> bool:
    """Whether the operators before a tensor leave no negative values."""
    producer = model.find_producer(tensor)
    while producer is not None and producer.op_type in _KEEPING_SIGN:
        producer = model.find_producer(producer.input[0])
    return producer is not None and producer.op_type in _NOT_NEGATIVE

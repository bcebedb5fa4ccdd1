"""Small quantised networks as QONNX, made with a seed: what the tests of this backend build."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import qonnx_make_model

_QONNX = "qonnx.custom_op.general"


class Network:
    """A network in the making: each method adds layers behind a tensor and gives the tensor that they make.

    Args:
        shape: of the input.
        bits: of the input, an integer.
        seed: of all weights.
        signed: whether the input is.
    """

    def __init__(self, shape: tuple[int, ...], bits: int = 4, seed: int = 0, *, signed: bool = False) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[Any] = []
        self._initialisers: list[Any] = []
        self._shape = shape
        self._type = f"{'' if signed else 'U'}INT{bits}"
        self.input = self.quantise("x", bits, signed=signed)

    def _constant(self, values: Any) -> str:
        name = f"constant_{len(self._initialisers)}"
        self._initialisers.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def _node(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        output = f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def quantise(
        self, tensor: str, bits: int, *, signed: bool, scale: float = 1, narrow: bool = False
    ) -> str:
        """Values as integers of so many bits times the scale."""
        inputs = [tensor, self._constant(scale), self._constant(0), self._constant(bits)]
        return self._node(
            "Quant", inputs, domain=_QONNX, signed=int(signed), narrow=int(narrow), rounding_mode="ROUND"
        )

    def _weights(self, shape: tuple[int, ...], bits: int) -> str:
        """Of a narrow range, and quantised."""
        most = 2 ** (bits - 1) - 1
        values = self._random.integers(-most, most + 1, shape)
        return self.quantise(self._constant(values), bits, signed=True, narrow=True)

    def convolution(
        self,
        tensor: str,
        channels: tuple[int, int],
        kernel: int = 3,
        bits: int = 4,
        pad: int = 0,
        stride: int = 1,
        *,
        depthwise: bool = False,
    ) -> str:
        """A convolution, padded on all sides."""
        group = channels[0] if depthwise else 1
        weights = self._weights((channels[1], channels[0] // group, kernel, kernel), bits)
        attributes = {"strides": [stride] * 2, "dilations": [1, 1], "group": group, "pads": [pad] * 4}
        return self._node("Conv", [tensor, weights], kernel_shape=[kernel, kernel], **attributes)

    def dense(self, tensor: str, width: tuple[int, int], bits: int = 4) -> str:
        """A fully connected layer."""
        return self._node("MatMul", [tensor, self._weights(width, bits)])

    def activation(self, tensor: str, bits: int = 4, scale: float = 9) -> str:
        """A quantised ReLU. The scale is odd: FINN's thresholds round ties up, `Quant` to even ones."""
        return self.quantise(self._node("Relu", [tensor]), bits, signed=False, scale=scale)

    def average(self, tensor: str, window: int, bits: int = 4, scale: float = 9) -> str:
        """The average of quadratic windows of an activation, cut to its bits as Brevitas writes it.

        Args:
            window: a power of two; windows do not overlap.
            bits: of the activation and of the average.
            scale: of the activation.
        """
        sides = {"kernel_shape": [window] * 2, "strides": [window] * 2, "pads": [0] * 4}
        total = self.apply("Mul", self.apply("AveragePool", tensor, **sides), self._constant(window**2))
        wide = bits + 2 * (window.bit_length() - 1)
        constants = (self._constant(value) for value in (scale, 0, wide, bits))
        return self.apply("Trunc", total, *constants, domain=_QONNX, rounding_mode="FLOOR")

    def apply(self, operator: str, *tensors: str, **attributes: Any) -> str:
        """Any operator of ONNX."""
        return self._node(operator, list(tensors), **attributes)

    def model(self, *outputs: str) -> ModelWrapper:
        """The whole, with shapes inferred."""
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, self._shape)]
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self._nodes, "network", inputs, ends, self._initialisers)
        model = ModelWrapper(qonnx_make_model(graph))
        model.set_tensor_datatype("x", DataType[self._type])
        return model.transform(InferShapes())


def residual() -> ModelWrapper:
    """Two branches that are added: one of two convolutions, and one that goes around them."""
    network = Network((1, 2, 6, 6))
    first = network.activation(network.convolution(network.input, (2, 4)))
    inner = network.activation(network.convolution(first, (4, 4), pad=1), scale=33)
    inner = network.quantise(network.convolution(inner, (4, 4), pad=1), 4, signed=True, scale=9)
    around = network.quantise(network.convolution(first, (4, 4), kernel=1), 4, signed=True, scale=9)
    added = network.activation(network.apply("Add", inner, around), bits=3, scale=9)
    return network.model(network.dense(network.apply("Flatten", added), (64, 5)))


def shortcut() -> ModelWrapper:
    """The smallest residual network: a convolution and a way around it, which are added."""
    network = Network((1, 2, 4, 4))
    first = network.activation(network.convolution(network.input, (2, 4), kernel=1))
    inner = network.convolution(first, (4, 4), bits=2, pad=1)
    inner = network.quantise(inner, 6, signed=True, scale=9)
    added = network.activation(network.apply("Add", inner, first), bits=3, scale=45)
    return network.model(network.dense(network.apply("Flatten", added), (64, 3)))


def averaging() -> ModelWrapper:
    """A convolutional network with an average of windows, and one of all pixels at its end."""
    network = Network((1, 2, 6, 6))
    first = network.activation(network.convolution(network.input, (2, 4)))
    second = network.activation(network.convolution(network.average(first, 2), (4, 4), kernel=1), scale=99)
    pooled = network.apply("Flatten", network.apply("GlobalAveragePool", second))
    return network.model(network.dense(pooled, (4, 5)))

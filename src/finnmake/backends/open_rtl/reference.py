"""What a model gives in Python: the original, the host's parts of it, and the graph of the hardware.

All models have a batch of 1; arrays here have a row an inference.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from finnmake.backends.open_rtl.support import DOMAIN, is_layer, layer_of, operator_of

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qonnx.core.modelwrapper import ModelWrapper

#: Layers that pass values on in the order in which they come.
_IN_ORDER = frozenset(("StreamingFIFO", "StreamingDataWidthConverter"))


def outputs(model: ModelWrapper, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Execute a model for each inference.

    Args:
        model: any; shapes are inferred where they are lacking.
        inputs: all of its inputs by name -> values, a row an inference.

    Returns:
        Output -> values, a row an inference, of the output's shape without a batch of 1.
    """
    if not model.check_all_tensor_shapes_specified():
        shapes = importlib.import_module("qonnx.transformation.infer_shapes")
        model = model.transform(shapes.InferShapes())
    names = [each.name for each in model.graph.output]
    rows: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for number in range(len(next(iter(inputs.values())))):
        given = {name: values[number] for name, values in inputs.items()}
        found = _execute(model, given, every=False)
        for name in names:
            rows[name].append(_row(found[name]))
    return {name: np.stack(values) for name, values in rows.items()}


def tensors(model: ModelWrapper, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """All tensors of one inference.

    Args:
        model: with its shapes inferred.
        inputs: all of its inputs by name -> values of one inference.
    """
    return _execute(model, inputs, every=True)


def abstract(model: ModelWrapper) -> ModelWrapper:
    """The same graph of layers that are executed in Python, all of them: as such, without `_hls` or `_rtl`.

    A mixture would be wrong: for a depthwise layer behind it, `ConvolutionInputGenerator_rtl` gives values in
    the order of the hardware, and the abstract `Pool` expects the other one.
    """
    result = copy.deepcopy(model)
    for node in result.graph.node:
        if is_layer(node):
            node.op_type, node.domain = operator_of(node), DOMAIN
    return result


def interleaved(model: ModelWrapper) -> dict[str, tuple[int, int, int]]:
    """The tensors whose values go over their stream in another order than the tensor has.

    Behind a depthwise sliding window a stream has for each group of channels all of a window's places; the
    tensor has for each place all channels.

    Returns:
        Tensor -> places in a window, groups of channels, channels in a group.
    """
    found: dict[str, tuple[int, int, int]] = {}
    for node in model.graph.node:
        operator = operator_of(node)
        if operator == "ConvolutionInputGenerator":
            layer = layer_of(node)
            if layer.get_nodeattr("depthwise"):
                group = layer.get_nodeattr("SIMD")
                places = math.prod(layer.get_nodeattr("ConvKernelDim"))
                found[node.output[0]] = (places, layer.get_nodeattr("IFMChannels") // group, group)
        elif operator in _IN_ORDER and node.input[0] in found:
            found[node.output[0]] = found[node.input[0]]
    return found


def in_stream_order(values: NDArray[Any], order: tuple[int, int, int] | None) -> NDArray[Any]:
    """A tensor's values as its stream has them, flat; `order` as `interleaved` gives it, or None."""
    if order is None:
        return values.reshape(-1)
    return values.reshape(-1, *order).swapaxes(1, 2).reshape(-1)


def names(listed: Iterable[Any]) -> list[str]:
    """The names of a graph's inputs or outputs."""
    return [each.name for each in listed]


def _execute(model: ModelWrapper, inputs: Mapping[str, NDArray[Any]], *, every: bool) -> dict[str, Any]:
    given = {
        name: np.asarray(values, np.float32).reshape(model.get_tensor_shape(name))
        for name, values in inputs.items()
    }
    found: dict[str, Any] = importlib.import_module("qonnx.core.onnx_exec").execute_onnx(model, given, every)
    return found


def _row(values: Any) -> NDArray[Any]:
    """Without its batch of 1."""
    array = np.asarray(values)
    return array[0] if array.ndim > 1 and len(array) == 1 else array

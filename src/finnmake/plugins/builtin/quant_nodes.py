"""Puts QONNX's `Quant` nodes into a graph."""

from __future__ import annotations

import itertools
from collections.abc import MutableSequence

import numpy as np
import numpy.typing as npt
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.basic import get_preferred_qonnx_opset

from finnmake.plugins.builtin.float_graph import Layer
from finnmake.plugins.builtin.quantizers import Grid

_DOMAIN = "qonnx.custom_op.general"


def quantise_tensor(model: ModelWrapper, tensor: str, scale: float, grid: Grid) -> None:
    """Quantise a tensor for all that use it.

    What is not an input of the model passes its name on to the result: outputs keep theirs.
    """
    producer = model.find_producer(tensor)
    if producer is None:
        new = _new_tensor(model, tensor, "quantised")
        for node in model.find_consumers(tensor):
            _replace(node.input, tensor, new)
        node = _quant(model, tensor, new, np.array(scale, np.float32), grid)
        model.graph.node.insert(0, node)
        return
    new = _new_tensor(model, tensor, "float")
    _replace(producer.output, tensor, new)
    node = _quant(model, new, tensor, np.array(scale, np.float32), grid)
    model.graph.node.insert(model.get_node_index(producer) + 1, node)


def quantise_weights(model: ModelWrapper, layer: Layer, scales: npt.NDArray[np.floating], grid: Grid) -> None:
    """Quantise the weights of a layer with a scale for each output channel, `[channels]`."""
    weights = layer.node.input[1]
    shape = [1] * model.get_initializer(weights).ndim
    shape[layer.axis] = -1
    new = _new_tensor(model, weights, "quantised")
    node = _quant(model, weights, new, scales.astype(np.float32).reshape(shape), grid)
    at = model.get_node_index(layer.node)
    layer.node.input[1] = new
    model.graph.node.insert(at, node)


def _quant(
    model: ModelWrapper, source: str, result: str, scale: npt.NDArray[np.float32], grid: Grid
) -> onnx.NodeProto:
    """The node, its parameters in the model."""
    names = []
    for what, value in (("scale", scale), ("zero_point", 0.0), ("bits", float(grid.bits))):
        names.append(_unused(model, f"{result}_{what}"))
        model.set_initializer(names[-1], np.asarray(value, np.float32))
    model.set_opset_import(_DOMAIN, get_preferred_qonnx_opset())
    return onnx.helper.make_node(
        "Quant",
        [source, *names],
        [result],
        name=f"Quant_{result}",
        domain=_DOMAIN,
        signed=int(grid.signed),
        narrow=int(grid.narrow),
        rounding_mode="ROUND",
    )


def _new_tensor(model: ModelWrapper, like: str, suffix: str) -> str:
    """A tensor of the shape of another."""
    name = _unused(model, f"{like}_{suffix}")
    model.set_tensor_shape(name, model.get_tensor_shape(like))
    return name


def _unused(model: ModelWrapper, wished: str) -> str:
    taken = set(model.get_all_tensor_names())
    names = itertools.chain([wished], (f"{wished}_{number}" for number in itertools.count(1)))
    return next(name for name in names if name not in taken)


def _replace(names: MutableSequence[str], old: str, new: str) -> None:
    """In a node's inputs or outputs."""
    for at, name in enumerate(names):
        if name == old:
            names[at] = new

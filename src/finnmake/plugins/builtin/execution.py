"""Runs a model on many images: node by node as QONNX does it, each node on all images at once where it can.

Layers that FINN has specialised run as the layer that they were made from, which is FINN's own reference for
them (`finn.util.verification.despecialize_model`): HLS and RTL themselves cannot be run without Vivado.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import NodeProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp, is_custom_op
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.basic import get_execution_error_thresh

from finnmake.plugins.builtin.nodes import HLS, LAYERS, PARTITION, RTL, attribute, kind_of
from finnmake.plugins.builtin.operators import (
    Contradiction,
    Custom,
    NeedsSimulation,
    NotExecutable,
    Operator,
    Partition,
    Standard,
    first_line,
)

Array = npt.NDArray[Any]

#: Values of the largest tensor that go through a node at once: 8-bit thresholds compare each with 255 others.
_VALUES_AT_ONCE = 1 << 20

#: Operators whose output holds the same values as their input.
_PASSING = frozenset(("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"))


class Network:
    """A model, ready to run.

    Args:
        model: a QONNX or FINN model with one input. It is not changed.
        partition: gives the model behind a `StreamingDataflowPartition`, by the path in the node.

    Raises NotExecutable for a model that cannot be run, before anything runs.
    """

    def __init__(self, model: ModelWrapper, partition: Callable[[str], ModelWrapper]) -> None:
        self._model = _with_shapes(_unspecialised(model))
        inputs = [each.name for each in model.graph.input if model.get_initializer(each.name) is None]
        if len(inputs) != 1 or not model.graph.output:
            raise NotExecutable(f"it has {len(inputs)} inputs and {len(model.graph.output)} outputs")
        self._input, self._output = inputs[0], model.graph.output[0].name
        self.input_shape = self._shape(self._input)
        self._constants = _constants(self._model)
        self._operators = [self._operator(node, partition) for node in self._model.graph.node]
        self._last_use = {name: at for at, each in enumerate(self._operators) for name in each.inputs}

    @property
    def images_at_once(self) -> int:
        """How many images fit into a sensible amount of memory."""
        made = [self._model.get_tensor_shape(name) for each in self._operators for name in each.outputs]
        of_images = [shape for shape in made if shape and shape[0] == self.input_shape[0]]
        largest = max([math.prod(self.input_shape), *map(math.prod, of_images)])
        inside = [each.images_at_once for each in self._operators if isinstance(each, Partition)]
        return min([max(1, _VALUES_AT_ONCE // largest), *inside])

    @property
    def gives_indices(self) -> bool:
        """Whether the output holds the places of the largest values instead of values (TopK, LabelSelect)."""
        at = self._output
        for each in reversed(self._operators):
            if at in each.outputs:
                if each.node.op_type not in _PASSING:
                    return each.gives_indices(at)
                at = each.inputs[0]
        return False

    def run(self, images: Array) -> Array:
        """The outputs `[images, *output shape]` for `[images, *input shape]`. Raises NotExecutable."""
        batch: dict[str, Array] = {self._input: self._settled(self._input, images)}
        for at, each in enumerate(self._operators):
            many = {name: batch[name] for name in each.inputs if name in batch}
            once = {name: self._constants[name] for name in each.inputs if name in self._constants}
            if not many and all(name in self._constants for name in each.outputs):
                continue  # worked out for the images before
            made = zip(each.outputs, each.on_all(many, once), strict=True)
            target = batch if many else self._constants
            target.update({name: self._settled(name, values) for name, values in made})
            for name in many:
                if self._last_use[name] == at and name != self._output:
                    del batch[name]
        if self._output not in batch:
            raise NotExecutable("its output does not depend on its input")
        return batch[self._output]

    def _operator(self, node: NodeProto, partition: Callable[[str], ModelWrapper]) -> Operator:
        if kind_of(node) == PARTITION:
            return Partition(node, Network(partition(attribute(node, "model")), partition))
        if node.domain in ("", "ai.onnx"):
            return Standard(node, self._model)
        if not is_custom_op(node.domain, node.op_type):
            raise NotExecutable(f"nothing runs {node.op_type} of {node.domain} ({node.name})")
        return Custom(node, self._model)

    def _shape(self, tensor: str) -> tuple[int, ...]:
        shape = self._model.get_tensor_shape(tensor)
        if not shape or not all(shape):
            raise NotExecutable(f"the shape of {tensor} is not fixed")
        return tuple(shape)

    def _settled(self, tensor: str, values: Array) -> Array:
        return _settled(self._model, tensor, values)


def _unspecialised(model: ModelWrapper) -> ModelWrapper:
    """A copy whose HLS and RTL layers are the layers that they were made from. Raises NotExecutable."""
    found = ModelWrapper(copy.deepcopy(model.model))
    lost = []
    for node in found.graph.node:
        if kind_of(node) not in (HLS, RTL):
            continue
        name = node.op_type.rpartition("_")[0]
        if not is_custom_op(LAYERS, name):
            lost.append(f"{node.op_type} ({node.name})")
            continue
        node.op_type, node.domain = name, LAYERS
        _run_in_python(node)
    if lost:
        raise NeedsSimulation(
            f"FINN runs these layers in simulation alone, which needs Vivado: {', '.join(lost)}"
        )
    return found


def _run_in_python(node: NodeProto) -> None:
    """Take back a simulation that a step has chosen for this layer."""
    for each in [each for each in node.attribute if each.name == "exec_mode"]:
        node.attribute.remove(each)
    modes = getCustomOp(node).get_nodeattr_types().get("exec_mode", ())
    if len(modes) > 3 and "python" in modes[3]:
        node.attribute.append(helper.make_attribute("exec_mode", "python"))


def _with_shapes(model: ModelWrapper) -> ModelWrapper:
    """The model with a shape for every tensor; a number of images that is left open becomes 1.

    Raises NotExecutable where QONNX cannot find the shapes.
    """
    for each in model.graph.input:
        shape = model.get_tensor_shape(each.name)
        if shape and shape[0] == 0 and all(shape[1:]):
            model.set_tensor_shape(each.name, [1, *shape[1:]])
            _forget_shapes(model)
    if model.check_all_tensor_shapes_specified():
        return model
    try:
        return model.transform(InferShapes())
    except Exception as error:  # the code of an operator may raise anything
        raise NotExecutable(f"the shapes of its tensors cannot be found: {first_line(error)}") from error


def _forget_shapes(model: ModelWrapper) -> None:
    """Shapes that hold for another number of images."""
    for each in model.graph.value_info:
        each.type.tensor_type.ClearField("shape")
    for each in model.graph.output:
        for dimension in each.type.tensor_type.shape.dim[:1]:
            dimension.dim_value = 1


def _constants(model: ModelWrapper) -> dict[str, Array]:
    """Everything that is stored in the model."""
    names = {name for node in model.graph.node for name in node.input}
    values = {name: model.get_initializer(name) for name in names}
    return {name: _settled(model, name, value) for name, value in values.items() if value is not None}


def _settled(model: ModelWrapper, tensor: str, values: Array) -> Array:
    """Values as the model declares them: their type, and whole numbers where they are annotated as integers.

    Raises Contradiction where they are further from whole numbers than QONNX's execution allows.
    """
    info = model.get_tensor_valueinfo(tensor)
    declared = info.type.tensor_type.elem_type if info is not None else 0
    typed = values.astype(helper.tensor_dtype_to_np_dtype(declared), copy=False) if declared else values
    if not model.get_tensor_datatype(tensor).is_integer() or not np.issubdtype(typed.dtype, np.floating):
        return typed
    whole = np.round(typed)
    if typed.size and not np.abs(whole - typed).max() <= get_execution_error_thresh():
        raise Contradiction(
            f"{tensor} is annotated as {model.get_tensor_datatype(tensor).name} and is not whole"
        )
    return whole

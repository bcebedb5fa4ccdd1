"""The operators of a model, each run on many images at once where that gives the same as one by one.

Standard operators run in ONNX Runtime, QONNX's and FINN's in their own Python. What an operator makes of many
images at once is compared with what it makes of single ones, and where that is not the same (QONNX's `Im2Col`
mixes the images of a batch) they go through it one by one.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, ValueInfoProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.custom_op.registry import getCustomOp

from finnmake.plugins.builtin.checks import raise_if_memory_ran_out

Array = npt.NDArray[Any]
Feed = Mapping[str, Array]

#: Operators that only copy values and zeros to other places, and that are slow, or wrong, for many images.
_COPYING = frozenset(("Im2Col", "ConvolutionInputGenerator"))

#: Node attributes that hold the number of images of a layer: all, or the first of the list.
_BATCH_ATTRIBUTES = ("numInputVectors", "BatchSize")

#: QONNX's InsertTopK adds an operator of this opset to a model of any opset.
_LEAST_OPSET = {"TopK": 11}

#: What the layers of FINN say that run only from code that Vitis HLS or Vivado has made.
_SIMULATED = re.compile(r"exec_mode|cppsim|rtlsim|code_gen_dir|executable_path|XILINX_|vivado", re.IGNORECASE)

#: float32 counts up to here without gaps.
_LARGEST_INDEX = 1 << 24


class NotExecutable(Exception):
    """A model cannot be run here; says why, in words."""


class NeedsSimulation(NotExecutable):
    """It has layers that FINN runs in simulation alone: with Vivado, or from generated code."""


class Contradiction(NotExecutable):
    """A model is at odds with itself: values are not what it says they are, or an operator refuses them."""


class Runs(Protocol):
    """A model of its own behind a node."""

    input_shape: tuple[int, ...]

    @property
    def images_at_once(self) -> int:
        """How many images fit into a sensible amount of memory."""

    @property
    def gives_indices(self) -> bool:
        """Whether the output holds the places of the largest values."""

    def run(self, images: Array) -> Array:
        """The outputs of many images."""


class Operator:
    """One node of a model; `_run` gives the outputs of one image, or of `images` that follow each other."""

    copies = False

    def __init__(self, node: NodeProto) -> None:
        self.node = node
        self.inputs = [name for name in node.input if name]
        self.outputs = [name for name in node.output if name]

    def _run(self, feed: Feed, images: int = 1) -> list[Array]:
        raise NotImplementedError

    def gives_indices(self, output: str) -> bool:
        """Whether this output holds places of the largest values."""
        places = {"TopK": self.outputs[-1:], "ArgMax": self.outputs, "LabelSelect": self.outputs}
        return output in places.get(self.node.op_type, ())

    def on_all(self, many: Feed, once: Feed) -> list[Array]:
        """The outputs `[images, *shape]` for inputs of that shape and those that are the same for all images.

        Without inputs of the first kind the outputs are those of the node itself. Raises NotExecutable.
        """
        try:
            if not many:
                return self._run(once)
            images = len(next(iter(many.values())))
            probes = {at: self._run({**once, **_image(many, at)}) for at in sorted({0, images - 1})}
            if images == len(probes):
                return _stacked(list(probes.values()))
            found = self._together(many, once, probes, images)
            if found is not None:
                return found
            return _stacked([self._run({**once, **_image(many, at)}) for at in range(images)])
        except NotExecutable:
            raise
        except Exception as error:  # the code of an operator may raise anything
            raise_if_memory_ran_out(error)
            failed = f"{self.node.op_type} {self.node.name} does not run: {first_line(error)}"
            raise _kind_of(error)(failed) from error

    def _together(
        self, many: Feed, once: Feed, probes: Mapping[int, Sequence[Array]], images: int
    ) -> list[Array] | None:
        """The outputs of a run with all images, where it agrees with the probes; else None."""
        first = next(iter(probes.values()))
        try:
            found = self._copied(many, once) if self.copies else self._batched(many, once, first, images)
        except Exception:  # an operator for one image refuses many in its own way
            return None
        agree = all(
            np.allclose(all_images[at], one, rtol=1e-4, atol=1e-6, equal_nan=True)
            for at, probe in probes.items()
            for all_images, one in zip(found, probe, strict=True)
        )
        return found if agree else None

    def _batched(self, many: Feed, once: Feed, one: Sequence[Array], images: int) -> list[Array]:
        """All images in the first dimension, which has to be 1 for one image."""
        shapes = [values.shape[1:] for values in many.values()] + [values.shape for values in one]
        if any(shape[:1] != (1,) for shape in shapes):
            raise ValueError("the first dimension is not that of images")
        joined = {name: values.reshape(images, *values.shape[2:]) for name, values in many.items()}
        found = self._run({**once, **joined}, images)
        return [values.reshape(images, *each.shape) for values, each in zip(found, one, strict=True)]

    def _copied(self, many: Feed, once: Feed) -> list[Array]:
        """All images by where the operator puts each value, which it shows given the numbers 1, 2, 3 …."""
        (name, values), images = next(iter(many.items())), len(next(iter(many.values())))
        size = values[0].size
        if size >= _LARGEST_INDEX:
            raise ValueError("too many values to number them")
        numbered = np.arange(1, size + 1, dtype=np.float32).reshape(values[0].shape)
        padded = np.concatenate([np.zeros((images, 1), values.dtype), values.reshape(images, size)], axis=1)
        return [padded[:, places.astype(np.int64)] for places in self._run({**once, name: numbered})]


class Standard(Operator):
    """An operator of ONNX itself, in ONNX Runtime."""

    def __init__(self, node: NodeProto, model: ModelWrapper) -> None:
        super().__init__(node)
        self._model = model.model
        self._session: Any = None

    def _run(self, feed: Feed, images: int = 1) -> list[Array]:
        plain = {name: _plain(values) for name, values in feed.items()}
        if self._session is None:
            onnxruntime = importlib.import_module("onnxruntime")
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3  # it warns of what the model's author cannot mend here
            options.intra_op_num_threads = 1  # the same sums on every machine
            proto = _alone(self.node, plain, self._model).SerializeToString()
            self._session = onnxruntime.InferenceSession(proto, options, providers=["CPUExecutionProvider"])
        return list(self._session.run(self.outputs, plain))


class Custom(Operator):
    """An operator of QONNX or a layer of FINN, in its own Python."""

    def __init__(self, node: NodeProto, model: ModelWrapper) -> None:
        super().__init__(node)
        self._graph = model.graph
        self._opset = model.get_opset_imports().get(node.domain)
        self._shapes = {name: model.get_tensor_shape(name) or [1] for name in self.outputs}
        self.copies = node.op_type in _COPYING

    def _run(self, feed: Feed, images: int = 1) -> list[Array]:
        node = self.node if images == 1 else _for_images(self.node, images)
        placeholders = {
            name: np.zeros(shape if images == 1 else (images, *shape[1:]), np.float32)
            for name, shape in self._shapes.items()
        }
        context = {**placeholders, **feed}
        operator = getCustomOp(node) if self._opset is None else getCustomOp(node, self._opset)
        operator.execute_node(context, self._graph)
        return [context[name] for name in self.outputs]


class Partition(Operator):
    """The layers behind a dataflow partition."""

    def __init__(self, node: NodeProto, network: Runs) -> None:
        super().__init__(node)
        self._network = network
        self.images_at_once = network.images_at_once

    def gives_indices(self, output: str) -> bool:
        """Whether the partition's own output does."""
        return self._network.gives_indices

    def on_all(self, many: Feed, once: Feed) -> list[Array]:
        """The output of the partition's own network."""
        if len(many) != 1 or len(self.outputs) != 1:
            raise NotExecutable(f"partition {self.node.name} has more than one input or output")
        (images,) = many.values()
        return [self._network.run(images.reshape(len(images), *self._network.input_shape))]


def first_line(error: Exception) -> str:
    """What an exception says, in a line."""
    return f"{type(error).__name__}: {error}".strip().splitlines()[0]


def _kind_of(error: Exception) -> type[NotExecutable]:
    """What it means that an operator raises this: ONNX Runtime has names of its own for what it lacks."""
    if type(error).__name__ == "NotImplemented":
        return NotExecutable
    simulated = isinstance(error, NotImplementedError) or _SIMULATED.search(str(error))
    return NeedsSimulation if simulated else Contradiction


def _plain(values: Array) -> Array:
    """The same values in a type that ONNX Runtime knows: `int64`, not NumPy's double of it, `longlong`."""
    return values.view(np.dtype(values.dtype.str))


def _image(many: Feed, at: int) -> dict[str, Array]:
    return {name: np.asarray(values[at]) for name, values in many.items()}


def _stacked(images: Sequence[Sequence[Array]]) -> list[Array]:
    """Outputs of single images -> each output with all images."""
    return [np.stack(values) for values in zip(*images, strict=True)]


def _for_images(node: NodeProto, images: int) -> NodeProto:
    """The node for so many images, where it names their number; else as it is."""
    found = NodeProto()
    found.CopyFrom(node)
    for each in found.attribute:
        if each.name in _BATCH_ATTRIBUTES:
            if each.ints:
                each.ints[0] *= images
            else:
                each.i *= images
    return found


def _alone(node: NodeProto, feed: Feed, model: ModelProto) -> ModelProto:
    """A model of this node alone, for inputs of these types and of any shape."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), None)
        for name, values in feed.items()
    ]
    outputs = [ValueInfoProto(name=name) for name in node.output if name]
    graph = helper.make_graph([node], "node", inputs, outputs)
    declared = [each.version for each in model.opset_import if each.domain in ("", "ai.onnx")]
    version = max([*declared, _LEAST_OPSET.get(node.op_type, 1)])
    opsets = [helper.make_opsetid("", version)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=model.ir_version)

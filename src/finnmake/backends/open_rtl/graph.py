"""The dataflow graph: what of a model becomes hardware, and what is put between its layers.

FINN's own transformations do the work; they are imported where they are used, in the worker alone.
"""

from __future__ import annotations

import copy
import importlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.backends.finn import load, save
from finnmake.backends.open_rtl import support
from finnmake.errors import StepError

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

#: The depths that a node has where nobody has set them: FINN's `inFIFODepths` and `outFIFODepths`.
_UNSET_DEPTH = 2

_FIFO = "StreamingFIFO_rtl"

#: Beside the models of a split: how it calls the ends of the whole.
_ENDS = "ends.json"

#: What FINN's `folding_config_file` sets: the attributes that its builder writes into such files.
_FOLDING = (
    "PE",
    "SIMD",
    "parallel_window",
    "ram_style",
    "ram_style_thresholds",
    "ram_style_mask",
    "depth",
    "impl_style",
    "resType",
    "mem_mode",
    "runtime_writeable_weights",
    "depth_trigger_uram",
    "depth_trigger_bram",
)

_FPGADATAFLOW = "finn.transformation.fpgadataflow"


@dataclass(frozen=True)
class Split:
    """A model in three parts that follow each other, tensors named alike in all.

    Attributes:
        head: what the host does before; None where that is nothing.
        hardware: hardware layers alone.
        tail: what the host does behind it; None where that is nothing.
        inputs: of the whole model; each is one of `head`, `hardware` or `tail`.
        outputs: likewise.
    """

    head: ModelWrapper | None
    hardware: ModelWrapper
    tail: ModelWrapper | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def write(self, folder: Path) -> None:
        """Write the parts as ONNX files, the same for the same models."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, model in (("head", self.head), ("hardware", self.hardware), ("tail", self.tail)):
            if model is not None:
                (folder / f"{name}.onnx").write_bytes(save(model))
        ends = {"inputs": self.inputs, "outputs": self.outputs}
        (folder / _ENDS).write_text(json.dumps(ends, indent=1) + "\n")

    @classmethod
    def read(cls, folder: Path) -> Split:
        """What `write` left. Raises OSError where there is nothing."""
        ends = json.loads((folder / _ENDS).read_text())
        head, tail = (
            load(file) if file.exists() else None for file in (folder / "head.onnx", folder / "tail.onnx")
        )
        hardware = load(folder / "hardware.onnx")
        return cls(head, hardware, tail, tuple(ends["inputs"]), tuple(ends["outputs"]))


def prefer_rtl(model: ModelWrapper) -> None:
    """Have FINN make RTL layers of all that can be: by itself it takes HLS for less than 4 bits."""
    for node in model.graph.node:
        if support.is_layer(node):
            layer = support.layer_of(node)
            if not layer.get_nodeattr("preferred_impl_style"):
                layer.set_nodeattr("preferred_impl_style", "rtl")


def clip_thresholds(model: ModelWrapper) -> ModelWrapper:
    """Round thresholds up to integers and cut them to what their inputs can be, where these are integers."""
    clip = _class("finn.transformation.streamline.round_thresholds", "RoundAndClipThresholds")
    result: ModelWrapper = model.transform(clip(), apply_to_subgraphs=True)
    return result


def fit_types(model: ModelWrapper) -> ModelWrapper:
    """Give products the types that their RTL asks for, where FINN has found narrower ones to do.

    Weights are signed and have 2 bits or more; sums have the bits of a product (finn-rtllib, mvu/mvu.sv:
    ACCU_WIDTH). The values stay.
    """
    for node in model.graph.node:
        if support.operator_of(node) not in ("MVAU", "VVAU") or not support.is_layer(node):
            continue
        layer = support.layer_of(node)
        values, weights = layer.get_input_datatype(0), layer.get_input_datatype(1)
        if not (values.is_integer() and weights.is_integer()) or layer.get_nodeattr("binaryXnorMode"):
            continue
        if not weights.signed() or weights.bitwidth() < 2:
            weights = _integers(weights.bitwidth() + 1)
            layer.set_nodeattr("weightDataType", weights.name)
            model.set_tensor_datatype(node.input[1], weights)
        least = weights.bitwidth() + values.bitwidth() - values.signed()
        if layer.get_nodeattr("noActivation") and layer.get_output_datatype().bitwidth() < least:
            for attribute in ("accDataType", "outputDataType"):
                layer.set_nodeattr(attribute, _integers(least).name)
    result: ModelWrapper = model.transform(_class("qonnx.transformation.infer_datatypes", "InferDataTypes")())
    return result


def split(step: str, model: ModelWrapper, part: str) -> Split:
    """Cut off what cannot be hardware at either end, where it is float or only moves values.

    Raises StepError that names every layer in between, or of integers, that cannot be RTL here.
    """
    nodes = list(model.graph.node)
    refused = {_key(node) for node in nodes if support.refusal(node, model, part) is not None}
    loose = {_key(node) for node in nodes if support.may_stay(node, model)}
    head: set[str] = set()
    tail: set[str] = set()
    for node in nodes:
        if _key(node) not in refused & loose:
            continue
        before = _closure(node, model.find_direct_predecessors)
        behind = _closure(node, model.find_direct_successors)
        if before <= loose:
            head |= before
        elif behind <= loose:
            tail |= behind
    tail -= head
    hardware = [node for node in nodes if _key(node) not in head | tail]
    support.check(step, model, part, hardware)
    if not hardware:
        raise StepError(
            step,
            "no layer of the model can be hardware: all of it works in floating point",
            category="kernel",
            cure="Quantise the model, e.g. with the transform quantize_model.",
        )
    return Split(
        _part_of(model, [node for node in nodes if _key(node) in head]) if head else None,
        _part_of(model, hardware),
        _part_of(model, [node for node in nodes if _key(node) in tail]) if tail else None,
        tuple(str(each.name) for each in model.graph.input),
        tuple(str(each.name) for each in model.graph.output),
    )


def _integers(bits: int) -> Any:
    return _class("qonnx.core.datatype", "DataType")[f"INT{bits}"]


def _key(node: NodeProto) -> str:
    """What tells a node from all others: no two write one tensor."""
    return str(node.output[0])


def _closure(node: NodeProto, nearest: Callable[[Any], Sequence[Any] | None]) -> set[str]:
    """A node and all before or behind it, by what is nearest."""
    found: set[str] = set()
    left = [node]
    while left:
        each = left.pop()
        if _key(each) not in found:
            found.add(_key(each))
            left += nearest(each) or ()
    return found


def _part_of(model: ModelWrapper, nodes: Sequence[NodeProto]) -> ModelWrapper:
    """The model of some nodes. Its inputs and outputs come in the order of the whole model's, others last."""
    kept = {_key(node) for node in nodes}
    made = {tensor for node in nodes for tensor in node.output}
    taken = {tensor for node in nodes for tensor in node.input}
    elsewhere = {
        tensor
        for node in model.graph.node
        if _key(node) not in kept
        for tensor in (*node.input, *node.output)
    }
    ends = [each.name for each in (*model.graph.input, *model.graph.output)]
    used = dict.fromkeys(tensor for node in nodes for tensor in support.streams(node, model))
    order = [*(name for name in ends if name in used), *(name for name in used if name not in ends)]
    inputs = [name for name in order if name in taken - made]
    outputs = [name for name in order if name in made and (name in elsewhere or name in ends)]
    result = copy.deepcopy(model)
    infos = {name: copy.deepcopy(result.get_tensor_valueinfo(name)) for name in (*inputs, *outputs)}
    graph = result.graph
    for node in [node for node in graph.node if _key(node) not in kept]:
        graph.node.remove(node)
    for info in [info for info in graph.value_info if info.name in infos]:
        graph.value_info.remove(info)
    for listed, names in ((graph.input, inputs), (graph.output, outputs)):
        del listed[:]
        listed.extend(infos[name] for name in names)
    return result.transform(_class("qonnx.transformation.general", "RemoveUnusedTensors")())


def with_shapes(model: ModelWrapper) -> ModelWrapper:
    """The model, with the shapes of all tensors known, as executing it needs."""
    result: ModelWrapper = model.transform(_class("qonnx.transformation.infer_shapes", "InferShapes")())
    return result


def operators(model: ModelWrapper | None) -> tuple[str, ...]:
    """The operators of a part, in its order; none of none."""
    return () if model is None else tuple(support.operator_of(node) for node in model.graph.node)


def prepare(model: ModelWrapper, part: str) -> ModelWrapper:
    """Put converters where the widths of streams differ, and give all nodes the names of their instances."""
    model = model.transform(_class(f"{_FPGADATAFLOW}.insert_dwc", "InsertDWC")())
    model = model.transform(_class("qonnx.transformation.general", "SortGraph")())
    return _named(model, part)


def insert_fifos(model: ModelWrapper, part: str, depth: int, config: Path | None = None) -> ModelWrapper:
    """Put a FIFO on every stream.

    Args:
        model: as `prepare` left it; the names of its nodes stay.
        part: the FPGA part.
        depth: words, of a FIFO on whose depth the folding says nothing.
        config: FINN's `fifo_config_file`, with the depth of every FIFO by its name; FINN names FIFOs so too.

    Raises:
        FINNUserError: the file does not name all FIFOs.
    """
    for node in model.graph.node:
        layer = support.layer_of(node)
        for attribute, count in (("inFIFODepths", len(node.input)), ("outFIFODepths", len(node.output))):
            layer.set_nodeattr(attribute, _depths(layer.get_nodeattr(attribute), count, depth))
    model = model.transform(_class(f"{_FPGADATAFLOW}.insert_fifo", "InsertFIFO")(create_shallow_fifos=True))
    model = _named(model, part)
    if config is not None:
        model = model.transform(_class(f"{_FPGADATAFLOW}.set_fifo_depths", "ApplyFIFODepthsFromFile")(config))
    return model


def _depths(known: Iterable[int], count: int, depth: int) -> list[int]:
    """A depth for each of `count` streams: FINN's lists may be shorter, as all are alike then."""
    values = [int(value) for value in known] or [_UNSET_DEPTH]
    values += values[-1:] * (count - len(values))
    return [depth if value == _UNSET_DEPTH else max(value, _UNSET_DEPTH) for value in values]


def is_fifo(node: NodeProto) -> bool:
    """Whether the node is a FIFO."""
    return bool(node.op_type == _FIFO)


def set_depth(node: NodeProto, depth: int) -> None:
    """Give a FIFO a depth."""
    support.layer_of(node).set_nodeattr("depth", depth)


def folding(model: ModelWrapper) -> dict[str, Any]:
    """FINN's `folding_config_file` for this very graph, as JSON values: layers, converters and FIFOs."""
    found: dict[str, Any] = _class("finn.util.config", "extract_model_config")(model, None, _FOLDING)
    return found


def _named(model: ModelWrapper, part: str) -> ModelWrapper:
    """Layers that were inserted become RTL; nodes and tensors are named as FINN names them for hardware."""
    general = "qonnx.transformation.general"
    for transformation in (
        _class(f"{_FPGADATAFLOW}.specialize_layers", "SpecializeLayers")(part),
        _class(general, "GiveUniqueNodeNames")(),
        _class(general, "GiveReadableTensorNames")(),
        _class("qonnx.transformation.infer_shapes", "InferShapes")(),
        _class("qonnx.transformation.infer_datatypes", "InferDataTypes")(),
    ):
        model = model.transform(transformation)
    return model


def _class(module: str, name: str) -> Any:
    return getattr(importlib.import_module(module), name)

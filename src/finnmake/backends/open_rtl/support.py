"""Which layers can be RTL here. Those that cannot be are named before anything runs, with reason and cure.

The rules are those of FINN's `SpecializeLayers` (finn-plus 1.6.1, transformation/fpgadataflow/
specialize_layers.py), told one by one where FINN only takes HLS instead, and those of this backend.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnmake.backends.open_rtl import library
from finnmake.errors import StepError

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

#: How the domains of FINN's hardware layers begin, of the abstract ones and of their HLS and RTL variants.
DOMAIN = "finn.custom_op.fpgadataflow"

#: Suffixes of the variants.
_VARIANTS = ("_hls", "_rtl")

#: Operators that only move or rename values, mapped by FINN or not: they may stay on the host whatever their
#: data type.
_MOVES = frozenset(("Transpose", "Shuffle", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Cast"))

#: What is put between layers, and stands in no model.
_BETWEEN = frozenset(("StreamingDataWidthConverter", "StreamingFIFO"))

#: Why, and what to do about it.
Reason = tuple[str, str]

_TAKE_OUT = "Take it out of the folding file or the step that sets it."
_UNROLL = "Do not roll loops."


@dataclass(frozen=True)
class Refusal:
    """A layer that cannot be RTL here: the node, its operator without variant, the reason and the cure."""

    node: str
    operator: str
    reason: str
    cure: str

    def __str__(self) -> str:
        return f"{self.node} ({self.operator}): {self.reason}. {self.cure}".strip()


def refusals(model: ModelWrapper, part: str, nodes: Iterable[NodeProto] | None = None) -> list[Refusal]:
    """The layers that cannot be RTL, in the order of the graph.

    Args:
        model: with FINN's hardware layers, specialised or not.
        part: the FPGA part, as Vivado names it.
        nodes: those that are asked about; all where not given.
    """
    asked = model.graph.node if nodes is None else nodes
    return [found for node in asked if (found := refusal(node, model, part)) is not None]


def check(step: str, model: ModelWrapper, part: str, nodes: Iterable[NodeProto] | None = None) -> None:
    """Raise StepError of category `kernel` that names every layer that cannot be RTL."""
    found = refusals(model, part, nodes)
    if found:
        raise StepError(
            step,
            f"{len(found)} of the layers cannot be RTL without Vitis: "
            + "; ".join(f"{each.node} ({each.operator}): {each.reason}" for each in found),
            category="kernel",
            cure=" ".join(dict.fromkeys(each.cure for each in found if each.cure)),
            node=found[0].node if len(found) == 1 else "",
        )


def refusal(node: NodeProto, model: ModelWrapper, part: str) -> Refusal | None:
    """Why a node cannot be RTL; None where it can be."""
    operator = operator_of(node)
    reason = _reason(operator, node, model, part)
    return None if reason is None else Refusal(node.name or operator, operator, *reason)


def operator_of(node: NodeProto) -> str:
    """Its operator, without `_hls` or `_rtl`."""
    name = str(node.op_type)
    for suffix in _VARIANTS if is_layer(node) else ():
        name = name.removesuffix(suffix)
    return name


def is_layer(node: NodeProto) -> bool:
    """Whether the node is one of FINN's hardware layers."""
    return str(node.domain).startswith(DOMAIN)


def layer_of(node: NodeProto) -> Any:
    """FINN's `HWCustomOp` of a hardware layer, which knows its attributes and shapes."""
    return importlib.import_module("qonnx.custom_op.registry").getCustomOp(node)


def may_stay(node: NodeProto, model: ModelWrapper) -> bool:
    """Whether the node may be left to the host: it works in floating point, scales or only moves values."""
    operator = operator_of(node)
    if operator in _MOVES or (operator.startswith("Elementwise") and len(list(streams(node, model))) == 2):
        return True
    return any(is_float(tensor, model) for tensor in streams(node, model))


def streams(node: NodeProto, model: ModelWrapper) -> Iterator[str]:
    """The names of a node's inputs and outputs that are no constants."""
    for tensor in (*node.input, *node.output):
        if tensor and model.get_initializer(tensor) is None:
            yield tensor


def is_float(tensor: str, model: ModelWrapper) -> bool:
    """Whether the values of a tensor are floating point."""
    datatype = model.get_tensor_datatype(tensor)
    return not (datatype.is_integer() or datatype.is_fixed_point())


def _reason(operator: str, node: NodeProto, model: ModelWrapper, part: str) -> Reason | None:
    if not is_layer(node):
        return "FINN has not mapped it to a hardware layer", (
            "Quantise its inputs and outputs, or take it out of the model; "
            "float operators may stand only before and behind all layers."
        )
    layer = layer_of(node)
    if f"{operator}_hls" in library.OPS:
        return _ours(f"{operator}_hls", layer, model)
    if operator.endswith("Shuffle"):
        return "it transposes between layers, for which there is no RTL that can be simulated here", (
            "Have it streamlined away, e.g. by AbsorbTransposeIntoMultiThreshold: "
            "transpositions may stand only before and behind all layers."
        )
    rule = _RULES.get(operator)
    if rule is None:
        return "it has no RTL that can be simulated here", _no_rtl(operator)
    if node.op_type.endswith("_hls"):
        return rule(layer, model, part) or (
            "it was made an HLS layer, which needs Vitis",
            f"Choose {operator}_rtl for it, in design_space.kernels or the file that specialises layers.",
        )
    return rule(layer, model, part)


def _no_rtl(operator: str) -> str:
    known = {*_RULES, *(name.removesuffix("_hls") for name in library.OPS)} - _BETWEEN - {"Requant"}
    return (
        f"Build with the backend finn and Vitis, or do without {operator}: "
        f"there is RTL for {', '.join(sorted(known))}."
    )


def _ours(op_type: str, layer: Any, model: ModelWrapper) -> Reason | None:
    """Of layers that FINN has in HLS alone: what our module for it does not do."""
    try:
        library.core(op_type, layer, model)
    except library.Unsupported as error:
        return error.message, error.cure
    return None


def _plain(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """Of layers whose RTL takes whatever FINN makes of them, if nothing of it changes while it runs."""
    for name in ("dynamic_mode", "runtime_writeable_weights"):
        if _attribute(layer, name):
            return f"{name} needs an AXI-Lite port, which the stitched design does not have", _TAKE_OUT
    if _attribute(layer, "mlo_max_iter"):
        return "its constants change with the round of a loop, and memories here hold one set", _UNROLL
    return None


def _pad(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """The RTL as patched has no case for a layer without padding, and what is padded with is in it."""
    sides = {1: layer.get_nodeattr("PadLeft"), 2: layer.get_nodeattr("PadRight")}
    if not any(sides.values()):
        return "it pads nothing", "Take it out of the model."
    given = layer.onnx_node.input
    for index, count in sides.items():
        if count and (len(given) <= index or model.get_initializer(given[index]) is None):
            return "it is padded with what is no constant", "Pad with constants, or use Concat."
    return _plain(layer, model, part)


def _requant(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """Its RTL computes its constants from floats when it is elaborated, which no open tool does.

    FINN writes these floats with six digits behind the point besides.
    """
    return (
        "its RTL has floating point parameters, which neither Verilator nor Yosys evaluates",
        "Quantise to 8 bits or fewer, or raise requant_bitwidth_threshold, below which FINN has thresholds.",
    )


def _thresholding(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    values, thresholds = layer.get_input_datatype(0), layer.get_input_datatype(1)
    if values.is_integer() and not thresholds.is_integer():
        return (
            f"its input is {values.name} and its thresholds are {thresholds.name}",
            "Apply QONNX's RoundAndClipThresholds before the layers are specialised.",
        )
    return _plain(layer, model, part)


def _mvau(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """`_mvu_rtl_possible`, and what the stitched design has no place for."""
    if not layer.get_nodeattr("noActivation"):
        return "its thresholds are a part of it", "Set standalone_thresholds: true below design_space.config."
    return (
        _mac_widths(layer, part)
        or _narrow_range(layer, model, part)
        or _weight_memory(layer)
        or _plain(layer, model, part)
    )


def _mac_widths(layer: Any, part: str) -> Reason | None:
    if layer.get_nodeattr("binaryXnorMode"):
        return "bipolar weights and inputs (XNOR)", "Quantise weights and activations to 2 bits or more."
    basic = importlib.import_module("finn.util.basic")
    block = basic.get_dsp_block(part)
    most_input, most_weight, most_sum = basic.get_dsp_datapath_limits(block)
    inputs, weights = layer.get_input_datatype(0), layer.get_input_datatype(1)
    sums = layer.get_output_datatype()
    if not (inputs.is_integer() and weights.is_integer()):
        return f"{inputs.name} times {weights.name} is no integer arithmetic", "Quantise its input."
    if inputs.bitwidth() < 2 or weights.bitwidth() < 2:
        return (
            f"{inputs.name} times {weights.name}: its RTL takes 2 bits and more",
            "Quantise weights and activations to 2 bits or more.",
        )
    if inputs.bitwidth() - inputs.signed() >= most_input:
        return f"its input is {inputs.name}, too wide for {block}", "Quantise its input to fewer bits."
    if weights.bitwidth() > most_weight:
        return f"its weights are {weights.name}, too wide for {block}", "Quantise the weights to fewer bits."
    if sums.bitwidth() > most_sum:
        return (
            f"its sums are {sums.name}, too wide for {block}",
            "Set minimize_bit_width: true, or quantise weights and activations to fewer bits.",
        )
    return None


def _narrow_range(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """On 7-series parts the smallest weight of the type cannot be used."""
    if importlib.import_module("finn.util.basic").get_dsp_block(part) != "DSP48E1":
        return None
    datatype = layer.get_input_datatype(1)
    weights = model.get_initializer(layer.onnx_node.input[1])
    if weights is not None and weights.min() > datatype.min():
        return None
    return (
        f"a weight is {datatype.min():g}, the smallest {datatype.name}, which DSP48E1 of {part} cannot do",
        "Quantise the weights with narrow=1, or take an UltraScale+ part.",
    )


def _weight_memory(layer: Any) -> Reason | None:
    """What the stitched design has in place of FINN's weight streamer is a ROM at the one clock."""
    mode = layer.get_nodeattr("mem_mode")
    if mode != "internal_decoupled":
        return f"mem_mode is {mode}", "Set mem_mode: internal_decoupled: weights come from memory here."
    for name in ("pumpedCompute", "pumpedMemory"):
        if _attribute(layer, name):
            return f"{name} needs a second clock", _TAKE_OUT
    if _attribute(layer, "TH", 1) > 1:
        return "it is tiled (TH above 1)", _TAKE_OUT
    if _attribute(layer, "resType") == "lut":
        return "resType is lut, which FINN's RTL does not have", "Set resType: auto or dsp."
    if _attribute(layer, "ram_style") == "ultra":
        return "ram_style is ultra, and UltraRAM cannot hold constants", "Set ram_style: auto or block."
    return None


def _vvau(layer: Any, model: ModelWrapper, part: str) -> Reason | None:
    """`_vvu_rtl_possible`."""
    if not layer.get_nodeattr("noActivation"):
        return "its thresholds are a part of it", "Set standalone_thresholds: true below design_space.config."
    if not importlib.import_module("finn.util.basic").is_versal(part):
        return f"its RTL is made of DSP58, and {part} has none", "Take a Versal part."
    inputs, weights = layer.get_input_datatype(0), layer.get_input_datatype(1)
    if inputs.bitwidth() > (9 if inputs.signed() else 8) or weights.bitwidth() > 8:
        return (
            f"{inputs.name} times {weights.name} is more than DSP58 does at once",
            "Quantise weights and activations to 8 bits or fewer.",
        )
    if not weights.signed():
        return f"its weights are unsigned ({weights.name})", "Quantise the weights with signed=1."
    return _weight_memory(layer) or _plain(layer, model, part)


def _attribute(layer: Any, name: str, absent: Any = 0) -> Any:
    """The value of a node attribute; `absent` where the layer, or this variant of it, has none."""
    return layer.get_nodeattr(name) if name in layer.get_nodeattr_types() else absent


#: Operator whose RTL FINN has -> what it asks for.
_RULES: dict[str, Callable[[Any, Any, str], Reason | None]] = {
    "ConvolutionInputGenerator": _plain,
    "Crop": _plain,
    "FMPadding": _plain,
    "MVAU": _mvau,
    "Pad1D": _pad,
    "Requant": _requant,
    "Reshape": _plain,
    "StreamingDataWidthConverter": _plain,
    "StreamingFIFO": _plain,
    "Thresholding": _thresholding,
    "VVAU": _vvau,
}

"""Why FINN makes no RTL layer of a node, in words, and what would change that.

FINN falls back to HLS with a warning that names no cause. Its conditions are in
`finn.transformation.fpgadataflow.specialize_layers` (finn-plus 1.6.1); they are repeated here to explain
what FINN has decided, never to decide it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper


@dataclass(frozen=True)
class Refusal:
    """One condition that a node does not meet, and what to do about it where something can be done."""

    reason: str
    cure: str = ""


@dataclass(frozen=True)
class _Layer:
    """A node before specialisation: FINN's operator of it, its model and the FPGA part."""

    operator: Any
    node: NodeProto
    model: ModelWrapper
    part: str

    @property
    def versal(self) -> bool:
        return bool(_basic().is_versal(self.part))

    def data(self, index: int) -> Any:
        """Datatype of an input."""
        return self.operator.get_input_datatype(index)

    def attribute(self, name: str) -> Any:
        return self.operator.get_nodeattr(name)


def refusals(node: NodeProto, model: ModelWrapper, part: str) -> list[Refusal]:
    """What keeps FINN from an RTL layer for `node`, a layer not yet specialised; [] where unknown."""
    explain = _BY_KERNEL.get(node.op_type)
    if explain is None:
        return []
    operator = importlib.import_module("qonnx.custom_op.registry").getCustomOp(node)
    return list(explain(_Layer(operator, node, model, part)))


def _basic() -> Any:
    return importlib.import_module("finn.util.basic")


def _no_versal(layer: _Layer) -> Iterator[Refusal]:
    if not layer.versal:
        yield Refusal(f"{layer.part} is no Versal device and has no DSP58", "take a Versal part")


def _thresholds_inside(layer: _Layer) -> Iterator[Refusal]:
    if not layer.attribute("noActivation"):
        yield Refusal("its thresholds are part of the layer", "set standalone_thresholds: true")


def _unsigned_weights(weights: Any) -> Iterator[Refusal]:
    if not weights.min() < 0:
        yield Refusal(f"its weights are {weights.name}, without a sign", "quantise them with a sign")


def _mvau(layer: _Layer) -> Iterator[Refusal]:
    yield from _thresholds_inside(layer)
    if layer.attribute("binaryXnorMode"):
        yield Refusal("its weights and inputs are binary (XNOR)")
    data, weights = layer.data(0), layer.data(1)
    yield from _unsigned_weights(weights)
    yield from _wide_range(layer, weights)
    for what, kind in (("inputs", data), ("weights", weights)):
        if kind.bitwidth() < 2:
            yield Refusal(
                f"its {what} are {kind.name}, less than 2 bits", f"quantise the {what} to 2 bits or more"
            )
    yield from _too_wide(layer, data, weights)


def _wide_range(layer: _Layer, weights: Any) -> Iterator[Refusal]:
    """The multiplier of a DSP48E1 needs weights that leave out the lowest value of their datatype."""
    if _basic().get_dsp_block(layer.part) != "DSP48E1":
        return
    values = layer.model.get_initializer(layer.node.input[1])
    if values is None or values.min() == weights.min():
        yield Refusal(
            f"its weights use the lowest value of {weights.name}, too much for the DSP48E1 of {layer.part}",
            "quantise the weights in narrow range, or take a part with DSP48E2 or DSP58",
        )


def _too_wide(layer: _Layer, data: Any, weights: Any) -> Iterator[Refusal]:
    """Operands that do not fit the ports of the part's DSP block."""
    block = _basic().get_dsp_block(layer.part)
    most_data, most_weights, most_sum = _basic().get_dsp_datapath_limits(block)
    sums = layer.operator.get_output_datatype()
    found = (
        ("inputs", data, data.bitwidth() - int(data.signed()) >= most_data),
        ("weights", weights, weights.bitwidth() > most_weights),
        ("sums", sums, sums.bitwidth() > most_sum),
    )
    for what, kind, too_wide in found:
        if too_wide:
            yield Refusal(
                f"its {what} are {kind.name}, too wide for the {block} of {layer.part}", "lower the bit width"
            )


def _vvau(layer: _Layer) -> Iterator[Refusal]:
    yield from _thresholds_inside(layer)
    yield from _no_versal(layer)
    data, weights = layer.data(0), layer.data(1)
    if data.bitwidth() > 8 + int(data.min() < 0):
        yield Refusal(f"its inputs are {data.name}, wider than 8 bits", "lower the bit width")
    if weights.bitwidth() > 8:
        yield Refusal(f"its weights are {weights.name}, wider than 8 bits", "lower the bit width")
    yield from _unsigned_weights(weights)


def _elementwise(layer: _Layer) -> Iterator[Refusal]:
    yield from _no_versal(layer)
    operands = layer.data(0).name, layer.data(1).name
    if "FLOAT32" not in operands:
        yield Refusal(f"its operands are {' and '.join(operands)}, neither of them FLOAT32")
    styles = layer.attribute("lhs_style"), layer.attribute("rhs_style")
    if styles == ("const", "const"):
        yield Refusal("both operands are constants")
    if styles[0] == "input" and list(layer.attribute("lhs_shape")) != list(layer.attribute("out_shape")):
        yield Refusal("its first operand is broadcast")


def _layer_norm(layer: _Layer) -> Iterator[Refusal]:
    yield from _no_versal(layer)
    if layer.data(0).name != "FLOAT32":
        yield Refusal(f"its inputs are {layer.data(0).name}, not FLOAT32")


def _requant(layer: _Layer) -> Iterator[Refusal]:
    if not layer.data(0).is_integer():
        yield Refusal(f"its inputs are {layer.data(0).name}, not integers")
    if layer.attribute("narrow"):
        yield Refusal("it quantises in narrow range", "quantise in full range")


_BY_KERNEL: dict[str, Callable[[_Layer], Iterator[Refusal]]] = {
    "MVAU": _mvau,
    "VVAU": _vvau,
    "ElementwiseAdd": _elementwise,
    "ElementwiseSub": _elementwise,
    "ElementwiseMul": _elementwise,
    "HWSoftmax": _no_versal,
    "LayerNorm": _layer_norm,
    "Requant": _requant,
}

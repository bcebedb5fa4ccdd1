"""FINN's layers without an RTL variant: which of our modules does each of them, and with which parameters.

The modules lie in `rtl/`, a file each. Their ports, the order of values in a stream and the padding of TDATA
are those of the HLS layer that FINN would have had made. What a module cannot do is refused here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finnmake.backends.open_rtl.library_checks import (
    Description,
    Parameter,
    Unsupported,
    at_most,
    divides,
    holds,
    integer,
)
from finnmake.backends.open_rtl.library_elementwise import RANGES, elementwise

__all__ = ["OPS", "RTL", "Core", "Operator", "Unsupported", "core", "literal"]

#: Where the SystemVerilog files lie.
RTL = Path(__file__).parent / "rtl"

#: So many ports a module has where their number depends on the node.
_BRANCHES = 8
_PARTS = 4


@dataclass(frozen=True)
class Core:
    """A module of `rtl/` with the parameters that make it a certain node.

    Attributes:
        module: its name. Of the streams that it has ports for, only the node's are to be connected.
        file: where it is, a name in the folder `RTL`.
        parameters: name -> value, all that the module has.
        data: name of a file that the module reads when it starts -> its text.
    """

    module: str
    file: str
    parameters: Mapping[str, Parameter]
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operator:
    """A layer of FINN, and our module for it.

    Attributes:
        module: its name; its file is called after it.
        limits: what it cannot do, for the documentation; empty where it does all that FINN's layer does.
        describe: (FINN's node, its model) -> parameters and data of the module; raises Unsupported.
    """

    module: str
    limits: str
    describe: Callable[[Any, Any], Description]


def core(op_type: str, node: Any, model: Any) -> Core:
    """Our module for a node.

    Args:
        op_type: e.g. "Pool_hls".
        node: FINN's `HWCustomOp` of the node.
        model: the `ModelWrapper` that it is in, for constant operands.

    Raises:
        Unsupported: there is no module for such a node, or it cannot do what this one asks for.
    """
    operator = OPS.get(op_type)
    if operator is None:
        raise Unsupported(
            f"{op_type} has no RTL variant",
            cure="Leave this operator to the host, or build with Vivado (backend finn).",
        )
    parameters, data = operator.describe(node, model)
    return Core(operator.module, f"{operator.module}.sv", parameters, data)


def literal(value: Parameter) -> str:
    """A parameter's value as SystemVerilog has it."""
    return f'"{value}"' if isinstance(value, str) else str(int(value))


def _pool(node: Any, model: Any) -> Description:
    """Pool: the streams are [C/PE][window][PE], as FINN's sliding window makes them with depthwise = 1.

    finn-hlslib: maxpool.h (Pool_batch), pool.hpp.
    """
    function = str(node.get_nodeattr("Function"))
    modes = {"MaxPool": "MAX", "AccPool": "SUM", "QuantAvgPool": "SHIFT", "AvgPool": "MEAN"}
    window = math.prod(node.get_nodeattr("KernelSize"))
    source = integer(node.get_input_datatype())
    if function == "AvgPool" and source.signed():
        raise Unsupported(
            "the average of signed values is rounded towards zero in hardware, and not at all in the model",
            cure="Use QuantAvgPool2d, or sum and scale (GlobalAveragePool), or make the input unsigned.",
        )
    shift = int(node.get_nodeattr("Size")) if function == "QuantAvgPool" else 0
    low, high = int(source.min()), int(source.max())
    if function != "MaxPool":
        divisor = window if function == "AvgPool" else 1
        low, high = window * low // divisor >> shift, window * high // divisor >> shift
    return {
        "FUNCTION": modes[function],
        "IN_BITS": source.bitwidth(),
        "IN_SIGNED": int(source.signed()),
        "OUT_BITS": holds(node.get_output_datatype(), low, high).bitwidth(),
        "PE": divides(node.get_nodeattr("PE"), node.get_nodeattr("Channels")),
        "WINDOW": window,
        "FOLDS": 1,
        "SHIFT": shift,
    }, {}


def _global_sum(node: Any, model: Any) -> Description:
    """GlobalAccPool: the streams are [pixel][C/PE][PE]. finn-hlslib: maxpool.h (AccPool_Batch)."""
    vectors = tuple(node.get_nodeattr("numInputVectors"))
    if len(vectors) != 3:
        raise Unsupported(
            f"a global pool over input of shape {vectors} before its channels",
            cure="Give it two dimensions of pixels: (batch, height, width, channels).",
        )
    source = integer(node.get_input_datatype())
    pixels = math.prod(vectors[1:])
    channels = node.get_nodeattr("NumChannels")
    lanes = divides(node.get_nodeattr("PE"), channels)
    target = holds(node.get_output_datatype(), pixels * int(source.min()), pixels * int(source.max()))
    return {
        "FUNCTION": "SUM",
        "IN_BITS": source.bitwidth(),
        "IN_SIGNED": int(source.signed()),
        "OUT_BITS": target.bitwidth(),
        "PE": lanes,
        "WINDOW": pixels,
        "FOLDS": channels // lanes,
        "SHIFT": 0,
    }, {}


def _label_select(node: Any, model: Any) -> Description:
    """LabelSelect: the K labels of a vector follow each other, the best first.

    finn-hlslib: maxpool.h (LabelSelect_Batch). With K > 1 that one differs from ONNX's TopK where fewer than
    K values are above the least of their datatype: it then gives label 0. Ours does what ONNX says.
    """
    source = integer(node.get_input_datatype())
    labels, best = int(node.get_nodeattr("Labels")), int(node.get_nodeattr("K"))
    if not 1 <= best <= labels:
        raise Unsupported(f"the best {best} of {labels} labels", cure="Choose K from 1 to the labels.")
    return {
        "IN_BITS": source.bitwidth(),
        "IN_SIGNED": int(source.signed()),
        "OUT_BITS": holds(node.get_output_datatype(), 0, labels - 1).bitwidth(),
        "PE": divides(node.get_nodeattr("PE"), labels),
        "LABELS": labels,
        "K": best,
    }, {}


def _duplicate(node: Any, model: Any) -> Description:
    """DuplicateStreams: each beat goes out of all ports. finn-hlslib (eki-project's): dup.hpp."""
    outputs = at_most(_BRANCHES, node.get_nodeattr("NumOutputStreams"), "copies of a stream")
    divides(node.get_nodeattr("PE"), node.get_nodeattr("NumChannels"))
    return {"BITS": node.get_instream_width(), "OUTPUTS": outputs}, {}


def _concat(node: Any, model: Any) -> Description:
    """StreamingConcat: a vector of each input in turn, as wide as the output. finn-hlslib: concat.hpp."""
    channels = node.get_nodeattr("ChannelsPerStream")
    lanes = int(node.get_nodeattr("SIMD"))
    inputs = at_most(_PARTS, len(channels), "streams to concatenate")
    parameters: dict[str, Parameter] = {"INPUTS": inputs, "SIMD": lanes}
    target = node.get_output_datatype()
    for index, each in enumerate(channels):
        source = integer(node.get_input_datatype(index))
        holds(target, int(source.min()), int(source.max()))
        parameters[f"BITS{index}"] = source.bitwidth()
        parameters[f"SIGNED{index}"] = int(source.signed())
        parameters[f"BEATS{index}"] = each // divides(lanes, each, "SIMD")
    return {**parameters, "OUT_BITS": target.bitwidth()}, {}


def _split(node: Any, model: Any) -> Description:
    """StreamingSplit: a part of a vector to each output in turn. finn-hlslib: split.hpp."""
    channels = node.get_nodeattr("ChannelsPerStream")
    lanes = int(node.get_nodeattr("SIMD"))
    outputs = at_most(_PARTS, len(channels), "streams to split into")
    parameters: dict[str, Parameter] = {"BITS": node.get_instream_width(), "OUTPUTS": outputs}
    for index, each in enumerate(channels):
        parameters[f"BEATS{index}"] = each // divides(lanes, each, "SIMD")
    return parameters, {}


def _upsample(node: Any, model: Any) -> Description:
    """UpsampleNearestNeighbour: the streams are [row][column][C/SIMD][SIMD]. finn-hlslib: upsample.hpp."""
    scales = []
    for axis, before, after in (("height", "HI", "HO"), ("width", "WI", "WO")):
        size, wanted = int(node.get_nodeattr(before)), int(node.get_nodeattr(after))
        if wanted % size:
            raise Unsupported(
                f"the {axis} {size} is upsampled to {wanted}, which is no whole multiple",
                cure="Choose whole scales: FINN's own layers and models differ in how they round others.",
            )
        scales.append(wanted // size)
    channels = node.get_nodeattr("NumChannels")
    return {
        "BITS": node.get_instream_width(),
        "FOLDS": channels // divides(node.get_nodeattr("SIMD"), channels, "SIMD"),
        "COLUMNS": int(node.get_nodeattr("WI")),
        "SCALE_ROWS": scales[0],
        "SCALE_COLUMNS": scales[1],
    }, {}


#: FINN's layer -> our module for it.
OPS: Mapping[str, Operator] = {
    "Pool_hls": Operator("open_pool", "AvgPool of signed values", _pool),
    "GlobalAccPool_hls": Operator("open_pool", "", _global_sum),
    "LabelSelect_hls": Operator("open_label_select", "", _label_select),
    "DuplicateStreams_hls": Operator("open_duplicate", f"more than {_BRANCHES} outputs", _duplicate),
    "StreamingConcat_hls": Operator("open_concat", f"more than {_PARTS} inputs", _concat),
    "StreamingSplit_hls": Operator("open_split", f"more than {_PARTS} outputs", _split),
    "UpsampleNearestNeighbour_hls": Operator("open_upsample", "scales that are not whole", _upsample),
    **{
        f"Elementwise{name}_hls": Operator(
            "open_elementwise", "floats; a stream that is broadcast", elementwise(name)
        )
        for name in RANGES
    },
}

"""Plugins of the example: a FINN step and an analysis. Edit them and build again: see what runs."""

import json
from math import prod

from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from finnmake.plugins import analysis, step


@step
def small_weights_in_lutram(model, cfg, max_bits=4096):
    """Keep weight memories of up to `max_bits` bits in LUTs, so that they take no block RAM."""
    for node in model.graph.node:
        operator = getCustomOp(node)
        if "ram_style" not in operator.get_nodeattr_types() or len(node.input) < 2:
            continue
        weights = model.get_initializer(node.input[1])
        bits = DataType[operator.get_nodeattr("weightDataType")].bitwidth()
        if prod(weights.shape) * bits <= max_bits:
            operator.set_nodeattr("ram_style", "distributed")
    return model


@analysis
def layer_balance(build):
    """How evenly the layers are folded: the share of the time that each is busy (0 to 1)."""
    cycles = json.loads((build.artifacts / "report" / "estimate_layer_cycles.json").read_text())
    slowest = max(cycles, key=cycles.get)
    return {
        "bottleneck": slowest,
        "busy": {layer: round(count / cycles[slowest], 3) for layer, count in cycles.items()},
    }

"""A FINN step of the example `digits_cnn`. Edit it and build again: see what runs."""

from math import prod

from qonnx.core.datatype import DataType
from qonnx.custom_op.registry import getCustomOp

from finnmake.plugins import step


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

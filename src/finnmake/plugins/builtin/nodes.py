"""What becomes of a node: HLS, RTL, a layer that is yet to be specialised, a partition, or the host's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

#: Where FINN's operators are registered; the specialised ones in `.hls` and `.rtl` below it.
LAYERS = "finn.custom_op.fpgadataflow"

HLS, RTL, LAYER, PARTITION, HOST = "hls", "rtl", "layer", "partition", "host"


#: The layer that runs a graph of layers again and again, which it holds itself.
LOOP = "FINNLoop"


@dataclass(frozen=True)
class Placed:
    """A node, the model that holds it and where that is: `final model`, `partition X`, `loop X`, `parent`."""

    node: Any
    model: Any
    where: str


def inside(model: Any, where: str, partition: Callable[[Any], Any]) -> Iterator[Placed]:
    """The nodes of a model, of its partitions instead of these, and of the bodies of its loops.

    Args:
        model: a `ModelWrapper`.
        where: what it is.
        partition: gives the model behind a `StreamingDataflowPartition`, None where there is none.
    """
    from onnx import helper
    from qonnx.core.modelwrapper import ModelWrapper

    for node in model.graph.node:
        if kind_of(node) == PARTITION:
            child = partition(node)
            if child is not None:
                yield from inside(child, f"partition {node.name}", partition)
            continue
        yield Placed(node, model, where)
        for body in (each.g for each in node.attribute if node.op_type == LOOP and each.name == "body"):
            yield from inside(ModelWrapper(helper.make_model(body)), f"loop {node.name}", partition)


def kind_of(node: Any) -> str:
    """Which of the kinds an ONNX node is."""
    if node.op_type == "StreamingDataflowPartition":
        return PARTITION
    return {f"{LAYERS}.hls": HLS, f"{LAYERS}.rtl": RTL, LAYERS: LAYER}.get(node.domain, HOST)


def attribute(node: Any, name: str) -> str:
    """A text attribute of an ONNX node, empty where it has none."""
    return next((each.s.decode() for each in node.attribute if each.name == name), "")

"""What becomes of a node: HLS, RTL, a layer that is yet to be specialised, a partition, or the host's."""

from __future__ import annotations

from typing import Any

#: Where FINN's operators are registered; the specialised ones in `.hls` and `.rtl` below it.
LAYERS = "finn.custom_op.fpgadataflow"

HLS, RTL, LAYER, PARTITION, HOST = "hls", "rtl", "layer", "partition", "host"


def kind_of(node: Any) -> str:
    """Which of the kinds an ONNX node is."""
    if node.op_type == "StreamingDataflowPartition":
        return PARTITION
    return {f"{LAYERS}.hls": HLS, f"{LAYERS}.rtl": RTL, LAYERS: LAYER}.get(node.domain, HOST)


def attribute(node: Any, name: str) -> str:
    """A text attribute of an ONNX node, empty where it has none."""
    return next((each.s.decode() for each in node.attribute if each.name == name), "")

"""The analysis `verify_ops`: whether every node of the network has become hardware."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finnmake.plugins.build import Build
from finnmake.plugins.builtin.nodes import (
    HLS,
    HOST,
    LAYER,
    PARTITION,
    RTL,
    Placed,
    attribute,
    inside,
    kind_of,
)

#: What only arranges values anew: the host does it in passing, and no arithmetic stays outside.
_LAYOUT = frozenset(("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity"))

#: Operator -> why it is still there at the end of a flow.
_REASONS = {
    "Quant": "a quantiser that step_qonnx_to_finn did not turn into thresholds",
    "BipolarQuant": "a quantiser that step_qonnx_to_finn did not turn into thresholds",
    "MultiThreshold": "thresholds that step_convert_to_hw did not turn into a layer",
    "Im2Col": "part of a convolution that step_convert_to_hw did not turn into a layer",
    "BatchNormalization": "step_streamline did not absorb it into thresholds",
}


def verify_ops(build: Build) -> dict[str, Any]:
    """Find the nodes that are not in hardware: in the final model, its partitions and loops, and around them.

    Around them are the nodes of `intermediate_models/dataflow_parent.onnx` that FINN left outside the
    accelerator. Those that only arrange values anew (`Transpose`, `Reshape` …) are listed, and no fault.

    Returns:
        `ok`: whether no arithmetic is left outside; `counts` of nodes in `hls` and `rtl`, on the `host`, and
        of layers `not_specialised`; `unmapped`: the nodes that are not in hardware, with operator, place and
        reason as far as that is known; `layout_on_host`: those that only arrange values anew.
    """
    warnings: list[str] = []
    nodes = [*_inside(build, warnings), *_around(build)]
    kinds = Counter(kind_of(each.node) for each in nodes)
    left = [each for each in nodes if kind_of(each.node) in (HOST, LAYER)]
    unmapped = [each for each in left if each.node.op_type not in _LAYOUT]
    if not nodes:
        warnings.append("the final model has no nodes")
    if unmapped:
        names = ", ".join(f"{each.node.name} ({each.node.op_type})" for each in unmapped)
        warnings.append(f"not in hardware: {names}")
    return {
        "ok": bool(nodes) and not warnings,
        "counts": {
            "hls": kinds[HLS],
            "rtl": kinds[RTL],
            "not_specialised": kinds[LAYER],
            "host": kinds[HOST],
        },
        "unmapped": [{**_row(each), "reason": _reason(each)} for each in unmapped],
        "layout_on_host": [_row(each) for each in left if each.node.op_type in _LAYOUT],
        "warnings": warnings,
    }


def _inside(build: Build, warnings: list[str]) -> Iterator[Placed]:
    """The nodes of the final model, with a warning for a partition whose model is missing."""
    from qonnx.core.modelwrapper import ModelWrapper

    def partition(node: Any) -> Any:
        child = build.file(attribute(node, "model"))
        if child is not None:
            return ModelWrapper(str(child))
        warnings.append(f"the model of partition {node.name} is missing: its nodes are not known")
        return None

    return inside(build.model, "final model", partition)


def _around(build: Build) -> Iterator[Placed]:
    """The nodes that FINN left outside the accelerator; none where the final model is not the accelerator."""
    from qonnx.core.modelwrapper import ModelWrapper

    path: Path | None = build.dataflow_parent
    if path is None or any(kind_of(node) == HOST for node in build.model.graph.node):
        return
    parent = ModelWrapper(str(path))
    yield from (Placed(node, parent, "parent") for node in parent.graph.node if kind_of(node) != PARTITION)


def _row(placed: Placed) -> dict[str, Any]:
    return {"node": placed.node.name, "operator": placed.node.op_type, "where": placed.where}


def _reason(placed: Placed) -> str | None:
    """Why FINN has made no hardware of a node, where that can be told."""
    node, model = placed.node, placed.model
    if kind_of(node) == LAYER:
        return "step_specialize_layers has made neither an HLS nor an RTL layer of it"
    known = _REASONS.get(node.op_type)
    values = [name for name in node.input if name and model.get_initializer(name) is None]
    floats = [name for name in values if not model.get_tensor_datatype(name).is_integer()]
    if not floats:
        return known
    said = "its input is not quantised to integers"
    return f"{known}: {said}" if known else said

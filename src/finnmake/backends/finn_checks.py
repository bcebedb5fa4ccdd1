"""Checks before FINN's steps, for what FINN ignores silently or reports two steps too late."""

from __future__ import annotations

import difflib
import importlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finnmake.errors import BlueprintError, Location

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

#: Folding attribute -> the dimension that it must divide (FINN's custom operators; the first that one has).
_DIVIDES = {
    "PE": ("MH", "NumChannels", "Channels", "Labels"),
    "SIMD": ("MW", "IFMChannels", "NumChannels"),
}

#: The module of the transformation that names nodes before FINN applies a file.
_NAMING = "finn.transformation.qonnx.give_unique_node_names_recursive"

#: Entries of a folding file that are no nodes.
_NO_NODES = ("Defaults",)


def check_folding(model: ModelWrapper, path: Path, name: str) -> None:
    """Raise BlueprintError where a folding or specialize-layers file does not fit the model.

    Args:
        model: the model that the file is about to be applied to.
        path: the file.
        name: the file as the user knows it.
    """
    entries = _read(path, name)
    naming = importlib.import_module(_NAMING).GiveUniqueNodeNamesRecursive
    nodes = {node.name: node for node in model.transform(naming()).graph.node}
    if any(node.op_type == "FINNLoop" for node in nodes.values()):
        return  # nodes of a loop's body go by names that the file writes with a prefix
    problems = [
        problem
        for key, attributes in entries.items()
        if key not in _NO_NODES
        for problem in _problems(key, attributes, nodes)
    ]
    if problems:
        raise BlueprintError(
            "; ".join(problems),
            where=Location(path=Path(name)),
            cure="auto_folding_config.json of a build with target_fps shows the names and what fits.",
        )


def _read(path: Path, name: str) -> Mapping[str, Any]:
    where = Location(path=Path(name))
    cure = "A folding file is a JSON object: node name -> {attribute: value}."
    try:
        entries = json.loads(path.read_text())
    except OSError as error:
        raise BlueprintError(f"cannot be read: {error.strerror}", where=where, cure=cure) from error
    except ValueError as error:
        line = getattr(error, "lineno", None)
        where = Location(Path(name), line, getattr(error, "colno", None))
        raise BlueprintError(f"this is not JSON: {error}", where=where, cure=cure) from error
    if not isinstance(entries, dict):
        raise BlueprintError(f"holds a {type(entries).__name__}, not an object", where=where, cure=cure)
    return entries


def _problems(key: str, attributes: Any, nodes: Mapping[str, Any]) -> Iterator[str]:
    if key not in nodes:
        near = difflib.get_close_matches(key, nodes, 3) or sorted(nodes)[:6]
        yield f"there is no node {key!r} (the model has {', '.join(near)})"
    elif not isinstance(attributes, dict):
        yield f"node {key!r} has a {type(attributes).__name__} in place of attributes"
    else:
        yield from _misfits(key, attributes, nodes[key])


def _misfits(key: str, attributes: Mapping[str, Any], node: Any) -> Iterator[str]:
    try:
        operator = importlib.import_module("qonnx.custom_op.registry").getCustomOp(node)
        known = operator.get_nodeattr_types()
    except (KeyError, AttributeError, ModuleNotFoundError):
        return  # a plain ONNX node: FINN says itself that it has no such attribute
    for name, value in attributes.items():
        if name == "impl_style" and node.op_type.startswith("StreamingFIFO"):
            continue  # FINN takes this retired attribute and warns
        if name not in known:
            near = difflib.get_close_matches(name, known, 3) or sorted(known)
            yield f"node {key!r} has no attribute {name!r} (the nearest: {', '.join(near[:6])})"
            continue
        dimension = next((each for each in _DIVIDES.get(name, ()) if each in known), None)
        if dimension is None:
            continue
        size = operator.get_nodeattr(dimension)
        if not isinstance(value, int) or value < 1:
            yield f"node {key!r}: {name} is {value!r}, not a whole number from 1 on"
        elif isinstance(size, int) and size % value:
            yield f"node {key!r}: {name}={value} does not divide {dimension}={size}"

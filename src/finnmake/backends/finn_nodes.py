"""Which ONNX node an exception of FINN or QONNX is about, and which nodes have no hardware layer.

FINN names the node in some messages; elsewhere the frames of the traceback know it.
"""

from __future__ import annotations

import ast
import functools
import linecache
import re
import traceback
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import TYPE_CHECKING, Any

from finnmake.errors import NodeFailure

if TYPE_CHECKING:
    from onnx import NodeProto
    from qonnx.core.modelwrapper import ModelWrapper

#: Domains of FINN's hardware layers, before and after specialisation.
HARDWARE = "finn.custom_op.fpgadataflow"

#: Messages of FINN that say that operators are left over.
_LEFT_OVER = re.compile(
    r"cycle-free graph violated|Only a single StreamingDataflowPartition|Unsupported/unmapped layer"
)

#: So many nodes are named.
_SHOWN = 8

#: A frame of a traceback, and the line that it was at: the frame itself may have gone on to clean up.
_Place = tuple[FrameType, int]


def explain(error: BaseException, model: ModelWrapper | None) -> NodeFailure:
    """What is known of an exception, to be raised from it.

    Args:
        model: what the step was given; a model in the traceback goes before, as steps name nodes anew.
    """
    frames = _frames(error)
    models = [*_locals(frames, "ModelWrapper"), *([model] if model is not None else [])]
    message = str(error)
    named = next(filter(None, (_named(message, each) for each in models)), "")
    node = named or next(filter(None, map(_node_of, frames)), "")
    if _LEFT_OVER.search(message) and models:
        left = unmapped(models[0])
        return NodeFailure(node or (label(left[0]) if left else ""), _remark(left, message))
    return NodeFailure(node)


def unmapped(model: ModelWrapper) -> list[NodeProto]:
    """The nodes that are no hardware layers."""
    return [node for node in model.graph.node if not node.domain.startswith(HARDWARE)]


def label(node: NodeProto) -> str:
    """The node's name, or what it does to make which tensor where it has none."""
    if node.name:
        return str(node.name)
    made = node.output[0] if node.output else ""
    return f"{node.op_type} that makes {made}" if made else str(node.op_type)


def _remark(left: list[NodeProto], message: str) -> str:
    """The nodes without a hardware layer, with their operators, unless the message names them all."""
    if not left or all(node.name and node.name in message for node in left):
        return ""
    shown = ", ".join(f"{label(node)} ({node.op_type})" for node in left[:_SHOWN])
    more = f" and {len(left) - _SHOWN} more" if len(left) > _SHOWN else ""
    return f"without a hardware layer: {shown}{more}"


def _frames(error: BaseException) -> list[_Place]:
    """The frames of a traceback and of what led to it, the innermost first."""
    found: list[_Place] = []
    seen: set[int] = set()
    at: BaseException | None = error
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        found += reversed(list(traceback.walk_tb(at.__traceback__)))
        at = at.__cause__ or at.__context__
    return found


def _locals(frames: list[_Place], kind: str) -> Iterator[Any]:
    """The variables of a class, those of the innermost frame first, and `model` before others."""
    for frame, _ in frames:
        found = {name: each for name, each in frame.f_locals.items() if type(each).__name__ == kind}
        yield from sorted(found.values(), key=lambda each: each is not found.get("model"))


def _named(message: str, model: ModelWrapper) -> str:
    """The first node of a model that a message names; of several at one place the longest."""
    names = {node.name for node in model.graph.node if not node.name.isalpha()} - {""}  # `Conv` is a word too
    found = [
        (match.start(), -len(name), name)
        for name in names
        # Folders of generated code are called after their node, with words before and after it.
        if (match := re.search(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])", message))
    ]
    return min(found)[2] if found else ""


def _node_of(place: _Place) -> str:
    """The node that a frame is about: that of its operator, its argument, or the round of its loop."""
    frame, line = place
    owner: Any = getattr(frame.f_locals.get("self"), "onnx_node", None)
    if _is_node(owner):
        return label(owner)
    code = frame.f_code
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    for name, value in frame.f_locals.items():
        if _is_node(value) and (name in arguments or _in_loop(code, name, line)):
            return label(value)
    return ""


def _is_node(value: Any) -> bool:
    return type(value).__name__ == "NodeProto"


def _in_loop(code: CodeType, name: str, line: int) -> bool:
    """Whether a line is in a loop over `name`: after it, the variable has what the last round left."""
    return any(
        name == variable and code.co_firstlineno <= start <= line <= end
        for variable, start, end in _loops(code.co_filename)
    )


@functools.cache
def _loops(file: str) -> tuple[tuple[str, int, int], ...]:
    """The variables of the loops of a source file, with first and last line of each loop."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return ()
    return tuple(
        (variable.id, loop.lineno, loop.end_lineno or loop.lineno)
        for loop in ast.walk(tree)
        if isinstance(loop, ast.For)
        for variable in ast.walk(loop.target)
        if isinstance(variable, ast.Name)
    )

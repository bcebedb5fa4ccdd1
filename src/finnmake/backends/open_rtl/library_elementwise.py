"""FINN's elementwise layers as parameters of `rtl/open_elementwise.sv`, and their constants as its data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from finnmake.backends.open_rtl.library_checks import (
    Description,
    Parameter,
    Unsupported,
    divides,
    holds,
    integer,
)
from finnmake.hashing import digest_bytes

#: Operation -> least and greatest result on values within bounds.
RANGES: dict[str, Callable[[tuple[int, int], tuple[int, int]], tuple[int, int]]] = {
    "Add": lambda a, b: (a[0] + b[0], a[1] + b[1]),
    "Sub": lambda a, b: (a[0] - b[1], a[1] - b[0]),
    "Mul": lambda a, b: (min(x * y for x in a for y in b), max(x * y for x in a for y in b)),
    "AbsDiff": lambda a, b: (0, max(a[1] - b[0], b[1] - a[0])),
    "Max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
}


def elementwise(name: str) -> Callable[[Any, Any], Description]:
    """How a layer Elementwise{name} is described: (FINN's node, its model) -> parameters and data.

    It works on two streams of the same shape, or on a stream and a constant of any shape that broadcasts. The
    streams are [the output's shape but for channels][C/PE][PE]. A constant is in the module, in as many bits
    as its values need, whatever `mem_mode` says. FINN: hls/elementwise_binary_hls.py.
    """

    def describe(node: Any, model: Any) -> Description:
        if node.get_nodeattr("mlo_max_iter"):
            raise Unsupported("a constant that changes with the round of a loop", cure="Do not roll loops.")
        lanes = divides(node.get_nodeattr("PE"), node.get_normal_output_shape()[-1])
        parameters: dict[str, Parameter] = {"OPERATION": name.upper(), "PE": lanes}
        bounds: list[tuple[int, int]] = []
        constants: dict[str, Any] = {}
        for index, side in enumerate(("LHS", "RHS")):
            if node.get_nodeattr(f"{side.lower()}_style") == "const":
                beats = _constant(node, model.get_initializer(node.onnx_node.input[index]), lanes)
                low, high = int(beats.min()), int(beats.max())
                signed = low < 0
                bits = max(~low if signed else low, high, 1).bit_length() + signed
                constants[side] = (beats, bits)
            else:
                source = integer(node.get_input_datatype(index))
                _whole(node, index)
                low, high = int(source.min()), int(source.max())
                bits, signed = source.bitwidth(), source.signed()
            bounds.append((low, high))
            parameters |= {f"{side}_BITS": bits, f"{side}_SIGNED": int(signed)}
        if len(constants) == 2:
            raise Unsupported("both operands are constants", cure="Run QONNX's FoldConstants first.")
        parameters["OUT_BITS"] = holds(node.get_output_datatype(), *RANGES[name](*bounds)).bitwidth()
        if not constants:
            return {**parameters, "CONSTANT": "NONE", "DEPTH": 1, "FILE": ""}, {}
        ((side, (beats, bits)),) = constants.items()
        text = _hexadecimal(beats, bits)
        file = f"constants_{digest_bytes(text.encode())[:12]}.dat"
        return {**parameters, "CONSTANT": side, "DEPTH": len(beats), "FILE": file}, {file: text}

    return describe


def _whole(node: Any, index: int) -> None:
    """Nothing, if a streamed operand has the output's shape. Raises Unsupported."""
    shape = tuple(node.get_normal_input_shape(index))
    wanted = tuple(node.get_normal_output_shape())
    if (1,) * (len(wanted) - len(shape)) + shape != wanted:
        raise Unsupported(
            f"the stream of shape {shape} is broadcast to {wanted}",
            cure="Give both streams the same shape, or make the smaller one a constant.",
        )


def _constant(node: Any, values: Any, lanes: int) -> Any:
    """A constant operand as the beats that repeat over the output, of shape (depth, PE).

    Its annotated type does not matter: FINN's MinimizeWeightBitWidth says BIPOLAR of constants from -1 to 0.
    """
    if values is None:
        raise Unsupported("a constant operand without values", cure="Give the model its initialiser.")
    if (values != np.round(values)).any():
        raise Unsupported(
            "constants that are no integers",
            cure="Streamline them into thresholds or into a scale at the end, which the host does.",
        )
    whole = np.broadcast_to(values.astype(np.int64), node.get_normal_output_shape()).reshape(-1, lanes)
    count = len(whole)
    for depth in (each for each in range(1, count + 1) if count % each == 0):
        if (whole.reshape(-1, depth, lanes) == whole[:depth]).all():
            return whole[:depth]
    raise AssertionError("the whole repeats once")


def _hexadecimal(beats: Any, bits: int) -> str:
    """Beats for $readmemh, a line each; element 0 in the low bits."""
    digits = -(-beats.shape[1] * bits // 4)
    mask = (1 << bits) - 1
    lines = []
    for beat in beats.tolist():
        word = sum((value & mask) << (bits * lane) for lane, value in enumerate(beat))
        lines.append(f"{word:0{digits}x}\n")
    return "".join(lines)

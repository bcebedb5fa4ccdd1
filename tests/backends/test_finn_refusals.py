"""The reasons given for FINN's fallback to HLS are there exactly when FINN falls back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: FPGA parts with each of the DSP blocks that FINN knows.
PARTS = {
    "DSP48E1": "xc7z020clg400-1",
    "DSP48E2": "xczu3eg-sbva484-1-e",
    "DSP58": "xcvc1902-vsva2197-2MP-e-S",
}

TYPES = ("BIPOLAR", "BINARY", "UINT2", "INT2", "INT4", "UINT8", "INT8", "INT9", "UINT17", "INT19", "INT26")

# One node of a kind after another in FINN's own process: what FINN decides, and what is said of it.
SCRIPT = """
import itertools, json, sys

import numpy as np

from finnmake.backends import finn
from finnmake.backends.finn_refusals import refusals

finn.preload()
from finn.transformation.fpgadataflow.specialize_layers import _determine_impl_style
from onnx import TensorProto, helper
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper

parts, types = json.loads(sys.argv[1]), json.loads(sys.argv[2])


def model(kernel, weights, **attributes):
    node = helper.make_node(
        kernel, ["x", "w"], ["y"], name=f"{kernel}_0", domain="finn.custom_op.fpgadataflow",
        backend="fpgadataflow", preferred_impl_style="rtl", **attributes,
    )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
    made = ModelWrapper(helper.make_model(helper.make_graph([node], "one", [ends[0]], [ends[1]])))
    made.set_initializer("w", np.array(weights, dtype=np.float32))
    return made


def nodes():
    for data, weights, sums in itertools.product(types, types, ("INT32", "INT50", "INT60")):
        kinds = dict(inputDataType=data, weightDataType=weights, outputDataType=sums)
        low = DataType[weights].min()
        for values, inside, xnor in itertools.product(([[low]], [[1.0]]), (0, 1), (0, 1)):
            size = dict(PE=1, SIMD=1, MW=4, MH=4)
            yield model("MVAU", values, **kinds, **size, noActivation=inside, binaryXnorMode=xnor)
    for data, weights, inside in itertools.product(types, types, (0, 1)):
        kinds = dict(inputDataType=data, weightDataType=weights, outputDataType="INT32")
        size = dict(PE=1, Dim=[4, 4], Channels=4, Kernel=[1, 1])
        yield model("VVAU", [[1.0]], **kinds, **size, noActivation=inside)
    for data, other in itertools.product(("INT8", "FLOAT32"), repeat=2):
        for left, right, shape in itertools.product(("input", "const"), ("input", "const"), ([1, 4], [1, 1])):
            kinds = dict(lhs_dtype=data, rhs_dtype=other, out_dtype="FLOAT32")
            size = dict(lhs_shape=shape, rhs_shape=[1, 4], out_shape=[1, 4])
            yield model("ElementwiseAdd", [[1.0]], **kinds, **size, lhs_style=left, rhs_style=right)
    for data in ("INT8", "FLOAT32"):
        yield model("HWSoftmax", [[1.0]], ifm_dim=[1, 4], input_data_type=data, SIMD=1)
        kinds = dict(inputDataType=data, outputDataType="FLOAT32")
        yield model("LayerNorm", [[1.0]], SIMD=1, ifm_dim=[1, 4], epsilon=1e-5, **kinds)
        for narrow in (0, 1):
            kinds = dict(inputDataType=data, outputDataType="INT4")
            yield model("Requant", [[1.0]], NumChannels=4, narrow=narrow, **kinds)


for made in nodes():
    for block, part in parts.items():
        node = made.graph.node[0]
        said = [refusal.reason for refusal in refusals(node, made, part)]
        print(json.dumps([node.op_type, block, _determine_impl_style(node, part, made) == "rtl", said]))
"""


@cache
def decisions() -> list[Any]:
    """(kernel, DSP block, whether FINN makes RTL of it, the reasons against it) of many nodes."""
    command = [sys.executable, "-c", SCRIPT, json.dumps(PARTS), json.dumps(TYPES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]


def of(kernel: str) -> Iterable[tuple[str, bool, list[str]]]:
    return [(block, rtl, said) for name, block, rtl, said in decisions() if name == kernel]


@pytest.mark.parametrize("kernel", ["MVAU", "VVAU", "ElementwiseAdd", "HWSoftmax", "LayerNorm", "Requant"])
def test_there_is_a_reason_exactly_where_finn_makes_no_rtl(kernel: str) -> None:
    found = of(kernel)
    assert {rtl for _, rtl, _ in found} == {True, False}
    for block, rtl, said in found:
        assert rtl == (not said), (block, said)


def test_reasons_name_what_is_in_the_way() -> None:
    said = {(block, reason) for block, _, reasons in of("MVAU") for reason in reasons}
    assert (
        "DSP48E1",
        "its weights use the lowest value of INT4, too much for the DSP48E1 of xc7z020clg400-1",
    ) in said
    assert ("DSP58", "its sums are INT60, too wide for the DSP58 of xcvc1902-vsva2197-2MP-e-S") in said
    assert ("DSP58", "its weights are UINT8, without a sign") in said
    said = {(block, reason) for block, _, reasons in of("VVAU") for reason in reasons}
    assert ("DSP48E2", "xczu3eg-sbva484-1-e is no Versal device and has no DSP58") in said

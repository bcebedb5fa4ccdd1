"""FINN's nodes that the library has modules for, with stimuli: all values where they are few, else random."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tests.backends.open_rtl.library_bench import Case

#: Alterations that show only where a sink waits: what a module holds for it is then lost.
HASTY = {
    "max_unsigned": (
        "assign in0_V_TREADY = !last || !out0_V_TVALID || out0_V_TREADY;",
        "assign in0_V_TREADY = 1;",
    ),
    "top3_all": ("assign in0_V_TREADY = !last || waiting == 0 ||", "assign in0_V_TREADY = 1 ||"),
    "duplicate_8": ("assign in0_V_TREADY = left == 0;", "assign in0_V_TREADY = 1;"),
    "concat_four": ("wire free = !out0_V_TVALID || out0_V_TREADY;", "wire free = 1;"),
    "split_four": ("assign in0_V_TREADY = (waiting & ~ready) == 0;", "assign in0_V_TREADY = 1;"),
    "upsample_rows": ("wire free = !out0_V_TVALID || out0_V_TREADY;", "wire free = 1;"),
    "plus_each": ("wire free = !out0_V_TVALID || out0_V_TREADY;", "wire free = 1;"),
}


def integers(datatype: str, *shape: int, seed: int = 0) -> np.ndarray:
    """Random values of a type, its least and greatest among them."""
    from qonnx.core.datatype import DataType

    low, high = int(DataType[datatype].min()), int(DataType[datatype].max())
    values = np.random.default_rng(seed).integers(low, high + 1, shape)
    values.reshape(-1)[:2] = low, high
    return values.astype(np.float32)


def all_tuples(datatype: str, count: int) -> np.ndarray:
    """All tuples of `count` values of a type, of shape (tuples, count)."""
    from qonnx.core.datatype import DataType

    values = range(int(DataType[datatype].min()), int(DataType[datatype].max()) + 1)
    return np.array(list(itertools.product(values, repeat=count)), np.float32)


def pool(
    name: str, function: str, source: str, target: str, *, inputs: Any = None, size: int = 0, **more: Any
) -> Case:
    shape = {"Channels": 4, "PE": 2, "KernelSize": [2, 2], "OutImgDims": [2, 3], **more}
    altered = shape.pop("alteration", None)
    rows, columns = shape["OutImgDims"]
    depth = shape["Channels"] * int(np.prod(shape["KernelSize"]))
    values = integers(source, 6, 1, rows, columns, depth) if inputs is None else inputs
    attributes = {"Function": function, "InputDataType": source, "OutputDataType": target, "Size": size}
    return Case(
        name,
        "Pool",
        {**shape, **attributes},
        [values],
        floor=function == "AvgPool",
        alteration=altered,
    )


def pools() -> Iterator[Case]:
    pairs = all_tuples("INT3", 2).reshape(8, 1, 1, 8, 2)
    exhaustive = {"Channels": 1, "PE": 1, "KernelSize": [1, 2], "OutImgDims": [1, 8], "inputs": pairs}
    yield pool("max_all_pairs", "MaxPool", "INT3", "INT3", **exhaustive, alteration=("a > b ?", "a < b ?"))
    yield pool("max_unsigned", "MaxPool", "UINT4", "UINT4", KernelSize=[3, 3], PE=4)
    yield pool("max_one", "MaxPool", "INT8", "INT8", KernelSize=[1, 1], PE=1)
    yield pool("max_binary", "MaxPool", "BINARY", "BINARY", PE=4)
    yield pool("sum_all_pairs", "AccPool", "INT3", "INT4", **exhaustive)
    yield pool("sum_wide", "AccPool", "UINT8", "INT32", PE=1)
    # QONNX's QuantAvgPool2d: as many bits as the sum of the greatest values has, less those of the output.
    yield pool("shift_signed", "QuantAvgPool", "INT4", "INT4", size=2, alteration=("= c >>> SHIFT", "= c"))
    yield pool("shift_unsigned", "QuantAvgPool", "UINT8", "UINT4", size=8, KernelSize=[3, 3])
    yield pool("mean", "AvgPool", "UINT5", "UINT5", KernelSize=[3, 3])
    for name, datatype, lanes in (("global_signed", "INT4", 2), ("global_unsigned", "UINT7", 1)):
        yield Case(
            name,
            "GlobalAccPool",
            {"NumChannels": 6, "PE": lanes, "inputDataType": datatype, "numInputVectors": [1, 5, 3]},
            [integers(datatype, 4, 1, 5, 3, 6)],
            alteration=("accumulators[FOLDS-1]", "accumulators[0]") if lanes == 2 else None,
        )


def label_selects() -> Iterator[Case]:
    def case(name: str, datatype: str, labels: int, lanes: int, best: int, inputs: Any, **more: Any) -> Case:
        attributes = {"Labels": labels, "PE": lanes, "K": best, "inputDataType": datatype}
        return Case(name, "LabelSelect", attributes, [inputs], **more)

    ties = ("if (candidate.rank > next[0].rank)", "if (candidate.rank >= next[0].rank)")
    yield case("top1_all", "INT2", 4, 2, 1, all_tuples("INT2", 4).reshape(-1, 1, 4), alteration=ties)
    yield case("top3_all", "UINT2", 4, 1, 3, all_tuples("UINT2", 4).reshape(-1, 1, 4))
    yield case("top4_of_four", "INT2", 4, 4, 4, all_tuples("INT2", 4).reshape(-1, 1, 4))
    yield case("top1_wide", "INT9", 10, 5, 1, integers("INT9", 40, 1, 10))
    yield case("top5_many", "UINT3", 300, 3, 5, integers("UINT3", 4, 1, 300))


def movers() -> Iterator[Case]:
    attributes = {"NumChannels": 6, "PE": 3, "inputDataType": "INT5", "numInputVectors": [1, 2, 2]}
    for count in (2, 8):
        yield Case(
            f"duplicate_{count}",
            "DuplicateStreams",
            {**attributes, "NumOutputStreams": count},
            [integers("INT5", 5, 1, 2, 2, 6)],
            outputs=count,
            alteration=("assign out1_V_TDATA = out0_V_TDATA;", "assign out1_V_TDATA = '0;")
            if count == 2
            else None,
        )
    for name, types, channels, altered in (
        ("concat_mixed", ["INT4", "UINT5"], [4, 6], ("SIGNED0 &&", "1'b0 &&")),
        ("concat_four", ["UINT3", "UINT3", "BINARY", "UINT8"], [2, 2, 8, 4], None),
        ("concat_one", ["INT3"], [4], None),
    ):
        yield Case(
            name,
            "StreamingConcat",
            {"SIMD": 2, "ChannelsPerStream": channels, "inputDataTypes": types, "numInputVectors": [1, 3]},
            [
                integers(each, 6, 1, 3, count, seed=index)
                for index, (each, count) in enumerate(zip(types, channels, strict=True))
            ],
            alteration=altered,
        )
    for name, channels, altered in (
        ("split_two", [6, 2], ("turn[OUTPUTS-1] ? 1 : turn << 1", "turn[OUTPUTS-1] ? 1 : turn << 2")),
        ("split_four", [2, 4, 4, 2], None),
    ):
        yield Case(
            name,
            "StreamingSplit",
            {"SIMD": 2, "ChannelsPerStream": channels, "inputDataType": "INT6", "numInputVectors": [1, 3]},
            [integers("INT6", 6, 1, 3, sum(channels))],
            outputs=len(channels),
            alteration=altered,
        )
    for name, rows, columns, altered in (
        ("upsample", 2, 3, ("row_copy == 0;", "row_copy == 1;")),
        ("upsample_columns", 1, 2, None),
        ("upsample_rows", 4, 1, None),
        ("upsample_nothing", 1, 1, None),
    ):
        yield Case(
            name,
            "UpsampleNearestNeighbour",
            {
                "SIMD": 2,
                "HI": 3,
                "WI": 4,
                "HO": 3 * rows,
                "WO": 4 * columns,
                "NumChannels": 6,
                "inputDataType": "INT3",
            },
            [integers("INT3", 3, 1, 3, 4, 6)],
            alteration=altered,
        )


def elementwise_case(
    name: str, operation: str, types: list[str], tensors: list[np.ndarray], lanes: int, **more: Any
) -> Case:
    constant = more.get("constant")
    shapes = [list(each.shape[1:]) for each in tensors]
    styles = ["input", "input"]
    if constant is not None:
        shapes.insert(constant[0], list(constant[1].shape))
        styles[constant[0]] = "const"
    attributes = {
        "lhs_dtype": types[0],
        "rhs_dtype": types[1],
        "out_dtype": "INT32",
        "lhs_shape": shapes[0],
        "rhs_shape": shapes[1],
        "out_shape": list(np.broadcast_shapes(*shapes)),
        "lhs_style": styles[0],
        "rhs_style": styles[1],
        "PE": lanes,
    }
    return Case(name, f"Elementwise{operation}", attributes, tensors, **more)


def elementwise() -> Iterator[Case]:
    altered = {"Sub": ("assign c = a - b;", "assign c = a + b;"), "Mul": ("RHS_SIGNED && ", "1'b0 && ")}
    types_of = {
        "Add": (["INT4", "INT4"], ["UINT4", "UINT4"], ["UINT4", "INT4"]),
        "Sub": (["INT4", "INT4"], ["UINT4", "INT4"]),
        "Mul": (["INT4", "INT4"], ["UINT4", "UINT4"], ["UINT4", "INT4"]),
        "AbsDiff": (["INT4", "UINT4"],),
        "Max": (["UINT4", "INT4"], ["INT4", "INT4"]),
    }
    for operation, types in ((each, types) for each, group in types_of.items() for types in group):
        grid = np.array(list(itertools.product(*(all_tuples(each, 1)[:, 0] for each in types))), np.float32)
        yield elementwise_case(
            f"{operation}_{'_'.join(types)}".lower(),
            operation,
            types,
            [np.ascontiguousarray(grid[:, side]).reshape(8, 1, 4, 8) for side in (0, 1)],
            4,
            alteration=altered.get(operation) if types == ["INT4", "INT4"] else None,
        )


def constants() -> Iterator[Case]:
    wide = integers("UINT7", 4, 1, 3, 6, seed=1)
    for name, operation, types, values, side in (
        ("times_channel", "Mul", ["UINT7", "INT5"], integers("INT5", 6), 1),
        ("minus_scalar", "Sub", ["UINT7", "UINT3"], np.array([5.0]), 1),
        ("constant_minus", "Sub", ["INT6", "UINT7"], integers("INT6", 1, 3, 1), 0),
        ("plus_each", "Add", ["UINT7", "INT3"], integers("INT3", 1, 3, 6), 1),
    ):
        change = ("int'(place) == DEPTH - 1", "1'b1") if name == "times_channel" else None
        yield elementwise_case(name, operation, types, [wide], 2, constant=(side, values), alteration=change)


def every_case() -> list[Case]:
    """All of them; their names differ."""
    cases = [*pools(), *label_selects(), *movers(), *elementwise(), *constants()]
    for case in cases:
        case.alteration = HASTY.get(case.name, case.alteration)
    return cases

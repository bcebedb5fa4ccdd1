"""Each module of the library alone: exact on exhaustive or random values, under stalls, at full rate."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from finnmake.backends import finn
from finnmake.backends.open_rtl import library
from finnmake.engine.parts import Parts
from tests.backends.open_rtl.library_bench import Bench, Case
from tests.backends.open_rtl.library_cases import HASTY, constants, elementwise_case, every_case, pool

pytestmark = pytest.mark.finn

#: Percent of cycles in which sources and sinks stall.
STALLS = [(0, 0), (50, 0), (0, 70), (40, 40)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Bench:
    finn.preload()
    return Bench.build(every_case(), tmp_path_factory.mktemp("bench"), runtime)


@pytest.mark.slow
@pytest.mark.parametrize(("source", "sink"), STALLS)
def test_modules_are_exact_and_hold_what_waits(bench: Bench, source: int, sink: int) -> None:
    seen = bench.run(source_stall=source, sink_stall=sink)
    assert [name for name, case in bench.cases.items() if seen.words[name] != case.expected] == []
    assert seen.failed == set()


@pytest.mark.slow
def test_modules_are_as_fast_as_finn_expects(bench: Bench) -> None:
    seen = bench.run()
    late = {}
    for name, case in bench.cases.items():
        given = max(len(words) for words in case.expected)
        cycles = max(int(case.node.get_exp_cycles()) * len(case.inputs[0]), given)
        latency = case.attributes.get("K", 1) + 1  # the last labels leave after all values came
        if seen.last[name] > cycles + latency:
            late[name] = (seen.last[name], cycles)
    assert late == {}


@pytest.mark.slow
def test_altered_modules_are_seen(bench: Bench) -> None:
    """Else the bench would not notice a module that is wrong."""
    seen = bench.run()
    altered = {name: case for name, case in bench.cases.items() if case.alteration and name not in HASTY}
    assert {case.core.module for case in altered.values()} == {each.module for each in library.OPS.values()}
    assert [name for name, case in altered.items() if seen.words[f"{name}_altered"] == case.expected] == []


@pytest.mark.slow
def test_a_module_that_does_not_hold_what_waits_fails_its_assertion(bench: Bench) -> None:
    seen = bench.run(altered_stall=70)
    assert seen.failed >= {f"{name}_altered" for name in HASTY}


@pytest.mark.slow
def test_yosys_reads_them(bench: Bench) -> None:
    """Every module with the parameters of every case, by Yosys' slang front end."""
    instances = []
    for name, case in bench.cases.items():
        values = ", ".join(f".{key}({library.literal(value)})" for key, value in case.core.parameters.items())
        instances.append(f"  {case.core.module} #({values}) {name} ();\n")
    (bench.folder / "all.sv").write_text(f"module all;\n{''.join(instances)}endmodule\n")
    files = " ".join(str(path) for path in sorted(library.RTL.glob("*.sv")))
    passes = [f"read_slang --top all --ignore-assertions {files} all.sv", "hierarchy -check", "proc", "stat"]
    script = f"from pyosys import libyosys\nfor each in {passes!r}: libyosys.run_pass(each)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=bench.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    for name in bench.cases:
        assert re.search(rf"{name}\b", done.stdout), name


def refused(case: Case) -> library.Unsupported:
    finn.preload()
    with pytest.raises(library.Unsupported) as caught:
        _ = case.core
    assert caught.value.cure
    return caught.value


def test_parameters_of_a_pool() -> None:
    finn.preload()
    core = pool("", "QuantAvgPool", "UINT8", "UINT4", size=8, KernelSize=[3, 3], PE=4).core
    assert (core.module, core.file, core.data) == ("open_pool", "open_pool.sv", {})
    assert core.parameters == {
        "FUNCTION": "SHIFT",
        "IN_BITS": 8,
        "IN_SIGNED": 0,
        "OUT_BITS": 4,
        "PE": 4,
        "WINDOW": 9,
        "FOLDS": 1,
        "SHIFT": 8,
    }


def test_constants_are_kept_once_and_named_by_their_content() -> None:
    finn.preload()
    same = [case.core for case in constants() for _ in range(2) if case.name == "times_channel"]
    assert same[0] == same[1]
    core = same[0]
    ((name, text),) = core.data.items()
    assert core.parameters["FILE"] == name
    assert core.parameters["DEPTH"] == 3  # 6 channels by 2, for all pixels
    assert len(text.splitlines()) == 3
    scalar = next(case.core for case in constants() if case.name == "minus_scalar")
    assert (scalar.parameters["DEPTH"], scalar.data) == (1, {scalar.parameters["FILE"]: "2d\n"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "FLOAT32", "target": "FLOAT32"}, "type FLOAT32"),
        ({"source": "BIPOLAR", "target": "BIPOLAR"}, "type BIPOLAR"),
        ({"PE": 3}, "PE = 3 does not divide 4 channels"),
        ({"function": "AvgPool"}, "rounded towards zero"),
        ({"function": "AccPool"}, "results from -32 to 28 do not fit the output's type INT4"),
    ],
)
def test_pools_that_are_refused(changes: dict[str, Any], words: str) -> None:
    settings = {"function": "MaxPool", "source": "INT4", "target": "INT4", **changes}
    assert words in refused(pool("", **settings, inputs=np.zeros(1))).message


def test_a_sum_of_ternary_values_that_finn_makes_unsigned() -> None:
    """FINN takes the type of the greatest sum alone where it is as far from 0 as the least."""
    attributes = {"NumChannels": 2, "PE": 1, "inputDataType": "TERNARY", "numInputVectors": [1, 4, 4]}
    case = Case("", "GlobalAccPool", attributes, [np.zeros(1)])
    assert "results from -16 to 16 do not fit" in refused(case).message


def test_a_sum_of_mixed_sign_that_finn_makes_too_narrow() -> None:
    """FINN derives INT5 for INT4 + UINT4, which reaches 22; for UINT4 + INT4 it derives INT6."""
    zeros = np.zeros((1, 1, 4))
    case = elementwise_case("", "Add", ["INT4", "UINT4"], [zeros, zeros], 1)
    assert "results from -8 to 22 do not fit the output's type INT5" in refused(case).message


def test_a_stream_that_is_broadcast_is_refused() -> None:
    case = elementwise_case("", "Add", ["INT4", "INT4"], [np.zeros((1, 1, 3, 4)), np.zeros((1, 1, 1, 4))], 1)
    assert "shape (1, 1, 4) is broadcast to (1, 3, 4)" in refused(case).message


def test_constants_that_are_fractions_are_refused() -> None:
    zeros = np.zeros((1, 1, 4))
    case = elementwise_case("", "Mul", ["INT4", "INT4"], [zeros], 1, constant=(1, np.array([0.5])))
    assert "constants that are no integers" in refused(case).message


@pytest.mark.parametrize(
    ("operator", "attributes", "words"),
    [
        (
            "DuplicateStreams",
            {"NumChannels": 2, "PE": 1, "inputDataType": "INT4", "NumOutputStreams": 9},
            "9 copies of a stream",
        ),
        (
            "StreamingConcat",
            {"SIMD": 2, "ChannelsPerStream": [4, 3], "inputDataTypes": ["INT4", "INT4"]},
            "SIMD = 2 does not divide 3 channels",
        ),
        (
            "StreamingSplit",
            {"SIMD": 1, "ChannelsPerStream": [1] * 5, "inputDataType": "INT4"},
            "5 streams to split into",
        ),
        (
            "UpsampleNearestNeighbour",
            {"SIMD": 1, "HI": 2, "WI": 2, "HO": 4, "WO": 5, "NumChannels": 1, "inputDataType": "INT4"},
            "the width 2 is upsampled to 5",
        ),
        (
            "LabelSelect",
            {"Labels": 4, "PE": 1, "K": 5, "inputDataType": "INT4"},
            "the best 5 of 4 labels",
        ),
        (
            "GlobalAccPool",
            {"NumChannels": 2, "PE": 1, "inputDataType": "INT4", "numInputVectors": [1, 4]},
            "shape (1, 4) before its channels",
        ),
    ],
)
def test_layers_that_are_refused(operator: str, attributes: dict[str, Any], words: str) -> None:
    assert words in refused(Case("", operator, attributes, [np.zeros(1)])).message


def test_an_operator_that_is_not_in_the_table() -> None:
    with pytest.raises(library.Unsupported, match="Lookup_hls has no RTL variant"):
        library.core("Lookup_hls", None, None)


def test_the_table_has_layers_of_finn_and_files_that_exist() -> None:
    finn.preload()
    from finn.custom_op.fpgadataflow.hls import custom_op

    assert set(library.OPS) <= set(custom_op)
    assert {f"{each.module}.sv" for each in library.OPS.values()} == {
        path.name for path in library.RTL.glob("*.sv")
    }

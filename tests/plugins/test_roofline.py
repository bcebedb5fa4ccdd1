"""What the device could do at most, worked out from stated assumptions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.errors import BlueprintError
from finnmake.plugins.builtin.roofline import Work, roofline
from tests.plugins.crafted import crafted, layers
from tests.plugins.real_flow import DEVICE

MODEL = layers(("A", ["x"]), ("B", ["a"]))
COUNTS = {
    "A": {"op_mac_2bx8b": 4096, "param_weight_2b": 4096},
    "B": {"op_mac_2bx8b": 4096, "param_weight_2b": 4096},
    "total": {"op_mac_2bx8b": 8192.0, "param_weight_2b": 8192.0},
}
REPORTS = {"op_and_param_counts": COUNTS}

#: FINN's estimate of a multiplication of 2 by 8 bits and its additions: 1.1 (3 * 10 + 2 * 10).
LUTS = 55.0


def test_roofs_and_what_is_attained(tmp_path: Path) -> None:
    found = roofline(crafted(tmp_path, MODEL, REPORTS), memory_bandwidth_gb_s=4.0)
    assert found["operations"]["total"] == 16384
    assert found["operations"]["precisions"] == [
        {"operands": "2 x 8 bit", "operations": 16384, "luts_for_one_mac": LUTS, "macs_of_one_dsp": 4}
    ]
    assert found["traffic_bytes"] == {"input": 64, "output": 64, "weights": 0}
    assert found["operational_intensity"] == 128
    compute = 2 * 0.1 * (53200 / LUTS + 220 * 4)
    assert found["compute_roof_gops"] == pytest.approx(compute, rel=1e-5)
    assert found["memory_roof_gops"] == 512
    assert found["attainable_gops"] == found["compute_roof_gops"]
    assert found["bound"] == "compute"
    assert found["ridge_point"] == pytest.approx(compute / 4, rel=1e-5)
    assert found["attained_gops"] == pytest.approx(16384 * 50_000 / 1e9)
    assert found["attained_share"] == pytest.approx(0.8192 / compute, rel=1e-5)
    assert found["warnings"] == []
    json.dumps(found, allow_nan=False)


def test_a_slow_memory_is_the_bound(tmp_path: Path) -> None:
    found = roofline(crafted(tmp_path, MODEL, REPORTS), memory_bandwidth_gb_s=0.5)
    assert found["bound"] == "memory"
    assert found["attainable_gops"] == found["memory_roof_gops"] == 64


def test_more_than_is_attainable_is_a_warning(tmp_path: Path) -> None:
    found = roofline(crafted(tmp_path, MODEL, REPORTS), memory_bandwidth_gb_s=0.001)
    assert found["attained_share"] > 1
    (warning,) = found["warnings"]
    assert "above the attainable 0.128" in warning and "memory_bandwidth_gb_s" in warning


def test_without_a_bandwidth_no_bound_is_named(tmp_path: Path) -> None:
    found = roofline(crafted(tmp_path, MODEL, REPORTS))
    assert found["bound"] is None
    assert found["memory_roof_gops"] is None
    assert found["attainable_gops"] == found["compute_roof_gops"]
    assert any("memory_bandwidth_gb_s is not given" in each for each in found["assumptions"])


def test_weights_from_outside_are_moved_for_every_multiplication(tmp_path: Path) -> None:
    model = layers(("A", ["x"]), ("B", ["a"]), mem_mode="external")
    found = roofline(crafted(tmp_path, model, REPORTS), memory_bandwidth_gb_s=4.0)
    assert found["traffic_bytes"]["weights"] == 2 * 4096 * 2 / 8


def test_a_share_of_the_device_lowers_the_roof(tmp_path: Path) -> None:
    given = crafted(tmp_path, MODEL, REPORTS)
    half, whole = roofline(given, usable_share=0.5), roofline(given)
    assert half["compute_roof_gops"] == pytest.approx(whole["compute_roof_gops"] / 2, rel=1e-5)
    assert half["assumptions"][0].startswith("50% of the device")


def test_versal_has_other_dsps(tmp_path: Path) -> None:
    device = {**DEVICE, "name": "xcvc1902"}
    found = roofline(crafted(tmp_path, MODEL, REPORTS, raw_metrics={"device": device}))
    assert found["operations"]["precisions"][0]["macs_of_one_dsp"] == 3


@pytest.mark.parametrize(
    ("parameters", "told"),
    [
        ({"memory_bandwidth_gb_s": 0}, "memory_bandwidth_gb_s: 0 is no bandwidth"),
        ({"memory_bandwidth_gb_s": "fast"}, "memory_bandwidth_gb_s: 'fast' is no finite number"),
        ({"memory_bandwidth_gb_s": math.nan}, "memory_bandwidth_gb_s: nan is no finite number"),
        ({"usable_share": 0}, "usable_share: 0 is no share"),
        ({"usable_share": 1.5}, "usable_share: 1.5 is no share"),
    ],
)
def test_a_wrong_parameter_is_told(tmp_path: Path, parameters: dict[str, Any], told: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        roofline(crafted(tmp_path, MODEL, REPORTS), **parameters)
    assert caught.value.located() == told


@pytest.mark.parametrize(
    ("reports", "metrics", "told"),
    [
        ({}, {}, "report/op_and_param_counts.json is missing: step_generate_estimate_reports writes it"),
        ({"op_and_param_counts": {"total": {}}}, {}, "counts no multiply-accumulates"),
        ({"op_and_param_counts": {"total": {"op_mac_2bx8b": "x"}}}, {}, "nothing usable under total"),
        (REPORTS, {"raw_metrics": {}}, "the device's totals are not known, so there is no compute roof"),
        (REPORTS, {"clock_frequency": None}, "the clock is not known, so there is no compute roof"),
    ],
)
def test_what_is_lacking_is_told(tmp_path: Path, reports: Any, metrics: Any, told: str) -> None:
    found = roofline(crafted(tmp_path, MODEL, reports, **metrics), memory_bandwidth_gb_s=4.0)
    assert told in found["warnings"][0]
    assert found["compute_roof_gops"] is None
    assert found["attainable_gops"] is None
    assert found["bound"] is None
    json.dumps(found, allow_nan=False)


def test_unknown_throughput_attains_nothing_known(tmp_path: Path) -> None:
    found = roofline(crafted(tmp_path, MODEL, REPORTS, throughput=None))
    assert found["attained_gops"] is None
    assert found["attained_share"] is None


bits = st.integers(1, 16)


@given(bits, bits, bits)
def test_wider_operands_take_more_luts(one: int, other: int, more: int) -> None:
    assert Work((one, other), 1).luts < Work((one, other + more), 1).luts

"""The figures against the target, layer by layer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from finnmake.plugins.builtin.performance import _longest_path, performance_analysis
from tests.plugins.crafted import FLAGS, crafted, layers
from tests.plugins.real_flow import MLP, build

CHAIN = (("A", ["x"]), ("B", ["a"]), ("C", ["b"]))
CYCLES = {"A": 500, "B": 2000, "C": 500}
NETWORK = {"critical_path_cycles": 3000, "max_cycles": 2000, "max_cycles_node_name": "B"}
REPORTS = {"estimate_layer_cycles": CYCLES, "estimate_network_performance": NETWORK}


def test_figures_sources_and_break_down(tmp_path: Path) -> None:
    found = performance_analysis(crafted(tmp_path, layers(*CHAIN), REPORTS))
    assert found["measured"] == {
        "throughput": 50_000,
        "latency_us": 30,
        "clock_mhz": 100,
        "throughput_source": "report/estimate_network_performance.json (estimate)",
        "latency_source": "report/estimate_network_performance.json (estimate)",
        "clock_frequency_source": "synth_clk_period_ns (target)",
    }
    assert found["bottleneck"] == "B"
    assert found["balance"] == 0.5
    assert found["critical_path_cycles"] == 3000
    assert found["layers"][1] == {
        "layer": "B",
        "cycles": 2000,
        "busy": 1.0,
        "latency_us": 20.0,
        "latency_share": 0.666667,
    }
    assert [row["latency_us"] for row in found["layers"]] == [5.0, 20.0, 5.0]
    assert found["target"]["met"] is True
    assert found["target"]["too_slow"] == []
    assert found["warnings"] == []


def test_a_missed_target_is_told_with_what_it_takes(tmp_path: Path) -> None:
    flags = {**FLAGS, "target_fps": 100_000}
    found = performance_analysis(crafted(tmp_path, layers(*CHAIN), REPORTS, flags=flags))
    assert found["target"] == {
        "throughput": 100_000,
        "met": False,
        "reached_share": 0.5,
        "cycles_per_layer": 1000,
        "too_slow": [
            {
                "layer": "B",
                "cycles": 2000,
                "factor": 2.0,
                "parallelism": 8,
                "parallelism_at_most": 4096,
            }
        ],
    }
    assert found["warnings"] == [
        "target_fps is 100,000, and the build reaches 50,000 inferences/s: a layer may take 1,000 cycles, "
        "and more are taken by B (2,000)"
    ]


def test_of_many_slow_layers_the_warning_names_the_worst(tmp_path: Path) -> None:
    names = [f"L{at}" for at in range(9)]
    chain = [(name, ["x" if at == 0 else names[at - 1].lower()]) for at, name in enumerate(names)]
    cycles = {name: 1000 + at for at, name in enumerate(names)}
    flags = {**FLAGS, "target_fps": 1_000_000}
    reports = {"estimate_layer_cycles": cycles}
    (warning,) = performance_analysis(crafted(tmp_path, layers(*chain), reports, flags=flags))["warnings"]
    assert warning.endswith("are taken by L8 (1,008), L7 (1,007), L6 (1,006) and 6 other layers")


@pytest.mark.parametrize(
    ("cycles", "target", "told"),
    [
        (CYCLES, 1_000_000_000, "no layer can do an inference in less than the one cycle it takes"),
        ({"A": 10}, 100_000, "though by FINN's estimate no layer takes more than the 1,000 cycles"),
    ],
)
def test_a_target_that_folding_does_not_reach(tmp_path: Path, cycles: Any, target: int, told: str) -> None:
    flags = {**FLAGS, "target_fps": target}
    given = crafted(tmp_path, layers(("A", ["x"])), {"estimate_layer_cycles": cycles}, flags=flags)
    assert told in performance_analysis(given)["warnings"][0]


def test_without_a_target_there_is_none_to_miss(tmp_path: Path) -> None:
    found = performance_analysis(crafted(tmp_path, layers(*CHAIN), REPORTS, flags={"target_fps": None}))
    assert found["target"] is None
    assert found["warnings"] == []


def test_layers_beside_the_longest_path_have_no_part_in_the_latency(tmp_path: Path) -> None:
    model = layers(("A", ["x"]), ("Slow", ["a"]), ("Quick", ["a"]), ("Join", ["slow", "quick"]))
    cycles = {"A": 100, "Slow": 300, "Quick": 200, "Join": 100}
    network = {"critical_path_cycles": 500}
    reports = {"estimate_layer_cycles": cycles, "estimate_network_performance": network}
    found = performance_analysis(crafted(tmp_path, model, reports))
    shares = {row["layer"]: row["latency_share"] for row in found["layers"]}
    assert shares == {"A": 0.2, "Slow": 0.6, "Quick": 0.0, "Join": 0.2}
    assert found["warnings"] == []


def test_another_critical_path_than_finns_is_told(tmp_path: Path) -> None:
    reports = {**REPORTS, "estimate_network_performance": {"critical_path_cycles": 2999}}
    found = performance_analysis(crafted(tmp_path, layers(*CHAIN), reports))
    assert found["warnings"] == [
        "the layers on the longest path take 3,000 cycles, and FINN's report says 2,999"
    ]


@pytest.mark.parametrize(
    ("reports", "told"),
    [
        ({}, "report/estimate_layer_cycles.json is missing: step_generate_estimate_reports writes it"),
        ({"estimate_layer_cycles": "{"}, "report/estimate_layer_cycles.json cannot be read"),
        (
            {"estimate_layer_cycles": "[" * 100_000},
            "report/estimate_layer_cycles.json cannot be read: is nested",
        ),
        ({"estimate_layer_cycles": [1, 2]}, "report/estimate_layer_cycles.json holds no JSON object"),
        ({"estimate_layer_cycles": '{"A": NaN}'}, "has nothing usable under A"),
        ({"estimate_layer_cycles": {"A": "many"}}, "has nothing usable under A"),
        ({"estimate_layer_cycles": {"A": -1}}, "has nothing usable under A"),
        ({"estimate_layer_cycles": {"A": True}}, "has nothing usable under A"),
        ({"estimate_layer_cycles": '{"A": 1e999}'}, "has nothing usable under A"),
    ],
)
def test_a_report_that_cannot_be_used_is_told(tmp_path: Path, reports: Any, told: str) -> None:
    found = performance_analysis(crafted(tmp_path, layers(*CHAIN), reports))
    assert told in found["warnings"][0]
    assert found["bottleneck"] is None
    assert found["balance"] is None
    assert found["layers"] == []
    assert found["measured"]["throughput"] == 50_000
    json.dumps(found, allow_nan=False)


def test_unknown_metrics_stay_unknown(tmp_path: Path) -> None:
    given = crafted(tmp_path, layers(*CHAIN), REPORTS, throughput=None, sources=None, raw_metrics=None)
    found = performance_analysis(given)
    assert found["measured"]["throughput"] is None
    assert found["target"]["met"] is None
    assert found["warnings"] == []


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=8))
def test_a_chain_is_its_own_longest_path(cycles: list[int]) -> None:
    names = [f"L{at}" for at in range(len(cycles))]
    chain = [(name, ["x" if at == 0 else names[at - 1].lower()]) for at, name in enumerate(names)]
    assert _longest_path(layers(*chain), dict(zip(names, cycles, strict=True))) == names


@pytest.mark.finn
def test_the_longest_path_is_finns(tmp_path: Path) -> None:
    given = build(tmp_path, MLP, target_fps=10_000)
    found = performance_analysis(given)
    network = json.loads((given.artifacts / "report" / "estimate_network_performance.json").read_text())
    assert found["critical_path_cycles"] == network["critical_path_cycles"]
    assert found["bottleneck"] == network["max_cycles_node_name"]
    assert sum(row["latency_us"] for row in found["layers"]) == pytest.approx(
        network["estimated_latency_ns"] / 1000
    )
    assert found["warnings"] == []

"""What is odd about figures becomes a warning in words, and what is not does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finnmake.records import BuildMetrics
from finnmake.runner.anomalies import CHECKS
from finnmake.runner.metrics import collect
from finnmake.runner.report_shapes import (
    ESTIMATED_RESOURCES,
    LAYER_CYCLES,
    OUT_OF_CONTEXT,
    PERFORMANCE,
    POST_SYNTHESIS,
    POWER,
    RTLSIM,
)

PERIOD = 10.0

#: A small network that is well, at 10 ns.
WELL: dict[str, Any] = {
    LAYER_CYCLES: {"MVAU_hls_0": 1000, "MVAU_hls_1": 400, "Reshape_0": 0},
    ESTIMATED_RESOURCES: {"total": {"LUT": 9000.0, "DSP": 11.0, "BRAM_18K": 10.0, "URAM": 0.0}},
    PERFORMANCE: {
        "critical_path_cycles": 1400,
        "max_cycles": 1000,
        "estimated_throughput_fps": 100000.0,
        "estimated_latency_ns": 14000.0,
    },
    RTLSIM: [{"intervals": [1002], "latency_cycles": [1100], "throughput_fps": 99800.4}],
    OUT_OF_CONTEXT: {"LUT": 7000, "WNS": 0.05, "fmax_mhz": 100.5, "total_power_W": 0.4},
}


def warnings(folder: Path, part: str = "xc7z020clg400-1", **changes: Any) -> list[str]:
    """What is said of the network after changes: report without its ending -> entries, or the whole."""
    for file, content in WELL.items():
        change = changes.pop(file.removesuffix(".json"), {})
        if change is not None:
            whole = (
                {**content, **change} if isinstance(change, dict) and isinstance(content, dict) else change
            )
            (folder / file).write_text(json.dumps(whole or content))
    for stem, content in changes.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    metrics, found = collect(folder, fpga_part=part, synth_clk_period_ns=PERIOD)
    assert isinstance(metrics, BuildMetrics)
    return found


def test_a_network_that_is_well_gives_no_warning(tmp_path: Path) -> None:
    assert warnings(tmp_path) == []


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "does not fit": (
        {"ooc_synth_and_timing": {"LUT": 69160}},
        "lut_utilization is 1.30 (69,160 of 53,200 LUT in xc7z020): the design does not fit on the device",
    ),
    "faster than asked for": (
        {"ooc_synth_and_timing": {"WNS": 2.0, "fmax_mhz": 125.0}},
        "clock_frequency is 125 MHz, 100 MHz were asked for: the design has slack, but a bitfile runs",
    ),
    "timing not met": (
        {"ooc_synth_and_timing": {"WNS": -2.5, "fmax_mhz": 80.0}},
        "clock_frequency is 80 MHz, 100 MHz were asked for: timing is not met",
    ),
    "latency below a cycle a layer": (
        {
            "rtlsim_performance": [{"latency_cycles": [1], "throughput_fps": 99800.4, "intervals": [1]}],
            "estimate_layer_cycles": {"MVAU_hls_2": 3},
        },
        "latency is 0.01 µs, 1.0 clock cycles through 3 layers: each layer takes a clock cycle at least",
    ),
    "latency below the interval": (
        {"rtlsim_performance": [{"latency_cycles": [500], "throughput_fps": 99800.4}]},
        "throughput 9.98e+04 inferences/s and latency 5 µs make 0.5 inferences at once: an inference cannot",
    ),
    "another clock": (
        {"estimate_network_performance": {"estimated_throughput_fps": 200000.0}},
        "the estimated throughput is 2e+05 inferences/s, 1,000 cycles of 10 ns make 1e+05: the report",
    ),
    "far above the estimate": (
        {"post_synth_resources": {"(top)": {"LUT": 40000}}},
        f"LUT is 4e+04 by report/{POST_SYNTHESIS} (post-synthesis), 4.4 times the estimate 9,000: look for",
    ),
    "far below the estimate": (
        {"ooc_synth_and_timing": {"LUT": 2000}},
        f"LUT is 2,000 by report/{OUT_OF_CONTEXT} (out-of-context synthesis), 0.22 times the estimate 9,000",
    ),
    "a throughput far from the estimate": (
        {"rtlsim_performance": [{"latency_cycles": [9000], "throughput_fps": 20000.0}]},
        f"throughput is 2e+04 by report/{RTLSIM} (RTL simulation), 0.2 times the estimate 1e+05",
    ),
    "power of 0": (
        {"power_estimate_summary": {"power_sim_total": 0.0}},
        f"total_power is 0 by report/{POWER} (Vivado, simulated switching activity): the tool did",
    ),
    "fmax of 0": (
        {"ooc_synth_and_timing": {"WNS": 0.0, "fmax_mhz": 0}},
        f"clock_frequency is 0 by report/{OUT_OF_CONTEXT} (fmax of out-of-context synthesis): the tool did",
    ),
    "fmax of another period": (
        {"ooc_synth_and_timing": {"WNS": 0.0, "fmax_mhz": 200.0}},
        "clock_frequency is 200 MHz, a slack of 0 ns at 10 ns makes 100 MHz: FINN took another clock period",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_odd_is_said(tmp_path: Path, case: str) -> None:
    changes, words = CASES[case]
    found = warnings(tmp_path, **changes)
    assert [each for each in found if each.startswith(words)], found
    assert len(found) <= 2, found  # one thing may be odd in two ways, not in all


def test_every_check_is_met_by_a_case(tmp_path: Path) -> None:
    said = []
    for number, (changes, _) in enumerate(CASES.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        said += warnings(folder, **changes)
    for check in CHECKS:
        assert any(each.endswith(f": {check.reason}") for each in said), check.reason
        assert check.source


QUIET: dict[str, dict[str, Any]] = {
    "small differences of small designs": {"post_synth_resources": {"(top)": {"LUT": 9000, "DSP": 3}}},
    "a latency far below the sum of the layers' cycles": {
        "estimate_network_performance": {"estimated_latency_ns": 90000.0, "critical_path_cycles": 9000}
    },
    "a slack that rounds to the clock asked for": {
        "ooc_synth_and_timing": {"WNS": -0.001, "fmax_mhz": 99.99}
    },
    "deep pipelines": {"rtlsim_performance": [{"latency_cycles": [100000], "throughput_fps": 99800.4}]},
}


@pytest.mark.parametrize("case", QUIET)
def test_what_is_usual_is_not_said(tmp_path: Path, case: str) -> None:
    found = warnings(tmp_path, **QUIET[case])
    if case == "deep pipelines":
        found = [each for each in found if not each.startswith("latency is 1,000 by")]
    assert found == []


def test_an_unknown_device_leaves_the_other_checks(tmp_path: Path) -> None:
    found = warnings(
        tmp_path, "xc7unknown", ooc_synth_and_timing={"LUT": 69160, "WNS": -2.5, "fmax_mhz": 80.0}
    )
    assert found[0].startswith("utilisation is not known: no device totals for fpga_part xc7unknown")
    assert any("timing is not met" in each for each in found)
    assert not any("does not fit" in each for each in found)

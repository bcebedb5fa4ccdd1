"""The metrics collector: the best source wins, and nothing a report holds can bring it down.

The shapes that FINN writes are in test_report_shapes.py, what is odd about figures in test_anomalies.py.
"""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.records import ESTIMATED, BuildMetrics
from finnmake.runner import report_shapes as shapes
from finnmake.runner.metrics import add_accuracy, collect

PART = "xc7z020clg400-1"
FILES = sorted(value for name, value in vars(shapes).items() if name.isupper() and isinstance(value, str))

ESTIMATES = {
    "estimate_network_performance.json": {
        "critical_path_cycles": 17588,
        "max_cycles": 7168,
        "max_cycles_node_name": "MVAU_hls_0",
        "estimated_throughput_fps": 13950.892857142857,
        "estimated_latency_ns": 175880.0,
    },
    "estimate_layer_resources.json": {
        "Thresholding_rtl_0": {"BRAM_18K": 0, "LUT": 1216.0, "URAM": 0, "DSP": 0},
        "MVAU_hls_0": {"BRAM_18K": 10, "LUT": 1350, "URAM": 0, "DSP": 11},
        "total": {"BRAM_18K": 10.0, "LUT": 2566.0, "URAM": 0.0, "DSP": 11.0},
    },
    "estimate_layer_cycles.json": {"Thresholding_rtl_0": 784, "MVAU_hls_0": 7168},
    "op_and_param_counts.json": {"MVAU_hls_0": {"op_mac_2bx2b": 4}, "total": {"op_mac_2bx2b": 4.0}},
}
OUT_OF_CONTEXT = {
    "LUT": 3000, "FF": 4000, "DSP": 22, "BRAM_36K": 10, "BRAM_18K": 3, "URAM": 0, "BRAM": 11.5,
    "WNS": 0.0, "fmax_mhz": 100.0, "estimated_throughput_fps": 13950.9, "total_power_W": 1.25,
}  # fmt: skip


def write(folder: Path, **reports: object) -> None:
    for name, content in reports.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")


def read(folder: Path, part: str | None = PART, period: float = 10.0) -> tuple[BuildMetrics, list[str]]:
    return collect(folder, fpga_part=part, synth_clk_period_ns=period)


@pytest.fixture
def estimates(tmp_path):
    for name, content in ESTIMATES.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    return tmp_path


def test_estimates_alone(estimates):
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.throughput == pytest.approx(13950.89, abs=0.01)
    assert metrics.latency == pytest.approx(175.88)
    assert metrics.clock_frequency == 100.0
    assert metrics.lut_utilization == 2566 / 53200
    assert metrics.bram_utilization == 10 / 280
    assert metrics.dsp_utilization == 11 / 220
    assert (metrics.total_power, metrics.accuracy) == (None, None)
    assert metrics.sources["throughput"] == "report/estimate_network_performance.json (estimate)"
    assert metrics.sources["clock_frequency"] == "synth_clk_period_ns (target)"
    assert metrics.raw_metrics["LUT"] == 2566
    assert metrics.raw_metrics["max_cycles_node_name"] == "MVAU_hls_0"
    assert metrics.raw_metrics["layer_cycles"] == {"Thresholding_rtl_0": 784, "MVAU_hls_0": 7168}
    assert metrics.raw_metrics["op_and_param_counts"] == {"op_mac_2bx2b": 4}
    assert metrics.raw_metrics["device"]["name"] == "xc7z020"


def test_no_reports_at_all_is_no_error(tmp_path):
    metrics, warnings = read(tmp_path / "report")
    assert warnings == []
    assert (metrics.throughput, metrics.lut_utilization, metrics.clock_frequency) == (None, None, 100.0)


def test_a_resource_that_the_device_lacks_has_no_utilisation(estimates):
    metrics, warnings = read(estimates)
    assert metrics.uram_utilization is None
    assert "uram_utilization" not in metrics.sources
    assert warnings == []


def test_using_a_resource_that_the_device_lacks_is_told(estimates):
    write(estimates, estimate_layer_resources={"total": {"LUT": 1, "URAM": 3}})
    metrics, warnings = read(estimates)
    assert metrics.uram_utilization is None
    assert warnings == ["the design takes 3 URAM, and xc7z020 has none"]


def test_a_design_that_does_not_fit_is_above_one(estimates):
    write(estimates, estimate_layer_resources={"total": {"LUT": 106400}})
    assert read(estimates)[0].lut_utilization == 2.0


def test_unknown_part_leaves_utilisation_open_and_hints(estimates):
    metrics, (warning,) = read(estimates, part="xc7z02clg400-1")
    assert metrics.lut_utilization is None
    assert metrics.raw_metrics["LUT"] == 2566
    assert metrics.throughput is not None
    assert "xc7z02clg400-1" in warning and "xc7z020" in warning


def test_no_part_leaves_utilisation_open(estimates):
    metrics, (warning,) = read(estimates, part=None)
    assert metrics.lut_utilization is None
    assert "no fpga_part" in warning


def test_out_of_context_synthesis_beats_estimates(estimates):
    write(estimates, ooc_synth_and_timing=OUT_OF_CONTEXT)
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.clock_frequency == 100.0
    assert metrics.sources["clock_frequency"] == (
        "report/ooc_synth_and_timing.json (fmax of out-of-context synthesis)"
    )
    assert metrics.throughput == 13950.9
    assert metrics.total_power == 1.25
    assert metrics.lut_utilization == 3000 / 53200
    assert metrics.bram_utilization == 23 / 280  # 2 x 10 + 3, not the tiles
    assert metrics.raw_metrics["FF"] == 4000
    assert metrics.raw_metrics["wns_ns"] == 0


def test_estimates_stay_beside_what_was_measured(estimates):
    assert ESTIMATED not in read(estimates)[0].raw_metrics
    write(
        estimates,
        open_rtl_synthesis={"total": {"LUT": 1330, "DSP": 0, "BRAM_18K": 14, "URAM": 0}},
        rtlsim_performance=[{"latency_cycles": [500], "throughput_fps": 0}],
    )
    found = read(estimates)[0]
    assert found.throughput == 13950.892857142857  # 0 was not measured: the estimate counts
    assert found.raw_metrics[ESTIMATED] == {
        "latency": 175.88,
        "lut_utilization": 2566 / 53200,
        "dsp_utilization": 11 / 220,
        "bram_utilization": 10 / 280,
    }


def test_upstream_out_of_context_counts_tiles_of_36_kb(estimates):
    write(estimates, ooc_synth_and_timing={"LUT": 1000.0, "BRAM": 11.5, "WNS": 0.0, "fmax_mhz": 0})
    metrics, (warning,) = read(estimates)
    assert warning.startswith("clock_frequency is 0 by report/ooc_synth_and_timing.json")
    assert metrics.raw_metrics["BRAM_18K"] == 23
    assert metrics.clock_frequency == 100.0  # FINN writes an fmax of 0 where it does not know it


def test_post_synthesis_beats_out_of_context(estimates):
    top = {"LUT": 5000, "SRL": 7, "FF": 6000, "BRAM_36K": 1, "BRAM_18K": 1, "DSP": 22}
    write(
        estimates, ooc_synth_and_timing=OUT_OF_CONTEXT, post_synth_resources={"(top)": top, "MVAU_hls_0": top}
    )
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.lut_utilization == 5000 / 53200
    assert metrics.bram_utilization == 3 / 280
    assert metrics.sources["dsp_utilization"] == "report/post_synth_resources.json (post-synthesis)"


def test_hls_estimates_are_completed_with_the_layers_that_have_no_hls(estimates):
    layer = {"BRAM_18K": "4", "FF": "9", "LUT": "2000", "DSP48E": 0, "DSP": "5", "URAM": "0"}
    total = {"BRAM_18K": 4.0, "FF": 9.0, "LUT": 2000.0, "DSP48E": 0.0, "DSP": 5.0, "URAM": 0.0}
    write(estimates, estimate_layer_resources_hls={"MVAU_hls_0": layer, "total": total})
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.raw_metrics["LUT"] == 2000 + 1216
    assert metrics.raw_metrics["DSP"] == 5
    assert metrics.sources["lut_utilization"] == (
        "report/estimate_layer_resources_hls.json (HLS estimate); "
        "other layers: report/estimate_layer_resources.json (estimate)"
    )


def test_finn_plus_rtlsim_takes_the_slowest_output(estimates):
    common = {"cycles": 9000, "samples": 2}
    streams = [
        {
            **common,
            "name": "a",
            "intervals": [7200],
            "latency_cycles": [100, 18000],
            "throughput_fps": 13888.8,
        },
        {**common, "name": "b", "intervals": [7000], "latency_cycles": [800], "throughput_fps": 14285.7},
    ]
    write(estimates, rtlsim_performance=streams)
    metrics, _ = read(estimates, period=5.0)
    assert metrics.throughput == 13888.8
    assert metrics.latency == pytest.approx(90)  # 18000 cycles of 5 ns
    assert metrics.sources["latency"] == "report/rtlsim_performance.json (RTL simulation)"


@pytest.mark.parametrize(("stable", "expected"), [(15000.0, 15000.0), (None, 12000.0)])
def test_upstream_rtlsim_prefers_the_stable_throughput(estimates, stable, expected):
    stats = {
        "cycles": 7200, "runtime[ms]": 0.1, "throughput[images/s]": 12000.0, "fclk[mhz]": 100.0,
        "latency_cycles": 9000, "stable_throughput[images/s]": stable,
    }  # fmt: skip
    write(estimates, rtlsim_performance=stats)
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.throughput == expected
    assert metrics.latency == pytest.approx(90)


def test_simulated_activity_is_the_best_power_figure(estimates):
    write(
        estimates, ooc_synth_and_timing=OUT_OF_CONTEXT, power_estimate_summary={"power_12.5_0.5_total": 2.0}
    )
    assert read(estimates)[0].total_power == 2.0
    write(estimates, power_estimate_summary={"power_sim_total": 1.5, "power_12.5_0.5_total": 2.0})
    assert read(estimates)[0].total_power == 1.5


@pytest.mark.parametrize("value", ["NaN", "1e999", "9" * 400, "-1", "true", '"13950"', '{"a": [1]}', "[1]"])
def test_figure_that_is_no_number_is_told(estimates, value):
    write(estimates, estimate_network_performance=f'{{"estimated_throughput_fps": {value}}}')
    metrics, warnings = read(estimates)
    assert metrics.throughput is None
    assert warnings == [
        "metrics: report/estimate_network_performance.json has no usable number under "
        "estimated_throughput_fps"
    ]


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\x00",
        '{"estimated',
        '"text"',
        "[]",
        "5",
        "{}",
        "[" * 100_000,
        '{"max_cycles": ' + "9" * 5000 + "}",
    ],
)
def test_damaged_report_is_named_and_costs_only_its_own_figures(estimates, content):
    write(estimates, estimate_network_performance=content)
    metrics, warnings = read(estimates)
    assert metrics.throughput is None
    assert metrics.lut_utilization == 2566 / 53200
    assert len(warnings) == 1
    assert warnings[0].startswith("metrics: report/estimate_network_performance.json ")


def test_damaged_better_source_falls_back_to_the_next(estimates):
    write(estimates, ooc_synth_and_timing={**OUT_OF_CONTEXT, "LUT": "many", "fmax_mhz": None})
    metrics, (warning,) = read(estimates)
    assert metrics.lut_utilization == 2566 / 53200
    assert metrics.clock_frequency == 100.0
    assert warning == "metrics: report/ooc_synth_and_timing.json has no usable number under LUT"


def test_folder_in_place_of_a_report_is_told(estimates):
    (estimates / "rtlsim_performance.json").mkdir()
    metrics, (warning,) = read(estimates)
    assert metrics.throughput is not None
    assert warning.startswith("metrics: report/rtlsim_performance.json cannot be read")


@pytest.mark.parametrize("period", [0.0, -5.0, float("nan"), float("inf"), 1e-320])
def test_impossible_clock_is_told(estimates, period):
    metrics, warnings = read(estimates, period=period)
    assert metrics.clock_frequency is None
    assert metrics.throughput is not None
    assert any("synth_clk_period_ns" in warning for warning in warnings)


def test_metrics_survive_a_round_trip_through_json(estimates):
    metrics, _ = read(estimates)
    assert BuildMetrics.from_dict(json.loads(json.dumps(metrics.to_dict(), allow_nan=False))) == metrics


# the simulated hardware of open_rtl


def simulation(folder: Path, **changes: object) -> None:
    content = {"inferences": 450, "accuracy": 0.9822, "simulation": {"cycles": 1000}, **changes}
    write(folder, open_rtl_simulation=content)


@pytest.mark.parametrize("accuracy", [0, 0.9822, 1])
def test_accuracy_of_the_simulated_hardware_is_read_with_its_source(estimates, accuracy):
    simulation(estimates, accuracy=accuracy)
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.accuracy == accuracy
    source = "report/open_rtl_simulation.json (top-1 of the simulated hardware)"
    assert metrics.sources["accuracy"] == source
    assert metrics.raw_metrics["simulated_inferences"] == 450


def test_simulation_on_random_inputs_gives_no_accuracy_and_no_warning(estimates):
    simulation(estimates, accuracy=None)
    metrics, warnings = read(estimates)
    assert warnings == []
    assert metrics.accuracy is None
    assert "accuracy" not in metrics.sources


@pytest.mark.parametrize("accuracy", [98.2, -0.5, "0.9", True, [0.9, 0.8]])
def test_accuracy_of_the_hardware_that_cannot_be_is_told(estimates, accuracy):
    simulation(estimates, accuracy=accuracy)
    metrics, (warning,) = read(estimates)
    assert warning.startswith("metrics: report/open_rtl_simulation.json has no ")
    assert "accuracy" in warning
    assert metrics.accuracy is None


def test_truncated_simulation_report_is_told(estimates):
    write(estimates, open_rtl_simulation='{"accuracy": 0.9')
    metrics, (warning,) = read(estimates)
    assert warning.startswith("metrics: report/open_rtl_simulation.json is not valid JSON")
    assert metrics.accuracy is None


def test_analysis_of_the_accuracy_takes_the_place_of_the_hardware_s(estimates):
    simulation(estimates)
    metrics, _ = read(estimates)
    assert add_accuracy(metrics, estimates) == []
    assert metrics.accuracy == 0.9822, "no such analysis ran"
    (estimates / "accuracy_validation.json").write_text(json.dumps({"accuracy": 0.97}))
    assert add_accuracy(metrics, estimates) == []
    assert metrics.accuracy == 0.97
    assert metrics.sources["accuracy"].endswith("accuracy_validation.json (top-1)")


# what analyses add


@pytest.mark.parametrize("accuracy", [0, 0.9732, 1])
def test_the_measured_accuracy_is_added(tmp_path, accuracy):
    metrics = BuildMetrics()
    (tmp_path / "accuracy_validation.json").write_text(json.dumps({"accuracy": accuracy, "images": 297}))
    assert add_accuracy(metrics, tmp_path) == []
    assert metrics.accuracy == accuracy
    assert metrics.sources == {"accuracy": f"{tmp_path.name}/accuracy_validation.json (top-1)"}


def test_the_accuracy_of_another_model_than_the_final_one_says_so(tmp_path):
    metrics = BuildMetrics()
    models = [{"model": "003_step_a"}, {"model": "004_step_b"}]
    file = tmp_path / "accuracy_validation.json"
    file.write_text(json.dumps({"accuracy": 0.5, "accuracy_of": "003_step_a", "models": models}))
    assert add_accuracy(metrics, tmp_path) == []
    assert metrics.sources["accuracy"].endswith("/accuracy_validation.json (top-1 of 003_step_a)")
    file.write_text(json.dumps({"accuracy": 0.5, "accuracy_of": "004_step_b", "models": models}))
    assert add_accuracy(metrics, tmp_path) == []
    assert metrics.sources["accuracy"].endswith("/accuracy_validation.json (top-1)")


@pytest.mark.parametrize("content", [{"accuracy": None, "models": []}, {"simulated": True}])
def test_an_accuracy_that_is_not_known_or_simulated_is_nothing_to_tell(tmp_path, content):
    metrics = BuildMetrics()
    (tmp_path / "accuracy_validation.json").write_text(json.dumps(content))
    assert add_accuracy(metrics, tmp_path) == []
    assert metrics == BuildMetrics()


def test_where_no_accuracy_was_measured_none_is_added(tmp_path):
    metrics = BuildMetrics()
    assert add_accuracy(metrics, tmp_path) == []
    assert metrics == BuildMetrics()


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", '{"accuracy": 97.3}', '{"accuracy": -1}', '{"accuracy": "1"}', "5", "[" * 99999],
)
def test_an_accuracy_that_cannot_be_is_told(tmp_path, content):
    metrics = BuildMetrics()
    (tmp_path / "accuracy_validation.json").write_text(content)
    (warning,) = add_accuracy(metrics, tmp_path)
    assert warning.startswith(f"metrics: {tmp_path.name}/accuracy_validation.json ")
    assert metrics == BuildMetrics()


NAMES = st.sampled_from(
    [
        *ESTIMATES["estimate_network_performance.json"],
        *OUT_OF_CONTEXT,
        *("total", "(top)", "MVAU_hls_0", "latency_cycles", "throughput_fps", "power_sim_total"),
    ]
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.just(10**400) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reports=st.dictionaries(st.sampled_from(FILES), ANYTHING))
def test_no_report_content_is_fatal(tmp_path, reports):
    for old in tmp_path.glob("*.json"):
        old.unlink()
    for name, content in reports.items():
        (tmp_path / name).write_text(json.dumps(content), encoding="utf-8")
    metrics, warnings = read(tmp_path)
    json.dumps(metrics.to_dict(), allow_nan=False)
    assert all(isinstance(warning, str) and warning for warning in warnings)

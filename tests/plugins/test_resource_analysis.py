"""What the layers take of the device, and what the device gives for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finnmake.plugins import Build
from finnmake.plugins.builtin.performance import performance_analysis
from finnmake.plugins.builtin.resources import resource_analysis
from finnmake.plugins.builtin.roofline import roofline
from tests.plugins.crafted import METRICS, crafted, layers
from tests.plugins.real_flow import CNN, DEVICE, build

MODEL = layers(("A", ["x"]), ("B", ["a"]))
ESTIMATE = {
    "A": {"LUT": 532, "DSP": 0, "BRAM_18K": 1, "BRAM_efficiency": 0.5, "URAM": 0},
    "B": {"LUT": 468.0, "DSP": 0, "BRAM_18K": 3, "BRAM_efficiency": 0.5, "URAM": 0},
    "total": {"LUT": 1000.0, "DSP": 0.0, "BRAM_18K": 4.0, "URAM": 0.0},
}
REPORTS = {"estimate_layer_resources": ESTIMATE}


def test_layers_device_and_efficiency(tmp_path: Path) -> None:
    found = resource_analysis(crafted(tmp_path, MODEL, REPORTS, total_power=2.5))
    assert found["layers"][0] == {
        "layer": "A",
        "LUT": 532,
        "DSP": 0,
        "BRAM_18K": 1,
        "URAM": 0,
        "LUT_share": 0.01,
        "DSP_share": 0.0,
        "BRAM_18K_share": 0.00357143,
    }
    assert [row["layer"] for row in found["layers"]] == ["A", "B"]
    assert found["device"]["name"] == "xc7z020"
    rows = {row["resource"]: row for row in found["device"]["resources"]}
    assert rows["LUT"] == {"resource": "LUT", "used": 1000, "available": 53200, "share": 0.018797}
    assert rows["URAM"] == {"resource": "URAM", "used": 0, "available": 0, "share": None}
    assert found["efficiency"] == {
        "throughput": 50_000,
        "throughput_per_lut": 50.0,
        "throughput_per_dsp": None,
        "throughput_per_bram_18k": 12_500.0,
        "throughput_per_watt": 20_000.0,
    }
    assert found["largest"] == [
        {"resource": "LUT", "layer": "A", "taken": 532, "share": 0.532},
        {"resource": "BRAM_18K", "layer": "B", "taken": 3, "share": 0.75},
    ]
    assert found["source"] == "report/estimate_layer_resources.json (estimate)"
    assert found["warnings"] == []


def test_hls_counts_before_estimates_of_the_same_layer(tmp_path: Path) -> None:
    hls = {
        "B": {"BRAM_18K": 2, "FF": 90, "LUT": 70, "DSP": 1, "DSP48E": 0, "URAM": 0},
        "total": {"LUT": 70},
    }
    reports = {**REPORTS, "estimate_layer_resources_hls": hls}
    found = resource_analysis(crafted(tmp_path, MODEL, reports))
    rows = {row["layer"]: row for row in found["layers"]}
    assert list(rows) == ["A", "B"]
    assert rows["A"]["LUT"] == 532
    assert (rows["B"]["LUT"], rows["B"]["DSP"], rows["B"]["FF"]) == (70, 1, 90)
    assert found["source"] == (
        "report/estimate_layer_resources_hls.json (HLS estimate); "
        "other layers: report/estimate_layer_resources.json (estimate)"
    )


def test_synthesis_counts_before_everything(tmp_path: Path) -> None:
    synthesised = {
        "(top)": {"LUT": 9000, "SRL": 5, "FF": 4000, "BRAM_36K": 2, "BRAM_18K": 1, "URAM": 0, "DSP": 3},
        "A": {"LUT": 100, "SRL": 1, "FF": 80, "BRAM_36K": 1, "BRAM_18K": 1, "URAM": 0, "DSP": 3},
    }
    found = resource_analysis(crafted(tmp_path, MODEL, {**REPORTS, "post_synth_resources": synthesised}))
    assert [row["layer"] for row in found["layers"]] == ["A"]
    assert found["layers"][0]["BRAM_18K"] == 3
    assert "largest" in found and all(row["layer"] == "A" for row in found["largest"])
    assert found["source"] == "report/post_synth_resources.json (post-synthesis)"


def test_counts_of_a_layer_that_has_none_here_and_no_estimate(tmp_path: Path) -> None:
    hls = {"A": {"LUT": "1"}, "B": {"LUT": 5}, "C": {"LUT": "many"}}
    found = resource_analysis(crafted(tmp_path, MODEL, {"estimate_layer_resources_hls": hls}))
    assert [(row["layer"], row.get("LUT")) for row in found["layers"]] == [("A", 1), ("B", 5), ("C", None)]
    assert "nothing usable under C > LUT" in found["warnings"][0]


def golden(folder: Path, dialect: str, without: tuple[str, ...]) -> Build:
    """A build with the reports of a dialect, but for some."""
    reports = Path(__file__).parents[1] / "runner/data" / dialect / "report"
    found = {path.stem: path.read_text() for path in reports.glob("*.json") if path.name not in without}
    names = ("Thresholding_rtl_0", "MVAU_hls_0", "MVAU_hls_1", "MVAU_hls_2")
    chain = zip(names, ("x", *map(str.lower, names)), strict=False)
    return crafted(folder, layers(*((name, [before]) for name, before in chain)), found)


@pytest.mark.parametrize("dialect", ["finn_plus", "upstream"])
def test_the_reports_of_both_dialects(tmp_path: Path, dialect: str) -> None:
    estimate = 155  # of the RTL layer
    by_hls = resource_analysis(golden(tmp_path / "hls", dialect, ("post_synth_resources.json",)))
    assert [(row["layer"], row["LUT"], row["DSP"]) for row in by_hls["layers"]] == [
        ("Thresholding_rtl_0", estimate, 0),
        ("MVAU_hls_0", 957, 2),
        ("MVAU_hls_1", 1014, 4),
        ("MVAU_hls_2", 1071, 6),
    ]
    assert by_hls["warnings"] == []

    synthesised = resource_analysis(golden(tmp_path / "synthesis", dialect, ()))
    assert [(row["layer"], row["LUT"]) for row in synthesised["layers"]] == [
        ("Thresholding_rtl_0", 160),
        ("MVAU_hls_0", 402),
        ("MVAU_hls_1", 377),
        ("MVAU_hls_2", 350),
    ]
    assert synthesised["largest"][0]["layer"] == "MVAU_hls_0"
    assert synthesised["source"] == "report/post_synth_resources.json (post-synthesis)"
    assert synthesised["warnings"] == []
    for analysis in (performance_analysis, roofline):
        assert analysis(golden(tmp_path / analysis.__name__, dialect, ()))["warnings"] == []


def test_layers_of_several_devices(tmp_path: Path) -> None:
    by_device = {
        "post_synth_resources_0": {"(top)": {"LUT": 9000}, "A": {"LUT": 100}, "shell": {"LUT": 5000}},
        "post_synth_resources_1": {"(top)": {"LUT": 8000}, "B": {"LUT": 200}},
        "post_synth_resources_dcp": {"0": {"A": {"LUT": 1}}},
    }
    found = resource_analysis(crafted(tmp_path, MODEL, {**REPORTS, **by_device}))
    assert [(row["layer"], row["LUT"]) for row in found["layers"]] == [("A", 100), ("B", 200)]
    assert found["source"] == "report/post_synth_resources_*.json (post-synthesis)"


def test_the_body_of_a_loop_counts_besides(tmp_path: Path) -> None:
    reports = {
        "estimate_layer_resources": {"A": {"LUT": 5}, "../../B": {"LUT": 1}, "total": {"LUT": 6}},
        "estimate_layer_resources_A": {"A_MVAU_0": {"LUT": 70}, "A": {"LUT": 2}, "total": {"LUT": 72}},
        "estimate_layer_resources_hls": {"total": {}},
        "estimate_layer_resources_hls_A": {"A_MVAU_0": {"LUT": "90"}},
    }
    found = resource_analysis(crafted(tmp_path, MODEL, reports))
    counts = {row["layer"]: row["LUT"] for row in found["layers"]}
    assert counts == {"A": 5, "../../B": 1, "A_MVAU_0": 90, "A > A": 2}
    assert found["warnings"] == []


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "report/estimate_layer_resources.json is missing: step_generate_estimate_reports writes it"),
        ("", "report/estimate_layer_resources.json cannot be read"),
        ([], "report/estimate_layer_resources.json holds no JSON object"),
        ({"A": "all"}, "report/estimate_layer_resources.json has nothing usable under A"),
        ({"A": {"LUT": "many"}}, "report/estimate_layer_resources.json has nothing usable under A > LUT"),
        ({"A": {"LUT": -4}}, "report/estimate_layer_resources.json has nothing usable under A > LUT"),
    ],
)
def test_a_report_that_cannot_be_used_is_told(tmp_path: Path, content: Any, told: str) -> None:
    reports = {} if content is None else {"estimate_layer_resources": content}
    found = resource_analysis(crafted(tmp_path, MODEL, reports))
    assert told in found["warnings"][0]
    assert found["largest"] == []
    json.dumps(found, allow_nan=False)


def test_without_the_devices_totals_there_are_counts_alone(tmp_path: Path) -> None:
    raw = {key: value for key, value in METRICS["raw_metrics"].items() if key != "device"}
    found = resource_analysis(crafted(tmp_path, MODEL, REPORTS, raw_metrics=raw))
    assert found["device"]["name"] is None
    assert found["layers"][0]["LUT"] == 532
    assert "LUT_share" not in found["layers"][0]
    assert found["warnings"] == [
        "the device's totals are not known: there are counts, and no shares of the device"
    ]


@pytest.mark.finn
def test_the_layers_of_a_real_build_add_up(tmp_path: Path) -> None:
    given = build(tmp_path, CNN, target_fps=10_000)
    found = resource_analysis(given)
    totals = json.loads((given.artifacts / "report" / "estimate_layer_resources.json").read_text())["total"]
    for resource in ("LUT", "DSP", "BRAM_18K"):
        assert sum(row[resource] for row in found["layers"]) == totals[resource]
        share = sum(row[f"{resource}_share"] for row in found["layers"])
        assert share == pytest.approx(totals[resource] / DEVICE[resource], rel=1e-3)
    assert found["warnings"] == []

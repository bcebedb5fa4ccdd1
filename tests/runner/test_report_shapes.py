"""Every report of both dialects: golden figures, the next source where the best is missing, and damage.

`data/<dialect>/report/` holds what FINN's own code writes for one small network, and for open_rtl what a
build of models/digits_mlp_w2a2.onnx left (target_fps 100000, STITCHED_IP, simulated on digits_heldout.npz).
Beside it, for each stage that a build may reach, are the metrics and warnings that come of the reports so
far. After a wanted change, write these anew: `python tests/runner/test_report_shapes.py`.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.records import BuildMetrics
from finnmake.runner import report_shapes as shapes
from finnmake.runner.metrics import collect
from finnmake.runner.report_shapes import METRIC_READINGS, RESOURCE_READINGS, UTILIZATION

DATA = Path(__file__).parent / "data"

#: Dialect -> the clock period (ns) that its reports were made for.
DIALECTS = {"finn_plus": 5.0, "upstream": 10.0, "open_rtl": 5.0}

ESTIMATES = (
    shapes.ESTIMATED_RESOURCES,
    shapes.PERFORMANCE,
    shapes.LAYER_CYCLES,
    shapes.COUNTS,
)

#: Stage -> the reports that are written on the way to it, besides those of the stages before.
STAGES = {
    "estimates": ESTIMATES,
    "fitted": (shapes.EMPIRICAL_RESOURCES,),
    "hls": (shapes.HLS_RESOURCES, shapes.FIFOS),
    "checkpoint": (shapes.CHECKPOINT,),
    "rtlsim": (shapes.RTLSIM,),
    "open_rtl": (shapes.OPEN_RTL_SIMULATION, shapes.YOSYS),
    "out_of_context": (shapes.OUT_OF_CONTEXT,),
    "power": (shapes.POWER,),
    "bitfile": (shapes.POST_SYNTHESIS, shapes.POST_ROUTE),
}

CASES = [
    (dialect, stage)
    for dialect in DIALECTS
    for stage, files in STAGES.items()
    if any((DATA / dialect / "report" / file).exists() for file in files)
]

FILES = [
    (dialect, path.name) for dialect in DIALECTS for path in sorted((DATA / dialect / "report").iterdir())
]


def read(folder: Path, dialect: str) -> tuple[BuildMetrics, list[str]]:
    return collect(folder, fpga_part="xc7z020clg400-1", synth_clk_period_ns=DIALECTS[dialect])


def reports(dialect: str, folder: Path, last: str = "bitfile") -> Path:
    """The reports of a dialect up to a stage, in a folder of their own."""
    folder.mkdir(exist_ok=True)
    for stage, files in STAGES.items():
        for file in files:
            if (DATA / dialect / "report" / file).exists():
                shutil.copyfile(DATA / dialect / "report" / file, folder / file)
        if stage == last:
            break
    return folder


def found(dialect: str, stage: str, folder: Path) -> str:
    metrics, warnings = read(reports(dialect, folder, stage), dialect)
    return (
        json.dumps({"metrics": metrics.to_dict(), "warnings": warnings}, indent=2, ensure_ascii=False) + "\n"
    )


@pytest.mark.parametrize(("dialect", "stage"), CASES)
def test_golden(tmp_path: Path, dialect: str, stage: str) -> None:
    assert found(dialect, stage, tmp_path / "report") == (DATA / dialect / f"{stage}.json").read_text()


def test_the_data_has_every_report_and_nothing_else() -> None:
    named = {value for name, value in vars(shapes).items() if name.isupper() and isinstance(value, str)}
    named -= {shapes.POST_SYNTHESIS_BY_DEVICE}
    assert {file for _, file in FILES} == named == {file for files in STAGES.values() for file in files}


# the next source


def ladder(name: str) -> Iterator[tuple[str, str]]:
    """(report, source) of everything that a metric or resource can be read from, best first."""
    for reading in (METRIC_READINGS | RESOURCE_READINGS)[name]:
        yield reading.file, f"report/{reading.file} ({reading.kind})"


METRIC_OF = {**{name: name for name in METRIC_READINGS}, **{used: name for name, used in UTILIZATION.items()}}


#: Dialect and metric, of which there are not two sources.
FEWER = {("upstream", "total_power"), ("open_rtl", "total_power"), ("open_rtl", "clock_frequency")}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", [name for name in METRIC_OF if name != "URAM"])
def test_without_the_best_source_the_next_one_counts(tmp_path: Path, dialect: str, name: str) -> None:
    folder = reports(dialect, tmp_path / "report")
    there = {path.name for path in folder.iterdir()}
    order = list(dict.fromkeys(file for file, _ in ladder(name) if file in there))
    expected: dict[str, set[str]] = {file: set() for file in order}
    for file, source in ladder(name):
        if file in expected:
            expected[file].add(source)
    met = []
    while order:
        metrics, _ = read(folder, dialect)
        source = metrics.sources.get(METRIC_OF[name], "").partition(";")[0]
        if source in expected[order[0]]:
            met.append(order[0])
        (folder / order.pop(0)).unlink()
    assert met == [file for file in expected if file in met]  # in the order of the table
    assert len(met) >= 2 or (dialect, name) in FEWER
    last = read(folder, dialect)[0]
    if METRIC_OF[name] != "clock_frequency":
        assert getattr(last, METRIC_OF[name]) is None
    else:
        assert last.sources["clock_frequency"] == "synth_clk_period_ns (target)"


def test_the_ladder_of_finn_plus_in_full(tmp_path: Path) -> None:
    """LUTs, from the bitfile down to FINN's formulas."""
    folder = reports("finn_plus", tmp_path / "report")
    counts = []
    for file in (
        shapes.POST_SYNTHESIS,
        shapes.OUT_OF_CONTEXT,
        shapes.CHECKPOINT,
        shapes.HLS_RESOURCES,
        shapes.EMPIRICAL_RESOURCES,
        shapes.ESTIMATED_RESOURCES,
    ):
        metrics, _ = read(folder, "finn_plus")
        counts.append(metrics.raw_metrics["LUT"])
        assert metrics.sources["lut_utilization"].startswith(f"report/{file} ")
        (folder / file).unlink()
    assert counts == pytest.approx([5210, 1712, 1660, 3042 + 155, 1233.82, 1131])
    assert "LUT" not in read(folder, "finn_plus")[0].raw_metrics


# shapes of larger builds


def write(folder: Path, file: str, content: Any) -> None:
    folder.mkdir(exist_ok=True)
    (folder / file).write_text(json.dumps(content))


def test_of_several_devices_the_fullest_counts(tmp_path: Path) -> None:
    """finn-plus, Alveo: a report a device, which are alike."""
    for device, luts in ((0, 3000), (1, 9000), (10, 5000)):
        top = {"LUT": luts, "SRL": 1, "FF": 2, "BRAM_36K": 10 * device, "BRAM_18K": 1, "URAM": 0, "DSP": 3}
        write(tmp_path, f"post_synth_resources_{device}.json", {"(top)": top, "MVAU_hls_0": top})
    write(tmp_path, "post_synth_resources_dcp.json", {"0": {"(top)": {"LUT": 1}}})
    metrics, _ = collect(tmp_path, fpga_part="xcu280", synth_clk_period_ns=5.0)
    assert metrics.raw_metrics["LUT"] == 9000 and metrics.raw_metrics["BRAM_18K"] == 201
    assert metrics.sources["lut_utilization"] == "report/post_synth_resources_1.json (post-synthesis)"
    assert metrics.sources["bram_utilization"] == "report/post_synth_resources_10.json (post-synthesis)"


def test_the_body_of_a_loop_is_added_once(tmp_path: Path) -> None:
    """finn-plus, FINNLoop: the body has reports of its own, and the loop counts as nothing in the others."""
    counts = {"BRAM_18K": 0, "LUT": 100, "URAM": 0, "DSP": 0}
    body = {"MVAU_hls_0": {**counts, "LUT": 400}, "Thresholding_rtl_0": {**counts, "LUT": 50}}
    outer = {"MVAU_hls_1": counts, "FINNLoop_0": {**counts, "LUT": 0}}
    write(tmp_path, "estimate_layer_resources.json", {**outer, "total": counts})
    write(tmp_path, "estimate_layer_resources_FINNLoop_0.json", {**body, "total": {**counts, "LUT": 450}})
    metrics, warnings = collect(tmp_path, fpga_part="xc7z020clg400-1", synth_clk_period_ns=5.0)
    assert (metrics.raw_metrics["LUT"], warnings) == (550, [])
    assert "; body of FINNLoop_0: report/estimate_layer_resources_FINNLoop_0.json" in str(metrics.sources)
    write(tmp_path, "estimate_layer_resources_hls.json", {"MVAU_hls_1": {"LUT": "90"}})
    write(tmp_path, "estimate_layer_resources_hls_FINNLoop_0.json", {"MVAU_hls_0": {"LUT": "300"}})
    metrics, warnings = collect(tmp_path, fpga_part="xc7z020clg400-1", synth_clk_period_ns=5.0)
    assert (metrics.raw_metrics["LUT"], warnings) == (90 + 300 + 50, [])


# slack and fmax


def test_an_fmax_without_a_slack_does_not_count(tmp_path: Path) -> None:
    """finn-plus takes a slack that it could not read as 0, and so the clock asked for as the fmax."""
    report = json.loads((DATA / "finn_plus" / "report" / shapes.OUT_OF_CONTEXT).read_text())
    del report["WNS"]
    write(tmp_path, shapes.OUT_OF_CONTEXT, report)
    metrics, warnings = read(tmp_path, "finn_plus")
    assert (metrics.clock_frequency, metrics.throughput) == (200.0, None)
    assert metrics.sources["clock_frequency"] == "synth_clk_period_ns (target)"
    assert (
        f"metrics: report/{shapes.OUT_OF_CONTEXT} has no WNS, without which fmax_mhz does not count"
        in warnings
    )


@pytest.mark.parametrize(
    ("slack", "clock"), [("1.250", 1000 / 8.75), ("-2.500", 80.0), ("0.000", 100.0), ("10.000", 100.0)]
)
def test_the_slack_after_routing_makes_the_clock(tmp_path: Path, slack: str, clock: float) -> None:
    text = (DATA / "upstream" / "report" / shapes.POST_ROUTE).read_text()
    (tmp_path / shapes.POST_ROUTE).write_text(text.replace("0.733", slack))
    metrics, _ = read(tmp_path, "upstream")
    assert metrics.clock_frequency == pytest.approx(clock)
    assert metrics.raw_metrics["wns_ns"] == float(slack)


@pytest.mark.parametrize(
    "text", ["", "WNS(ns)  TNS(ns)", "WNS(ns)  TNS(ns)\n-----  ----\n  NA  NA\n", "\xff\x00"]
)
def test_a_timing_summary_without_a_slack_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / shapes.POST_ROUTE).write_bytes(text.encode("latin-1"))
    metrics, warnings = read(tmp_path, "upstream")
    assert metrics.sources["clock_frequency"] == "synth_clk_period_ns (target)"
    assert warnings == [f"metrics: report/{shapes.POST_ROUTE} has no worst slack (WNS)"]


# damage


def damaged(folder: Path, dialect: str, file: str, content: bytes) -> tuple[BuildMetrics, list[str]]:
    """What comes of all reports with other content in one of them."""
    reports(dialect, folder)
    (folder / file).write_bytes(content)
    return read(folder, dialect)


@pytest.mark.parametrize(("dialect", "file"), FILES)
def test_a_missing_report_is_no_error(tmp_path: Path, dialect: str, file: str) -> None:
    folder = reports(dialect, tmp_path / "report")
    (folder / file).unlink()
    _, warnings = read(folder, dialect)
    assert not any(warning.startswith("metrics:") for warning in warnings)


@pytest.mark.parametrize(("dialect", "file"), FILES)
@pytest.mark.parametrize("cut", [0.0, 0.3, 0.7])
def test_a_truncated_report_is_named_and_costs_only_its_own_figures(
    tmp_path: Path, dialect: str, file: str, cut: float
) -> None:
    content = (DATA / dialect / "report" / file).read_bytes()
    if file.endswith(".rpt"):
        cut *= 0.5  # what counts stands at the front
    metrics, warnings = damaged(tmp_path / "report", dialect, file, content[: int(len(content) * cut)])
    faults = [each for each in warnings if each.startswith("metrics:")]
    assert faults[0].startswith(f"metrics: report/{file} ")
    whole, _ = read(reports(dialect, tmp_path / "whole"), dialect)
    for name, source in whole.sources.items():
        if file not in source:
            assert metrics.sources[name] == source
            assert getattr(metrics, name) == getattr(whole, name)


@pytest.mark.parametrize(("dialect", "file"), FILES)
def test_a_folder_in_place_of_a_report_is_named(tmp_path: Path, dialect: str, file: str) -> None:
    folder = reports(dialect, tmp_path / "report")
    (folder / file).unlink()
    (folder / file).mkdir()
    _, warnings = read(folder, dialect)
    assert any(each.startswith(f"metrics: report/{file} cannot be read") for each in warnings)


ODD = st.sampled_from(
    [
        None,
        True,
        "",
        "12",
        "-3",
        "nan",
        float("nan"),
        float("inf"),
        -1.5,
        10**400,
        1e300,
        [],
        {},
        [[1]],
        {"LUT": 1},
    ]
)


def spoilt(document: Any, spoil: Callable[[], bool], odd: Callable[[], Any]) -> Any:
    """A copy in which values anywhere have become something else."""
    if spoil():
        return odd()
    if isinstance(document, dict):
        return {key: spoilt(value, spoil, odd) for key, value in document.items()}
    if isinstance(document, list):
        return [spoilt(value, spoil, odd) for value in document]
    return document


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), case=st.sampled_from([case for case in FILES if case[1].endswith(".json")]))
def test_hostile_values_anywhere_are_survived(
    tmp_path: Path, data: st.DataObject, case: tuple[str, str]
) -> None:
    dialect, file = case
    document = json.loads((DATA / dialect / "report" / file).read_text())
    rare = st.integers(0, 6).map(lambda number: number == 0)
    hostile = spoilt(document, lambda: data.draw(rare), lambda: data.draw(ODD))
    metrics, warnings = damaged(tmp_path / "report", dialect, file, json.dumps(hostile).encode())
    json.dumps(metrics.validated().to_dict(), allow_nan=False)
    assert all(isinstance(warning, str) and warning for warning in warnings)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.sampled_from(FILES), content=st.binary(max_size=64))
def test_no_bytes_are_fatal(tmp_path: Path, case: tuple[str, str], content: bytes) -> None:
    damaged(tmp_path / "report", *case, content)[0].validated()


def write_golden() -> None:
    for dialect, stage in CASES:
        with tempfile.TemporaryDirectory() as folder:
            (DATA / dialect / f"{stage}.json").write_text(found(dialect, stage, Path(folder) / "report"))


if __name__ == "__main__":
    write_golden()

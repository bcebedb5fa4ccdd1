"""The section of the report that shows what was measured of open_rtl's hardware: a golden file, and damage.

The files are made of the dataclasses that the backend writes them from. After a wanted change of the
template, write the golden file anew: `python -m tests.report.test_hardware`.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finnmake.backends.open_rtl.fifos import Sizing
from finnmake.backends.open_rtl.measured import DONE, Activity, Fill, Measured, Timeline, Waiting
from finnmake.backends.open_rtl.synthesis import Report
from finnmake.backends.open_rtl.yosys.resources import Resources
from finnmake.report import timeline
from finnmake.report.html import render
from tests.report.test_html import ANYTHING, DATA, TEMPLATES, check

GOLDEN = DATA / "hardware.html"
HEADING = "hardware</h2>"
SIMULATION = "artifacts/report/open_rtl_simulation.json"
SYNTHESIS = "artifacts/report/open_rtl_synthesis.json"
FIFOS = "artifacts/report/open_rtl_fifos.json"
DESIGN = "artifacts/open_rtl/rtl/design.json"
LAYERS = ("Thresholding_rtl_0", "MVAU_hls_0")  # the first two of the build's estimates

MEASURED = Measured(
    verdict=DONE,
    cycles=10_000,
    start=(0, 800),
    finish=(9_000, 10_000),
    activity=Activity(
        layers={LAYERS[0]: Waiting(1_568, 8_000, 432), LAYERS[1]: Waiting(9_500, 0, 500)},
        fifos={"StreamingFIFO_rtl_0": Fill(0, 2), "StreamingFIFO_rtl_1": Fill(0, 32)},
        beats={},
        timeline=Timeline(
            width=4_000,
            fill={"StreamingFIFO_rtl_0": (1, 2, 0), "StreamingFIFO_rtl_1": (4, 32, 32)},
            blocked={LAYERS[0]: (2_000, 4_000, 2_000), LAYERS[1]: (0, 0, 0)},
            starved={LAYERS[0]: (432, 0, 0), LAYERS[1]: (450, 10, 40)},
        ),
    ),
)

SIMULATED = {
    "inputs": "models/digits_heldout.npz",
    "inferences": 2,
    "worst_difference": 0.0,
    "accuracy": 0.5,
    "simulation": MEASURED.to_dict(),
    "stalled": {"stall": 0.3, "cycles": 12_345},
}
SYNTHESISED = Report(
    part="xc7z020clg400-1",
    family="xc7",
    tool="Yosys 0.70",
    method="by layer",
    total=Resources(LUT=3_100, FF=4_000, DSP=11, BRAM_18K=12),
    layers={LAYERS[0]: Resources(LUT=608, FF=900), LAYERS[1]: Resources(LUT=2_400, FF=3_000, DSP=11)},
    fifos={"StreamingFIFO_rtl_0": Resources(LUT=92, FF=100)},
    equal=(),
).as_dict()
SIZED = Sizing(
    depths={"StreamingFIFO_rtl_0": 2, "StreamingFIFO_rtl_1": 32},
    gauged={"StreamingFIFO_rtl_0": 2, "StreamingFIFO_rtl_1": 33},
    built={"StreamingFIFO_rtl_0": 32, "StreamingFIFO_rtl_1": 32},
    bits={"built": 16_384, "gauged": 9_000, "depths": 8_704},
    interval=1_000.0,
    interval_built=None,
    latency=9_000,
    simulations=9,
).to_dict()
DESIGNED = {
    "fifos": [
        {"name": "StreamingFIFO_rtl_0", "depth": 2, "width": 8, "producer": "in0_V", "consumer": LAYERS[0]},
        {
            "name": "StreamingFIFO_rtl_1",
            "depth": 32,
            "width": 8,
            "producer": LAYERS[0],
            "consumer": LAYERS[1],
        },
    ]
}
FILES: dict[str, Any] = {SIMULATION: SIMULATED, SYNTHESIS: SYNTHESISED, FIFOS: SIZED, DESIGN: DESIGNED}


def build(folder: Path, **files: Any) -> Path:
    """A build with these files, by their keys in `FILES` less folder and ending; without: all."""
    path = Path(shutil.copytree(DATA / "build", folder / "config_001"))
    for name, content in (files or FILES).items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(json.dumps(content), encoding="utf-8")
    return path


def section(page: str) -> str:
    """The section alone."""
    found = re.search(r'<section class="long hardware">.*?</section>\n', page, re.S)
    return found[0] if found else ""


@pytest.fixture
def built(tmp_path: Path) -> Path:
    return build(tmp_path)


def test_section_equals_the_golden_file(built: Path) -> None:
    page = render(built, TEMPLATES)
    check(page)
    assert section(page) == GOLDEN.read_text(encoding="utf-8")


def test_build_without_these_files_has_nothing_of_it() -> None:
    page = render(DATA / "build", TEMPLATES)
    assert not section(page)
    assert "hardware" not in page.partition("</style>")[0]


def test_each_layer_has_its_shares_and_the_busiest_is_marked(built: Path) -> None:
    rows = section(render(built, TEMPLATES)).split("<tr>")
    (threshold,) = (row for row in rows if LAYERS[0] in row and "15.7 %" in row)
    assert "80.0 %" in threshold and "4.3 %" in threshold and "bottleneck" not in threshold
    (mvau,) = (row for row in rows if LAYERS[1] in row and "95.0 %" in row)
    assert "bottleneck" in mvau


def test_busy_cycles_of_an_inference_stand_beside_the_estimate(built: Path) -> None:
    estimates = json.loads((built / "artifacts/report/estimate_layer_cycles.json").read_text())
    assert estimates[LAYERS[0]] == 784
    rows = section(render(built, TEMPLATES)).split("<tr>")
    (row,) = (row for row in rows if LAYERS[0] in row and "784" in row)
    assert row.count("784") == 2 and "× 1<" in row  # 1,568 busy cycles in two inferences


def test_resources_have_estimate_count_and_ratio(built: Path) -> None:
    path = built / "artifacts/report/estimate_layer_resources.json"
    assert json.loads(path.read_text())[LAYERS[0]]["LUT"] == 1216
    rows = section(render(built, TEMPLATES)).split("<tr>")
    (row,) = (row for row in rows if LAYERS[0] in row and "1,216" in row)
    assert re.findall(r">([^<>]+)</td>", row)[:4] == ["1,216", "608", "× 0.5", "900"]


def test_fifos_have_depth_and_peak_and_a_full_one_says_so(built: Path) -> None:
    """One of 2 words holds 5, so that with 2 it is not full."""
    rows = section(render(built, TEMPLATES)).split("<tr>")
    (small,) = (row for row in rows if "StreamingFIFO_rtl_0" in row and "in0_V" in row)
    assert "was full" not in small and "up to 40 % full" in small
    (large,) = (row for row in rows if "StreamingFIFO_rtl_1" in row and "→" in row)
    assert "was full" in large and "up to 100 % full" in large


def test_sizing_tells_memory_and_rate_before_and_after(built: Path) -> None:
    page = section(render(built, TEMPLATES))
    assert "2 KiB before sizing, 1.062 KiB after" in page
    assert "a deadlock before, 1,000 cycles after" in page


def test_fmax_is_said_not_to_be_known(built: Path) -> None:
    page = section(render(built, TEMPLATES))
    assert "Fmax is not known. No open tool knows the timing of these devices." in page


def test_simulation_alone_claims_no_synthesis(tmp_path: Path) -> None:
    page = section(render(build(tmp_path, **{SIMULATION: SIMULATED}), TEMPLATES))
    assert "<h2>Simulated hardware</h2>" in page
    assert "Yosys" not in page and "Resources by layer" not in page
    assert "Fmax is not known" in page


def test_synthesis_alone_shows_no_simulation(tmp_path: Path) -> None:
    page = section(render(build(tmp_path, **{SYNTHESIS: SYNTHESISED}), TEMPLATES))
    assert "Resources by layer" in page
    assert "Where it waits" not in page and "cycles from one" not in page


def test_design_that_was_not_observed_has_cycles_alone(tmp_path: Path) -> None:
    unseen = dataclasses.replace(MEASURED, activity=None).to_dict()
    page = section(render(build(tmp_path, **{SIMULATION: {**SIMULATED, "simulation": unseen}}), TEMPLATES))
    assert "9,000" in page and "Where it waits" not in page and "When it waits" not in page


def test_unsettled_interval_is_told(tmp_path: Path) -> None:
    odd = {**MEASURED.to_dict(), "is_settled": False}
    page = section(render(build(tmp_path, **{SIMULATION: {**SIMULATED, "simulation": odd}}), TEMPLATES))
    assert "it did not settle" in page


@pytest.mark.parametrize("name", [SIMULATION, SYNTHESIS, FIFOS])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"simulation": {"cy', "is not valid JSON"),
        ("[1]", "is not a JSON object"),
        ("{}", "has no"),
        ("null", "has no"),
        ('{"simulation": 1, "total": [], "depths": "x"}', "has no"),
    ],
)
def test_file_that_cannot_be_used_is_named_and_the_others_shown(
    built: Path, name: str, content: str, said: str
) -> None:
    (built / name).write_text(content)
    page = render(built, TEMPLATES)
    check(page)
    banner = page.partition('<div class="figures">')[0]
    assert f"{name} {said}" in banner
    assert HEADING in page


def test_long_run_is_shown_in_a_bounded_number_of_cells() -> None:
    parts, width = 256, 1000
    waits = [width * (at % 2) for at in range(parts)]
    values = {"width": width, "blocked": {"a": waits}, "starved": {"a": [0] * parts}}
    row = timeline.Timeline.of({"timeline": values}, parts * width - 1)
    assert row is not None
    cells = row.waits("a")
    assert row.column == 4 * width
    assert [(cell.x, cell.width, cell.opacity) for cell in cells] == [
        (0.0, 98.438, 0.5),
        (98.438, 1.562, 0.75),
    ]


def test_cells_end_with_the_run_and_say_what_they_show() -> None:
    values = {"width": 100, "blocked": {"a": [0, 10]}, "starved": {"a": [100, 0]}, "fill": {"f": [0, 8]}}
    row = timeline.Timeline.of({"timeline": values}, 150)
    assert row is not None
    assert [cell.said for cell in row.waits("a")] == [
        "cycles 0 to 99: 100 % starved",
        "cycles 100 to 149: 20 % blocked",
    ]
    assert [cell.said for cell in row.fill("f", 16)] == ["cycles 100 to 149: up to 50 % full"]
    assert row.waits("of no such name") == ()


ODD = st.sampled_from([None, True, "", "12", -1.5, float("nan"), float("inf"), 10**400, 1e18, [], {}, [[1]]])


def spoilt(value: Any, rare: Any, odd: Any) -> Any:
    """A copy in which values anywhere have become something else."""
    if rare():
        return odd()
    if isinstance(value, dict):
        return {key: spoilt(each, rare, odd) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [spoilt(each, rare, odd) for each in value]
    return value


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(sorted(FILES)))
def test_no_values_are_fatal(tmp_path: Path, data: st.DataObject, name: str) -> None:
    shutil.rmtree(tmp_path / "config_001", ignore_errors=True)
    chance = st.integers(0, 12).map(lambda number: number == 0)
    content = spoilt(FILES[name], lambda: data.draw(chance), lambda: data.draw(ODD))
    page = render(build(tmp_path, **{**FILES, name: content}), TEMPLATES)
    page.encode("utf-8")
    check(page)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.dictionaries(st.sampled_from(sorted(FILES)), ANYTHING, min_size=1))
def test_no_content_is_fatal(tmp_path: Path, files: dict[str, Any]) -> None:
    shutil.rmtree(tmp_path / "config_001", ignore_errors=True)
    check(render(build(tmp_path, **files), TEMPLATES))


def write_golden() -> None:
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(section(render(build(Path(folder)), TEMPLATES)), encoding="utf-8")


if __name__ == "__main__":
    write_golden()

"""Whole builds on the engine: hardware that gives what the model gives, and hardware that does not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from finnmake.engine.parts import Parts
from tests.backends.open_rtl import builds
from tests.backends.open_rtl.networks import Network
from tests.projects import Project, Run, contents

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: A step that flips one bit in the last file of a pattern.
ALTER = """\
from pathlib import Path

from finnmake.plugins import step

@step
def alter(model, cfg, pattern, bit):
    path = max(Path(cfg.output_dir, "open_rtl/rtl").glob(pattern))
    lines = path.read_text().split()
    lines[0] = f"{int(lines[0], 16) ^ 1 << bit:0{len(lines[0])}x}"
    path.write_text("\\n".join(lines) + "\\n")
    return model
"""

#: What is altered -> files, bit, the layer that is wrong then. A weight of the last layer: nothing behind it
#: hides that. Of a threshold, a bit that counts for more than the distance from it to the nearest sum.
ALTERED = {
    "weight": ("*_weights.dat", 0, "MVAU_rtl_1"),
    "threshold": ("Thresholding_rtl_1_threshs_0_0.dat", 6, "Thresholding_rtl_1"),
}

#: Fewer inputs than the default.
FEWER = builds.simulate(20)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, runtime: Parts) -> Project:
    """A project with a small network of two layers."""
    project = builds.project(tmp_path_factory.mktemp("open_rtl"), runtime)
    network = Network((1, 16))
    hidden = network.activation(network.dense(network.input, (16, 8)))
    network.model(network.dense(hidden, (8, 4))).save(str(project.root / "models/small.onnx"))
    project.plugin("alter.py", ALTER)
    return project


CONFIG: Mapping[str, Any] = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": 5.0,
    "target_fps": 1_000_000,
}


def build(project: Project, name: str, stage: str, *changes: Any, code: int = 0) -> Run:
    model, steps = "../models/small.onnx", [FEWER, *changes]
    return builds.build(project, name, model, steps, stage=stage, code=code, **CONFIG)


@pytest.fixture(scope="module")
def packaged(project: Project) -> Path:
    """The folder of a build up to STITCHED_IP."""
    build(project, "packaged", "STITCHED_IP")
    return project.folder("packaged")


def test_figures_are_of_simulation_and_synthesis(packaged: Path) -> None:
    metrics = json.loads((packaged / "metrics.json").read_text())
    simulated = json.loads((packaged / "artifacts/report/open_rtl_simulation.json").read_text())
    interval = simulated["simulation"]["stable_interval"]
    assert metrics["throughput"] == pytest.approx(2e8 / interval)
    assert metrics["latency"] == pytest.approx(simulated["simulation"]["latency"] * 5e-3)
    assert "Yosys" in metrics["sources"]["lut_utilization"]
    assert simulated["inferences"] == 20 and simulated["worst_difference"] == 0


def test_the_package_is_whole(packaged: Path) -> None:
    folder = packaged / "artifacts/stitched_ip"
    names = contents(folder)
    listed = (folder / "files.f").read_text().split()
    assert listed and all(any(name.endswith(each) for name in names) for each in listed)
    assert any(name.endswith("_weights.dat") for name in names)


def test_waveforms_are_written_after_a_build_that_asks_for_them(project: Project, packaged: Path) -> None:
    run = project.succeed("blueprint=packaged", "build:config_001", "--waves")
    assert "packaged-config_001.fst: cycles 0 to " in run.output.splitlines()[-1]
    assert (project.root / "packaged-config_001.fst").stat().st_size > 1000


def test_an_exploration_of_clocks_simulates_nothing_again_and_tells_where_estimates_misled(
    project: Project, packaged: Path
) -> None:
    objectives = {"throughput": "max", "latency": "min", "lut_utilization": "min"}
    project.blueprint(
        "clocks",
        keys={
            "backend": OPEN_RTL,
            "output_stage": "STITCHED_IP",
            "model": "../models/small.onnx",
            "objectives": objectives,
        },
        config={**CONFIG, "synth_clk_period_ns": [5.0, 4.0]},
        steps=[FEWER],
    )
    run = project.run("explore")
    assert run.code == 0, run.output
    for costly in ("size_fifos", "simulate", "synthesize"):
        assert f"step_open_rtl_{costly}" not in run.output
    said = run.output.partition("\nmeasured / ")[2].partition("\nresults: ")[0]
    assert f"measured / {said}\n" == MISLED


MISLED = """\
measured / FINN's estimate  builds  least  median  most  farthest off
throughput                       2      1       1     1    config_001
latency                          2   1.07    1.07  1.07    config_001
lut_utilization                  2   2.19    2.19  2.19    config_001
dsp_utilization                  2    1.5     1.5   1.5    config_001
bram_utilization                 2      0       0     0    config_001
Pareto set by estimates (throughput, latency, lut_utilization): the same
"""


@pytest.mark.parametrize("what", ALTERED)
def test_one_altered_value_fails_the_build_and_its_layer_is_named(project: Project, what: str) -> None:
    pattern, bit, layer = ALTERED[what]
    alter = {"step": "alter", "pattern": pattern, "bit": bit}
    build(project, what, "RTL", {"before": "step_open_rtl_simulate", "insert": alter}, code=2)
    result = project.read("result.json", what)
    assert (result["status"], result["error_category"]) == ("FAILED", "verification")
    assert "inferences differ from the original model" in result["error_message"]
    assert f"the first layer that differs: {layer} " in result["error_message"]
    tips = "".join(result["tips"])
    waveforms = (project.store / "parts/open_rtl/waves").iterdir()
    (waveform,) = (each for each in waveforms if f"Waveform: {each}, cycle " in tips)
    assert waveform.stat().st_size > 1000

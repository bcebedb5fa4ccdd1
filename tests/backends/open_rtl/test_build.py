"""Whole builds on the engine: hardware that gives what the model gives, and hardware that does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from tests.backends.open_rtl.networks import Network
from tests.projects import Project, Run, contents

pytestmark = [pytest.mark.finn, pytest.mark.slow]

#: A step that alters one weight of the last layer: nothing behind it hides that, as thresholds might.
ALTER = """\
from pathlib import Path

from finnmake.plugins import step

@step
def alter(model, cfg):
    path = max(Path(cfg.output_dir, "open_rtl/rtl").glob("*_weights.dat"))
    lines = path.read_text().split()
    lines[0] = f"{int(lines[0], 16) ^ 1:0{len(lines[0])}x}"
    path.write_text("\\n".join(lines) + "\\n")
    return model
"""

#: Fewer inputs than the default.
FEWER = {
    "replace": "step_open_rtl_simulate",
    "with": {"step": "step_open_rtl_simulate", "inferences": 20},
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a small network of two layers."""
    folder = tmp_path_factory.mktemp("open_rtl")
    project = Project.clone(folder / "project", folder / "store")
    network = Network((1, 16))
    hidden = network.activation(network.dense(network.input, (16, 8)))
    network.model(network.dense(hidden, (8, 4))).save(str(project.root / "models/small.onnx"))
    project.plugin("alter.py", ALTER)
    return project


CONFIG = {
    "fpga_part": "xc7z020clg400-1",
    "synth_clk_period_ns": 5.0,
    "target_fps": 1_000_000,
    "standalone_thresholds": True,
}


def build(project: Project, name: str, stage: str, *changes: Any, code: int = 0) -> Run:
    project.blueprint(
        name,
        keys={"backend": OPEN_RTL, "output_stage": stage, "model": "../models/small.onnx"},
        config=CONFIG,
        steps=[FEWER, *changes],
    )
    run = project.run("build:config_001")
    assert run.code == code, run.output
    return run


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


def test_one_altered_weight_fails_the_build_and_is_named(project: Project) -> None:
    build(project, "altered", "RTL", {"before": "step_open_rtl_simulate", "insert": "alter"}, code=2)
    result = project.read("result.json", "altered")
    assert (result["status"], result["error_category"]) == ("FAILED", "verification")
    assert "inferences differ from the original model" in result["error_message"]
    assert "MVAU_rtl_1" in result["error_message"]
    (waveform,) = (project.store / "parts/open_rtl/waves").iterdir()
    assert f"Waveform: {waveform}, cycle " in "".join(result["tips"])
    assert waveform.stat().st_size > 1000

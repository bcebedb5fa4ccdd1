"""The steps on the engine: what runs again for another depth of FIFOs, and for another clock."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from finnmake.backends import BACKENDS
from finnmake.backends.open_rtl import steps
from finnmake.blueprint import tables
from finnmake.blueprint.open_rtl_steps import MODULE, OPEN_RTL, PARAMETERS, default_steps
from tests.projects import Project

CONFIG = {"fpga_part": "xc7z020clg400-1", "standalone_thresholds": True, "target_fps": 10_000}
STITCHED = default_steps("RTL")[: default_steps("RTL").index("step_open_rtl_stitch") + 1]


def test_the_table_of_steps_is_that_of_the_module() -> None:
    found = {name: function for name, function in vars(steps).items() if name.startswith("step_")}
    assert list(PARAMETERS) == list(found) and steps.__name__ == MODULE
    for name, function in found.items():
        every = list(inspect.signature(function).parameters.values())[2:]
        assert PARAMETERS[name] == tuple(f"{each.name}={each.default}" for each in every)


def test_default_steps_are_there_and_estimates_come_behind_what_must_not_see_the_clock() -> None:
    for stage in BACKENDS[OPEN_RTL].output_stages:
        names = default_steps(stage.value)
        assert set(names) <= {*tables.step_names(), *PARAMETERS}
        last = [name for name in names if "simulate" in name or "synthesize" in name]
        assert all(names.index(name) < names.index("step_generate_estimate_reports") for name in last)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.clone(tmp_path / "project", tmp_path / "store")


@pytest.mark.finn
def test_another_depth_generates_no_layer_and_another_clock_stitches_nothing(project: Project) -> None:
    fifos = {"step": "step_open_rtl_fifos", "depth": [32, 48]}
    written = [fifos if name == "step_open_rtl_fifos" else name for name in STITCHED]
    clocks = {**CONFIG, "synth_clk_period_ns": [5.0, 10.0]}
    project.blueprint(keys={"backend": OPEN_RTL, "output_stage": "RTL"}, config=clocks, steps=written)
    ran = project.succeed("build").steps
    assert ran.count("step_open_rtl_fifos") == ran.count("step_open_rtl_stitch") == 2
    # The folding reads the clock, and FINN's generation of layers; what comes of both is the same.
    assert ran.count("step_open_rtl_layers") == ran.count("step_target_fps_parallelization") == 2
    assert ran.count("step_open_rtl_graph") == 1
    assert "nothing to do" in project.succeed("build").output

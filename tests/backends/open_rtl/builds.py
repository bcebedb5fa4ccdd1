"""Whole builds of this backend on the engine, of networks that tests make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finnmake.blueprint.open_rtl_steps import OPEN_RTL
from finnmake.engine import parts
from finnmake.engine.parts import Parts
from tests.projects import Project, Run

#: FINN's step for networks with branches, in place of its own.
BRANCHES = {
    "replace": "step_streamline",
    "with": "finn.builder.custom_step_library.resnet.step_resnet_streamline",
}


def project(folder: Path, runtime: Parts) -> Project:
    """A project with a store of its own, but for Verilator's run-time library, which all tests share."""
    made = Project.clone(folder / "project", folder / "store")
    kept = made.store / parts.FOLDER / OPEN_RTL / "runtime"
    kept.parent.mkdir(parents=True)
    runtime.folder.mkdir(parents=True, exist_ok=True)
    kept.symlink_to(runtime.folder, target_is_directory=True)
    return made


def simulate(inferences: int) -> Mapping[str, Any]:
    """A change of the steps: simulate so many inferences."""
    name = "step_open_rtl_simulate"
    return {"replace": name, "with": {"step": name, "inferences": inferences}}


def build(
    project: Project,
    name: str,
    model: str,
    steps: Sequence[Any],
    *,
    stage: str = "RTL",
    code: int = 0,
    **config: Any,
) -> Run:
    """Build a blueprint of one configuration.

    Args:
        name: of the blueprint.
        model: its path from `blueprints/`.
        steps: changes of the default steps.
        code: with which the run has to end.
        config: fields besides part and clock.
    """
    project.blueprint(
        name,
        keys={"backend": OPEN_RTL, "output_stage": stage, "model": model},
        config={
            "fpga_part": "xc7z020clg400-1",
            "synth_clk_period_ns": 5.0,
            **config,
        },
        steps=list(steps),
    )
    run = project.run("build:config_001")
    assert run.code == code, run.output
    return run


def simulated(project: Project, name: str) -> Any:
    """What a build measured: `report/open_rtl_simulation.json`."""
    return project.read("artifacts/report/open_rtl_simulation.json", name)

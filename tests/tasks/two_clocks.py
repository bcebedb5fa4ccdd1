"""A space of two clocks with a plugin's step and an analysis, for the commands that answer questions."""

from __future__ import annotations

import os
from pathlib import Path

from tests.projects import Project

#: The steps of the space on FINN.
FINN_STEPS = [
    *("step_qonnx_to_finn", "step_tidy_up", "step_streamline", "step_convert_to_hw"),
    *("step_minimize_bit_width_initial", "step_create_dataflow_partition", "step_specialize_layers"),
    *("step_target_fps_parallelization", "step_apply_folding_config", "tick"),
    *("step_minimize_bit_width", "step_generate_estimate_reports"),
]

#: And on the mock, which runs no plugins.
STEPS = ["step_tidy_up", "step_streamline", "tick", "step_generate_estimate_reports"]

TICK = """from finnmake.plugins import step

@step
def tick(model, cfg):
    return model
"""

ANALYSIS = """from finnmake.plugins import analysis

@analysis
def counted(build):
    return {"throughput": build.metrics["throughput"]}
"""


def stamps(folder: Path) -> dict[str, tuple]:
    """All that there is, with every time stamp but that of reading."""
    found = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        known = os.lstat(path)
        found[str(path)] = (known.st_mtime_ns, known.st_ctime_ns, known.st_size, known.st_ino, known.st_mode)
    return found


def made(folder: Path, backend: str) -> Project:
    project = Project.clone(folder / "project", folder / "store")
    project.plugin("ticking.py", TICK)
    project.plugin("counting.py", ANALYSIS)
    clocked(project, [5.0, 10.0], backend=backend)
    project.succeed("build")
    return project


def clocked(project: Project, clocks: list[float], steps: list | None = None, backend: str = "mock") -> None:
    project.blueprint(
        keys={"backend": backend},
        config={"fpga_part": "xc7z020clg400-1", "synth_clk_period_ns": clocks, "target_fps": 10000},
        steps=steps or (FINN_STEPS if backend == "finn" else STEPS),
        transforms={"post_proc": ["counted"]},
    )

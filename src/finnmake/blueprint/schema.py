"""What a blueprint may hold: its keys, and what their values may be."""

from __future__ import annotations

import re
from typing import NamedTuple

from finnmake.blueprint import tables
from finnmake.blueprint.tables import FieldType
from finnmake.records import OutputStage

#: What the file may say in `version`.
VERSION = 1

#: Keys of the file, of `design_space`, of `search`, of a range of numbers and of a kernel.
TOP_KEYS = (
    "version",
    "name",
    "description",
    "model",
    "extends",
    "backend",
    "output_stage",
    "timeout",
    "mock",
    "design_space",
    "constraints",
    "objectives",
    "limits",
    "search",
)
SPACE_KEYS = ("config", "transforms", "steps", "kernels")
SEARCH_KEYS = (
    "strategy",
    "samples",
    "seed",
    "max_builds",
    "max_combinations",
    "fail_fast",
    "early_stop",
    "timeout",
)
RANGE_KEYS = ("from", "to", "step", "factor")
KERNEL_KEYS = ("choose", "priority", "attributes")
MOCK_KEYS = ("delay", "failures")

#: Stages of `design_space.transforms` that always are -> kind of their entries; others hold transforms.
STAGES = {"pre_proc": "transform", "post_proc": "analysis"}

#: The key that says what happens where a transform fails, and its values: the default first.
ON_ERROR = "on_error"
FAIL, PASSTHROUGH = "fail", "passthrough"

#: What a build of the backend `mock` can be made to fail with: categories of errors.
MOCK_FAILURES = (
    "model_load",
    "preprocessing",
    "transform",
    "kernel",
    "synthesis",
    "timing",
    "resource",
    "memory",
    "environment",
    "config",
    "unknown",
)

#: Operations on a list of steps -> the key of what they put there, if any.
OPERATIONS = {
    "after": "insert",
    "before": "insert",
    "replace": "with",
    "remove": None,
    "at_start": "insert",
    "at_end": "insert",
}

#: Ways of searching, and the directions of an objective.
STRATEGIES = ("exhaustive", "random")
DIRECTIONS = ("max", "min")

#: What a build is measured by: the fields of `BuildMetrics`.
METRICS = (
    "throughput",
    "latency",
    "clock_frequency",
    "lut_utilization",
    "dsp_utilization",
    "bram_utilization",
    "uram_utilization",
    "total_power",
    "accuracy",
)

#: What is aimed for where the blueprint does not say.
DEFAULT_OBJECTIVES = (("throughput", "max"), ("lut_utilization", "min"))

#: Backend of finnmake's own -> how far it goes. Installed packages bring more.
BACKEND_STAGES = {
    "finn": tuple(stage.value for stage in OutputStage),
    "brainsmith": ("ESTIMATES", "STITCHED_IP", "BITFILE"),
    "mock": ("ESTIMATES", "DATAFLOW_GRAPH", "RTL"),
    "open_rtl": ("ESTIMATES", "DATAFLOW_GRAPH", "RTL", "STITCHED_IP"),
}

#: Other names of theirs.
BACKEND_ALIASES = {"legacy_finn": "finn", "future_brainsmith": "brainsmith"}

#: Seconds that one step may take, where the blueprint does not say.
DEFAULT_TIMEOUT = 3600

TEXT = FieldType("str")
SECONDS = FieldType("int")
OUTPUT_STAGE = FieldType("enum", choices=tuple(stage.value for stage in OutputStage))
REACTION = FieldType("enum", choices=(FAIL, PASSTHROUGH))

#: Output stage -> FINN's list of steps that `steps: default` means, and the last of them (empty for all).
DEFAULT_STEPS = {
    "ESTIMATES": ("estimate_only_dataflow_steps", ""),
    "DATAFLOW_GRAPH": ("estimate_only_dataflow_steps", ""),
    "RTL": ("hw_codegen_dataflow_steps", ""),
    "STITCHED_IP": ("default_build_dataflow_steps", "step_create_stitched_ip"),
    "BITFILE": ("default_build_dataflow_steps", ""),
}

_SET_BY_FINNMAKE = "finnmake sets it for every build"
_OWN_STEPS = "finnmake runs the steps itself"

#: Fields of `DataflowBuildConfig` that a blueprint may not set -> (why, what to do instead).
REFUSED_FIELDS = {
    "config_path": (_SET_BY_FINNMAKE, "Take it out."),
    "enable_build_pdb_debug": ("a build has no terminal for a debugger", "Take it out."),
    "enable_exception_snapshots": ("finnmake keeps the state before a failed step itself", "Take it out."),
    "generate_outputs": ("it follows from output_stage", "Set output_stage at the top of the file."),
    "inject_steps_after": (_OWN_STEPS, "Write the step into design_space.steps."),
    "inject_steps_before": (_OWN_STEPS, "Write the step into design_space.steps."),
    "model_path": (_SET_BY_FINNMAKE, "Set model at the top of the file."),
    "output_dir": (_SET_BY_FINNMAKE, "Take it out: outputs are in builds/<name>/<configuration>."),
    "start_step": (_OWN_STEPS, "Take it out: what is done already is found in the store."),
    "steps": (_OWN_STEPS, "Write them into design_space.steps."),
    "stop_step": (_OWN_STEPS, "Shorten the list in design_space.steps."),
}

#: What a blueprint or a configuration may be called.
NAME = re.compile(r"[A-Za-z0-9_-]+")


class Bound(NamedTuple):
    """The least value of a number; `open` where it must be above it; and the greatest, if there is one."""

    least: float
    open: bool = False
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Whether the value is allowed."""
        above = value > self.least if self.open else value >= self.least
        return above and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        """For messages, after `It must be`."""
        least = f"{'above' if self.open else 'at least'} {self.least:g}"
        return least if self.most is None else f"{least} and at most {self.most:g}"


#: Where FINN would divide by zero or loop without an end, long after the start.
BOUNDS = {
    "synth_clk_period_ns": Bound(0, open=True),
    "hls_clk_period_ns": Bound(0, open=True),
    "target_fps": Bound(1),
    "timeout": Bound(1),
    "samples": Bound(1),
    "seed": Bound(0),
    "max_builds": Bound(1),
    "max_combinations": Bound(1),
    "delay": Bound(0, most=86_400),
    "failures": Bound(0, most=1),
}


def default_steps(stage: str) -> tuple[str, ...]:
    """FINN's own steps for an output stage."""
    name, last = DEFAULT_STEPS[stage]
    steps = tables.step_list(name)
    return steps[: steps.index(last) + 1] if last else steps

"""The backend open_rtl in blueprints: its fields, its steps, what they take, what `default` stands for."""

from __future__ import annotations

from collections.abc import Mapping

#: The backend's name.
OPEN_RTL = "open_rtl"

#: Fields that are so where a blueprint does not say otherwise, as if it had said so. FINN's own default has
#: thresholds inside the MVAU, which has no RTL then.
FIELDS: Mapping[str, bool] = {"standalone_thresholds": True}

#: Where the worker finds them.
MODULE = "finnmake.backends.open_rtl.steps"

#: Step -> its parameters, each as it is written in `MODULE`.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "step_open_rtl_reference": (),
    "step_open_rtl_thresholds": (),
    "step_open_rtl_partition": (),
    "step_open_rtl_graph": (),
    "step_open_rtl_layers": (),
    "step_open_rtl_fifos": ("depth=32",),
    "step_open_rtl_stitch": (),
    "step_open_rtl_size_fifos": (),
    "step_open_rtl_simulate": ("data=None", "inferences=100", "stall=0.3"),
    "step_open_rtl_synthesize": (),
    "step_open_rtl_package": (),
    "step_open_rtl_report": (),
}

#: FINN's steps from a model to hardware layers without folding; the first of ours keeps the model.
_LAYERS = (
    "step_open_rtl_reference",
    "step_qonnx_to_finn",
    "step_tidy_up",
    "step_streamline",
    "step_convert_to_hw",
    "step_open_rtl_thresholds",
    "step_minimize_bit_width_initial",
    "step_open_rtl_partition",
    "step_specialize_layers",
    "step_target_fps_parallelization",
    "step_apply_folding_config",
    "step_minimize_bit_width",
    "step_transpose_decomposition",
)
_GRAPH = (*_LAYERS, "step_open_rtl_graph")
_STITCHED = (*_GRAPH, "step_open_rtl_layers", "step_open_rtl_fifos", "step_open_rtl_stitch")
_SIZED = (*_STITCHED, "step_open_rtl_size_fifos")

#: The step that measures on a data set, where it is given one.
SIMULATE = "step_open_rtl_simulate"

#: Estimates depend on the clock, on which nothing before them does but the folding: they come last.
_ESTIMATES = ("step_generate_estimate_reports",)

_DEFAULTS = {
    "ESTIMATES": (*_LAYERS, *_ESTIMATES),
    "DATAFLOW_GRAPH": (*_GRAPH, *_ESTIMATES),
    "RTL": (*_STITCHED, SIMULATE, *_ESTIMATES, "step_open_rtl_report"),
    "STITCHED_IP": (
        *_SIZED,
        SIMULATE,
        "step_open_rtl_synthesize",
        "step_open_rtl_package",
        *_ESTIMATES,
        "step_open_rtl_report",
    ),
}


def default_steps(stage: str) -> tuple[str, ...]:
    """The steps that `default` stands for; beyond what the backend reaches, those of its last stage."""
    return _DEFAULTS.get(stage, _DEFAULTS["STITCHED_IP"])

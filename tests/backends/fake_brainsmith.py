"""Stands for Brainsmith 0.1, which cannot be installed here: a test puts this file into an environment as
`brainsmith/__init__.py`.

It takes a blueprint by Brainsmith's rules (microsoft/Brainsmith, brainsmith/dse/config.py and
brainsmith/dse/_parser/) and leaves files where `brainsmith/dse/runner.py` and FINN leave them. It builds
nothing: the model goes through with one entry more in its metadata, and the reports are a made-up network's,
in FINN's shapes.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from string import Template
from typing import Any

import yaml

#: The last blueprint that was taken, for tests in one process.
TAKEN: list[dict[str, Any]] = []

#: Brainsmith's own steps: `@step(name=...)` in brainsmith/steps/.
OWN_STEPS = frozenset(
    (
        "apply_parallelization_config",
        "bert_cleanup",
        "bert_streamlining",
        "build_dataflow_graph",
        "build_hw_graph",
        "constrain_folding_and_set_pumped_compute",
        "explore_kernel_params",
        "normalize_dataflow_layouts",
        "shell_metadata_handover",
    )
)

#: FINN's steps as they are registered there: `_discover_steps` of src/finn/util/brainsmith_integration.py in
#: Xilinx/finn, branch custom/transformer, commit 15fbf080b. A release before it does without the last.
FINN_STEPS = frozenset(
    (
        "qonnx_to_finn",
        "tidy_up",
        "streamline",
        "convert_to_hw",
        "create_dataflow_partition",
        "specialize_layers",
        "target_fps_parallelization",
        "apply_folding_config",
        "minimize_bit_width",
        "generate_estimate_reports",
        "hw_codegen",
        "hw_ipgen",
        "set_fifo_depths",
        "create_stitched_ip",
        "measure_rtlsim_performance",
        "out_of_context_synthesis",
        "synthesize_bitfile",
        "make_driver",
        "deployment_package",
    )
)
LATER_STEPS = frozenset(("transpose_decomposition",))
KNOWN_STEPS = OWN_STEPS | FINN_STEPS | LATER_STEPS

#: The fields of `DataflowBuildConfig` in that FINN: Brainsmith calls its constructor with `finn_config`.
FINN_FIELDS = frozenset(
    (
        "auto_fifo_depths",
        "auto_fifo_strategy",
        "board",
        "cpp_driver_version",
        "default_swg_exception",
        "enable_build_pdb_debug",
        "enable_hw_debug",
        "fifosim_input_throttle",
        "fifosim_n_inferences",
        "fifosim_save_waveform",
        "folding_config_file",
        "folding_two_pass_relaxation",
        "fpga_part",
        "generate_outputs",
        "hls_clk_period_ns",
        "kernel_selections",
        "large_fifo_mem_style",
        "loop_body_hierarchy",
        "max_multithreshold_bit_width",
        "minimize_bit_width",
        "mvau_wwidth_max",
        "no_stdout_redirect",
        "output_dir",
        "preserve_thresh_shape",
        "rtlsim_batch_size",
        "rtlsim_use_vivado_comps",
        "save_intermediate_models",
        "shell_flow_type",
        "signature",
        "specialize_layers_config_file",
        "split_large_fifos",
        "standalone_thresholds",
        "start_step",
        "steps",
        "stitched_ip_gen_dcp",
        "stop_step",
        "synth_clk_period_ns",
        "target_fps",
        "verbose",
        "verification_atol",
        "verify_expected_output_npy",
        "verify_input_npy",
        "verify_save_full_context",
        "verify_save_rtlsim_waveforms",
        "verify_steps",
        "vitis_floorplan_file",
        "vitis_opt_strategy",
        "vitis_platform",
    )
)


class SegmentStatus(Enum):
    """brainsmith/dse/types.py."""

    COMPLETED = "completed"
    FAILED = "failed"


@dataclass
class SegmentResult:
    """brainsmith/dse/types.py."""

    segment_id: str
    status: SegmentStatus
    output_model: Path | None = None
    output_dir: Path | None = None
    error: str | None = None


@dataclass
class TreeExecutionResult:
    """brainsmith/dse/types.py."""

    segment_results: dict[str, SegmentResult]
    total_time: float


class ExecutionError(Exception):
    """brainsmith/dse/types.py."""


def parse(path: Path) -> dict[str, Any]:
    """The blueprint with its variables replaced. Raises as Brainsmith would: Key-, Type- and ValueErrors."""
    raw = yaml.safe_load(path.read_text()) or {}
    data = _expanded(raw, {**os.environ, "BLUEPRINT_DIR": str(path.parent.absolute())})
    if float(data["clock_ns"]) <= 0:
        raise ValueError(f"clock_ns must be positive, got {data['clock_ns']}")
    output = data.get("output", "estimates")
    if output not in ("estimates", "rtl", "bitfile"):
        raise ValueError(f"Invalid output {output!r}")
    if output != "estimates" and not data.get("board"):
        raise ValueError(f"{output} requires board specification")
    if not isinstance(data.get("finn_config", {}), dict):
        raise ValueError("finn_config must be a mapping")
    unknown = sorted(data.get("finn_config", {}).keys() - FINN_FIELDS)
    if unknown:
        raise TypeError(f"DataflowBuildConfig.__init__() got an unexpected keyword argument {unknown[0]!r}")
    space = data["design_space"]
    for kernel in space["kernels"]:
        _check_kernel(kernel)
    for step in space["steps"]:
        _check_step(step)
    return data


def _expanded(value: Any, variables: dict[str, str]) -> Any:
    if isinstance(value, str):
        return Template(value).safe_substitute(variables)
    if isinstance(value, dict):
        return {key: _expanded(each, variables) for key, each in value.items()}
    return [_expanded(each, variables) for each in value] if isinstance(value, list) else value


def _check_kernel(kernel: Any) -> None:
    if isinstance(kernel, str):
        return
    if not isinstance(kernel, dict) or len(kernel) != 1:
        raise ValueError(f"Kernel spec must be a string or a dict of one key: {kernel}")
    ((name, backends),) = kernel.items()
    if not isinstance(backends, list) or not backends or not all(isinstance(each, str) for each in backends):
        raise ValueError(f"Backend specification for {name!r} must be a list of names")
    wrong = [each for each in backends if not each.rpartition(":")[2].startswith(f"{name}_")]
    if wrong:
        raise ValueError(f"Backend {wrong[0]!r} does not implement {name!r}")


def _check_step(step: Any) -> None:
    if isinstance(step, list):
        for each in step:
            if each is not None and not isinstance(each, str):
                raise ValueError(f"Branch option must be string, got {each}")
    elif isinstance(step, str) and step.rpartition(":")[2] not in KNOWN_STEPS:
        raise ValueError(f"Step {step!r} not found.")
    elif not isinstance(step, str):
        raise ValueError(f"Invalid step specification: {step}")


def explore_design_space(
    model_path: str, blueprint_path: str, output_dir: str | None = None, verbosity: str = "normal"
) -> TreeExecutionResult:
    """What brainsmith/dse/api.py promises, of one segment. Raises ExecutionError for `target_fps: 13`."""
    data = parse(Path(blueprint_path))
    TAKEN.append(data)
    folder = Path(str(output_dir)) / "root"
    (folder / "report").mkdir(parents=True)
    model = Path(model_path).read_bytes()
    (folder / "input.onnx").write_bytes(model)
    if data.get("finn_config", {}).get("target_fps") == 13:
        words = "Unable to find /tools/settings64.sh\n"
        (folder / "build_dataflow.log").write_text(words)
        raise ExecutionError("DSE failed: No successful builds\n  Failed: 1")
    for name, report in _reports(data).items():
        (folder / "report" / name).write_text(json.dumps(report))
    (folder / "build_dataflow.log").write_text("built\n")
    (folder / "time_per_step.json").write_text('{"tidy_up": 1}')
    (folder / "intermediate_models").mkdir()
    (folder / "intermediate_models" / "tidy_up.onnx").write_bytes(model)
    key, value = b"brainsmith", data["output"].encode()
    entry = b"\x0a%c%s\x12%c%s" % (len(key), key, len(value), value)
    (folder / "output.onnx").write_bytes(model + b"\x72%c%s" % (len(entry), entry))  # metadata_props
    done = SegmentResult("root", SegmentStatus.COMPLETED, folder / "output.onnx", folder)
    return TreeExecutionResult({"root": done}, 1.0)


def _reports(data: dict[str, Any]) -> dict[str, Any]:
    """What `step_generate_estimate_reports` of FINN leaves of a network of one layer."""
    clock_ns, name = float(data["clock_ns"]), "MVAU_hls_0"
    counts = {"BRAM_18K": 2, "BRAM_efficiency": 0.5, "LUT": 1234, "URAM": 0, "URAM_efficiency": 1, "DSP": 4}
    return {
        "estimate_layer_cycles.json": {name: 1000},
        "estimate_layer_resources.json": {
            name: counts,
            "total": {"BRAM_18K": 2, "LUT": 1234, "URAM": 0, "DSP": 4},
        },
        "estimate_network_performance.json": {
            "critical_path_cycles": 2000,
            "max_cycles": 1000,
            "max_cycles_node_name": name,
            "estimated_throughput_fps": 1e9 / (clock_ns * 1000),
            "estimated_latency_ns": 2000 * clock_ns,
        },
        "op_and_param_counts.json": {name: {"op_mac_2bx2b": 9}, "total": {"op_mac_2bx2b": 9}},
    }

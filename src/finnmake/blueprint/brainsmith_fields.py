"""The fields of FINN's configuration that Brainsmith's FINN has: it refuses a build with any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from finnmake.blueprint.document import Item
from finnmake.blueprint.names import did_you_mean
from finnmake.blueprint.problems import Problems
from finnmake.errors import BlueprintError

#: `DataflowBuildConfig` in src/finn/builder/build_dataflow_config.py of Xilinx/finn, branch
#: custom/transformer, commit 15fbf080b; Brainsmith 0.1 passes `finn_config` to its constructor
#: (brainsmith/_internal/finn/adapter.py). finn-plus has more.
FIELDS = frozenset(
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


def check_field(name: str) -> None:
    """Raise BlueprintError for a field that Brainsmith's FINN does not have."""
    if name not in FIELDS:
        what = "It is a field of finn-plus: take it out, or build with the backend finn."
        raise BlueprintError(
            f"Brainsmith's FINN has no field {name!r}",
            cure=f"{did_you_mean(name, FIELDS)} {what}".strip(),
        )


def check_fields(entries: Mapping[str, Item], known: Iterable[str], problems: Problems) -> None:
    """Note the fields below `design_space.config` that `known` to finnmake are, and to Brainsmith are not."""
    for name in entries.keys() & set(known):
        with problems.collecting():
            try:
                check_field(name)
            except BlueprintError as error:
                where = entries[name].key_where
                raise BlueprintError(error.message, where=where, cure=error.cure) from None

"""What the keys of a blueprint mean, for editors: a sentence each, shown by `docs/blueprint.schema.json`."""

from __future__ import annotations

#: Keys of the file.
TOP = {
    "version": "Of the format: 1.",
    "name": "Names the folder of the outputs, builds/<name>/; letters, digits, '_' and '-'.",
    "description": "For people.",
    "model": "The QONNX model; relative to this file.",
    "extends": "A blueprint that this one builds on, relative to this file. Mappings merge key by key, lists "
    "and values replace, null takes a key out. ${NAME} stands for a variable that pyproject.toml lists.",
    "backend": "What makes FPGA outputs of the model; `mock` simulates FINN.",
    "mock": "What the backend mock does beside simulating: waits and failures, for trying what goes wrong.",
    "output_stage": "How far a build goes.",
    "timeout": "Seconds that one step may take.",
    "design_space": "Everything that the model is to be built with.",
    "constraints": "Conditions over fields, kernels, steps and stages; what breaks one is no configuration.",
    "objectives": "Metric -> max or min, the most important first: what makes one build better than another.",
    "limits": "Conditions over the metrics of a finished build, e.g. lut_utilization <= 0.7.",
    "search": "Which configurations are built, and when to stop.",
}

#: Keys of `design_space`.
SPACE = {
    "config": "Fields of FINN's DataflowBuildConfig: a value, a list (an axis), or a range.",
    "transforms": "Stage -> what is applied: pre_proc before the steps, post_proc to the finished build, "
    "any other where {stage: NAME} stands among the steps.",
    "steps": "`default`, FINN's list for the output stage; a list of steps; or operations on the list of the "
    "blueprint that this one extends.",
    "kernels": "How FINN's hardware layers are implemented: kernel -> backends and attributes.",
}

#: Keys of `mock`.
MOCK = {
    "delay": "Seconds that every step takes.",
    "failures": "Category of errors -> the part of the configurations, 0 to 1, that fails with it.",
}

#: Stages of `design_space.transforms`; any other is a named one.
STAGES = {
    "pre_proc": "Transforms, applied before the steps.",
    "post_proc": "Analyses of the finished build.",
}

#: Keys of a range.
RANGE = {
    "from": "The first value.",
    "to": "The last value, if a step lands on it.",
    "step": "Added from value to value.",
    "factor": "Multiplied from value to value.",
}

#: Keys of an operation on the list of steps.
OPERATIONS = {
    "after": "The step (or branch, as it is written) after which something is inserted.",
    "before": "The step (or branch, as it is written) before which something is inserted.",
    "replace": "The step (or branch, as it is written) that makes place.",
    "remove": "The step (or branch, as it is written) that is taken out.",
    "at_start": "Inserts at the start of the list.",
    "at_end": "Inserts at the end of the list.",
    "insert": "One step, or a list of steps one after the other.",
    "with": "One step, or a list of steps one after the other.",
}

#: Keys of an entry among steps or transforms.
ENTRIES = {
    "step": "FINN's step, a plugin, or package.module.function.",
    "stage": "The transforms of this stage are applied here.",
    "name": "QONNX's or FINN's transform, a plugin, or package.module.Class.",
    "analysis": "A plugin, or package.module.function.",
    "parameters": "Keyword arguments; a list as a value is an axis.",
    "on_error": "What happens where the transform fails: `fail`, or `passthrough`, which leaves the model as "
    "it was and warns.",
}

#: Keys of a kernel.
KERNELS = {
    "choose": "An axis: each a backend, or a list of backends in the order of preference.",
    "priority": "Backends in the order of preference: a node takes the first that is possible for it.",
    "attributes": "Attributes of the kernel's nodes: a value, or a list (an axis).",
}

#: Keys of `search`.
SEARCH = {
    "strategy": "All configurations, or a random sample.",
    "samples": "Size of the random sample.",
    "seed": "Of the random sample: the same seed, the same sample.",
    "max_builds": "At most so many configurations, the first ones.",
    "max_combinations": "An exhaustive search of a larger space is refused.",
    "fail_fast": "Stop at the first failure.",
    "early_stop": "What estimates rule out goes no further than them.",
    "timeout": "Seconds for all steps of one build together.",
}

#: Metrics of a build.
METRICS = {
    "throughput": "Inferences per second.",
    "latency": "Microseconds.",
    "clock_frequency": "MHz.",
    "lut_utilization": "Share of the device's LUTs, 0 to 1.",
    "dsp_utilization": "Share of the device's DSPs, 0 to 1.",
    "bram_utilization": "Share of the device's block RAM, 0 to 1.",
    "uram_utilization": "Share of the device's UltraRAM, 0 to 1.",
    "total_power": "Watts.",
    "accuracy": "0 to 1.",
}

#: Fields of `DataflowBuildConfig`; the facts are from the comments in finn.builder.build_dataflow_config.
FIELDS = {
    "auto_fifo_depths": "Find FIFO depths by simulating the stitched IP; slow.",
    "auto_fifo_strategy": "How FIFO depths are found.",
    "board": "Target board; FINN knows its part.",
    "console_log_level": "What FINN writes to the screen.",
    "cpp_driver_version": "`latest`, or a commit of the C++ driver.",
    "debug_fifo": "Log the transactions of every FIFO in RTL simulation.",
    "enable_hw_debug": "Insert logic analysers into the hardware.",
    "enable_instrumentation": "Wrap the accelerator so that its performance can be measured on the board.",
    "experiments_config_path": "Settings of experiments on the board.",
    "fifo_config_file": "JSON file of FIFO depths, where auto_fifo_depths is false.",
    "fifosim_comm_mode": "Simulate FIFOs on this host alone, or over MPI.",
    "fifosim_mpi_args": "More arguments for the MPI launcher.",
    "fifosim_mpi_hosts": "Hosts for MPI, separated by commas.",
    "fifosim_mpi_launcher": "The MPI launcher's program.",
    "fifosim_mpi_oversubscribe": "Let MPI start more ranks than there are slots.",
    "fifosim_save_waveform": "Keep the waveforms of FIFO simulation.",
    "folding_config_file": "JSON file of node attributes (PE, SIMD, ram_style ...); overrides target_fps.",
    "folding_two_pass_relaxation": "Fold a second time for the rate that the slowest layer can reach.",
    "fpga_memory": "Where inputs and outputs lie on an Alveo card.",
    "fpga_part": "Target part as Vivado writes it.",
    "functional_simulation": "Simulate a synthesised netlist: slow to make, fast to run.",
    "hls_clk_period_ns": "Clock period for Vitis HLS; that of synthesis where it is not set.",
    "infer_shuffle_skip_first": "Leave the first Transpose (NCHW to NHWC of the input) to software.",
    "instrumentation_avg_n": "Inferences over which the instrumentation averages.",
    "instrumentation_no_dma": "Instrument without DMA.",
    "large_fifo_mem_style": "Memory of large FIFOs.",
    "layouts_config_file": "YAML file of the layouts of the model's inputs and outputs.",
    "loop_body_hierarchy": "PyTorch's names of the module that loops.",
    "loop_body_range": "First and last node of the loop's body.",
    "max_multithreshold_bit_width": "Wider activation quantisers are not turned into thresholds.",
    "minimize_bit_width": "Make weights and accumulators as narrow as the weights' values allow.",
    "mlo": "Build one loop body, used for many layers.",
    "multi_dnn_config_path": "Settings of several networks on one device.",
    "mvau_wwidth_max": "Most bits of the weight stream of a processing element when folding for target_fps.",
    "partitioning_configuration": "How the model is divided among several FPGAs.",
    "requant_bitwidth_threshold": "From so many output bits on, Requant layers stand in for Thresholding.",
    "save_intermediate_models": "Keep the model after every step.",
    "shell_flow_type": "What surrounds the accelerator: Zynq or Alveo.",
    "signature": "Numbers to be read from the hardware, e.g. a version.",
    "specialize_layers_config_file": "JSON file of HLS or RTL for each node; see also design_space.kernels.",
    "standalone_thresholds": "Thresholds as layers of their own instead of inside MVAU; RTL layers need it.",
    "stitched_ip_gen_dcp": "Synthesise the stitched IP to a checkpoint.",
    "synth_clk_period_ns": "Clock period: 5.0 is 200 MHz.",
    "target_fps": "Inferences per second that layers are folded for.",
    "validation_dataset": "Data set that the PYNQ driver validates with.",
    "verbose": "More in FINN's own log.",
    "verification_atol": "Absolute tolerance of an output's element.",
    "verification_mean_atol": "Absolute tolerance of an output's mean.",
    "verification_mean_rtol": "Relative tolerance of an output's mean.",
    "verification_rtol": "Relative tolerance of an output's element.",
    "verify_expected_output_npy": "Expected output of the verification.",
    "verify_input_npy": "Input of the verification.",
    "verify_nodewise_report": "Compare simulation and reference node by node.",
    "verify_rtlsim_behavioral": "Verify with behavioural models, which simulate faster.",
    "verify_save_full_context": "Keep all tensors of the verification.",
    "verify_save_rtlsim_waveforms": "Keep the waveforms of RTL simulation.",
    "verify_steps": "Where the model is verified.",
    "vitis_floorplan_file": "JSON file of layer -> super logic region.",
    "vitis_iodma_intf_max_width": "Bits of the widest DMA interface.",
    "vitis_opt_strategy": "How hard Vitis optimises.",
    "vitis_platform": "Vitis platform of an Alveo card.",
    "vivado_power_simulate_activity": "Estimate power from simulated switching activity.",
    "vivado_power_simulation_type": "Simulation that the switching activity comes from.",
}

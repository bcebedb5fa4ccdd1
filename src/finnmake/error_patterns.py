"""The table that turns a tool's message into a category and a tip. docs/errors.md is made from it.

The messages are those of finn-plus 1.6.1, QONNX 1.0.0, ONNX, ONNX Runtime and AMD's tools; `source` names the
file that raises one. The first entry that matches wins: an entry stands before those that match more.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

#: What can go wrong in a build, in the words of a report.
CATEGORIES = {
    "model_load": "the model could not be read",
    "preprocessing": "a preprocessing transform failed",
    "transform": "a graph transformation failed",
    "kernel": "an operator has no hardware layer",
    "synthesis": "synthesis failed",
    "timing": "timing or simulation did not converge",
    "verification": "the hardware does not give what the model gives",
    "resource": "folding or bit widths do not fit",
    "memory": "memory or disk ran out",
    "environment": "a tool or variable is missing",
    "config": "the configuration is wrong",
    "postprocessing": "an analysis failed",
    "metrics": "a report could not be read",
    "timeout": "the deadline passed",
    "unknown": "an error that finnmake does not know",
}

#: What a build is told that needs AMD's tools, and does not find them.
_NAME_VIVADO = "Name Vivado in pyproject.toml ([tool.finnmake.toolchain] vivado), or source settings64.sh."


@dataclass(frozen=True)
class ErrorPattern:
    """One message of a tool.

    Attributes:
        pattern: a regular expression, searched for.
        category: one of the keys of `CATEGORIES`.
        tip: what to do.
        example: the message as a user meets it.
        source: the tool and the file that raises it.
        anywhere: whether it means the same in a plugin's own code, though FINN or Python raises it.
    """

    pattern: str
    category: str
    tip: str
    example: str
    source: str
    anywhere: bool = False

    @property
    def is_of_tool(self) -> bool:
        """Whether it is about the machine or a tool below FINN, whichever code runs into it."""
        first = re.split(r"\W", self.source, maxsplit=1)[0]
        known = self.anywhere or self.category in ("memory", "environment")
        return known or first not in ("finn", "qonnx", "Python")


_ENVIRONMENT = (
    ErrorPattern(
        r"XILINX_VIVADO (environment variable|was) not set|variable XILINX_VIVADO must be set"
        r"|XSI (support )?not available",
        "environment",
        f"This step needs Vivado. {_NAME_VIVADO}",
        "FINNUserError: XILINX_VIVADO was not set but is required.",
        "finn: util/hls.py, util/basic.py, xsi/__init__.py",
    ),
    ErrorPattern(
        r"(vivado(_hls)?|vitis_hls|vitis-run|v\+\+|xelab) not found|Unable to find .*settings64\.sh",
        "environment",
        _NAME_VIVADO,
        "FileNotFoundError: vitis_hls not found in PATH",
        "finn: util/basic.py",
    ),
    ErrorPattern(
        r"(XILINX_VITIS|XILINX_XRT|PLATFORM_REPO_PATHS) must be set|xclbinutil not in PATH",
        "environment",
        "Alveo boards need Vitis, XRT and the platform's files: source their settings and set "
        "PLATFORM_REPO_PATHS, or take shell_flow_type vivado_zynq.",
        "FINNUserError: XILINX_XRT must be set to use Vitis.",
        "finn: util/vivado.py, transformation/fpgadataflow/make_driver.py",
    ),
    ErrorPattern(
        r"Could not find a version number in XILINX_VIVADO|Could not parse Vivado version",
        "environment",
        "XILINX_VIVADO must end with the release, as in /opt/Xilinx/Vivado/2022.2.",
        "FINNUserError: Could not find a version number in XILINX_VIVADO: /opt/vivado",
        "finn: util/hls.py, xsi/__init__.py",
    ),
    ErrorPattern(
        r"[Vv]alid license was not found|[Cc]heckout failed|FLEXnet|[Ll]icen[cs]e (checkout|server)",
        "environment",
        "Vivado finds no licence for this part: set `licence` in [tool.finnmake.toolchain].",
        "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device "
        "'xcu250'.",
        "Vivado",
    ),
    ErrorPattern(
        r"error while loading shared libraries|cannot open shared object file",
        "environment",
        "A system library is missing where the tool runs: install the package that has it.",
        "vivado: error while loading shared libraries: libtinfo.so.5: cannot open shared object file",
        "Vivado, Vitis HLS",
    ),
    ErrorPattern(
        r"bad lexical cast|\[IMPL 213-28\]",
        "environment",
        "Releases of Vitis HLS up to 2021.2 cannot export IP after 2021: install AMD's patch (AR 76960).",
        "ERROR: [IMPL 213-28] Failed to generate IP. bad lexical cast: source type value could not be "
        "interpreted as target",
        "Vitis HLS",
    ),
    ErrorPattern(
        r"'[\w/.-]+\.(h|hpp)' file not found|nlohmann/json sources required",
        "environment",
        "A library that FINN fetches is missing: name its folder in [tool.finnmake.toolchain] deps, "
        "or set FINN_DEPS.",
        "ERROR: [HLS 207-3776] 'bnn-library.h' file not found (top_MVAU_hls_0.cpp)",
        "Vitis HLS; finn: transformation/fpgadataflow/simulation_build.py",
    ),
    ErrorPattern(
        r"\[Board 49-71\]|board_part definition was not found",
        "environment",
        "Vivado has no files of this board: put them into board_files of FINN_DEPS "
        "([tool.finnmake.toolchain] deps).",
        "ERROR: [Board 49-71] The board_part definition was not found for "
        "www.digilentinc.com:pynq-z1:part0:1.0.",
        "Vivado",
    ),
    ErrorPattern(
        r"Part '[^']*' (is not installed|not found)|\[Coretcl 2-106\]|\[HLS 200-1023\]",
        "environment",
        "This Vivado does not know the part: correct fpga_part, or install the device family.",
        "ERROR: [HLS 200-1023] Part 'xcvu9p-flgb2104-2-i' is not installed.",
        "Vitis HLS, Vivado",
    ),
    ErrorPattern(
        r"MPI launcher '[^']*' was not found|No C\+\+ compiler found"
        r"|(g\+\+|cmake|mpirun)[^ ]*: (command )?not found"
        r"|No such file or directory: '(g\+\+|cmake|make|mpirun|mpiexec)'",
        "environment",
        "RTL simulation is compiled: install g++, cmake and, for hybrid_mpi, an MPI.",
        "FileNotFoundError: [Errno 2] No such file or directory: 'cmake'",
        "finn: transformation/fpgadataflow/simulation_build.py, xsi/setup.py",
    ),
    ErrorPattern(
        r"stands in for the package",
        "environment",
        "This step needs a package that the lean toolchain leaves out: install it beside FINN.",
        "MissingPackage: mip.Model was used, but a placeholder stands in for the package 'mip'",
        "finnmake: backends/placeholders.py",
    ),
    ErrorPattern(
        r"BlockingIOError.*Resource temporarily unavailable|can't start new thread",
        "environment",
        "Too many processes: raise pids in [tool.finnmake.container], or run fewer builds (-n).",
        "BlockingIOError: [Errno 11] Resource temporarily unavailable",
        "Python",
    ),
)

_MEMORY = (
    ErrorPattern(
        r"No space left on device|Disk quota exceeded",
        "memory",
        "The disk is full: free space, or point FINNMAKE_STORE at a larger disk.",
        "OSError: [Errno 28] No space left on device",
        "Python",
    ),
    ErrorPattern(
        r"MemoryError|Cannot allocate memory|bad_alloc|bad allocation|Out of [Mm]emory"
        r"|Unable to allocate .*[KMGTP]iB|Failed to allocate memory",
        "memory",
        "Run fewer builds at once (-n), lower NUM_DEFAULT_WORKERS, or use a machine with more memory.",
        "_ArrayMemoryError: Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000)",
        "Python, NumPy, ONNX Runtime, Vivado",
    ),
    ErrorPattern(
        r"Abnormal program termination",
        "memory",
        "Vivado died: most likely memory ran out. Run fewer builds at once (-n); else see its log.",
        "Abnormal program termination (11). Please check 'hs_err_pid4711.log' for details",
        "Vivado",
    ),
)

_MODEL_LOAD = (
    ErrorPattern(
        r"[Ee]rror parsing message|INVALID_PROTOBUF|[Pp]rotobuf parsing failed",
        "model_load",
        "The file is not a whole ONNX model: a truncated copy, or a Git-LFS pointer (git lfs pull).",
        "DecodeError: Error parsing message with type 'onnx.ModelProto'",
        "protobuf, ONNX Runtime",
    ),
    ErrorPattern(
        r"[Uu]nsupported model IR version|Opset \d+ is under development|opset version .* not supported",
        "model_load",
        "The model is newer than this ONNX Runtime: export it with an older opset and IR version.",
        "Fail: [ONNXRuntimeError] : 1 : FAIL : Unsupported model IR version: 13, max supported IR "
        "version: 11",
        "ONNX Runtime",
    ),
    ErrorPattern(
        r"should be stored in .*, but it (doesn't exist|is not)|[Ee]xternal data",
        "model_load",
        "The model keeps its weights in files beside it: save it as one file (onnx.save without external "
        "data).",
        "ValidationError: Data of TensorProto ( tensor name: w) should be stored in m.data, but it "
        "doesn't exist",
        "ONNX",
    ),
    ErrorPattern(
        r"No Op registered for|is not a registered function/op",
        "model_load",
        "The model has an operator that ONNX does not know under its domain and opset: export it anew, "
        "or replace the operator in pre_proc.",
        "ValidationError: No Op registered for Foo with domain_version of 13",
        "ONNX, ONNX Runtime",
    ),
    ErrorPattern(
        r"ShapeInferenceError|\[TypeInferenceError\]|Inferred shape and existing shape differ",
        "model_load",
        "Shapes in the model contradict each other: export it again with one fixed batch size.",
        "InferenceError: [ShapeInferenceError] Inferred shape and existing shape differ in dimension 0",
        "ONNX",
    ),
    ErrorPattern(
        r"AssertionError: File not found: ",
        "model_load",
        "A step wants a model file that is not there: keep save_intermediate_models on.",
        "AssertionError: File not found: artifacts/intermediate_models/dataflow_parent.onnx",
        "qonnx: core/modelwrapper.py",
    ),
    ErrorPattern(
        r"Got invalid dimensions for input|Shape mismatch for provided input|Unexpected input data type",
        "config",
        "The data do not have the shape or type of the model's input: see `doit space`.",
        "InvalidArgument: [ONNXRuntimeError] : 2 : INVALID_ARGUMENT : Got invalid dimensions for input: x",
        "ONNX Runtime; finn: core/onnx_exec.py",
    ),
)

_KERNEL = (
    ErrorPattern(
        r"cycle-free graph violated|Only a single StreamingDataflowPartition supported"
        r"|Unsupported/unmapped layer\(s\) found in between",
        "kernel",
        "The operators named have no hardware layer. Streamline them away, quantise their inputs, or add a "
        "step that converts them before step_create_dataflow_partition.",
        "AssertionError: cycle-free graph violated: partition depends on itself",
        "qonnx: transformation/create_generic_partitions.py; finn: builder/build_dataflow_steps.py",
    ),
    ErrorPattern(
        r"has no hw implementation variant|cannot be specialized for FPGA part",
        "kernel",
        "FINN has no HLS or RTL layer of this operator for the part: choose another part or backend of the "
        "kernel.",
        "Exception: Node PWPolyF_0 with optype PWPolyF has no hw implementation variant)",
        "finn: transformation/fpgadataflow/specialize_layers.py",
    ),
    ErrorPattern(
        r"Custom op_type \S+ is currently not supported|Op '\w+' not found in domain"
        r"|Node domain is not a registered custom op domain",
        "kernel",
        "Nothing here implements this custom operator: run the step that converts it first, or install the "
        "package of its domain.",
        "FINNUserError: Custom op_type MultiThreshold is currently not supported.",
        "finn: transformation/fpgadataflow/prepare_ip.py; qonnx: custom_op/registry.py",
    ),
    ErrorPattern(
        r"is not an (HWCustomOp|fpgadataflow node|RTL Node)|can only be applied to fpgadataflow graphs"
        r"|Non-HW node found in dataflow graph",
        "kernel",
        "A node that is no hardware layer is left in the dataflow graph: step_create_dataflow_partition "
        "must come before, and every operator inside be mapped.",
        "FINNUserError: Transpose_0 is not an fpgadataflow node. Aborting stitching IP.",
        "finn: transformation/fpgadataflow/create_stitched_ip.py",
    ),
    ErrorPattern(
        r"Cannot infer (binary )?(MVAU|VVAU)|Infer layer norm failed|Cannot infer Upsample"
        r"|Cannot infer Lookup"
        r"|Upsampling is only supported|(Un)?[Ss]upported number of inputs for Resize",
        "kernel",
        "FINN cannot make a hardware layer of this node: its weights, thresholds and scales must be "
        "constants "
        "(run FoldConstants) of the shapes that the message names.",
        "FINNUserError: MatMul_0: Cannot infer VVAU, weights are not static.",
        "finn: transformation/fpgadataflow/convert_to_hw/",
    ),
    ErrorPattern(
        r"(out_scale|out_bias) (must be|=1)|Signed output requires actval"
        r"|First dimension of thresholds neither",
        "kernel",
        "This activation cannot become thresholds in hardware: streamline its scale and bias away "
        "(step_streamline), or quantise it per tensor.",
        "FINNUserError: MultiThreshold_2: MultiThreshold out_scale must be 1 for HLS conversion.",
        "finn: transformation/fpgadataflow/convert_to_hw/thresholding.py",
    ),
    ErrorPattern(
        r"layout mismatch|assuming \(N\)HWC layout|doesn't currently support pad_val|Unknown dlayout"
        r"|only supports average pooling with 2D square kernels|Padding is not supported for QuantAvgPool2d",
        "kernel",
        "The node's layout, padding or kernel has no hardware layer: hardware is channels-last "
        "(NHWC) with square kernels; insert the transposes or change the network.",
        "FINNUserError: MultiThreshold (MultiThreshold_0) input (NCHW) and output (NHWC) layout mismatch.",
        "finn: transformation/fpgadataflow/convert_to_hw/",
    ),
    ErrorPattern(
        r"fan-out higher than 1|No consumer for input|Multiple consumers for input"
        r"|Input fans out to multiple",
        "kernel",
        "A stream can go to one layer only: run InferDuplicateStreamsLayer (step_convert_to_hw does).",
        "AssertionError: MVAU_hls_0: HW node with fan-out higher than 1 cannot be stitched",
        "finn: transformation/fpgadataflow/insert_dwc.py, create_stitched_ip.py",
    ),
)

_TRANSFORM = (
    ErrorPattern(
        r"Only Quant nodes with zero-point == 0|Only zero_point=0 IntQuant",
        "transform",
        "Export the model with symmetric quantisers, or run ExtractQuantScaleZeroPt in pre_proc.",
        "ValueError: Only Quant nodes with zero-point == 0 are currently supported.",
        "finn: transformation/qonnx/fold_quant_weights.py",
    ),
    ErrorPattern(
        r"Weights quantized with the Quant node|constant fold (scaled )?Quant weight|Can't fold scale beyond"
        r"|Can't fold \w+ bias",
        "transform",
        "Weight quantisers must feed one layer each, with a scale per tensor or per output channel, and "
        "convolutions have no bias (ExtractBiasFromConv).",
        "ValueError: Weights quantized with the Quant node are not allowed to be fork nodes node.",
        "finn: transformation/qonnx/fold_quant_weights.py",
    ),
    ErrorPattern(
        r"infere? the Datatype for the Trunc|AvgPoolAndTruncToQuantAvgPool not implemented",
        "transform",
        "The average pooling before this Trunc cannot be read: export it with a quantised input, "
        "a square kernel and Trunc of opset 1.",
        "RuntimeError: Could not infere the Datatype for the Trunc node due to missing upstream ndoes.",
        "finn: transformation/qonnx/infer_quant_avg_pool_2d.py",
    ),
    ErrorPattern(
        r"Quant\w* (activation|node).*(not supported|unsupported)|Unsupported (rounding|quant)"
        r"|Could not resolve rounding mode",
        "transform",
        "This quantiser is not one of those that FINN turns into thresholds: use rounding_mode ROUND, "
        "narrow or signed as its activation needs, and a bit width up to max_multithreshold_bit_width.",
        "ValueError: Could not resolve rounding mode called: STOCHASTIC",
        "qonnx: custom_op/general/intquant.py; finn: transformation/qonnx/qonnx_activation_handlers.py",
    ),
    ErrorPattern(
        r"Found unspecified tensor shapes|shape information"
        r"|Shape of (tensor|input|output) .*(is None|not known)"
        r"|All tensor shapes must be specified|Please run InferShapes first|has undefined shape",
        "transform",
        "A shape is not known: give the model's input a fixed shape (batch 1) and run InferShapes in "
        "pre_proc.",
        "Exception: Found unspecified tensor shapes, try infer_shapes",
        "qonnx: core/onnx_exec.py; finn: transformation/fpgadataflow/convert_to_hw/",
    ),
    ErrorPattern(
        r"must be\s+topologically sorted",
        "transform",
        "A transformation left the nodes out of order: add SortGraph after it.",
        "Exception: Nodes must be topologically sorted.",
        "qonnx, finn: core/onnx_exec.py; ONNX",
    ),
    ErrorPattern(
        r"can't be represented with set\s+finn|Rounding error is too high to match",
        "transform",
        "A tensor's values do not fit the datatype that it is annotated with: run InferDataTypes after "
        "the transformation that changed them.",
        "Exception: Rounding error is too high to match set QONNX datatype (INT4) for input Mul_0_out0",
        "qonnx: util/basic.py",
    ),
    ErrorPattern(
        r"Thresholds( in \S+)? can't be expressed with type|Thresholds must be (converted to integers|sorted)"
        r"|(inputs|thresholds) (and|to) .*(thresholds|inputs|bits).*(not supported|RoundAndClip)"
        r"|integer thresholds are not supported",
        "transform",
        "Thresholds do not fit their datatype: run RoundAndClipThresholds (step_minimize_bit_width does) "
        "after what changed them.",
        "AssertionError: Thresholds in MVAU_hls_1 can't be expressed with type UINT4",
        "finn: custom_op/fpgadataflow/matrixvectoractivation.py, thresholding.py",
    ),
    ErrorPattern(
        r"Scale \S+ is too (large|small) for the output precision|Bias \S+ overflows the output range",
        "transform",
        "The scale or bias of this Requant does not fit: raise requant_bitwidth_threshold, so that "
        "thresholds take its place, or train with another scale.",
        "ValueError: Requant_0: Scale 4096.0 is too large for the output precision.",
        "finn: custom_op/fpgadataflow/requant.py",
    ),
    ErrorPattern(
        r"Required attribute \S+ unspecified|Found multiple get_by_name matches|Found empty node name",
        "transform",
        "A node lacks an attribute, or names are not unique: run GiveUniqueNodeNames, and the step that "
        "sets the attribute, first.",
        "Exception: Required attribute PE unspecified in a MVAU node",
        "qonnx: custom_op/base.py, util/basic.py",
    ),
    ErrorPattern(
        r"Could not find an implementation for",
        "transform",
        "ONNX Runtime cannot run this operator in this datatype: it is needed to fold constants or to "
        "verify.",
        "NotImplemented: [ONNXRuntimeError] : 9 : NOT_IMPLEMENTED : Could not find an implementation for "
        "ArgMax(13) node with name 'ArgMax_0'",
        "ONNX Runtime",
    ),
    ErrorPattern(
        r"Unexpected (scale/bias|number of dims|mul/add dims)|Could not find upstream bipolar"
        r"|Unknown number of dims for input",
        "transform",
        "The network's shape is not one that this transformation knows: look at the node, or leave the "
        "transformation out.",
        "AssertionError: Unexpected number of dims found in BatchNormToAffine",
        "qonnx: transformation/batchnorm_to_affine.py, infer_data_layouts.py",
    ),
    ErrorPattern(
        r"LoopRolling|FINNLoop (body|node|iteration|input)|Loop node .* metadata",
        "transform",
        "The layers cannot be rolled into a loop: correct loop_body_hierarchy, or set mlo: false.",
        "FINNUserError: LoopRolling: MLO requires at least 2 repetitions of the loop body, but found 1.",
        "finn: transformation/fpgadataflow/loop_rolling.py",
    ),
    ErrorPattern(
        r"FIFO implementation style \S+ not supported|FIFOs detected in model during FIFO sizing"
        r"|No FIFOs were inserted|StreamingFIFOs in the graph, yet|tlast marker should be done after",
        "transform",
        "FIFOs are not there where a step wants them, or are there twice: keep FINN's order of steps.",
        "FINNUserError: FIFOs detected in model during FIFO sizing. Did you call the steps in the correct "
        "order?",
        "finn: transformation/fpgadataflow/set_fifo_depths.py, simulation_build.py",
    ),
)

_RESOURCE = (
    ErrorPattern(
        r"AP_INT_MAX_W|[Bb]itwidth exceeds 32768",
        "resource",
        "A stream is too wide for HLS: lower PE*SIMD of the node (target_fps), lower mvau_wwidth_max, or "
        "reduce the bit widths.",
        "FINNInternalError: The HLS top module of node MVAU_hls_0 requires AP_INT_MAX_W to be set to 8192, "
        "but the maximum allowed is 8191.",
        "finn: custom_op/fpgadataflow/hlsbackend.py",
    ),
    ErrorPattern(
        r"(divis[ai]ble|divide|multiple)\b.*\b(PE|SIMD|TH|WMEM)"
        r"|\b(PE|SIMD|TH=\d+|num_elems)\b.*(divis[ai]ble|divide)"
        r"|SIMD must be equal to IFMChannels|Clock pumping an input of SIMD=1|Invalid folding configuration",
        "resource",
        "In the folding file PE must divide the node's outputs (MH, NumChannels) and SIMD its inputs (MW).",
        "AssertionError: Requirement MH divisable by PE is violated.",
        "finn: custom_op/fpgadataflow/",
    ),
    ErrorPattern(
        r"width of \d+ bits exceeds|exceeds DSP58 capacity|LUT-based RTL-\w+ implementation",
        "resource",
        "The RTL layer cannot take operands of this width on this part: choose HLS for the kernel "
        "(kernels: MVAU: [MVAU_hls]), or lower the bit width.",
        "FINNUserError: MVAU_rtl_0: weight width of 10 bits exceeds the DSP48E2 weight datapath limit of "
        "8 bits.",
        "finn: custom_op/fpgadataflow/rtl/matrixvectoractivation_rtl.py",
    ),
    ErrorPattern(
        r"URAM .*(Versal|not supported|runtime_writeable_weights|2024\.2)|requires a Versal target"
        r"|only supported on Versal",
        "resource",
        "This part cannot do that: URAM with initial content and the DSP58 need Versal. Take another "
        "ram_style or backend of the kernel.",
        "AssertionError: Layer with URAM weights must have runtime_writeable_weights=1 if Ultrascale "
        "device is targeted.",
        "finn: custom_op/fpgadataflow/matrixvectoractivation.py, hls/",
    ),
    ErrorPattern(
        r"DWC (stream|input|output) width|buffer size, try setting parallel_window"
        r"|Folded output shape of node .* is not the same",
        "resource",
        "The foldings of neighbouring layers do not fit each other: change PE of the first or SIMD of the "
        "second so that one divides the other.",
        "AssertionError: DWC stream width must be divisible by input element bitwidth",
        "finn: custom_op/fpgadataflow/streamingdatawidthconverter.py, "
        "transformation/fpgadataflow/insert_fifo.py",
    ),
    ErrorPattern(
        r"requires more .* than (are )?available|\[DRC UTLZ-1\]|\[Place 30-640\]|over-utilized",
        "resource",
        "The design does not fit the part: lower target_fps or the folding, or take a larger part.",
        "ERROR: [Place 30-640] Place Check : This design requires more Slice LUTs cells than are "
        "available in "
        "the target device.",
        "Vivado",
    ),
    ErrorPattern(
        r"No feasible interface width for transfer size|total transfer size must be word multiple"
        r"|DMA input not a multiple of 1 Byte|Too many memory ports|Pumped memory with pe=simd=1",
        "resource",
        "The data do not fit the memory interface: change the folding of the first or last layer so that a "
        "word is a whole number of bytes.",
        "AssertionError: No feasible interface width for transfer size",
        "finn: transformation/fpgadataflow/insert_iodma.py, custom_op/fpgadataflow/hls/iodma_hls.py",
    ),
)

_TIMING = (
    ErrorPattern(
        r"[Ss]imulation timed out|LIVENESS_THRESHOLD",
        "timing",
        "Raise LIVENESS_THRESHOLD, or look for a FIFO that is too shallow.",
        "RTL simulation timed out after 1000000 cycles. If your model requires more cycles, set "
        "LIVENESS_THRESHOLD to a higher value.",
        "finn: util/basic.py",
    ),
    ErrorPattern(
        r"validation simulation (timed out|detected throughput degradation)",
        "timing",
        "The FIFOs found are too small together: run with larger initial depths or auto_fifo_strategy: "
        "live_fifo.",
        "FINNUserError: Final validation simulation detected throughput degradation with the "
        "jointly-minimised "
        "FIFO depths",
        "finn: transformation/fpgadataflow/simulation_connected.py",
    ),
    ErrorPattern(
        r"Infeasible clk target",
        "timing",
        "The clock is too fast for the RTL layer on this part: raise synth_clk_period_ns.",
        "AssertionError: Infeasible clk target of 0.5 ns has been set, consider lowering the targeted clock "
        "frequency!",
        "finn: custom_op/fpgadataflow/rtl/matrixvectoractivation_rtl.py",
    ),
    ErrorPattern(
        r"failed to meet (the )?timing|did not meet timing|\[Timing 38-282\]",
        "timing",
        "Place and route missed the clock: raise synth_clk_period_ns, or lower the folding of the slowest "
        "path.",
        "CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements.",
        "Vivado, Vitis",
    ),
)

_SYNTHESIS = (
    ErrorPattern(
        r"IP definition not found|\[BD 5-390\]",
        "synthesis",
        "A layer has no IP: its HLS synthesis failed before; see that layer's log.",
        "ERROR: [BD 5-390] IP definition not found for VLNV: xilinx.com:hls:MVAU_hls_0:1.0",
        "Vivado",
    ),
    ErrorPattern(
        r"IPGen failed|HLS IP Generation failed|Generated IP couldn't be found"
        r"|IP generation directory doesn't"
        r"|generated ip blocks doesn't exist|Node attribute .ipgen_path. is empty"
        r"|ERROR: \[(HLS|SYNCHK|XFORM) ",
        "synthesis",
        "Read vitis_hls.log in the folder that the message names; a missing licence ends here too.",
        "FINNInternalError: IPGen failed: project_MVAU_hls_0/sol1/impl/ip not found. Check log under "
        "code_gen",
        "finn: custom_op/fpgadataflow/hlsbackend.py, util/hls.py",
    ),
    ErrorPattern(
        r"no bitfile found|Synthesis (likely )?failed|one or more bitstreams failed",
        "synthesis",
        "Read vivado.log (or the log of v++) in the folder that the message names.",
        "FINNSynthesisError: Synthesis failed, no bitfile found. Check logs under vivado_zynq_proj",
        "finn: transformation/fpgadataflow/make_zynq_proj.py, vitis_build.py",
    ),
    ErrorPattern(
        r"make_project\.sh failed|no wrapper HDL found",
        "synthesis",
        "Vivado could not stitch the layers: read vivado.log in the folder that the message names.",
        "FINNUserError: CreateStitchedIP failed, no wrapper HDL found under top_wrapper.v",
        "finn: transformation/fpgadataflow/create_stitched_ip.py",
    ),
    ErrorPattern(
        r"res\.txt|did not produce report files|synthesis results not found|Could not read synthesis report"
        r"|metadata property 'vivado_synth_rpt' is empty",
        "synthesis",
        "Vivado ended without its reports: read vivado.log; a missing licence ends here too.",
        "FINNInternalError: Out-of-context P&R did not produce report files in stitched_ip.",
        "finn: transformation/fpgadataflow/synth_ooc.py, analysis/fpgadataflow/post_synth_res.py",
    ),
    ErrorPattern(
        r"\.xo file not created|generating the XO file|[Ee]rror (while )?building xo"
        r"|cannot create vitis-compatible",
        "synthesis",
        "Packing the design for Vitis failed: read the log in the folder that the message names.",
        "FINNUserError: Vitis .xo file not created, check logs under vivado_stitch_proj",
        "finn: transformation/fpgadataflow/build_xo.py",
    ),
    ErrorPattern(
        r"[Ee]rror compiling simulations|Building simulations failed|Failed compilation in"
        r"|Failed to run cmake"
        r"|Failed to create (executable|Makefile)|Found no executable for this node",
        "synthesis",
        "The simulation did not compile: the log has the compiler's words.",
        "FINNInternalError: Building simulations failed. Failed simulation binaries: "
        "sim/0/LayerSimulationBackend",
        "finn: transformation/fpgadataflow/simulation_build.py, custom_op/fpgadataflow/hlsbackend.py",
    ),
    ErrorPattern(
        r"Simulation error: |Lost connection to simulation|Subprocess \(process_idx=\d+\) terminated",
        "synthesis",
        "A simulation process died: the log has its last words.",
        "FINNInternalError: Subprocess (process_idx=2) terminated with exit code -11.",
        "finn: transformation/fpgadataflow/simulation.py, simulation_connected.py",
    ),
)

_CONFIG = (
    ErrorPattern(
        r"(Please run|Did you run|apply|needs to be applied|run) (transformation )?(PrepareIP|HLSSynthIP"
        r"|CreateStitchedIP|CreateDataflowPartition|PrepareCppSim|BuildSimulation|step_create_stitched_ip)"
        r"|Did you run IP Stitching|Call CreateStitchedIP prior|CreateDataflowPartition needs to be applied"
        r"|Need stitched IP project|code_gen_dir_ipgen|No stitched IPI design found|Was synthesis run before",
        "config",
        "The step before this one that makes what it needs is missing: keep FINN's order of steps.",
        "FINNUserError: Node attribute 'code_gen_dir_ipgen' is empty. Please run transformation PrepareIP "
        "first.",
        "finn: transformation/fpgadataflow/",
    ),
    ErrorPattern(
        r"float division by zero|ZeroDivisionError",
        "config",
        "A batch size or clock period is 0: look at the model's input shape and synth_clk_period_ns.",
        "ZeroDivisionError: float division by zero",
        "finn: builder/build_dataflow_steps.py",
    ),
    ErrorPattern(
        r"has no such attribute|Attribute \S+ expects \w+|^.*\w+ = .* not in [{\[(]|Please set mem_mode to"
        r"|Invalid value for attribute",
        "config",
        "The folding or specialize-layers file (or a kernel's attributes) sets an attribute that this "
        "operator does not have, or a value that it does not take.",
        "AttributeError: Op has no such attribute: PEE",
        "qonnx: custom_op/base.py; finn: custom_op/fpgadataflow/",
    ),
    ErrorPattern(
        r"Couldn't resolve (fpga_part|driver platform)|Either board or fpga_part must be specified"
        r"|Board / FPGA-Part unspecified|Could not resolve Vitis platform|unknown board",
        "config",
        "Set fpga_part, or a board that FINN knows.",
        "FINNConfigurationError: Couldn't resolve fpga_part for Pynq-Z3",
        "finn: builder/build_dataflow_config.py",
    ),
    ErrorPattern(
        r"specify the '(board|instrumentation_no_dma)' parameter|[Uu]n(known|recognized) shell.flow.type"
        r"|Instrumentation is not yet implemented for Alveo|without 'board' being specified",
        "config",
        "A bitfile needs board, shell_flow_type and, for Zynq, instrumentation_no_dma in "
        "design_space.config.",
        "FINNUserError: Please specify the 'board' parameter for Zynq builds.",
        "finn: builder/build_dataflow_steps.py",
    ),
    ErrorPattern(
        r"OOC needs stitched IP|[Pp]ower estimation needs OOC|bitfile_output field is missing",
        "config",
        "Set output_stage as far as this step needs, and list the steps that come before it.",
        "AssertionError: OOC needs stitched IP",
        "finn: builder/build_dataflow_steps.py",
    ),
    ErrorPattern(
        r"no fifo_config_file provided|FIFO node \S+ not found in configuration"
        r"|exceeds the number of FIFO nodes"
        r"|Unsupported auto_fifo_strategy|doesn't match number of FIFO depths",
        "config",
        "The FIFO settings do not fit the model: give a fifo_config_file made for this very model, or set "
        "auto_fifo_depths: true.",
        "FINNUserError: auto_fifo_depths is set to False but no fifo_config_file provided",
        "finn: builder/build_dataflow_steps.py, transformation/fpgadataflow/set_fifo_depths.py",
    ),
    ErrorPattern(
        r"verify_(input|expected_output)_npy not found|verify_steps is not set"
        r"|Enable save_intermediate_models"
        r"|Batch sizes don't match for verification",
        "config",
        "Verification needs verify_input_npy and verify_expected_output_npy with as many samples, and "
        "save_intermediate_models.",
        "FINNConfigurationError: verify_input_npy not found: input.npy",
        "finn: builder/build_dataflow_config.py",
    ),
    ErrorPattern(
        r"Set either target_fps or folding_config_file|Neither FPS target nor folding config"
        r"|No folding config file could be found",
        "config",
        "Set target_fps, or a folding_config_file that exists, in design_space.config.",
        "FINNConfigurationError: No folding config file could be found at folding.json.",
        "finn: builder/build_dataflow_config.py",
    ),
    ErrorPattern(
        r"Could not resolve DataType|Could not find a suitable int datatype",
        "config",
        "This is no datatype of QONNX: they are written INT4, UINT8, BIPOLAR, TERNARY, FIXED<8,4>, FLOAT32 …",
        "KeyError: 'Could not resolve DataType INT4.5'",
        "qonnx: core/datatype.py",
    ),
    ErrorPattern(
        r"Multi-FPGA|single_stream_network|[Pp]artition(er|ing) .*(infeasible|failed)"
        r"|Mixed pblock specification",
        "config",
        "The settings for several FPGAs or regions contradict the model: see partitioning_configuration.",
        "FINNUserError: Multi-FPGA was configured with single_stream_network=True, but a forking node was "
        "found",
        "finn: builder/build_dataflow_steps.py",
    ),
    ErrorPattern(
        r"No module named|cannot import name",
        "config",
        "A step or plugin names something that cannot be imported here.",
        "ModuleNotFoundError: No module named 'torchvision'",
        "Python",
        anywhere=True,
    ),
    ErrorPattern(
        r"Step \S+ is not a default step|Could not resolve build step",
        "config",
        "A step or plugin names something that cannot be imported here.",
        "FINNUserError: Could not resolve build step: my_step",
        "finn: builder/build_dataflow.py",
    ),
    ErrorPattern(
        r"got an unexpected keyword argument|missing \d+ required (positional|keyword-only) argument"
        r"|takes (no|\d+( to \d+)? positional) arguments?",
        "config",
        "The parameters in the blueprint are not those of the step or transform: compare with `doit "
        "plugins`.",
        "TypeError: Streamline.__init__() got an unexpected keyword argument 'effort'",
        "Python",
    ),
    ErrorPattern(
        r"MissingField|UnserializableDataError|InvalidFieldValue|Field \"\w+\" of type",
        "config",
        "A field of design_space.config has a value that FINN's configuration does not take.",
        'InvalidFieldValue: Field "board" of type Optional[str] in DataflowBuildConfig has invalid value 3',
        "finn: builder/build_dataflow_config.py (mashumaro)",
    ),
)

#: Messages that the tools are known to print. Trouble of the machine goes before what it leads to.
ERROR_PATTERNS = (
    *_MEMORY,
    *_ENVIRONMENT,
    *_MODEL_LOAD,
    *_KERNEL,
    *_TRANSFORM,
    *_TIMING,
    *_RESOURCE,
    *_SYNTHESIS,
    *_CONFIG,
)


def find_pattern(message: str, of_tools: bool = False) -> ErrorPattern | None:
    """The first entry that a message matches.

    Args:
        message: what was raised or printed.
        of_tools: only entries for what any code can meet; in a plugin's code a division by zero is not the
            batch size that it is in FINN's.
    """
    entries = (entry for entry in ERROR_PATTERNS if entry.is_of_tool or not of_tools)
    return next((entry for entry in entries if re.search(entry.pattern, message)), None)


def classify(messages: Iterable[str], default: str = "unknown", own: Collection[str] = ()) -> tuple[str, str]:
    """The category and the tip for a tool's messages; `default` and no tip where none is known.

    Args:
        messages: what was raised, the cause before what it led to: the first that is known counts.
        default: the category of what is not known.
        own: those of the messages that come from code of the user's own, not from FINN's.
    """
    patterns = (find_pattern(message, of_tools=message in own) for message in messages)
    found = next(filter(None, patterns), None)
    return (found.category, found.tip) if found is not None else (default, "")

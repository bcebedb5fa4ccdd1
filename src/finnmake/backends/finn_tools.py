"""Which of FINN's steps need which of AMD's tools: one table, and the check before such a step runs.

From finn-plus 1.6.1 (`finn/builder/build_dataflow_steps.py` and the transformations that it calls); upstream
FINN's steps have the same names and needs. Imports nothing of FINN.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from finnmake.errors import ToolError

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper

#: Gives the value of a field of FINN's configuration.
Field = Callable[[str], Any]

#: The domain of layers in HLS, and the operator that holds a graph of layers of its own.
_HLS_DOMAIN = "finn.custom_op.fpgadataflow.hls"
_LOOP = "FINNLoop"

#: From the release after this one on, `vitis-run` does what `vitis_hls` did.
_LAST_VITIS_HLS = (2024, 2)
_RELEASE = re.compile(r"\b(20\d{2})\.([12])\b")

#: FINN's defaults of the fields that conditions ask for, where a blueprint does not set them.
_DEFAULTS = {"auto_fifo_depths": True, "auto_fifo_strategy": "distributed_sim"}

#: Ways to get FIFOs without simulation (`AutoFIFOSizingMethod`).
_LIVE, _MINIMAL = "live_fifo", "force_minimal_fifos"

_CURE = (
    "Name Vivado in pyproject.toml ([tool.finnmake.toolchain] vivado), or source settings64.sh and start "
    "again: the steps before this one are kept. Without Vivado, builds go up to output_stage: RTL."
)


@dataclass(frozen=True)
class Tool:
    """A tool that FINN starts.

    Attributes:
        name: as its maker calls it.
        commands: what must be on PATH.
        variables: what must be set.
    """

    name: str
    commands: tuple[str, ...]
    variables: tuple[str, ...] = ()


HLS = Tool("Vitis HLS", ("vitis_hls",), ("XILINX_VIVADO",))
HLS_HEADERS = Tool("the headers of Vitis HLS", ("g++",), ("XILINX_HLS",))
VIVADO = Tool("Vivado", ("vivado",), ("XILINX_VIVADO",))
SIMULATOR = Tool("Vivado's simulator", ("vivado", "xelab"), ("XILINX_VIVADO",))
VITIS = Tool("Vitis", ("v++",), ("XILINX_VITIS", "XILINX_XRT", "PLATFORM_REPO_PATHS"))


@dataclass(frozen=True)
class When:
    """A condition on FINN's configuration, and how it is told."""

    holds: Callable[[Field], bool]
    told: str = ""


def _wants(output: str) -> When:
    return When(lambda field: output in (field("generate_outputs") or ()), f"`generate_outputs` has {output}")


def _verifies(step: str) -> When:
    return When(lambda field: step in (field("verify_steps") or ()), f"`verify_steps` has {step}")


def _bitfile(flow: str) -> When:
    wanted = _wants("bitfile")
    return When(
        lambda field: wanted.holds(field) and field("shell_flow_type") == flow,
        f"{wanted.told}, `shell_flow_type` is {flow}",
    )


_ALWAYS = When(lambda field: True)

_SIMULATES_FIFOS = When(
    lambda field: bool(field("auto_fifo_depths")) and field("auto_fifo_strategy") not in (_LIVE, _MINIMAL),
    f"FIFOs are sized by simulation (`auto_fifo_strategy` is neither {_LIVE} nor {_MINIMAL})",
)

# Where FIFOs are sized in the running design, the step ends before it makes their IP.
_MAKES_FIFOS = When(
    lambda field: not (field("auto_fifo_depths") and field("auto_fifo_strategy") == _LIVE),
    f"`auto_fifo_strategy` is not {_LIVE}",
)

_INSTRUMENTS = When(lambda field: bool(field("enable_instrumentation")), "`enable_instrumentation`")


@dataclass(frozen=True)
class Need:
    """What a step needs.

    Attributes:
        tool: the tool.
        when: whether it does with these fields.
        for_hls: whether only where the model has layers in HLS.
    """

    tool: Tool
    when: When = _ALWAYS
    for_hls: bool = False


_ZYNQ, _ALVEO = _bitfile("vivado_zynq"), _bitfile("vitis_alveo")

#: FINN's step -> what it needs. What is not here needs no tool.
NEEDS: Mapping[str, tuple[Need, ...]] = {
    "step_minimize_bit_width": (Need(HLS_HEADERS, _verifies("folded_hls_cppsim"), for_hls=True),),
    "step_hw_ipgen": (Need(HLS, for_hls=True), Need(SIMULATOR, _verifies("node_by_node_rtlsim"))),
    "step_set_fifo_depths": (Need(SIMULATOR, _SIMULATES_FIFOS), Need(HLS, _MAKES_FIFOS, for_hls=True)),
    "step_generate_hardware": (
        Need(HLS, for_hls=True),
        Need(SIMULATOR, _verifies("node_by_node_rtlsim")),
        Need(SIMULATOR, _SIMULATES_FIFOS),
    ),
    "step_prepare_nodecontainer": (Need(HLS, for_hls=True), Need(VIVADO)),
    "step_create_stitched_ip": (
        Need(HLS, _INSTRUMENTS),
        Need(VIVADO, _wants("stitched_ip")),
        Need(SIMULATOR, _verifies("stitched_ip_rtlsim")),
    ),
    "step_measure_rtlsim_performance": (Need(SIMULATOR, _wants("rtlsim_performance")),),
    "step_out_of_context_synthesis": (Need(VIVADO, _wants("out_of_context_synth")),),
    "step_vivado_power_estimation": (Need(VIVADO, _wants("out_of_context_synth")),),
    "step_prepare_synthesis": (Need(HLS, _ALVEO), Need(VIVADO, _ALVEO), Need(VITIS, _ALVEO)),
    "step_synthesize_bitfile": (Need(HLS, _ZYNQ), Need(VIVADO, _ZYNQ), Need(VITIS, _ALVEO)),
}


def check_tools(step: str, config: Any, model: ModelWrapper, environment: Mapping[str, str]) -> None:
    """Raise ToolError where a step of FINN's will need a tool that is not there.

    Args:
        config: FINN's configuration; only fields are read that the step itself reads.
        environment: the variables that the step sees.
    """
    for need in NEEDS.get(step, ()):
        if (need.for_hls and not _has_hls(model)) or not need.when.holds(
            lambda name: getattr(config, name, None)
        ):
            continue
        lacking = _lacking(need.tool, environment)
        if lacking:
            raise ToolError(f"this step needs {need.tool.name}: {lacking}", cure=_CURE)


def first_need(steps: Iterable[str], fields: Mapping[str, Any]) -> tuple[str, Tool] | None:
    """The first of these steps that needs a tool, and the tool, as far as that is known without a model.

    Args:
        fields: those fields of FINN's configuration that a blueprint sets.
    """
    values = {**_DEFAULTS, **fields}
    for step in steps:
        for need in NEEDS.get(step, ()):
            if need.when.holds(values.get):
                return step, need.tool
    return None


def _has_hls(model: ModelWrapper) -> bool:
    return any(node.domain == _HLS_DOMAIN or node.op_type == _LOOP for node in model.graph.node)


def _lacking(tool: Tool, environment: Mapping[str, str]) -> str:
    """What is missing of a tool, in words; empty where nothing is."""
    unset = [name for name in tool.variables if not environment.get(name)]
    if unset:
        return f"{' and '.join(unset)} {'is' if len(unset) == 1 else 'are'} not set"
    wanted = [_command(name, environment) for name in tool.commands]
    missing = [name for name in wanted if shutil.which(name, path=environment.get("PATH", "")) is None]
    return f"there is no {' and no '.join(missing)} on PATH" if missing else ""


def _command(name: str, environment: Mapping[str, str]) -> str:
    """The command's name in the release that XILINX_VIVADO names."""
    found = _RELEASE.search(environment.get("XILINX_VIVADO", ""))
    newer = found is not None and (int(found[1]), int(found[2])) > _LAST_VITIS_HLS
    return "vitis-run" if name == "vitis_hls" and newer else name

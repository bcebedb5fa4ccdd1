"""The table of tools that FINN's steps need, and the check: with fake tools on PATH, and without any."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finnmake.backends.finn_tools import NEEDS, check_tools, first_need
from finnmake.blueprint.tables import config_field, step_names
from finnmake.errors import ToolError
from tests import fake_vivado

#: FINN's defaults of the fields that the conditions ask for.
DEFAULTS = {
    "auto_fifo_depths": True,
    "auto_fifo_strategy": "distributed_sim",
    "enable_instrumentation": False,
    "generate_outputs": [],
    "shell_flow_type": None,
    "verify_steps": None,
}

HLS, RTL = "finn.custom_op.fpgadataflow.hls", "finn.custom_op.fpgadataflow.rtl"
MINIMAL = {"auto_fifo_strategy": "force_minimal_fifos"}


def model(*domains: str) -> Any:
    nodes = [SimpleNamespace(domain=domain, op_type="MVAU") for domain in domains]
    return SimpleNamespace(graph=SimpleNamespace(node=nodes))


def refusal(step: str, environment: Mapping[str, str], *domains: str, **fields: Any) -> str:
    """What the check says; empty where it lets the step run."""
    try:
        check_tools(step, SimpleNamespace(**{**DEFAULTS, **fields}), model(*domains or (HLS,)), environment)
    except ToolError as error:
        assert error.category == "environment"
        assert "tool.finnmake.toolchain" in error.cure
        return error.message
    return ""


@pytest.fixture
def tools(tmp_path: Path) -> dict[str, str]:
    """The environment with Vivado and Vitis HLS 2022.2."""
    vivado = fake_vivado.make(tmp_path)
    hls = tmp_path / "Vitis_HLS" / "2022.2"
    return {"PATH": f"{vivado}/bin:{hls}/bin", "XILINX_VIVADO": str(vivado), "XILINX_HLS": str(hls)}


def test_steps_and_fields_are_finns_own() -> None:
    assert set(NEEDS) <= set(step_names())
    assert all(config_field(name) is not None for name in DEFAULTS)


@pytest.mark.parametrize(
    ("step", "fields", "words"),
    [
        ("step_hw_ipgen", {}, "Vitis HLS"),
        ("step_set_fifo_depths", {}, "Vivado's simulator"),
        ("step_set_fifo_depths", MINIMAL, "Vitis HLS"),
        ("step_set_fifo_depths", {"auto_fifo_strategy": "live_fifo"}, ""),
        ("step_set_fifo_depths", {"auto_fifo_depths": False}, "Vitis HLS"),
        ("step_generate_hardware", {}, "Vitis HLS"),
        ("step_create_stitched_ip", {}, ""),
        ("step_create_stitched_ip", {"generate_outputs": ["stitched_ip"]}, "Vivado"),
        ("step_create_stitched_ip", {"verify_steps": ["stitched_ip_rtlsim"]}, "simulator"),
        ("step_measure_rtlsim_performance", {}, ""),
        ("step_measure_rtlsim_performance", {"generate_outputs": ["rtlsim_performance"]}, "simulator"),
        ("step_out_of_context_synthesis", {"generate_outputs": ["out_of_context_synth"]}, "Vivado"),
        ("step_synthesize_bitfile", {"generate_outputs": ["bitfile"]}, ""),
        (
            "step_synthesize_bitfile",
            {"generate_outputs": ["bitfile"], "shell_flow_type": "vivado_zynq"},
            "Vitis HLS",
        ),
        ("step_hw_codegen", {}, ""),
        ("step_generate_estimate_reports", {}, ""),
        ("step_make_driver", {"generate_outputs": ["pynq_driver"]}, ""),
    ],
)
def test_without_vivado(step: str, fields: dict[str, Any], words: str) -> None:
    said = refusal(step, {"PATH": "/usr/bin"}, **fields)
    assert (words in said) if words else said == ""
    if words:
        assert said.startswith("this step needs ")
        assert said.endswith("XILINX_VIVADO is not set")


@pytest.mark.parametrize("step", sorted(NEEDS))
def test_with_vivado_every_step_but_alveos_runs(step: str, tools: dict[str, str]) -> None:
    outputs = ["stitched_ip", "rtlsim_performance", "out_of_context_synth", "bitfile"]
    assert refusal(step, tools, generate_outputs=outputs, shell_flow_type="vivado_zynq") == ""


def test_layers_in_rtl_need_no_hls() -> None:
    assert refusal("step_hw_ipgen", {}, RTL, RTL) == ""
    assert refusal("step_generate_hardware", {}, RTL, **MINIMAL) == ""
    assert "Vitis HLS" in refusal("step_hw_ipgen", {}, RTL, HLS)


def test_vivado_without_hls_is_told_apart(tools: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "Vitis_HLS" / "2022.2" / "bin" / "vitis_hls").unlink()
    assert refusal("step_hw_ipgen", tools) == "this step needs Vitis HLS: there is no vitis_hls on PATH"


def test_later_releases_have_another_command(tmp_path: Path) -> None:
    vivado = fake_vivado.make(tmp_path, "2025.1")
    seen = {"PATH": f"{vivado}/bin:{tmp_path}/Vitis_HLS/2025.1/bin", "XILINX_VIVADO": str(vivado)}
    assert refusal("step_hw_ipgen", seen).endswith("there is no vitis-run on PATH")
    fake_vivado.write_script(vivado / "bin" / "vitis-run", "#!/bin/bash\n")
    assert refusal("step_hw_ipgen", seen) == ""


def test_alveo_names_each_variable_that_is_missing(tools: dict[str, str]) -> None:
    fields = {"generate_outputs": ["bitfile"], "shell_flow_type": "vitis_alveo"}
    said = refusal("step_synthesize_bitfile", {**tools, "XILINX_VITIS": "/x"}, **fields)
    assert said.endswith("Vitis: XILINX_XRT and PLATFORM_REPO_PATHS are not set")


def test_first_need_of_a_list_of_steps() -> None:
    steps = ["step_streamline", "step_hw_codegen", "step_generate_hardware", "step_create_stitched_ip"]
    found = first_need(steps, {"generate_outputs": ["stitched_ip"]})
    assert found is not None and (found[0], found[1].name) == ("step_generate_hardware", "Vitis HLS")
    assert first_need(steps[:2], {}) is None
    assert first_need(["step_create_stitched_ip"], {"generate_outputs": ["estimate_reports"]}) is None

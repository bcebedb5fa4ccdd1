"""FINN's facts: the committed table, and look-ups in it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from finnmake.backends import generate_tables
from finnmake.blueprint import tables
from finnmake.blueprint.tables import FieldType, FinnCatalog, KernelAttribute
from finnmake.errors import BlueprintError


@pytest.mark.finn
@pytest.mark.slow
def test_the_committed_table_is_that_of_the_installed_finn() -> None:
    command = [sys.executable, "-m", "finnmake.backends.generate_tables", "--check"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_loading_imports_no_finn() -> None:
    code = (
        "import sys, finnmake.blueprint.loader, finnmake.exploration.configs\n"
        "import finnmake.blueprint.tables as t\n"
        "t.config_field('board')\n"
        "heavy = {'finn', 'qonnx', 'onnx', 'numpy', 'pydantic', 'doit', 'difflib'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_types_of_fields() -> None:
    assert tables.config_field("synth_clk_period_ns") == FieldType("float")
    assert tables.config_field("target_fps") == FieldType("int", optional=True)
    assert tables.config_field("verify_input_npy") == FieldType("path")
    assert tables.config_field("vivado_power_simulation_type") == FieldType(
        "enum", False, ("timing", "functional")
    )
    assert tables.config_field("signature") == FieldType("list", True, item=FieldType("int"))
    assert tables.config_field("partitioning_configuration") == FieldType("dict", optional=True)
    assert tables.config_field("nonsense") is None


def test_fields_that_finn_types_as_text_and_opens_are_paths() -> None:
    assert {"folding_config_file", "multi_dnn_config_path", "vitis_floorplan_file"} <= tables.path_fields()
    assert "board" not in tables.path_fields()


def test_steps_and_boards() -> None:
    assert tables.step_list("estimate_only_dataflow_steps")[-1] == "step_generate_estimate_reports"
    assert "step_hw_codegen" in tables.step_names()
    assert tables.boards()["Pynq-Z1"] == "xc7z020clg400-1"
    assert tables.made_from()["qonnx"] == "1.0.0"


def test_kernels() -> None:
    assert tables.kernel_backends("MVAU") == ("MVAU_hls", "MVAU_rtl")
    assert tables.kernel_backends("ConvolutionInputGenerator") == ("ConvolutionInputGenerator_rtl",)
    assert tables.kernel_backends("Nonsense") == ()
    assert all(tables.kernel_backends(name) for name in tables.kernel_names())


def test_attributes_of_kernels() -> None:
    both = ("MVAU_hls", "MVAU_rtl")
    ram = ("auto", "block", "distributed", "ultra")
    assert tables.kernel_attribute("MVAU", "ram_style") == KernelAttribute("str", ram, both)
    assert tables.kernel_attribute("MVAU", "pumpedCompute") == KernelAttribute("int", (0, 1), both[1:])
    assert tables.kernel_attribute("MVAU", "resType") == KernelAttribute("str", ("auto", "dsp", "lut"), both)
    assert tables.kernel_attribute("MVAU", "numInputVectors") is None  # what the layer computes
    assert tables.kernel_attribute("Thresholding", "mem_mode") == KernelAttribute(
        "str", ("internal_decoupled", "internal_embedded"), ("Thresholding_hls",)
    )
    assert tables.kernel_attribute("MVAU", "nonsense") is None
    assert tables.kernel_attribute("Nonsense", "ram_style") is None


@pytest.mark.parametrize("name", ["PE", "SIMD", "MW", "preferred_impl_style", "ip_path", "res_hls"])
def test_what_others_decide_is_no_attribute_to_set(name: str) -> None:
    assert not [kernel for kernel in tables.kernel_names() if name in tables.kernel_attributes(kernel)]


@pytest.mark.parametrize("name", ["StreamingFIFO", "InnerShuffle", "Shuffle", "IODMA", "FINNLoop"])
def test_layers_that_are_not_specialised_in_that_step_are_no_kernels(name: str) -> None:
    assert name not in tables.kernel_names()


@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        ("step", "step_tidy_up", "finn.builder.build_dataflow_steps:step_tidy_up"),
        ("transform", "GiveUniqueNodeNames", "qonnx.transformation.general:GiveUniqueNodeNames"),
        ("transform", "MoveMulPastFork", "qonnx.transformation.channels_last:MoveMulPastFork"),
        ("transform", "my.package.Mine", "my.package:Mine"),
        ("analysis", "my.energy", "my:energy"),
        ("step", "Streamline", None),
        ("analysis", "step_tidy_up", None),
        ("step", "a..b", None),
        ("step", ".b", None),
        ("step", "a.b-c", None),
    ],
)
def test_the_catalog_of_finn(kind: str, name: str, target: str | None) -> None:
    assert FinnCatalog().find(kind, name) == target


def test_a_transform_that_two_modules_of_finn_define_is_ambiguous(monkeypatch: pytest.MonkeyPatch) -> None:
    table: dict[str, Any] = {"transforms": {"Twice": ["finn.a", "finn.b"]}}
    monkeypatch.setattr(tables, "_table", lambda: table)
    with pytest.raises(BlueprintError) as caught:
        FinnCatalog().find("transform", "Twice")
    assert str(caught.value) == (
        "the transform 'Twice' is defined in finn.a and in finn.b\n"
        "  -> Write the one that is meant in full, e.g. finn.a.Twice."
    )


@pytest.mark.parametrize("kind", ["step", "transform", "analysis"])
def test_every_name_that_is_suggested_can_be_found(kind: str) -> None:
    catalog = FinnCatalog()
    assert all(catalog.find(kind, name) for name in catalog.names(kind))


def test_a_type_without_a_description_is_an_error() -> None:
    with pytest.raises(TypeError, match="extend generate_tables"):
        generate_tables._describe(bytes)

"""How what a configuration says of kernels reaches the steps."""

from __future__ import annotations

from typing import Any

from finnmake.blueprint.tables import KERNELS_FIELD, config_field
from finnmake.records import BuildConfig
from finnmake.runner.flow import flags_of


def config(**changes: Any) -> BuildConfig:
    values: dict[str, Any] = {
        "id": "config_001",
        "design_space_id": "space",
        "content_id": "0" * 16,
        "model_path": "models/model.onnx",
        "kernels": (),
        "transforms_by_stage": {},
        "build_steps": (),
        "config_flags": {"target_fps": 10},
        "global_config": {},
        "backend": "finn",
        "output_dir": "builds/space/config_001",
        "combination_index": 0,
        "total_combinations": 1,
    }
    return BuildConfig(**{**values, **changes})


def test_without_a_word_on_kernels_there_are_finns_fields_alone() -> None:
    assert flags_of(config()) == {"target_fps": 10}


def test_backends_and_attributes_go_together_by_kernel() -> None:
    flags = flags_of(
        config(
            kernels=(("MVAU", ("MVAU_rtl", "MVAU_hls")), ("Thresholding", ("Thresholding_rtl",))),
            kernel_attributes={"MVAU": {"ram_style": "block"}, "VVAU": {"resType": "lut"}},
        )
    )
    assert flags == {
        "target_fps": 10,
        KERNELS_FIELD: {
            "MVAU": {"backends": ["MVAU_rtl", "MVAU_hls"], "attributes": {"ram_style": "block"}},
            "Thresholding": {"backends": ["Thresholding_rtl"], "attributes": {}},
            "VVAU": {"backends": [], "attributes": {"resType": "lut"}},
        },
    }


def test_the_field_is_none_of_finns() -> None:
    assert config_field(KERNELS_FIELD) is None

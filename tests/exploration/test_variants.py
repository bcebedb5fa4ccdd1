"""Changed configurations: an id, a folder and a content id that tell what they are."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings

from finnmake.exploration.configs import content_id_of, iter_configs
from finnmake.exploration.variants import variant
from finnmake.records import BuildConfig
from tests.exploration.spaces import random_spaces, small


@settings(deadline=None, max_examples=50)
@given(random_spaces(constrained=False))
def test_the_content_id_follows_from_the_content(space: Any) -> None:
    for config in islice(iter_configs(space), 40):
        assert content_id_of(config) == config.content_id
        assert content_id_of(BuildConfig.from_dict(config.to_dict())) == config.content_id


def first_config() -> BuildConfig:
    return next(iter_configs(small()))


def test_a_variant_without_a_change_has_the_same_content() -> None:
    config = first_config()
    same = variant(config, "again")
    assert same.content_id == config.content_id
    assert (same.id, same.output_dir) == ("again", f"builds/{config.design_space_id}/again")


@pytest.mark.parametrize(
    "changes",
    [
        {"model_path": "models/other.onnx"},
        {"build_steps": ("step_tidy_up", "step_streamline")},
        {"config_flags": {"synth_clk_period_ns": 3.5}},
        {"kernels": (("MVAU", ("MVAU_rtl",)),)},
        {"kernel_attributes": {"MVAU": {"resType": "dsp"}}},
        {"backend": "mock"},
        {"global_config": {"output_stage": "STITCHED_IP"}},
    ],
)
def test_a_change_shows_in_the_content_id(changes: dict[str, Any]) -> None:
    config = first_config()
    changed = variant(config, "changed", **changes)
    assert changed.content_id == content_id_of(changed) != config.content_id


def test_what_finn_is_to_write_follows_from_the_stage_and_the_steps() -> None:
    further = variant(first_config(), "further", global_config={"output_stage": "STITCHED_IP"})
    assert further.config_flags["generate_outputs"] == ["estimate_reports", "stitched_ip"]


@pytest.mark.parametrize("own_id", ["", "../up", "a/b", ".hidden", "config_001", "config_7", "a b"])
def test_an_id_that_names_no_folder_or_is_taken_is_refused(own_id: str) -> None:
    with pytest.raises(ValueError, match="id is "):
        variant(first_config(), own_id)


@pytest.mark.parametrize("name", ["content_id", "output_dir", "clock", "design_space_id"])
def test_what_cannot_be_changed_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} cannot be changed; what can: model_path, kernels"):
        variant(first_config(), "changed", **{name: "x"})

"""Changed configurations: an id, a folder and a content id that tell what they are."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from finnmake import forge
from finnmake.exploration.checks import check_config
from finnmake.exploration.configs import content_id_of, iter_configs
from finnmake.exploration.variants import variant
from finnmake.records import BuildConfig
from tests.exploration.spaces import random_spaces, small
from tests.projects import REPOSITORY

BLUEPRINTS = REPOSITORY / "blueprints"


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


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "clock": ({"config_flags": {"synth_clk_period_ns": "abc"}}, "synth_clk_period_ns: .*the text 'abc'"),
    "field": ({"config_flags": {"targt_fps": 3}}, "no field 'targt_fps'.*\n.*target_fps"),
    "time": ({"global_config": {"timeout_seconds": "x"}}, "timeout_seconds: 'x' is no number of seconds"),
    "output": ({"global_config": {"output_stage": "NOPE"}}, "output_stage: 'NOPE' is none"),
    "no name": ({"transforms_by_stage": {"pre_proc": [{"parameters": {}}]}}, "has no name"),
    "no list": ({"transforms_by_stage": {"pre_proc": "A"}}, "'A' is no list"),
    "stage": ({"transforms_by_stage": {"pre_prok": ["A"]}}, "'pre_prok' stands nowhere.*\n.*pre_proc"),
    "twice": ({"transforms_by_stage": {"post_proc": ["a", {"name": "a"}]}}, "'a' stands there twice"),
    "reaction": (
        {"transforms_by_stage": {"pre_proc": [{"name": "A", "on_error": "passthru"}]}},
        "on_error: 'passthru' is not known",
    ),
    "step": ({"build_steps": ({"name": "x"},)}, "is no step"),
    "place": ({"build_steps": ({"stage": "x"},)}, "there is no stage 'x'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_blueprint_could_have_said_is_refused(case: str) -> None:
    changes, told = WRONG[case]
    with pytest.raises(ValueError, match=told):
        variant(first_config(), "changed", **changes)


@pytest.mark.parametrize("own_id", ["segments", "exploration"])
def test_an_id_of_a_folder_that_finnmake_writes_is_refused(own_id: str) -> None:
    with pytest.raises(ValueError, match=f"id: '{own_id}' is the name of a folder"):
        variant(first_config(), own_id)


@pytest.mark.parametrize("path", sorted(BLUEPRINTS.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_a_blueprint_says_is_not(path: Path) -> None:
    for config in islice(iter_configs(forge(None, path)), 200):
        check_config(config)

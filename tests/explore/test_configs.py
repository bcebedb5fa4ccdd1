"""Enumeration, ids and identity of configurations."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from finnmake.blueprint.space import DesignSpace
from finnmake.errors import BlueprintError, Location
from finnmake.explore.configs import config_at, config_ids, find_config, iter_configs

SPACE = DesignSpace(
    name="small",
    path=Path("/project/blueprints/small.yaml"),
    model_path="models/net.onnx",
    flags={"fpga_part": "xc7z020clg400-1"},
    axes={"synth_clk_period_ns": (5.0, 10.0), "target_fps": (1, 2, 3)},
    transforms_by_stage={"pre_proc": ("FoldConstants",), "post_proc": ()},
    build_steps=("step_tidy_up",),
    backend="finn",
    global_config={"output_stage": "ESTIMATES", "timeout_seconds": 60},
    lines={"name": Location(Path("blueprints/small.yaml"), 1, 7, "name")},
)


def test_the_last_axis_varies_fastest() -> None:
    points = [
        (c.config_flags["synth_clk_period_ns"], c.config_flags["target_fps"]) for c in iter_configs(SPACE)
    ]
    assert points == [(5.0, 1), (5.0, 2), (5.0, 3), (10.0, 1), (10.0, 2), (10.0, 3)]


def test_a_configuration_holds_all_that_a_build_needs() -> None:
    config = config_at(SPACE, 4)
    assert config.id == "config_005"
    assert config.design_space_id == "small"
    assert config.output_dir == "builds/small/config_005"
    assert (config.combination_index, config.total_combinations) == (4, 6)
    assert config.transforms_by_stage == {"pre_proc": ["FoldConstants"], "post_proc": []}
    assert config.build_steps == ("step_tidy_up",)
    assert config.global_config == {"output_stage": "ESTIMATES", "timeout_seconds": 60}
    assert config.config_flags == {
        "fpga_part": "xc7z020clg400-1",
        "synth_clk_period_ns": 10.0,
        "target_fps": 2,
        "generate_outputs": ["estimate_reports"],
    }


def test_other_stages_get_no_outputs_of_the_estimates() -> None:
    space = replace(SPACE, global_config={"output_stage": "RTL"})
    assert "generate_outputs" not in config_at(space, 0).config_flags


def test_without_axes_there_is_one() -> None:
    assert list(config_ids(replace(SPACE, axes={}))) == ["config_001"]


def test_ids_are_as_long_as_the_last() -> None:
    space = replace(SPACE, axes={"target_fps": tuple(range(1, 1001))})
    ids = list(config_ids(space))
    assert (ids[0], ids[-1]) == ("config_0001", "config_1000")


def test_a_huge_space_is_never_made_whole() -> None:
    space = replace(SPACE, axes={f"axis_{n}": tuple(range(100)) for n in range(8)})
    assert len(list(islice(iter_configs(space), 3))) == 3
    last = config_at(space, 100**8 - 1)
    assert last.config_flags["axis_0"] == last.config_flags["axis_7"] == 99
    assert find_config(space, last.id) == last


@pytest.mark.parametrize("index", [-1, 6])
def test_no_configuration_beyond_the_ends(index: int) -> None:
    with pytest.raises(IndexError, match=f"small has 6 configurations, none at {index}"):
        config_at(SPACE, index)


def test_every_id_finds_its_configuration() -> None:
    assert [find_config(SPACE, config_id) for config_id in config_ids(SPACE)] == list(iter_configs(SPACE))


@pytest.mark.parametrize(
    "asked", ["config_007", "config_000", "config_1", "config_0001", "001", "", "config_²"]
)
def test_an_id_that_does_not_exist_lists_those_that_do(asked: str) -> None:
    with pytest.raises(BlueprintError) as caught:
        find_config(SPACE, asked)
    assert str(caught.value) == (
        f"blueprints/small.yaml: small has no configuration {asked!r}\n"
        "  -> It has config_001, config_002, config_003, config_004, config_005, config_006."
    )


def test_of_many_ids_the_ends_are_listed() -> None:
    with pytest.raises(BlueprintError, match=r"It has config_001 to config_200\."):
        find_config(replace(SPACE, axes={"target_fps": tuple(range(1, 201))}), "config_201")


def contents(space: DesignSpace) -> list[str]:
    return [config.content_id for config in iter_configs(space)]


def test_content_ids_do_not_depend_on_the_order() -> None:
    turned = {"target_fps": (3, 1, 2), "synth_clk_period_ns": (10.0, 5.0)}
    assert sorted(contents(replace(SPACE, axes=turned))) == sorted(contents(SPACE))


@pytest.mark.parametrize(
    "same", [{"name": "other"}, {"description": "new"}, {"path": Path("/elsewhere/b.yaml")}, {"lines": {}}]
)
def test_what_cannot_change_a_result_is_not_in_the_content_id(same: dict[str, Any]) -> None:
    assert contents(replace(SPACE, **same)) == contents(SPACE)
    assert contents(replace(SPACE, global_config={**SPACE.global_config, "timeout_seconds": 1})) == contents(
        SPACE
    )


@pytest.mark.parametrize(
    "other",
    [
        {"model_path": "models/other.onnx"},
        {"flags": {"fpga_part": "xczu3eg-sbva484-1-e"}},
        {"transforms_by_stage": {"pre_proc": (), "post_proc": ()}},
        {"build_steps": ()},
        {"backend": "mock"},
        {"global_config": {"output_stage": "RTL"}},
    ],
)
def test_what_can_change_a_result_is_in_the_content_id(other: dict[str, Any]) -> None:
    assert not set(contents(replace(SPACE, **other))) & set(contents(SPACE))


def test_one_configuration_cannot_change_another() -> None:
    first = config_at(SPACE, 0)
    first.transforms_by_stage["pre_proc"].append("Streamline")
    assert config_at(SPACE, 1).transforms_by_stage["pre_proc"] == ["FoldConstants"]

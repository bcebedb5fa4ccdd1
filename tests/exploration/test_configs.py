"""Enumeration, ids and identity of configurations."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finnmake.blueprint import schema
from finnmake.blueprint.expressions import Expression
from finnmake.blueprint.slots import HWCompilerSpace, entry_name
from finnmake.blueprint.space import DesignSpace
from finnmake.blueprint.tables import config_field
from finnmake.errors import BlueprintError, Location
from finnmake.exploration.configs import (
    allowed_positions,
    config_at,
    config_ids,
    find_config,
    generated_outputs,
    iter_configs,
)
from finnmake.hashing import canonical_json
from tests.exploration.spaces import CLOCKS, fields, kernel, random_spaces, small, space_of, steps, transforms

SPACE = small()


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


@pytest.mark.parametrize(
    ("stage", "generated"),
    [
        ("ESTIMATES", ["estimate_reports"]),
        ("DATAFLOW_GRAPH", ["estimate_reports"]),
        ("RTL", ["estimate_reports"]),
        ("STITCHED_IP", ["estimate_reports", "stitched_ip"]),
        (
            "BITFILE",
            ["estimate_reports", "stitched_ip", "bitfile", "pynq_driver", "deployment_package"],
        ),
    ],
)
def test_the_outputs_follow_from_the_stage(stage: str, generated: list[str]) -> None:
    config = config_at(small(global_config={"output_stage": stage}), 0)
    assert config.config_flags["generate_outputs"] == generated


@pytest.mark.parametrize(
    ("stage", "more"),
    [("RTL", []), ("STITCHED_IP", ["rtlsim_performance", "out_of_context_synth"])],
)
def test_a_listed_step_gets_the_output_that_it_does_its_work_for(stage: str, more: list[str]) -> None:
    steps = [
        "step_create_stitched_ip",
        "step_measure_rtlsim_performance",
        "step_out_of_context_synthesis",
        {"step": "step_vivado_power_estimation"},
    ]
    outputs = generated_outputs(stage, map(entry_name, steps))
    assert [each for each in outputs if each not in ("estimate_reports", "stitched_ip")] == more


def test_the_outputs_of_configurations_follow_their_steps() -> None:
    default = schema.default_steps("BITFILE")
    known = config_field("generate_outputs")
    assert known is not None and known.item is not None
    assert set(generated_outputs("BITFILE", default)) == set(known.item.choices) - {"cpp_driver"}


def test_without_axes_there_is_one() -> None:
    assert list(config_ids(small({}))) == ["config_001"]


def test_ids_are_as_long_as_the_last() -> None:
    space = small({"target_fps": range(1, 1001)})
    ids = list(config_ids(space))
    assert (ids[0], ids[-1]) == ("config_0001", "config_1000")


def test_a_huge_space_is_never_made_whole() -> None:
    space = small({f"axis_{n}": range(100) for n in range(8)})
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
        find_config(small({"target_fps": range(1, 201)}), "config_201")


def contents(space: DesignSpace) -> list[str]:
    return [config.content_id for config in iter_configs(space)]


def test_content_ids_do_not_depend_on_the_order() -> None:
    turned = {"target_fps": (3, 1, 2), "synth_clk_period_ns": (10.0, 5.0)}
    assert sorted(contents(small(turned))) == sorted(contents(SPACE))


def test_content_ids_survive_a_wider_space() -> None:
    wider = small({**CLOCKS, "target_fps": (0, 1, 2, 3, 4)})
    assert set(contents(SPACE)) < set(contents(wider))
    assert set(contents(small({"synth_clk_period_ns": (5.0,), "target_fps": (2,)}))) < set(contents(SPACE))


@pytest.mark.parametrize(
    "same", [{"name": "other"}, {"description": "new"}, {"path": Path("/elsewhere/b.yaml")}, {"lines": {}}]
)
def test_what_cannot_change_a_result_is_not_in_the_content_id(same: dict[str, Any]) -> None:
    assert contents(replace(SPACE, **same)) == contents(SPACE)
    assert contents(small(global_config={**SPACE.global_config, "timeout_seconds": 1})) == contents(SPACE)


@pytest.mark.parametrize(
    "other",
    [
        {"model_path": "models/other.onnx"},
        {"fpga_part": "xczu3eg-sbva484-1-e"},
        {"slots": steps([["step_tidy_up"]])},
        {"slots": transforms("pre_proc", [["FoldConstants"]])},
        {"slots": [*transforms("pre_proc", [["FoldConstants"]]), *steps([["step_tidy_up", "b"]])]},
        {"backend": "mock"},
        {"global_config": {"output_stage": "RTL"}},
    ],
)
def test_what_can_change_a_result_is_in_the_content_id(other: dict[str, Any]) -> None:
    assert not set(contents(small(**other))) & set(contents(SPACE))


def test_kernels_and_their_attributes_are_in_the_content_id() -> None:
    options = [
        ((), {}),
        (("MVAU_rtl",), {}),
        (("MVAU_rtl", "MVAU_hls"), {}),
        (("MVAU_rtl",), {"resType": "dsp"}),
    ]
    found = contents(space_of([kernel("MVAU", *options)]))
    assert len(set(found)) == len(options)
    kernels = [kernel("MVAU", options[1]), kernel("Thresholding", options[0])]
    assert contents(space_of(kernels)) == contents(space_of(kernels[::-1]))


def test_one_configuration_cannot_change_another() -> None:
    space = small(
        slots=[*transforms("pre_proc", [["FoldConstants"]]), kernel("MVAU", ((), {"resType": "dsp"}))]
    )
    first, second = iter_configs(space, [0, 1])
    before = canonical_json(second.to_dict())
    first.transforms_by_stage["pre_proc"].append("Streamline")
    for mapping in (
        first.transforms_by_stage,
        first.config_flags,
        first.global_config,
        first.kernel_attributes,
        first.kernel_attributes["MVAU"],
    ):
        mapping["new"] = 1  # type: ignore[index]
    first.config_flags["generate_outputs"].append("more")
    assert canonical_json(second.to_dict()) == before
    assert canonical_json(config_at(space, 1).to_dict()) == before


def test_branches_make_lists_of_steps_and_kernels() -> None:
    quantise = [[{"step": "q", "parameters": {"bits": bits}}] for bits in (2, 4)]
    space = space_of(
        [
            *transforms("pre_proc", [["t"], []]),
            *steps([["a"]], [["b", "c"], []], quantise),
            kernel("MVAU", (("MVAU_rtl",), {}), (("MVAU_hls",), {"resType": "dsp"})),
        ]
    )
    assert space.size == 16
    first, last = config_at(space, 0), config_at(space, 15)
    assert first.transforms_by_stage == {"pre_proc": ["t"], "post_proc": []}
    assert first.build_steps == ("a", "b", "c", {"step": "q", "parameters": {"bits": 2}})
    assert (first.kernels, first.kernel_attributes) == ((("MVAU", ("MVAU_rtl",)),), {})
    assert last.transforms_by_stage == {"pre_proc": [], "post_proc": []}
    assert last.build_steps == ("a", {"step": "q", "parameters": {"bits": 4}})
    assert last.kernels == (("MVAU", ("MVAU_hls",)),)
    assert last.kernel_attributes == {"MVAU": {"resType": "dsp"}}


WITHOUT_TWO = small(constraints=(Expression("target_fps != 2", Location(Path("b.yaml"), 9, 3)),))


def test_constraints_leave_gaps_and_renumber_nothing() -> None:
    assert list(config_ids(WITHOUT_TWO)) == ["config_001", "config_003", "config_004", "config_006"]
    assert list(iter_configs(WITHOUT_TWO)) == [config_at(SPACE, at) for at in (0, 2, 3, 5)]
    assert find_config(WITHOUT_TWO, "config_006") == config_at(SPACE, 5)


def test_a_configuration_that_a_constraint_excludes_names_it() -> None:
    with pytest.raises(BlueprintError) as caught:
        find_config(WITHOUT_TWO, "config_002")
    assert str(caught.value).startswith(
        "b.yaml:9:3: config_002 is excluded by the constraint 'target_fps != 2'\n  -> "
    )


@settings(deadline=None)
@given(random_spaces())
def test_the_count_is_that_of_the_enumeration(space: DesignSpace) -> None:
    positions = list(allowed_positions(space))
    configs = list(iter_configs(space))
    assert space.get_total_combinations() == len(configs) == len(positions)
    assert [config.combination_index for config in configs] == positions
    assert [config.id for config in configs] == list(config_ids(space))
    assert len({config.id for config in configs}) == len(configs)


@settings(deadline=None)
@given(random_spaces(constrained=False))
def test_a_configuration_is_the_same_however_it_is_asked_for(space: DesignSpace) -> None:
    for config, point in zip(iter_configs(space), space, strict=True):
        assert canonical_json(config.to_dict()) == canonical_json(find_config(space, config.id).to_dict())
        assert (config.build_steps, config.kernels) == (point.build_steps, point.kernels)
        assert config.transforms_by_stage == point.transforms_by_stage
        assert config.kernel_attributes == point.kernel_attributes
        assert {**point.flags, "generate_outputs": ["estimate_reports"]} == config.config_flags


@settings(deadline=None)
@given(random_spaces(constrained=False))
def test_configurations_of_one_content_are_one(space: DesignSpace) -> None:
    """The content id is the same exactly where all that a build reads is the same."""
    own = ("id", "output_dir", "combination_index", "total_combinations", "content_id")
    seen: dict[str, set[bytes]] = {}
    for config in iter_configs(space):
        rest = {name: value for name, value in config.to_dict().items() if name not in own}
        seen.setdefault(config.content_id, set()).add(canonical_json(rest))
    assert all(len(found) == 1 for found in seen.values())
    assert len(set().union(*seen.values())) == len(seen)


@settings(deadline=None)
@given(random_spaces(constrained=False), st.randoms(use_true_random=False))
def test_content_ids_do_not_depend_on_the_order_of_fields(space: DesignSpace, chance: Any) -> None:
    flags = list(space.hw_compiler_space.config.items())
    chance.shuffle(flags)
    rest = [slot for slot in space.hw_compiler_space.slots if slot.kind != "field"]
    compiler = HWCompilerSpace((*rest, *fields(dict(flags))), space.hw_compiler_space.stages)
    assert set(contents(replace(space, hw_compiler_space=compiler))) == set(contents(space))

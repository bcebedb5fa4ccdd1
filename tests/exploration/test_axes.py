"""Columns of what varies: names that differ, values that tell the options apart."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings

from finnmake.blueprint.space import DesignSpace
from finnmake.exploration.axes import FIRST_COLUMNS, LAST_COLUMNS, space_axes, values_at
from tests.exploration.spaces import fields, kernel, random_spaces, space_of, steps, transforms


def axis_columns(space: DesignSpace) -> dict[str, int]:
    """Column -> the index of its slot."""
    return {axis.column: axis.slot for axis in space_axes(space)}


def axis_values(space: DesignSpace, position: int) -> dict[str, Any]:
    """Column -> what the configuration at a position of the product has there."""
    axes = space_axes(space)
    return dict(zip((axis.column for axis in axes), values_at(space, axes, position), strict=True))


def values(space: DesignSpace, column: str) -> list[object]:
    return [axis_values(space, position)[column] for position in range(space.size)]


def test_what_is_fixed_is_no_column() -> None:
    assert axis_columns(space_of([*fields({"board": ["U250"]}), *steps([["a"]])])) == {}


def test_fields_are_columns_by_their_names() -> None:
    space = space_of(
        fields({"board": ["U250"], "target_fps": [1, None], "thresholds": [[1, 2], {"a": True}]})
    )
    assert axis_columns(space) == {"target_fps": 1, "thresholds": 2}
    assert axis_values(space, 3) == {"target_fps": None, "thresholds": '{"a": true}'}
    assert values(space, "thresholds") == ["[1, 2]", '{"a": true}'] * 2


def test_a_kernel_has_columns_for_its_backends_and_attributes_as_far_as_they_vary() -> None:
    dsp = {"resType": "dsp"}
    block = {**dsp, "ram_style": "block"}
    space = space_of(
        [
            kernel(
                "MVAU", (["MVAU_rtl", "MVAU_hls"], block), (["MVAU_hls"], {"resType": "dsp"}), ([], block)
            ),
            kernel("VVAU", (["VVAU_rtl"], dsp), (["VVAU_rtl"], {"resType": "lut"})),
        ]
    )
    assert axis_columns(space) == {"MVAU": 0, "MVAU.ram_style": 0, "VVAU.resType": 1}
    assert values(space, "MVAU")[::2] == ["MVAU_rtl > MVAU_hls", "MVAU_hls", "any"]
    assert values(space, "MVAU.ram_style")[::2] == ["block", None, "block"]


def test_branches_tell_their_entries_and_the_parameters_that_vary() -> None:
    one, two = ({"step": "q", "parameters": {"bits": bits, "mode": "x"}} for bits in (2, 4))
    space = space_of(
        [*transforms("pre_proc", [["t"], []]), *steps([["a"]], [["a", "b"], [one], [two], [{"stage": "s"}]])]
    )
    assert axis_columns(space) == {"t": 0, "steps[1]": 2}
    assert values(space, "t")[::4] == ["used", "skip"]
    assert values(space, "steps[1]")[:4] == ["a + b", "q(bits=2)", "q(bits=4)", "stage:s"]


def test_a_branch_of_one_step_bears_its_name() -> None:
    one, two = ({"step": "q", "parameters": {"bits": bits, "mode": "x"}} for bits in (2, 4))
    assert values(space_of(steps([[], [one], [two]])), "q") == ["skip", "bits=2", "bits=4"]


def test_options_that_would_read_alike_are_written_in_full() -> None:
    space = space_of(steps([["skip"], []]))
    assert values(space, "skip") == ['["skip"]', "[]"]
    assert values(space_of(fields({"a": ["[1]", [1]]})), "a") == ['"[1]"', "[1]"]


def test_a_name_that_is_taken_gets_a_number() -> None:
    space = space_of([*fields({"status": [1, 2], "MVAU": [1, 2]}), kernel("MVAU", (["a"], {}), (["b"], {}))])
    assert axis_columns(space) == {"status (2)": 0, "MVAU": 1, "MVAU (2)": 2}


@settings(deadline=None)
@given(random_spaces(constrained=False))
def test_columns_differ_and_tell_all_positions_apart(space: DesignSpace) -> None:
    axes = space_axes(space)
    names = [axis.column for axis in axes]
    assert len({*names, *FIRST_COLUMNS, *LAST_COLUMNS}) == len(names) + len(FIRST_COLUMNS) + len(LAST_COLUMNS)
    assert all(isinstance(value, (str, int, float, type(None))) for axis in axes for value in axis.values)
    assert len({repr(axis_values(space, at)) for at in range(space.size)}) == space.size
